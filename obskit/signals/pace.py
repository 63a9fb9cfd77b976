"""A batch of spans, as exporters read it beside an app that serves requests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, overload

from obskit.signals.ended import RECORDS

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.signals.ended import EndedSpans

__all__ = ["SpanBatch"]

_SLICE_S: Final = 0.0002
_RUN: Final = 8
"""Records, each of which is read in a few microseconds."""
_PAUSE_S: Final = 0.0001
_MOST_PAUSE_S: Final = 0.002


class SpanBatch(Sequence[Any]):
    """Spans, of which those of requests are made when they are read.

    While one is read without hurry, the app's threads run in between. Else a request that comes meanwhile waits for
    five milliseconds (`sys.getswitchinterval`) until it gets a turn, and again after each of its own waits. Where the
    app never pauses, each pause here would take as long, and the app would come back to cold caches: the rest of such a
    batch is read without.

    Args:
        items: spans, and records of requests.
        ended: makes spans of records.
        is_hurried: whether it is read without pauses.

    Attributes:
        ended: as given.
        is_hurried: as given, and once it has been found that the app never pauses.
    """

    def __init__(self, items: Sequence[Any], ended: EndedSpans | None, *, is_hurried: bool) -> None:
        self._items = items
        self.ended = ended
        self.is_hurried = is_hurried

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> ReadableSpan: ...

    @overload
    def __getitem__(self, place: slice) -> SpanBatch: ...

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return SpanBatch(self._items[place], self.ended, is_hurried=self.is_hurried)
        return next(iter(SpanBatch((self._items[place],), self.ended, is_hurried=True)))

    def __iter__(self) -> Iterator[Any]:
        if self.ended is None:
            yield from self.items()
            return
        built, resource = self.ended.maker(), None
        for run in self._runs():
            if type(run[0]) in RECORDS:
                resource = resource or self.ended.resource()
                yield from map(built, run, repeat(resource))
            else:
                yield from run

    def items(self) -> Iterator[Any]:
        """Return what is in it as it is, for those who can read records, at the same pace."""
        for run in self._runs():
            yield from run

    def _runs(self) -> Iterator[Sequence[Any]]:
        """Return it in parts that are read without looking at the clock: a few records, or something else alone."""
        items, place = self._items, 0
        begun = time.perf_counter()
        while place < len(items):
            run = items[place : place + _RUN]
            if not RECORDS.issuperset(map(type, run)):
                run = run[:1]
            yield run
            place += len(run)
            if not self.is_hurried and (now := time.perf_counter()) - begun > _SLICE_S:
                time.sleep(_PAUSE_S)
                begun = time.perf_counter()
                self.is_hurried = begun - now > _MOST_PAUSE_S
