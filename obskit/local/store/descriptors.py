"""What is known of a metric type, and what tells its series apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Descriptor", "SeriesKey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What is known of a metric type; of its labels, `label_texts` has type and description where they were told."""

    type: str
    kind: str
    value_type: str
    unit: str = ""
    description: str = ""
    display_name: str = ""
    labels: tuple[str, ...] = ()
    label_texts: Mapping[str, tuple[str, str]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What tells one series from another."""

    metric_type: str
    metric_labels: tuple[tuple[str, str], ...]
    resource_type: str
    resource_labels: tuple[tuple[str, str], ...]
