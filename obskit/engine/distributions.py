"""Arithmetic with histograms as Cloud Monitoring stores them: one `Distribution` for each point."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise

from obskit.engine.series import Distribution

__all__ = ["count_within", "difference", "percentile", "portion", "total"]


def difference(later: Distribution, earlier: Distribution) -> Distribution:
    """Return what was added between two values of a cumulative series; all of the later one where bounds changed."""
    if later.bounds != earlier.bounds:
        return later
    counts = tuple(max(0, a - b) for a, b in zip(later.bucket_counts, earlier.bucket_counts, strict=True))
    count = max(0, later.count - earlier.count)
    mean = (later.mean * later.count - earlier.mean * earlier.count) / count if count else 0.0
    return Distribution(count, mean, later.bounds, counts)


def portion(value: Distribution, low: float, high: float) -> Distribution:
    """Return the part of a distribution between two shares of the time that it covers, 0 to 1, in whole counts.

    Parts that follow on one another add up to the whole.
    """
    counts = tuple(math.floor(count * high) - math.floor(count * low) for count in value.bucket_counts)
    count = sum(counts) if counts else math.floor(value.count * high) - math.floor(value.count * low)
    return Distribution(count, value.mean if count else 0.0, value.bounds, counts)


def total(values: Sequence[Distribution]) -> Distribution:
    """Return the sum of some distributions; where bounds differ, over all of them, evenly within each bucket."""
    count = sum(value.count for value in values)
    mean = sum(value.mean * value.count for value in values) / count if count else 0.0
    bounds = tuple(sorted({bound for value in values for bound in value.bounds}))
    rows = [value.bucket_counts if value.bounds == bounds else _spread(value, bounds) for value in values]
    return Distribution(count, mean, bounds, tuple(sum(column) for column in zip(*rows, strict=True)))


def _spread(value: Distribution, bounds: Sequence[float]) -> tuple[int, ...]:
    """Counts of the same values in finer buckets."""
    if not value.bounds:
        counts = [0] * (len(bounds) + 1)
        counts[bisect_left(bounds, value.mean)] = value.count
        return tuple(counts)
    known = list(accumulate(value.bucket_counts))
    below = [0, *(round(_count_below(bound, value.bounds, known)) for bound in bounds), known[-1]]
    return tuple(after - before for before, after in pairwise(below))


def _count_below(bound: float, bounds: Sequence[float], known: Sequence[int]) -> float:
    place = bisect_left(bounds, bound)
    if place == len(bounds):
        return float(known[-2])  # nothing is known within the last bucket: it stays beyond every bound
    low, below = (bounds[place - 1], known[place - 1]) if place else (min(0.0, bounds[0]), 0)
    if bound <= low or bounds[place] == low:
        return float(known[place] if bound >= bounds[place] else below)
    return below + (known[place] - below) * (bound - low) / (bounds[place] - low)


def count_within(value: Distribution, low: float, high: float) -> float:
    """Return about how many values lie from `low` to `high`, evenly within each bucket; bounds may be infinite."""
    if not value.bounds or not value.bucket_counts:
        return float(value.count) if low <= value.mean <= high else 0.0
    known = list(accumulate(value.bucket_counts))
    below = 0.0 if low <= min(0.0, value.bounds[0]) else _count_below(low, value.bounds, known)
    return max(0.0, (known[-1] if math.isinf(high) else _count_below(high, value.bounds, known)) - below)


def percentile(value: Distribution, share: float) -> float | None:
    """Return a percentile, evenly within its bucket; None for a distribution of nothing.

    Args:
        value: the distribution.
        share: 0 to 1.
    """
    if not value.count:
        return None
    if not value.bounds or not value.bucket_counts:
        return value.mean
    rank, seen = share * sum(value.bucket_counts), 0
    for place, count in enumerate(value.bucket_counts):
        if count and seen + count >= rank:
            if place == len(value.bounds):
                return value.bounds[-1]
            upper = value.bounds[place]
            lower = value.bounds[place - 1] if place else min(0.0, upper)
            return lower + (upper - lower) * max(0.0, rank - seen) / count
        seen += count
    return value.bounds[-1]
