"""Functions over the points of a window: rate and its relatives, and everything ``_over_time``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

__all__ = ["OVER_TIME", "extrapolated", "instant_change", "quantile", "slope"]

Times = Sequence[int]
Values = Sequence[float]


def extrapolated(
    times: Times, values: Values, start_ms: int, end_ms: int, *, is_counter: bool, is_rate: bool
) -> float | None:
    """Return rate, increase or delta over a window, extrapolated to its edges.

    Source: ``extrapolatedRate`` of Prometheus 2.44, promql/functions.go.
    """
    if len(times) < 2:
        return None
    change = values[-1] - values[0]
    if is_counter:
        previous = values[0]
        for value in values[1:]:
            if value < previous:
                change += previous
            previous = value
    to_start = (times[0] - start_ms) / 1000
    to_end = (end_ms - times[-1]) / 1000
    sampled = (times[-1] - times[0]) / 1000
    between = sampled / (len(times) - 1)
    if is_counter and change > 0 and values[0] >= 0:
        # A counter cannot have been below zero: do not reach further back than where it would have been.
        to_start = min(to_start, sampled * (values[0] / change))
    threshold = between * 1.1
    reach = sampled
    reach += to_start if to_start < threshold else between / 2
    reach += to_end if to_end < threshold else between / 2
    factor = reach / sampled
    if is_rate:
        factor /= (end_ms - start_ms) / 1000
    return change * factor


def instant_change(times: Times, values: Values, *, is_rate: bool) -> float | None:
    """Return irate or idelta: from the last two points alone."""
    if len(times) < 2:
        return None
    change = values[-1] - values[-2]
    if is_rate and change < 0:
        change = values[-1]
    return change / ((times[-1] - times[-2]) / 1000) if is_rate else change


def slope(times: Times, values: Values, at_ms: int) -> tuple[float, float] | None:
    """Return slope per second and intercept at `at_ms` of the least-squares line."""
    if len(times) < 2:
        return None
    if all(value == values[0] for value in values):
        return 0.0, values[0]
    xs = [(time - at_ms) / 1000 for time in times]
    count = len(xs)
    mean_x, mean_y = math.fsum(xs) / count, math.fsum(values) / count
    covariance = math.fsum((x - mean_x) * (y - mean_y) for x, y in zip(xs, values, strict=True))
    variance = math.fsum((x - mean_x) ** 2 for x in xs)
    gradient = covariance / variance
    return gradient, mean_y - gradient * mean_x


def quantile(share: float, values: Values) -> float:
    """Return a quantile by linear interpolation, as Prometheus does."""
    if not values or math.isnan(share):
        return math.nan
    if share < 0:
        return -math.inf
    if share > 1:
        return math.inf
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = share * (len(ordered) - 1)
    low = max(0, math.floor(rank))
    high = min(len(ordered) - 1, low + 1)
    weight = rank - math.floor(rank)
    return ordered[low] * (1 - weight) + ordered[high] * weight


def _mean(values: Values) -> float:
    return math.fsum(values) / len(values)


def _variance(values: Values) -> float:
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values) / len(values)


def _sum(values: Values) -> float:
    try:
        return math.fsum(values)
    except (ValueError, OverflowError):  # infinities of both signs
        return sum(values)


def _extreme(values: Values, *, is_max: bool) -> float:
    real = [value for value in values if not math.isnan(value)]
    return (max(real) if is_max else min(real)) if real else math.nan


OVER_TIME: Final[dict[str, Callable[[Values], float]]] = {
    "avg_over_time": _mean,
    "sum_over_time": _sum,
    "min_over_time": lambda values: _extreme(values, is_max=False),
    "max_over_time": lambda values: _extreme(values, is_max=True),
    "count_over_time": lambda values: float(len(values)),
    "last_over_time": lambda values: values[-1],
    "stddev_over_time": lambda values: math.sqrt(_variance(values)),
    "stdvar_over_time": _variance,
    "present_over_time": lambda _: 1.0,
    "changes": lambda values: float(sum(a != b and not (math.isnan(a) and math.isnan(b)) for a, b in pairwise(values))),
    "resets": lambda values: float(sum(b < a for a, b in pairwise(values))),
}
