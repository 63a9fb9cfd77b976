"""Functions over the points of a window: rate and its relatives, and everything ``_over_time``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from obskit.engine.promql.columns import Cell, Column, Columns, refuse, without_name
from obskit.engine.promql.selecting import PerTimes, Windowed, Windows

__all__ = ["CHANGES", "OVER_TIME", "changes", "holt_winters", "over_time", "quantile", "quantiles", "trend"]

Values = Sequence[float]

CHANGES: Final = {"rate": (True, True), "increase": (True, False), "delta": (False, False)}
"""Functions that extrapolate: whether each takes its series for a counter, and whether it divides by the time."""


# --------------------------------------------------------------------------- rate, increase, delta

# First and last place, the factor without the clamp at zero, from where that applies, and what the factor is made of.
_Plan = tuple[int, int, float, float, float, float]


def changes(windows: Windows, *, is_counter: bool, is_rate: bool) -> Columns:
    """Return how much each series changed in each window, extrapolated to the window's edges.

    Source: ``extrapolatedRate`` of Prometheus 2.44, promql/functions.go.
    """
    divisor = windows.width_ms / 1000 if is_rate else 1.0
    spans_of = {id(row.times_ms): row.spans for row in windows.rows}
    plans = PerTimes(lambda times: _plans(times, spans_of[id(times)], windows, divisor))
    found = []
    for row in windows.rows:
        plan = plans(row.times_ms)
        cells = _growth(row.values, plan, divisor) if is_counter else _difference(row.values, plan)
        found.append(Column(without_name(row.labels), cells))
    return found


def _plans(
    times: Sequence[int], spans: Sequence[tuple[int, int]], windows: Windows, divisor: float
) -> list[_Plan | None]:
    found: list[_Plan | None] = []
    for (low, high), end in zip(spans, windows.ends_ms, strict=True):
        if high - low < 2 or times[high - 1] == times[low]:
            found.append(None)
            continue
        first, last = times[low], times[high - 1]
        sampled = (last - first) / 1000
        between = sampled / (high - low - 1)
        threshold = between * 1.1
        to_start, to_end = (first - end + windows.width_ms) / 1000, (end - last) / 1000
        reach = sampled + (to_end if to_end < threshold else between / 2)
        head = to_start if to_start < threshold else between / 2
        found.append((low, high - 1, (reach + head) / sampled / divisor, min(to_start, threshold), sampled, reach))
    return found


def _growth(values: Values, plans: Sequence[_Plan | None], divisor: float) -> list[Cell]:
    lost = _lost_at_resets(values)
    found: list[Cell] = []
    for plan in plans:
        if plan is None:
            found.append(None)
            continue
        low, last, factor, limit, sampled, reach = plan
        first = values[low]
        change = values[last] - first
        if lost is not None:
            regained = lost[last] - lost[low]
            change += regained if math.isfinite(regained) else _lost_within(values[low : last + 1])
        if change > 0 and first >= 0:
            # A counter cannot have been below zero: do not reach further back than where it would have been.
            to_zero = sampled * (first / change)
            if to_zero < limit:
                factor = (reach + to_zero) / sampled / divisor
        found.append(change * factor)
    return found


def _lost_at_resets(values: Values) -> list[float] | None:
    """What resets have taken away up to each point, None where there was no reset."""
    if all(b >= a for a, b in pairwise(values)):
        return None
    lost, total = [0.0], 0.0
    for a, b in pairwise(values):
        total += a if b < a else 0.0
        lost.append(total)
    return lost


def _lost_within(values: Values) -> float:
    return sum(a for a, b in pairwise(values) if b < a)


def _difference(values: Values, plans: Sequence[_Plan | None]) -> list[Cell]:
    return [None if plan is None else (values[plan[1]] - values[plan[0]]) * plan[2] for plan in plans]


# --------------------------------------------------------------------------- any function of a window's points

_Function = Callable[[Sequence[int], Values], Cell]


def over_time(name: str, windows: Windows) -> Columns:
    """Return a function of `OVER_TIME` over each window."""
    function = OVER_TIME[name]
    relabel = dict if name == "last_over_time" else without_name
    return [Column(relabel(row.labels), _each(row, function)) for row in windows.rows]


def _each(row: Windowed, function: _Function) -> list[Cell]:
    times, values = row.times_ms, row.values
    return [None if low >= high else function(times[low:high], values[low:high]) for low, high in row.spans]


def quantiles(windows: Windows, shares: Values) -> Columns:
    """Return ``quantile_over_time``."""
    return [
        Column(
            without_name(row.labels),
            [
                None if low >= high else quantile(share, row.values[low:high])
                for share, (low, high) in zip(shares, row.spans, strict=True)
            ],
        )
        for row in windows.rows
    ]


def trend(windows: Windows, moments: Sequence[int], ahead_s: Values) -> Columns:
    """Return ``predict_linear``: where the least-squares line will be, that many seconds after each moment."""
    found = []
    for row in windows.rows:
        cells: list[Cell] = []
        for (low, high), moment, ahead in zip(row.spans, moments, ahead_s, strict=True):
            line = _line(row.times_ms[low:high], row.values[low:high], moment)
            cells.append(None if line is None else line[0] * ahead + line[1])
        found.append(Column(without_name(row.labels), cells))
    return found


def holt_winters(windows: Windows, smoothing: Values, trends: Values) -> Columns:
    """Return doubly exponentially smoothed values.

    Raises:
        QueryError: a factor is not between 0 and 1.
    """
    if not all(0 < factor < 1 for factor in (*smoothing, *trends)):
        raise refuse("a factor of holt_winters() is not between 0 and 1", "Use for example 0.5")
    return [
        Column(
            without_name(row.labels),
            [
                _smoothed(row.values[low:high], level, slope)
                for (low, high), level, slope in zip(row.spans, smoothing, trends, strict=True)
            ],
        )
        for row in windows.rows
    ]


def _smoothed(values: Values, smoothing: float, trend_factor: float) -> Cell:
    """Source: ``funcHoltWinters`` of Prometheus 2.44, promql/functions.go."""
    if len(values) < 2:
        return None
    before, level, slope = 0.0, values[0], values[1] - values[0]
    for index, value in enumerate(values[1:]):
        if index:
            slope = trend_factor * (level - before) + (1 - trend_factor) * slope
        before, level = level, smoothing * value + (1 - smoothing) * (level + slope)
    return level


def quantile(share: float, values: Values) -> float:
    """Return a quantile by linear interpolation, as Prometheus does."""
    if not values or math.isnan(share):
        return math.nan
    if share < 0:
        return -math.inf
    if share > 1:
        return math.inf
    ordered = sorted(values)
    if any(map(math.isnan, ordered)):  # they are less than every number
        ordered = sorted(ordered, key=lambda value: (not math.isnan(value), value))
    rank = share * (len(ordered) - 1)
    low = max(0, math.floor(rank))
    high = min(len(ordered) - 1, low + 1)
    weight = rank - math.floor(rank)
    return ordered[low] * (1 - weight) + ordered[high] * weight


def _line(times: Sequence[int], values: Values, at_ms: int) -> tuple[float, float] | None:
    """Slope per second and value at `at_ms` of the least-squares line."""
    if len(times) < 2:
        return None
    if all(value == values[0] for value in values):
        return (math.nan, math.nan) if math.isinf(values[0]) else (0.0, values[0])
    xs = [(time - at_ms) / 1000 for time in times]
    mean_x, mean_y = _mean(xs), _mean(values)
    variance = _sum([(x - mean_x) * (x - mean_x) for x in xs])
    if not variance:
        return None
    slope = _sum([(x - mean_x) * (y - mean_y) for x, y in zip(xs, values, strict=True)]) / variance
    return slope, mean_y - slope * mean_x


def _slope(times: Sequence[int], values: Values) -> Cell:
    line = _line(times, values, times[0])
    return None if line is None else line[0]


def _last_rate(times: Sequence[int], values: Values) -> Cell:
    if len(times) < 2 or times[-1] == times[-2]:
        return None
    change = values[-1] - values[-2]
    return (values[-1] if values[-1] < values[-2] else change) / ((times[-1] - times[-2]) / 1000)


def _last_difference(times: Sequence[int], values: Values) -> Cell:
    return values[-1] - values[-2] if len(times) >= 2 and times[-1] != times[-2] else None


def _sum(values: Values) -> float:
    try:
        return math.fsum(values)
    except (ValueError, OverflowError):  # infinities of both signs, or a sum beyond the largest number
        return sum(values)


def _mean(values: Values) -> float:
    try:
        return math.fsum(values) / len(values)
    except ValueError:
        return math.nan
    except OverflowError:
        return math.fsum(value / len(values) for value in values)


def _variance(values: Values) -> float:
    apart = [value - values[0] for value in values]  # of equal values, however large, it is exactly 0
    mean = _mean(apart)
    return _sum([(value - mean) * (value - mean) for value in apart]) / len(apart)


def _greatest(values: Values) -> float:
    if math.isnan(sum(values)):  # there is a NaN, or there are infinities of both signs
        return max((value for value in values if not math.isnan(value)), default=math.nan)
    return max(values)


def _least(values: Values) -> float:
    return -_greatest([-value for value in values])


def _changed(a: float, b: float) -> bool:
    return a != b and not (math.isnan(a) and math.isnan(b))


OVER_TIME: Final[dict[str, _Function]] = {
    "avg_over_time": lambda _, values: _mean(values),
    "sum_over_time": lambda _, values: _sum(values),
    "min_over_time": lambda _, values: _least(values),
    "max_over_time": lambda _, values: _greatest(values),
    "count_over_time": lambda times, _: float(len(times)),
    "last_over_time": lambda _, values: values[-1],
    "stddev_over_time": lambda _, values: math.sqrt(_variance(values)),
    "stdvar_over_time": lambda _, values: _variance(values),
    "present_over_time": lambda _times, _values: 1.0,
    "changes": lambda _, values: float(sum(_changed(a, b) for a, b in pairwise(values))),
    "resets": lambda _, values: float(sum(b < a for a, b in pairwise(values))),
    "deriv": _slope,
    "irate": _last_rate,
    "idelta": _last_difference,
}
"""Functions whose only argument is a range, and which look at each window alone."""
