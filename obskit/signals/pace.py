"""How the export thread works beside an app: in slices, as an interpreter runs one thread at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["Unhurried"]

_SLICE_S: Final = 0.0002
_PAUSE_S: Final = 0.0001
_MOST_PAUSE_S: Final = 0.002


class Unhurried(list[Any]):
    """A batch whose reader, an exporter that puts it into another form, lets the app's threads run in between.

    Else a request that comes meanwhile waits for five milliseconds (`sys.getswitchinterval`) until it gets a turn, and
    again after each of its own waits. Where the app never pauses, each pause here would take as long: the rest of such
    a batch is read without.
    """

    def __iter__(self) -> Iterator[Any]:
        begun = time.perf_counter()
        for item in super().__iter__():
            yield item
            if (now := time.perf_counter()) - begun > _SLICE_S:
                time.sleep(_PAUSE_S)
                begun = time.perf_counter()
                if begun - now > _MOST_PAUSE_S:
                    begun = float("inf")
