"""Cloud Monitoring's two steps over time series: align each one, then reduce across them.

Source: "Aggregation" of the Monitoring API v3, and its aligners' and reducers' descriptions.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from obskit.engine.series import Distribution, Point, TypedSeries
from obskit.errors import Problem, QueryError

__all__ = ["aggregate", "align", "period_ms", "reduce"]

_DEFAULT_PERIOD_MS: Final = 60_000


def period_ms(aggregation: Mapping[str, Any]) -> int:
    """Return the alignment period in milliseconds."""
    text = str(aggregation.get("alignmentPeriod") or "").removesuffix("s")
    return round(float(text) * 1000) if text else _DEFAULT_PERIOD_MS


def aggregate(
    series: Sequence[TypedSeries], aggregation: Mapping[str, Any] | None, start_ms: int, end_ms: int
) -> list[TypedSeries]:
    """Return the series aligned and reduced as an ``Aggregation`` of the API says.

    Raises:
        QueryError: an aligner or reducer is unknown, or does not fit the series.
    """
    aggregation = aggregation or {}
    return reduce(align(series, aggregation, start_ms, end_ms), aggregation)


def align(
    series: Sequence[TypedSeries], aggregation: Mapping[str, Any], start_ms: int, end_ms: int
) -> list[TypedSeries]:
    """Return each series with one point per period, counted back from `end_ms`; without an aligner, as it is."""
    aligner = str(aggregation.get("perSeriesAligner") or "ALIGN_NONE")
    if aligner in {"ALIGN_NONE", "ALIGN_UNSPECIFIED"}:
        return list(series)
    width = period_ms(aggregation)
    return [found for item in series if (found := _aligned(item, aligner, width, start_ms, end_ms)).points]


def _aligned(item: TypedSeries, aligner: str, width: int, start_ms: int, end_ms: int) -> TypedSeries:
    ends = range(end_ms - (max(0, end_ms - start_ms - 1) // width) * width, end_ms + 1, width)
    times = [point.end_ms for point in item.points]
    points: list[Point] = []
    for end in ends:
        low, high = bisect_right(times, end - width), bisect_right(times, end)
        value = _one(item, aligner, low, high, width, end)
        if value is not None:
            points.append(Point(end if aligner in _GAUGES else end - width, end, value))
    is_distribution = any(isinstance(point.value, Distribution) for point in points)
    kind = "DELTA" if aligner == "ALIGN_DELTA" else "GAUGE"
    value_type = "DISTRIBUTION" if is_distribution else "INT64" if aligner in _COUNTS else "DOUBLE"
    if aligner in {"ALIGN_DELTA", "ALIGN_NEXT_OLDER", "ALIGN_SUM", "ALIGN_MIN", "ALIGN_MAX"} and not is_distribution:
        value_type = item.value_type if item.value_type in {"INT64", "DOUBLE", "BOOL"} else "DOUBLE"
    return replace(item, points=points, kind=kind, value_type=value_type)


_GAUGES: Final = frozenset({"ALIGN_NEXT_OLDER", "ALIGN_INTERPOLATE"})
_COUNTS: Final = frozenset({"ALIGN_COUNT", "ALIGN_COUNT_TRUE", "ALIGN_COUNT_FALSE"})


def _one(item: TypedSeries, aligner: str, low: int, high: int, width: int, end: int) -> float | Distribution | None:
    points = item.points
    if aligner in {"ALIGN_DELTA", "ALIGN_RATE"}:
        change = _change(item, low, high)
        if change is None or aligner == "ALIGN_DELTA":
            return change
        return (change.count if isinstance(change, Distribution) else change) / (width / 1000)
    if aligner == "ALIGN_NEXT_OLDER":
        return points[high - 1].value if high else None
    if aligner == "ALIGN_INTERPOLATE":
        return _interpolated(points, high, end)
    if aligner == "ALIGN_PERCENT_CHANGE":
        return _percent_change(item, low, high)
    if aligner.startswith("ALIGN_PERCENTILE_"):
        return _percentile(item, low, high, float(aligner.rpartition("_")[2]) / 100)
    function = _ALIGNERS.get(aligner)
    if function is None:
        raise _unknown("aligner", aligner)
    values = [point.value for point in points[low:high]]
    if item.value_type == "DISTRIBUTION":
        return _of_distributions(item, aligner, low, high)
    return function([float(value) for value in values if not isinstance(value, Distribution)]) if values else None


def _change(item: TypedSeries, low: int, high: int) -> float | Distribution | None:
    """The growth of a counter between the last point before the window and the last in it; resets add up."""
    points = item.points
    if item.kind == "DELTA":
        values = [point.value for point in points[low:high]]
        return _sum(values) if values else None
    if item.kind == "GAUGE" and item.value_type != "DISTRIBUTION":
        if low == 0 or high <= low:
            return None
        return float(points[high - 1].value) - float(points[low - 1].value)  # type: ignore[arg-type]
    if high <= low:
        return None
    parts: list[float | Distribution] = []
    previous = points[low - 1] if low else None
    for point in points[low:high]:
        is_reset = (
            previous is None or point.start_ms > previous.start_ms or _count(point.value) < _count(previous.value)
        )
        if previous is None and low == 0 and point.start_ms == point.end_ms:
            previous = point
            continue
        parts.append(point.value if is_reset else _minus(point.value, previous.value))  # type: ignore[union-attr]
        previous = point
    return _sum(parts) if parts else None


def _count(value: float | Distribution) -> float:
    return value.count if isinstance(value, Distribution) else value


def _minus(later: float | Distribution, earlier: float | Distribution) -> float | Distribution:
    if not isinstance(later, Distribution) or not isinstance(earlier, Distribution):
        return float(later) - float(earlier)  # type: ignore[arg-type]
    count = later.count - earlier.count
    if later.bounds != earlier.bounds:
        return later
    mean = (later.mean * later.count - earlier.mean * earlier.count) / count if count else 0.0
    counts = tuple(a - b for a, b in zip(later.bucket_counts, earlier.bucket_counts, strict=True))
    return Distribution(count, mean, later.bounds, counts)


def _sum(values: Sequence[float | Distribution]) -> float | Distribution:
    distributions = [value for value in values if isinstance(value, Distribution)]
    if not distributions:
        return math.fsum(float(value) for value in values)  # type: ignore[arg-type]
    count = sum(value.count for value in distributions)
    mean = sum(value.mean * value.count for value in distributions) / count if count else 0.0
    bounds = distributions[-1].bounds
    same = [value for value in distributions if value.bounds == bounds]
    counts = tuple(sum(column) for column in zip(*(value.bucket_counts for value in same), strict=True))
    return Distribution(count, mean, bounds, counts)


def _of_distributions(item: TypedSeries, aligner: str, low: int, high: int) -> float | Distribution | None:
    if aligner == "ALIGN_COUNT":
        return float(high - low) if high > low else None
    change = (
        _change(item, low, high) if item.kind != "GAUGE" else _sum([p.value for p in item.points[low:high]] or [0.0])
    )
    if not isinstance(change, Distribution):
        return None
    if aligner == "ALIGN_SUM":
        return change
    if aligner == "ALIGN_MEAN":
        return change.mean if change.count else None
    raise _unknown("aligner for distributions", aligner)


def _percentile(item: TypedSeries, low: int, high: int, share: float) -> float | None:
    change = (
        _change(item, low, high) if item.kind != "GAUGE" else _sum([p.value for p in item.points[low:high]] or [0.0])
    )
    if not isinstance(change, Distribution):
        raise QueryError(
            Problem(
                place=item.metric_type,
                problem=f"a percentile aligner needs distributions, and this is {item.value_type}",
                way_out="Use ALIGN_MEAN and a percentile reducer",
            )
        )
    return bucket_percentile(change, share)


def bucket_percentile(value: Distribution, share: float) -> float | None:
    """Return a percentile by linear interpolation within its bucket; None for an empty distribution."""
    if not value.count or not value.bucket_counts:
        return None
    rank, seen = share * value.count, 0
    for index, count in enumerate(value.bucket_counts):
        if count and seen + count >= rank:
            lower = value.bounds[index - 1] if index else 0.0
            upper = value.bounds[index] if index < len(value.bounds) else lower
            return lower + (upper - lower) * max(0.0, rank - seen) / count
        seen += count
    return value.bounds[-1] if value.bounds else value.mean


def _interpolated(points: Sequence[Point], high: int, end: int) -> float | None:
    if not high:
        return None
    before = points[high - 1]
    if before.end_ms == end or high >= len(points):
        return float(before.value) if before.end_ms == end else None  # type: ignore[arg-type]
    after = points[high]
    share = (end - before.end_ms) / (after.end_ms - before.end_ms)
    return float(before.value) + share * (float(after.value) - float(before.value))  # type: ignore[arg-type]


def _percent_change(item: TypedSeries, low: int, high: int) -> float | None:
    if high <= low or not low:
        return None
    before, now = (float(item.points[index].value) for index in (low - 1, high - 1))  # type: ignore[arg-type]
    return (now - before) / before * 100 if before else None


def _stddev(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _true(values: Sequence[float]) -> float:
    return float(sum(bool(value) for value in values))


_ALIGNERS: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "ALIGN_MEAN": _mean,
    "ALIGN_MIN": min,
    "ALIGN_MAX": max,
    "ALIGN_SUM": math.fsum,
    "ALIGN_COUNT": lambda values: float(len(values)),
    "ALIGN_COUNT_TRUE": _true,
    "ALIGN_COUNT_FALSE": lambda values: len(values) - _true(values),
    "ALIGN_FRACTION_TRUE": lambda values: _true(values) / len(values),
    "ALIGN_STDDEV": _stddev,
}


# --------------------------------------------------------------------------- across series


def reduce(series: Sequence[TypedSeries], aggregation: Mapping[str, Any]) -> list[TypedSeries]:
    """Return one series per group of ``groupByFields``; without a reducer, the series as they are."""
    reducer = str(aggregation.get("crossSeriesReducer") or "REDUCE_NONE")
    if reducer in {"REDUCE_NONE", "REDUCE_UNSPECIFIED"}:
        return list(series)
    fields = [str(field).replace(".label.", ".labels.") for field in aggregation.get("groupByFields") or ()]
    groups: dict[tuple[str, ...], list[TypedSeries]] = {}
    for item in series:
        groups.setdefault(tuple(_field(item, field) for field in fields), []).append(item)
    return [_reduced(members, reducer, fields, key) for key, members in groups.items()]


def _field(item: TypedSeries, field: str) -> str:
    if field == "resource.type":
        return item.resource_type
    if field == "metric.type":
        return item.metric_type
    scope, _, name = field.partition(".labels.")
    labels = item.metric_labels if scope == "metric" else item.resource_labels
    return str(labels.get(name, item.resource_labels.get(field, "")))


def _reduced(members: Sequence[TypedSeries], reducer: str, fields: Sequence[str], key: Sequence[str]) -> TypedSeries:
    columns: dict[int, list[Point]] = {}
    for item in members:
        for point in item.points:
            columns.setdefault(point.end_ms, []).append(point)
    points = []
    for end in sorted(columns):
        value = _across([point.value for point in columns[end]], reducer)
        if value is not None:
            points.append(Point(columns[end][0].start_ms, end, value))
    named = dict(zip(fields, key, strict=True))
    first = members[0]
    is_distribution = any(isinstance(point.value, Distribution) for point in points)
    keeps = reducer in {"REDUCE_SUM", "REDUCE_MIN", "REDUCE_MAX"}
    return replace(
        first,
        metric_labels={f.partition(".labels.")[2]: v for f, v in named.items() if f.startswith("metric.labels.")},
        resource_labels={f.partition(".labels.")[2]: v for f, v in named.items() if f.startswith("resource.labels.")},
        points=points,
        value_type="DISTRIBUTION" if is_distribution else first.value_type if keeps else "DOUBLE",
    )


def _across(values: Sequence[float | Distribution], reducer: str) -> float | Distribution | None:
    distributions = [value for value in values if isinstance(value, Distribution)]
    if distributions:
        merged = _sum(distributions)
        if reducer == "REDUCE_SUM" or not isinstance(merged, Distribution):
            return merged
        if reducer == "REDUCE_MEAN":
            return merged.mean if merged.count else None
        if reducer == "REDUCE_COUNT":
            return float(len(values))
        if reducer.startswith("REDUCE_PERCENTILE_"):
            return bucket_percentile(merged, float(reducer.rpartition("_")[2]) / 100)
        raise _unknown("reducer for distributions", reducer)
    numbers = [float(value) for value in values if not isinstance(value, Distribution)]
    if reducer.startswith("REDUCE_PERCENTILE_"):
        return _exact_percentile(numbers, float(reducer.rpartition("_")[2]) / 100)
    function = _ALIGNERS.get(reducer.replace("REDUCE_", "ALIGN_"))
    if function is None:
        raise _unknown("reducer", reducer)
    return function(numbers)


def _exact_percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    rank = share * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def _unknown(what: str, name: str) -> QueryError:
    way_out = "See the Aggregation message of the Monitoring API"
    return QueryError(Problem(place="aggregation", problem=f"{name} is not a known {what}", way_out=way_out))
