"""Cloud Monitoring's first step over time series: align each one to periods. The second is in `reduce`.

Source: the messages ``Aggregation`` and ``Aggregation.Aligner`` of the Monitoring API v3. Two things are taken more
loosely here than there: percentile, sum and mean aligners also take cumulative distributions, by their growth; and
the newest period is not completed by interpolation, since what comes after it is not known yet.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from obskit.engine.distributions import percentile
from obskit.engine.increments import Value, gained, sum_of
from obskit.engine.reduce import reduce
from obskit.engine.series import Distribution, Point, TypedSeries
from obskit.engine.statistics import ACROSS
from obskit.errors import Problem, QueryError

__all__ = ["aggregate", "align", "period_ms", "reach_ms", "reduce"]

_DEFAULT_PERIOD_MS: Final = 60_000
_SMOOTHED_MS: Final = 600_000  # Source: ALIGN_PERCENT_CHANGE, "a 10-minute moving mean"

_NUMERIC: Final = frozenset({"INT64", "DOUBLE"})
_DISTRIBUTION: Final = frozenset({"DISTRIBUTION"})
_BOOL: Final = frozenset({"BOOL"})
_RISING: Final = frozenset({"CUMULATIVE", "DELTA"})
_LEVEL: Final = frozenset({"GAUGE", "DELTA"})
_GAUGE: Final = frozenset({"GAUGE"})


@dataclass(frozen=True, slots=True)
class _Rule:
    """What an aligner takes, and the type of its result, empty where it is that of the series."""

    kinds: frozenset[str]
    types: frozenset[str]
    result: str = ""


# Source: the description of each value of the enum Aggregation.Aligner.
_RULES: Final[Mapping[str, _Rule]] = {
    "ALIGN_DELTA": _Rule(_RISING, _NUMERIC | _DISTRIBUTION),
    "ALIGN_RATE": _Rule(_RISING, _NUMERIC, "DOUBLE"),
    "ALIGN_INTERPOLATE": _Rule(_GAUGE, _NUMERIC),
    "ALIGN_NEXT_OLDER": _Rule(_GAUGE, _NUMERIC | _DISTRIBUTION | _BOOL | {"STRING"}),
    "ALIGN_MIN": _Rule(_LEVEL, _NUMERIC),
    "ALIGN_MAX": _Rule(_LEVEL, _NUMERIC),
    "ALIGN_MEAN": _Rule(_LEVEL, _NUMERIC | _DISTRIBUTION, "DOUBLE"),
    "ALIGN_COUNT": _Rule(_LEVEL, _NUMERIC | _BOOL, "INT64"),
    "ALIGN_SUM": _Rule(_LEVEL, _NUMERIC | _DISTRIBUTION),
    "ALIGN_STDDEV": _Rule(_LEVEL, _NUMERIC, "DOUBLE"),
    "ALIGN_COUNT_TRUE": _Rule(_GAUGE, _BOOL, "INT64"),
    "ALIGN_COUNT_FALSE": _Rule(_GAUGE, _BOOL, "INT64"),
    "ALIGN_FRACTION_TRUE": _Rule(_GAUGE, _BOOL, "DOUBLE"),
    "ALIGN_PERCENT_CHANGE": _Rule(_LEVEL, _NUMERIC, "DOUBLE"),
    **{f"ALIGN_PERCENTILE_{rank}": _Rule(_LEVEL, _DISTRIBUTION, "DOUBLE") for rank in ("99", "95", "50", "05")},
}


def period_ms(aggregation: Mapping[str, Any]) -> int:
    """Return the alignment period in milliseconds.

    Raises:
        QueryError: it is not a duration in seconds such as ``"60s"``.
    """
    text = str(aggregation.get("alignmentPeriod") or "")
    if not text:
        return _DEFAULT_PERIOD_MS
    try:
        period = round(float(text.removesuffix("s")) * 1000)
    except (ValueError, OverflowError):
        period = 0
    if period <= 0:
        raise _refusal(f"the alignment period {text!r} is not a number of seconds", 'Write for example "60s"')
    return period


def reach_ms(aggregation: Mapping[str, Any]) -> int:
    """Return how far before its first period an aggregation looks, in milliseconds."""
    if str(aggregation.get("perSeriesAligner") or "ALIGN_NONE") in {"ALIGN_NONE", "ALIGN_UNSPECIFIED"}:
        return 0
    return max(_SMOOTHED_MS, 2 * period_ms(aggregation))


def aggregate(
    series: Sequence[TypedSeries], aggregation: Mapping[str, Any] | None, start_ms: int, end_ms: int
) -> list[TypedSeries]:
    """Return the series aligned and reduced as an ``Aggregation`` of the API says.

    Args:
        series: to be aggregated; with points from `reach_ms` before `start_ms` on, counters know where they stood.
        aggregation: in the REST API's JSON; None or empty leaves the series as they are.
        start_ms: begin of the interval, milliseconds since the epoch.
        end_ms: its end, which is that of the last period.

    Raises:
        QueryError: an aligner or reducer is unknown, or does not fit the series.
    """
    aggregation = aggregation or {}
    return reduce(align(series, aggregation, start_ms, end_ms), aggregation)


def align(
    series: Sequence[TypedSeries], aggregation: Mapping[str, Any], start_ms: int, end_ms: int
) -> list[TypedSeries]:
    """Return each series with one point per period, counted back from `end_ms`; without an aligner, as it is.

    Raises:
        QueryError: the aligner is unknown, or does not fit the series.
    """
    aligner = str(aggregation.get("perSeriesAligner") or "ALIGN_NONE")
    if aligner in {"ALIGN_NONE", "ALIGN_UNSPECIFIED"}:
        return list(series)
    if aligner not in _RULES:
        raise _refusal(f"{aligner} is not a known aligner", "See the Aggregation message of the Monitoring API")
    width = period_ms(aggregation)
    ends = range(end_ms - (max(0, end_ms - start_ms - 1) // width) * width, end_ms + 1, width)
    return [found for item in series if (found := _aligned(item, aligner, width, ends)).points]


def _aligned(item: TypedSeries, aligner: str, width: int, ends: Sequence[int]) -> TypedSeries:
    rule = _RULES[aligner]
    is_growth = item.kind == "CUMULATIVE" and item.value_type == "DISTRIBUTION"
    if item.value_type not in rule.types or (item.kind not in rule.kinds and not is_growth):
        raise _refusal(
            f"{aligner} cannot be applied to {item.metric_type}, which is {item.kind} {item.value_type}",
            f"Use one of {', '.join(sorted(_fitting(item)))}",
        )
    is_delta = aligner == "ALIGN_DELTA"
    cells = _values(item, aligner, width, ends)
    points = [
        Point(end - width if is_delta else end, end, value)
        for end, value in zip(ends, cells, strict=True)
        if value is not None
    ]
    return replace(
        item, points=points, kind="DELTA" if is_delta else "GAUGE", value_type=rule.result or item.value_type
    )


def _fitting(item: TypedSeries) -> list[str]:
    return [name for name, rule in _RULES.items() if item.kind in rule.kinds and item.value_type in rule.types]


def _values(item: TypedSeries, aligner: str, width: int, ends: Sequence[int]) -> Sequence[Value | None]:
    if aligner == "ALIGN_DELTA":
        return gained(item, ends, width)
    if aligner == "ALIGN_RATE":
        return [_number(value, lambda each: each / (width / 1000)) for value in gained(item, ends, width)]
    if item.value_type == "DISTRIBUTION" and aligner != "ALIGN_NEXT_OLDER":
        whole = _distributions(item, width, ends)
        return [None if value is None else _of_distribution(value, aligner) for value in whole]
    times = [point.end_ms for point in item.points]
    places = [(bisect_right(times, end - width), bisect_right(times, end)) for end in ends]
    if aligner == "ALIGN_NEXT_OLDER":
        return [item.points[high - 1].value if high > low else None for low, high in places]
    numbers = [0.0 if isinstance(point.value, Distribution) else float(point.value) for point in item.points]
    if aligner == "ALIGN_INTERPOLATE":
        return [_interpolated(times, numbers, end, width) for end in ends]
    if aligner == "ALIGN_PERCENT_CHANGE":
        return [_percent_change(times, numbers, end, width) for end in ends]
    function = ACROSS[aligner.removeprefix("ALIGN_")]
    return [function(numbers[low:high]) if high > low else None for low, high in places]


def _number(value: Value | None, function: Callable[[float], float]) -> float | None:
    return None if value is None or isinstance(value, Distribution) else function(value)


def _distributions(item: TypedSeries, width: int, ends: Sequence[int]) -> Sequence[Value | None]:
    if item.kind != "GAUGE":
        return gained(item, ends, width)
    times = [point.end_ms for point in item.points]
    places = [(bisect_right(times, end - width), bisect_right(times, end)) for end in ends]
    return [sum_of([point.value for point in item.points[low:high]]) if high > low else None for low, high in places]


def _of_distribution(value: Value, aligner: str) -> Value | None:
    if not isinstance(value, Distribution) or aligner == "ALIGN_SUM":
        return value
    if aligner == "ALIGN_MEAN":
        return value.mean if value.count else None
    return percentile(value, float(aligner.rpartition("_")[2]) / 100)


def _interpolated(times: Sequence[int], numbers: Sequence[float], end: int, width: int) -> float | None:
    """The value on the line between the points around a moment, neither further away than a period."""
    place = bisect_right(times, end)
    if place and times[place - 1] == end:
        return numbers[place - 1]
    if not place or place == len(times) or end - times[place - 1] >= width or times[place] - end >= width:
        return None
    share = (end - times[place - 1]) / (times[place] - times[place - 1])
    return numbers[place - 1] + share * (numbers[place] - numbers[place - 1])


def _percent_change(times: Sequence[int], numbers: Sequence[float], end: int, width: int) -> float | None:
    if bisect_right(times, end - width) == bisect_right(times, end):
        return None
    previous, current = (_smoothed(times, numbers, moment) for moment in (end - width, end))
    if previous is None or current is None:
        return None
    if previous == 0:
        return 0.0 if current == 0 else math.inf
    return (current - previous) / previous * 100


def _smoothed(times: Sequence[int], numbers: Sequence[float], moment: int) -> float | None:
    low, high = bisect_right(times, moment - _SMOOTHED_MS), bisect_right(times, moment)
    kept = [number for number in numbers[low:high] if number >= 0]
    return math.fsum(kept) / len(kept) if kept else None


def _refusal(problem: str, way_out: str) -> QueryError:
    return QueryError(Problem(place="aggregation", problem=problem, way_out=way_out))
