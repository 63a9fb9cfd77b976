"""A batch of spans, as exporters read it beside an app that serves requests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, overload

from obskit.signals.ended import RECORDS

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.signals.ended import EndedSpans

__all__ = ["SpanBatch"]

_SLICE_S: Final = 0.0002
_BETWEEN: Final = 7
_PAUSE_S: Final = 0.0001
_MOST_PAUSE_S: Final = 0.002


class SpanBatch(Sequence[Any]):
    """Spans, of which those of requests are made when they are read.

    While one is read without hurry, the app's threads run in between. Else a request that comes meanwhile waits for
    five milliseconds (`sys.getswitchinterval`) until it gets a turn, and again after each of its own waits. Where the
    app never pauses, each pause here would take as long: the rest of such a batch is read without.

    Args:
        items: spans, and records of requests.
        ended: makes spans of records.
        is_hurried: whether it is read without pauses.

    Attributes:
        ended: as given.
    """

    def __init__(self, items: Sequence[Any], ended: EndedSpans | None, *, is_hurried: bool) -> None:
        self._items = items
        self.ended = ended
        self._is_hurried = is_hurried

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> ReadableSpan: ...

    @overload
    def __getitem__(self, place: slice) -> SpanBatch: ...

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return SpanBatch(self._items[place], self.ended, is_hurried=self._is_hurried)
        return next(iter(SpanBatch((self._items[place],), self.ended, is_hurried=True)))

    def __iter__(self) -> Iterator[Any]:
        if self.ended is None:
            yield from self.items()
            return
        built, resource = self.ended.maker(), None
        for item in self.items():
            if type(item) in RECORDS:
                resource = resource or self.ended.resource()
                yield built(item, resource)
            else:
                yield item

    def items(self) -> Iterator[Any]:
        """Return what is in it as it is, for those who can read records, at the same pace."""
        begun = float("inf") if self._is_hurried else time.perf_counter()
        for place, item in enumerate(self._items):
            yield item
            if place & _BETWEEN and type(item) in RECORDS:
                continue  # a record is read in a few microseconds
            if (now := time.perf_counter()) - begun > _SLICE_S:
                time.sleep(_PAUSE_S)
                begun = time.perf_counter()
                if begun - now > _MOST_PAUSE_S:
                    begun = float("inf")
