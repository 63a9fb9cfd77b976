"""Stored points as the samples of PromQL series: counters that add up, histograms in three series."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Final, TypeAlias

from obskit.engine.series import Distribution

__all__ = ["SUFFIXES", "histogram", "numbers"]

SUFFIXES: Final = ("_bucket", "_count", "_sum")
"""What a distribution's name gains in PromQL."""

Column: TypeAlias = "array[float]"


def numbers(values: Sequence[float], low: int, high: int, *, is_delta: bool) -> Column:
    """Return the samples of the points `low` … `high`; points of a delta metric add up from the first one on."""
    if not is_delta:
        return array("d", values[low:high])
    return array("d", accumulate(values[:high]))[low:]


def histogram(
    points: Sequence[Distribution], low: int, high: int, suffix: str, *, is_delta: bool
) -> list[tuple[str, Column]]:
    """Return a distribution's samples by `le`, which is empty for ``_count`` and ``_sum``."""
    used = points[:high] if is_delta else points[low:high]

    def column(value: Callable[[Distribution], float]) -> Column:
        found: Iterable[float] = map(value, used)
        return array("d", accumulate(found))[low:] if is_delta else array("d", found)

    if suffix == "_count":
        return [("", column(lambda point: point.count))]
    if suffix == "_sum":
        return [("", column(lambda point: point.mean * point.count))]
    buckets = _cumulative(used)
    return [(le, array("d", accumulate(cells))[low:] if is_delta else cells) for le, cells in buckets]


def _cumulative(points: Sequence[Distribution]) -> list[tuple[str, Column]]:
    """Return the samples of every bound that any of the points has; one without it counts as in the bound below."""
    bounds = sorted({bound for point in points for bound in point.bounds})
    columns: list[Column] = [array("d") for _ in range(len(bounds) + 1)]
    for point in points:
        counts = dict(zip(point.bounds, accumulate(point.bucket_counts), strict=False))
        latest = 0
        for index, bound in enumerate(bounds):
            latest = counts.get(bound, latest)
            columns[index].append(latest)
        columns[-1].append(point.count)
    return list(zip([*(_le(bound) for bound in bounds), "+Inf"], columns, strict=True))


def _le(bound: float) -> str:
    """Write a bound as Prometheus does: the shortest text that reads back the same."""
    return str(int(bound)) if bound == int(bound) and abs(bound) < 1e15 else repr(bound)
