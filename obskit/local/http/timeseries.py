"""Time series in the JSON of Cloud Monitoring's REST API, version 3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import QueryParams

from obskit.engine.series import Distribution, Point, TypedSeries
from obskit.local.http.replies import ApiError

__all__ = ["aggregation_of", "interval_of", "series_json"]


def aggregation_of(params: QueryParams, prefix: str = "aggregation") -> dict[str, Any] | None:
    """Return the aggregation that stands in a request's URL as ``aggregation.FIELD=…``, or None."""
    found: dict[str, Any] = {}
    for field in ("alignmentPeriod", "perSeriesAligner", "crossSeriesReducer"):
        value = params.get(f"{prefix}.{field}")
        if value:
            found[field] = value
    groups = params.getlist(f"{prefix}.groupByFields")
    if groups:
        found["groupByFields"] = groups
    return found or None


def interval_of(params: QueryParams, *, now_ms: int) -> tuple[int, int]:
    """Return start and end of the asked interval in ms; a missing start is the end itself, as in the API.

    Raises:
        ApiError: 400, a time is not RFC 3339 or the interval runs backwards.
    """
    end_ms = _time_ms(params, "interval.endTime", now_ms)
    start_ms = _time_ms(params, "interval.startTime", end_ms)
    if start_ms > end_ms:
        raise ApiError(400, "interval.startTime is after interval.endTime")
    return start_ms, end_ms


def _time_ms(params: QueryParams, name: str, default_ms: int) -> int:
    raw = params.get(name)
    if not raw:
        return default_ms
    try:
        moment = datetime.fromisoformat(raw)
    except ValueError as error:
        raise ApiError(400, f"{name}: {raw!r} is not an RFC 3339 time") from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def series_json(series: Iterable[TypedSeries], *, is_header_only: bool = False) -> list[dict[str, Any]]:
    """Return series as the API does: points newest first, whole numbers as text."""
    return [_one(each, is_header_only=is_header_only) for each in series]


def _one(series: TypedSeries, *, is_header_only: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "metric": {"type": series.metric_type, "labels": dict(series.metric_labels)},
        "resource": {"type": series.resource_type, "labels": dict(series.resource_labels)},
        "metricKind": series.kind,
        "valueType": series.value_type,
    }
    if series.unit:
        document["unit"] = series.unit
    if not is_header_only:
        document["points"] = [_point(point, series.value_type) for point in reversed(_ordered(series.points))]
    return document


def _ordered(points: Sequence[Point]) -> Sequence[Point]:
    return sorted(points, key=lambda point: point.end_ms)


def _point(point: Point, value_type: str) -> dict[str, Any]:
    interval = {"startTime": rfc3339(point.start_ms), "endTime": rfc3339(point.end_ms)}
    return {"interval": interval, "value": _value(point.value, value_type)}


def _value(value: float | Distribution, value_type: str) -> Mapping[str, Any]:
    if isinstance(value, Distribution):
        buckets = {"explicitBuckets": {"bounds": list(value.bounds)}}
        return {
            "distributionValue": {
                "count": str(value.count),
                "mean": value.mean,
                "bucketOptions": buckets,
                "bucketCounts": [str(count) for count in value.bucket_counts],
            }
        }
    if value_type == "INT64":
        return {"int64Value": str(int(value))}
    if value_type == "STRING":  # kept as numbers: only the status of uptime checks is a text here
        return {"stringValue": f"{value:g}"}
    if value_type == "BOOL":
        return {"boolValue": bool(value)}
    return {"doubleValue": value}


def rfc3339(time_ms: int) -> str:
    """Return a time in ms as the API prints it."""
    return f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"
