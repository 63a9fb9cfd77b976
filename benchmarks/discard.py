"""A destination that takes everything and keeps nothing, at the end of obskit's real pipeline.

The benchmark puts it in the place of the memory exporter (`use`): spans are turned into the SDK's form, metrics are
collected, and both are handed over on obskit's own export thread, as to any destination.
"""

from __future__ import annotations

from typing import Any

from obskit import _setup
from obskit.exporters.memory import MemoryDestination, Store

COUNTS = {"spans": 0}


class Nothing(Store):
    """Counts spans, and forgets them."""

    def add(self, *, spans: Any = (), **_: Any) -> None:
        COUNTS["spans"] += len(spans)


def create(_config: object, _resource: object) -> MemoryDestination:
    """Make the destination."""
    return MemoryDestination(Nothing())


def use() -> None:
    """Let ``exporters="memory"`` mean this destination in this process."""
    _setup._EXPORTERS["memory"] = f"{__name__}:create"  # type: ignore[index]
