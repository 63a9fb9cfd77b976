"""Exact totals over a window from cumulative series, for tables that must add up.

PromQL's `increase` extrapolates to the edges of its window; here a request is a request.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from obskit.catalog import Kind, Metric, Route, promql_name
from obskit.engine.series import Matcher, Series

__all__ = ["LOOKBACK_MS", "counter_series", "increase_by", "increase_in_bins", "quantile"]

LOOKBACK_MS: Final = 600_000
"""How far before a window the value that it starts from is looked for at first."""

_Key = Callable[[Mapping[str, str]], Any]


def counter_series(source: Any, metric: Metric, start_ms: int, end_ms: int, *, suffix: str = "") -> Sequence[Series]:
    """Return a catalog metric's series of every export route, each from its last point before the window.

    Args:
        source: the metric store.
        metric: from the catalog.
        start_ms: begin of the window.
        end_ms: end of the window.
        suffix: ``_count``, ``_sum`` or ``_bucket`` for a histogram.
    """
    names = sorted(
        {promql_name(metric.metric_type(route)) + (suffix if metric.kind is Kind.HISTOGRAM else "") for route in Route}
    )
    matcher = Matcher(name="__name__", op="=~", value="|".join(names))
    found: Sequence[Series] = source.select([matcher], start_ms - LOOKBACK_MS, end_ms)
    if all(each.times_ms[0] <= start_ms for each in found):
        return found
    # A series that reports seldom, or is new: the difference is whether it has any point before the window.
    older = {_identity(each): each for each in source.select([matcher], 0, start_ms)}
    return [_continued(each, older.get(_identity(each)), start_ms) for each in found]


def _identity(series: Series) -> frozenset[tuple[str, str]]:
    return frozenset(series.labels.items())


def _continued(series: Series, older: Series | None, start_ms: int) -> Series:
    if older is None or series.times_ms[0] <= start_ms:
        return series
    return Series(series.labels, [older.times_ms[-1], *series.times_ms], [older.values[-1], *series.values])


def increase_by(series: Iterable[Series], key: _Key, start_ms: int, end_ms: int) -> dict[Any, float]:
    """Return how much the counters grew after `start_ms` up to `end_ms`, added up by a key of their labels.

    A key whose counters did not grow is there with 0: a histogram needs its empty buckets.
    """
    totals: dict[Any, float] = defaultdict(float)
    for each in series:
        totals[key(each.labels)] += _increase(each, start_ms, end_ms)
    return dict(totals)


def increase_in_bins(series: Iterable[Series], start_ms: int, end_ms: int, bins: int) -> list[float]:
    """Return the growth of all counters together in equal parts of the window, oldest first."""
    totals = [0.0] * bins
    width_ms = max(1.0, (end_ms - start_ms) / bins)
    for each in series:
        previous = 0.0
        for time_ms, value in zip(each.times_ms, each.values, strict=True):
            if time_ms > end_ms:
                break
            if time_ms > start_ms:
                totals[min(bins - 1, int((time_ms - start_ms - 1) / width_ms))] += _step(previous, value)
            previous = value
    return totals


def _increase(series: Series, start_ms: int, end_ms: int) -> float:
    times, values = series.times_ms, series.values
    first = bisect_right(times, start_ms)
    last = bisect_right(times, end_ms)
    # A counter that was not there before the window began it at zero.
    previous = values[first - 1] if first else 0.0
    total = 0.0
    for index in range(first, last):
        total += _step(previous, values[index])
        previous = values[index]
    return total


def _step(previous: float, value: float) -> float:
    return value - previous if value >= previous else value  # a smaller value is a counter that began again


def quantile(share: float, counts_by_bound: Mapping[float, float]) -> float | None:
    """Return a quantile of a histogram by interpolation within its bucket, as PromQL does; None when it is empty.

    Args:
        share: 0 to 1.
        counts_by_bound: upper bound → observations up to that bound; the last bound is infinity.
    """
    bounds = sorted(counts_by_bound)
    if not bounds or not counts_by_bound[bounds[-1]]:
        return None
    rank = share * counts_by_bound[bounds[-1]]
    lower, below = 0.0, 0.0
    for bound in bounds:
        count = counts_by_bound[bound]
        if count >= rank and count > below:
            if bound == float("inf"):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = (bound, count) if bound != float("inf") else (lower, count)
    return lower
