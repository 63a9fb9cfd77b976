"""Time series in the REST API's JSON, as the engine sees them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from obskit.engine.series import Distribution, Point, TypedSeries

__all__ = ["cut", "typed_series"]


def typed_series(rows: Iterable[Mapping[str, Any]]) -> list[TypedSeries]:
    """Return the series of ``timeSeries`` rows, points oldest first; rows of one series are joined."""
    found: dict[str, TypedSeries] = {}
    for row in rows:
        metric, resource = row.get("metric") or {}, row.get("resource") or {}
        item = TypedSeries(
            metric_type=str(metric.get("type", "")),
            metric_labels=dict(metric.get("labels") or {}),
            resource_type=str(resource.get("type", "")),
            resource_labels=dict(resource.get("labels") or {}),
            kind=str(row.get("metricKind") or "GAUGE"),
            value_type=str(row.get("valueType") or "DOUBLE"),
            unit=str(row.get("unit") or "1"),
            points=sorted((_point(point) for point in row.get("points") or ()), key=lambda point: point.end_ms),
        )
        key = repr((metric, resource))
        known = found.get(key)
        points = item.points if known is None else sorted([*known.points, *item.points], key=lambda each: each.end_ms)
        found[key] = replace(item, points=points)
    return list(found.values())


def cut(item: TypedSeries, ends: Sequence[int], start_ms: int, end_ms: int) -> TypedSeries:
    """Return a series with its points of ``start_ms < end <= end_ms``; `ends` are the ends of all its points."""
    return replace(item, points=item.points[bisect_right(ends, start_ms) : bisect_right(ends, end_ms)])


def _point(document: Mapping[str, Any]) -> Point:
    interval = document.get("interval") or {}
    end = _ms(interval["endTime"])
    start = _ms(interval["startTime"]) if interval.get("startTime") else end
    return Point(start, end, _value(document.get("value") or {}))


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _value(value: Mapping[str, Any]) -> float | Distribution:
    if "distributionValue" in value:
        return _distribution(value["distributionValue"])
    if "boolValue" in value:
        return float(bool(value["boolValue"]))
    return float(value.get("doubleValue", value.get("int64Value", 0.0)))


def _distribution(value: Mapping[str, Any]) -> Distribution:
    bounds = _bounds(value.get("bucketOptions") or {})
    counts = [int(count) for count in value.get("bucketCounts") or ()]  # empty ones at the end are left out
    counts += [0] * (len(bounds) + 1 - len(counts))
    return Distribution(int(value.get("count") or 0), float(value.get("mean") or 0.0), bounds, tuple(counts))


def _bounds(options: Mapping[str, Any]) -> tuple[float, ...]:
    """Source: the message ``Distribution.BucketOptions`` of google.api."""
    if "explicitBuckets" in options:
        return tuple(float(bound) for bound in options["explicitBuckets"].get("bounds") or ())
    if "exponentialBuckets" in options:
        each = options["exponentialBuckets"]
        growth, scale = float(each["growthFactor"]), float(each["scale"])
        return tuple(scale * growth**power for power in range(int(each["numFiniteBuckets"]) + 1))
    if "linearBuckets" in options:
        each = options["linearBuckets"]
        width, offset = float(each["width"]), float(each.get("offset") or 0.0)
        return tuple(offset + width * place for place in range(int(each["numFiniteBuckets"]) + 1))
    return ()
