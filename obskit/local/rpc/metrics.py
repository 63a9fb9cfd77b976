"""MetricService: descriptors, points written, series read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.cloud.monitoring_v3.types import metric_service
from google.protobuf import json_format
from google.rpc import status_pb2

from obskit.engine.align import aggregate
from obskit.engine.selectors import parsed_filter
from obskit.engine.series import Distribution, TypedSeries
from obskit.errors import QueryError
from obskit.local.ingest.series import MOST_DESCRIPTORS, MOST_SERIES, RESOURCE_TYPES, write_series
from obskit.local.rpc.failure import Refused, invalid, missing
from obskit.local.rpc.paging import page_of
from obskit.local.rpc.times import ms_of, text_of_ms
from obskit.local.store import Descriptor, Store
from obskit.queries import filters

__all__ = [
    "create_descriptor",
    "create_time_series",
    "delete_descriptor",
    "get_descriptor",
    "get_resource_descriptor",
    "list_descriptors",
    "list_resource_descriptors",
    "list_time_series",
]

Answer = Mapping[str, Any]
_INVALID_ARGUMENT: Final = 3


def create_time_series(store: Store, request: Any) -> Answer:
    """Write points; what breaks a rule is named in the details, and the others are written all the same."""
    series = request.time_series
    if len(series) > MOST_SERIES:
        raise invalid(f"Field timeSeries had {len(series)} elements, at most {MOST_SERIES} are allowed.")
    refused = write_series(store, series)
    if refused:
        reasons = Counter(refusal.reason for refusal in refused)
        places = ",".join(str(refusal.index) for refusal in refused)
        summary = metric_service.CreateTimeSeriesSummary.pb()(
            total_point_count=len(series), success_point_count=len(series) - len(refused)
        )
        for reason, count in reasons.items():
            status = status_pb2.Status(code=_INVALID_ARGUMENT, message=reason)
            summary.errors.add(status=status, point_count=count)
        text = "; ".join(sorted(reasons))
        error = invalid(f"One or more TimeSeries could not be written: timeSeries[{places}]: {text}")
        raise Refused(error.code, error.message, [summary])
    return {}


def _descriptor_json(project: str, found: Descriptor) -> dict[str, Any]:
    return {
        "name": f"{project}/metricDescriptors/{found.type}",
        "type": found.type,
        "metricKind": found.kind,
        "valueType": found.value_type,
        "unit": found.unit,
        "description": found.description,
        "displayName": found.display_name,
        "labels": [_label_json(label, *found.label_texts.get(label, ("", ""))) for label in found.labels],
    }


def _label_json(key: str, value_type: str, description: str) -> dict[str, str]:
    told = {"key": key, "valueType": value_type, "description": description}
    return {field: text for field, text in told.items() if text}


def create_descriptor(store: Store, request: Any) -> Answer:
    """Create or update a metric descriptor; its kind and value type cannot change, labels are never removed."""
    given = request.metric_descriptor
    if given.type not in store.metrics.descriptors and len(store.metrics.descriptors) >= MOST_DESCRIPTORS:
        raise invalid(f"The project has {MOST_DESCRIPTORS} custom metric descriptors already.")
    if "/" not in given.type or not given.metric_kind or not given.value_type:
        raise invalid("Field metric_descriptor needs type, metric_kind and value_type.")
    document = json_format.MessageToDict(given)
    made = Descriptor(
        type=given.type,
        kind=document["metricKind"],
        value_type=document["valueType"],
        unit=given.unit,
        description=given.description,
        display_name=given.display_name,
        labels=tuple(label.key for label in given.labels),
        label_texts={
            label["key"]: (label.get("valueType", ""), label.get("description", ""))
            for label in document.get("labels", ())
        },
    )
    known = store.metrics.descriptors.get(made.type, made)
    if (known.kind, known.value_type) != (made.kind, made.value_type):
        raise invalid(
            f"The metric kind and value type of {given.type} cannot change from {known.kind}, {known.value_type}."
        )
    return _descriptor_json(request.name, store.metrics.redescribe(made))


def get_descriptor(store: Store, request: Any) -> Answer:
    """Return one metric descriptor."""
    project, _, metric_type = request.name.partition("/metricDescriptors/")
    found = store.metrics.descriptors.get(metric_type)
    if found is None:
        raise missing(request.name)
    return _descriptor_json(project, found)


def list_descriptors(store: Store, request: Any) -> Answer:
    """Return a page of metric descriptors, narrowed by a filter on metric.type."""
    found = sorted(store.metrics.descriptors.values(), key=lambda item: item.type)
    if request.filter:
        parsed = _filter(request.filter)
        found = [item for item in found if parsed.matches(item.type, {}, "", {})]
    page, token = page_of(found, request.page_size, request.page_token)
    return {"metricDescriptors": [_descriptor_json(request.name, item) for item in page], "nextPageToken": token}


def delete_descriptor(store: Store, request: Any) -> Answer:
    """Delete a descriptor and its series."""
    if not store.metrics.forget(request.name.partition("/metricDescriptors/")[2]):
        raise missing(request.name)
    return {}


def _resource_json(project: str, name: str) -> dict[str, Any]:
    return {
        "name": f"{project}/monitoredResourceDescriptors/{name}",
        "type": name,
        "labels": [{"key": label} for label in RESOURCE_TYPES[name]],
    }


def list_resource_descriptors(store: Store, request: Any) -> Answer:
    """Return the monitored resource types that series may be written against."""
    del store
    page, token = page_of(sorted(RESOURCE_TYPES), request.page_size, request.page_token)
    return {"resourceDescriptors": [_resource_json(request.name, name) for name in page], "nextPageToken": token}


def get_resource_descriptor(store: Store, request: Any) -> Answer:
    """Return one monitored resource type."""
    del store
    project, _, name = request.name.partition("/monitoredResourceDescriptors/")
    if name not in RESOURCE_TYPES:
        raise missing(request.name)
    return _resource_json(project, name)


def _filter(text: str) -> filters.Filter:
    try:
        return parsed_filter(text)
    except QueryError as error:
        raise invalid(f"Field filter had an invalid value: {error.problems[0].problem}.") from error


def list_time_series(store: Store, request: Any) -> Answer:
    """Return a page of series, aligned and reduced as asked, points newest first."""
    parsed = _filter(request.filter)
    if not parsed.metric_types():
        raise invalid("Field filter must name one metric.type.")
    end_ms = ms_of(request.interval.end_time)
    start_ms = ms_of(request.interval.start_time) if request.interval.HasField("start_time") else end_ms
    try:
        found: Sequence[TypedSeries] = store.series.list_series(parsed, start_ms, end_ms)
        for field in ("aggregation", "secondary_aggregation"):
            if request.HasField(field):
                found = aggregate(found, json_format.MessageToDict(getattr(request, field)), start_ms, end_ms)
    except QueryError as error:
        raise invalid(str(error)) from error
    page, token = page_of(found, request.page_size, request.page_token, most=100_000)
    is_full = request.view == 0
    return {"timeSeries": [_series_json(item, is_full=is_full) for item in page], "nextPageToken": token}


def _series_json(item: TypedSeries, *, is_full: bool) -> dict[str, Any]:
    points = [
        {
            "interval": {"startTime": text_of_ms(point.start_ms), "endTime": text_of_ms(point.end_ms)},
            "value": _value(point.value, item.value_type),
        }
        for point in reversed(item.points)
    ]
    return {
        "metric": {"type": item.metric_type, "labels": dict(item.metric_labels)},
        "resource": {"type": item.resource_type, "labels": dict(item.resource_labels)},
        "metricKind": item.kind,
        "valueType": item.value_type,
        "unit": item.unit,
        "points": points if is_full else [],
    }


def _value(value: float | Distribution, value_type: str) -> dict[str, Any]:
    if isinstance(value, Distribution):
        return {
            "distributionValue": {
                "count": str(value.count),
                "mean": value.mean,
                "bucketOptions": {"explicitBuckets": {"bounds": list(value.bounds)}},
                "bucketCounts": [str(count) for count in value.bucket_counts],
            }
        }
    if value_type == "INT64":
        return {"int64Value": str(int(value))}
    if value_type == "STRING":  # kept as numbers: only the status of uptime checks is a text here
        return {"stringValue": f"{value:g}"}
    return {"boolValue": bool(value)} if value_type == "BOOL" else {"doubleValue": value}
