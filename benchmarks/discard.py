"""A destination that takes everything and keeps nothing, at the end of obskit's real pipeline.

The benchmark puts it in the place of the memory exporter (`use`): spans are turned into the SDK's form, metrics are
collected, and both are handed over on obskit's own export thread, as to any destination.
"""

from __future__ import annotations

from typing import Any

from obskit import _destinations
from obskit.exporters.memory import MemoryDestination, Store
from obskit.signals.delivery import Outcome

COUNTS = {"spans": 0, "refused": 0}


class Nothing(Store):
    """Counts spans, and forgets them."""

    def add(self, *, spans: Any = (), **_: Any) -> None:
        for _span in spans:  # which are made as they are read
            COUNTS["spans"] += 1


class Stuck(MemoryDestination):
    """Takes nothing, and asks to be tried again in an hour, as a backend in an outage."""

    def export_spans(self, *_: Any) -> Outcome:
        COUNTS["refused"] += 1
        return Outcome(reason="unavailable", retry_after_s=3600.0)


def create_stuck(_config: object, _resource: object) -> Stuck:
    """Make the destination that takes nothing."""
    return Stuck(Nothing())


def create(_config: object, _resource: object) -> MemoryDestination:
    """Make the destination."""
    return MemoryDestination(Nothing())


def use(factory: str = "create") -> None:
    """Let ``exporters="memory"`` mean this destination, or the stuck one, in this process."""
    _destinations.EXPORTERS["memory"] = f"{__name__}:{factory}"  # type: ignore[index]
