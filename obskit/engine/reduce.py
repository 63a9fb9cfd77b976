"""Cloud Monitoring's second step: one series for each group of aligned ones; and the ratio of two results.

Source: the messages ``Aggregation`` and ``Aggregation.Reducer`` of the Monitoring API v3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from obskit.engine.distributions import percentile, total
from obskit.engine.increments import Value
from obskit.engine.series import Distribution, Point, TypedSeries
from obskit.engine.statistics import ACROSS, percentile_of
from obskit.errors import Problem, QueryError

__all__ = ["labels_of", "ratio", "reduce"]

_KEEPS_TYPE: Final = frozenset({"SUM", "MIN", "MAX"})
_COUNTS: Final = frozenset({"COUNT", "COUNT_TRUE", "COUNT_FALSE"})
_PERCENTILES: Final = {f"PERCENTILE_{rank}": int(rank) / 100 for rank in ("99", "95", "50", "05")}
_NONE: Final = frozenset({"REDUCE_NONE", "REDUCE_UNSPECIFIED"})


def labels_of(item: TypedSeries) -> dict[str, str]:
    """Return the labels that tell a series from the others, spelled as in a filter."""
    return {
        **{f"resource.labels.{name}": value for name, value in item.resource_labels.items()},
        **{f"metric.labels.{name}": value for name, value in item.metric_labels.items()},
    }


def reduce(series: Sequence[TypedSeries], aggregation: Mapping[str, Any]) -> list[TypedSeries]:
    """Return one series per group of ``groupByFields``; without a reducer, the series as they are.

    Series of different resource types are never in one group.

    Raises:
        QueryError: the reducer is unknown, or does not fit; or there is a reducer but no aligner.
    """
    name = str(aggregation.get("crossSeriesReducer") or "REDUCE_NONE")
    if name in _NONE:
        return list(series)
    reducer = name.removeprefix("REDUCE_")
    if reducer not in ACROSS and reducer not in _PERCENTILES:
        raise _refusal(f"{name} is not a known reducer", "See the Aggregation message of the Monitoring API")
    if str(aggregation.get("perSeriesAligner") or "ALIGN_NONE") in {"ALIGN_NONE", "ALIGN_UNSPECIFIED"}:
        raise _refusal(f"{name} needs an aligner", "Set perSeriesAligner")
    fields = [str(field).replace(".label.", ".labels.") for field in aggregation.get("groupByFields") or ()]
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[TypedSeries]] = {}
    for item in series:
        values = tuple((field, _field(item, field)) for each in fields for field in _expanded(item, each))
        groups.setdefault((item.resource_type, values), []).append(item)
    return [_reduced(members, reducer, dict(key[1])) for key, members in groups.items()]


def _expanded(item: TypedSeries, field: str) -> list[str]:
    """``resource.labels.*`` is every label that the series has there."""
    scope, _, name = field.partition(".labels.")
    if name != "*":
        return [field]
    return [
        f"{scope}.labels.{each}" for each in sorted(item.metric_labels if scope == "metric" else item.resource_labels)
    ]


def _field(item: TypedSeries, field: str) -> str:
    if field == "resource.type":
        return item.resource_type
    if field == "metric.type":
        return item.metric_type
    scope, _, name = field.partition(".labels.")
    labels = item.metric_labels if scope == "metric" else item.resource_labels
    return str(labels.get(name, item.resource_labels.get(field, "")))


def _reduced(members: Sequence[TypedSeries], reducer: str, group: Mapping[str, str]) -> TypedSeries:
    columns: dict[int, list[Point]] = {}
    for item in members:
        for point in item.points:
            columns.setdefault(point.end_ms, []).append(point)
    points = []
    for end in sorted(columns):
        value = _across([point.value for point in columns[end]], reducer)
        if value is not None:
            points.append(Point(columns[end][0].start_ms, end, value))
    first = members[0]
    result = first.value_type if reducer in _KEEPS_TYPE else "INT64" if reducer in _COUNTS else "DOUBLE"
    return replace(
        first,
        metric_labels=_scoped(group, "metric"),
        resource_labels=_scoped(group, "resource"),
        points=points,
        value_type=result,
    )


def _scoped(group: Mapping[str, str], scope: str) -> dict[str, str]:
    prefix = f"{scope}.labels."
    return {field.removeprefix(prefix): value for field, value in group.items() if field.startswith(prefix)}


def _across(values: Sequence[Value], reducer: str) -> Value | None:
    distributions = [value for value in values if isinstance(value, Distribution)]
    if distributions and reducer != "COUNT":
        return _across_distributions(total(distributions), reducer)
    if reducer == "COUNT":
        return float(len(values))
    numbers = [value for value in values if not isinstance(value, Distribution)]
    if reducer in _PERCENTILES:
        return percentile_of(numbers, _PERCENTILES[reducer])
    return ACROSS[reducer](numbers)


def _across_distributions(merged: Distribution, reducer: str) -> Value | None:
    if reducer == "SUM":
        return merged
    if reducer == "MEAN":
        return merged.mean if merged.count else None
    if reducer == "STDDEV":
        return _stddev(merged)
    if reducer in _PERCENTILES:
        return percentile(merged, _PERCENTILES[reducer])
    raise _refusal(f"REDUCE_{reducer} does not take distributions", "Use REDUCE_SUM, REDUCE_MEAN or a percentile")


def _stddev(value: Distribution) -> float | None:
    """Standard deviation as well as the buckets tell: each value in the middle of its bucket."""
    if not value.count or not value.bounds:
        return None
    edges = [min(0.0, value.bounds[0]), *value.bounds, value.bounds[-1]]
    squares = math.fsum(
        count * ((edges[place] + edges[place + 1]) / 2 - value.mean) ** 2
        for place, count in enumerate(value.bucket_counts)
    )
    return math.sqrt(squares / value.count)


def ratio(numerator: Sequence[TypedSeries], denominator: Sequence[TypedSeries]) -> list[TypedSeries]:
    """Return aligned series divided by those of the same labels, moment by moment; no point where there is a zero."""
    below = {tuple(sorted(labels_of(item).items())): item for item in denominator}
    found = []
    for item in numerator:
        other = below.get(tuple(sorted(labels_of(item).items())))
        if other is None and len(below) == 1 and len(numerator) == 1:
            other = next(iter(below.values()))
        if other is None:
            continue
        divisors = {p.end_ms: p.value for p in other.points if not isinstance(p.value, Distribution) and p.value}
        points = [
            replace(point, value=point.value / divisors[point.end_ms])
            for point in item.points
            if point.end_ms in divisors and not isinstance(point.value, Distribution)
        ]
        found.append(replace(item, points=points, value_type="DOUBLE", kind="GAUGE", unit="1"))
    return found


def _refusal(problem: str, way_out: str) -> QueryError:
    return QueryError(Problem(place="aggregation", problem=problem, way_out=way_out))
