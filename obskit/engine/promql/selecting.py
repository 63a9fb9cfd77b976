"""Fetch the series that a query names, and find their points for every step."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from obskit.engine.promql.columns import Cell, Column, Columns, key_of, refuse, refuse_explosive
from obskit.engine.series import Matcher, Series, SeriesSource

__all__ = ["LOOKBACK_MS", "PerTimes", "Windowed", "Windows", "fetch", "instants", "matchers_of", "windows_of"]

LOOKBACK_MS: Final = 300_000
"""How old the newest point of a series may be to count as its value; Prometheus' and Google's default."""

_OPS: Final = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}

Item = TypeVar("Item")


class PerTimes(Generic[Item]):
    """A value worked out once for all series that have the same times, as a histogram's buckets have.

    Args:
        make: works the value out.
    """

    def __init__(self, make: Callable[[Sequence[int]], Item]) -> None:
        self._make = make
        self._by_identity: dict[int, tuple[Sequence[int], Item]] = {}
        self._by_content: dict[bytes | tuple[int, ...], Item] = {}

    def __call__(self, times: Sequence[int]) -> Item:
        known = self._by_identity.get(id(times))
        if known is not None:
            return known[1]
        content = times.tobytes() if hasattr(times, "tobytes") else tuple(times)
        if content not in self._by_content:
            self._by_content[content] = self._make(times)
        found = self._by_content[content]
        self._by_identity[id(times)] = (times, found)  # holds `times`, so that its id stays taken
        return found


def matchers_of(selector: Any) -> list[Matcher]:
    """Return the matchers of a selector, its metric's name among them.

    Raises:
        QueryError: it has matchers joined by ``or``, or a regular expression that may take for ever.
    """
    if selector.matchers.or_matchers:
        raise refuse("`or` between matchers is not supported", "Use a regular expression, or two selectors")
    found = [Matcher(m.name, _OPS[str(m.op)], str(m.value)) for m in selector.matchers.matchers]
    for matcher in found:
        if matcher.op in {"=~", "!~"}:
            refuse_explosive(matcher.value)
    return [Matcher("__name__", "=", selector.name), *found] if selector.name else found


def fetch(source: SeriesSource, selector: Any, start_ms: int, end_ms: int) -> list[Series]:
    """Return the series of a selector in the order of their labels, as Prometheus has them."""
    found = source.select(matchers_of(selector), start_ms, end_ms)
    return sorted((series for series in found if len(series.times_ms)), key=lambda series: key_of(series.labels))


def instants(series: Sequence[Series], moments: Sequence[int], *, wants_times: bool = False) -> Columns:
    """Return for each moment the newest value that is not older than the lookback; or that value's time, in seconds."""
    places = PerTimes(lambda times: _newest(times, moments))
    found = []
    for item in series:
        times, values = item.times_ms, item.values
        cells: list[Cell] = (
            [None if place is None else times[place] / 1000 for place in places(times)]
            if wants_times
            else [None if place is None else values[place] for place in places(times)]
        )
        if any(cell is not None for cell in cells):
            found.append(Column(item.labels, cells))
    return found


def _newest(times: Sequence[int], moments: Sequence[int]) -> list[int | None]:
    found: list[int | None] = []
    low = 0
    for moment in moments:
        high = bisect_right(times, moment, low)
        found.append(high - 1 if high and times[high - 1] >= moment - LOOKBACK_MS else None)
        low = high
    return found


@dataclass(frozen=True, slots=True)
class Windowed:
    """One series, and where each window begins and ends in it."""

    labels: Mapping[str, str]
    times_ms: Sequence[int]
    values: Sequence[float]
    spans: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a range selector or a subquery.

    Attributes:
        rows: one for each series that has any point in any window.
        ends_ms: end of the window of each step.
        width_ms: of every window.
    """

    rows: Sequence[Windowed]
    ends_ms: Sequence[int]
    width_ms: int


def windows_of(series: Sequence[Series], ends_ms: Sequence[int], width_ms: int) -> Windows:
    """Return the windows of some series; both of a window's edges belong to it, as before Prometheus 3."""
    spans = PerTimes(lambda times: _spans(times, ends_ms, width_ms))
    rows = [Windowed(item.labels, item.times_ms, item.values, spans(item.times_ms)) for item in series]
    return Windows([row for row in rows if any(low < high for low, high in row.spans)], ends_ms, width_ms)


def _spans(times: Sequence[int], ends_ms: Sequence[int], width_ms: int) -> list[tuple[int, int]]:
    found = []
    low = high = 0
    for end in ends_ms:
        low = bisect_left(times, end - width_ms, low)
        high = bisect_right(times, end, high)
        found.append((low, high))
    return found
