"""Time series of the Monitoring API, with the rules that CreateTimeSeries enforces.

Source: TimeSeries, Point and CreateTimeSeries of google.monitoring.v3, and "Quotas and limits" of Cloud Monitoring.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.engine.series import Distribution
from obskit.local.store import Descriptor, SeriesKey, Store

__all__ = ["MOST_DESCRIPTORS", "MOST_SERIES", "RESOURCE_TYPES", "Refusal", "distribution_of", "write_series"]

MOST_SERIES: Final = 200
_SPACING_MS: Final = 5_000
_TOLERANCE_MS: Final = 50  # clients' timers are not exact
_MOST_LABELS, _PROMETHEUS_LABELS = 30, 200
_MOST_KEY, _MOST_VALUE = 100, 1024
_LABEL_KEY: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
MOST_DESCRIPTORS: Final = 10_000
_MOST_BUCKETS: Final = 200
_OLDEST_MS: Final = 25 * 3_600_000
_NEWEST_MS: Final = 300_000
_KINDS: Final = {1: "GAUGE", 2: "DELTA", 3: "CUMULATIVE"}
_VALUE_TYPES: Final = {1: "BOOL", 2: "INT64", 3: "DOUBLE", 4: "STRING", 5: "DISTRIBUTION"}
_BY_FIELD: Final = {
    "bool_value": "BOOL",
    "int64_value": "INT64",
    "double_value": "DOUBLE",
    "string_value": "STRING",
    "distribution_value": "DISTRIBUTION",
}
# Types that user-written metrics may be stored against. Source: "Resources for custom metrics".
RESOURCE_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "aws_ec2_instance": ("project_id", "instance_id", "region", "aws_account"),
    "dataflow_job": ("project_id", "job_name", "region"),
    "gae_instance": ("project_id", "module_id", "version_id", "instance_id", "location"),
    "gce_instance": ("project_id", "instance_id", "zone"),
    "generic_node": ("project_id", "location", "namespace", "node_id"),
    "generic_task": ("project_id", "location", "namespace", "job", "task_id"),
    "gke_container": ("project_id", "cluster_name", "namespace_id", "instance_id", "pod_id", "container_name", "zone"),
    "global": ("project_id",),
    "k8s_cluster": ("project_id", "location", "cluster_name"),
    "k8s_container": ("project_id", "location", "cluster_name", "namespace_name", "pod_name", "container_name"),
    "k8s_node": ("project_id", "location", "cluster_name", "node_name"),
    "k8s_pod": ("project_id", "location", "cluster_name", "namespace_name", "pod_name"),
    "prometheus_target": ("project_id", "location", "cluster", "namespace", "job", "instance"),
    "cloud_run_revision": ("project_id", "service_name", "revision_name", "location", "configuration_name"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A series that was not written: its place in the request, and why."""

    index: int
    reason: str


def distribution_of(value: Any) -> Distribution:
    """Return a raw protobuf distribution with explicit bounds, whatever way its buckets were given."""
    options = value.bucket_options
    kind = options.WhichOneof("options")
    if kind == "explicit_buckets":
        bounds = tuple(options.explicit_buckets.bounds)
    elif kind == "linear_buckets":
        linear = options.linear_buckets
        bounds = tuple(linear.offset + linear.width * i for i in range(linear.num_finite_buckets + 1))
    elif kind == "exponential_buckets":
        exponential = options.exponential_buckets
        bounds = tuple(
            exponential.scale * exponential.growth_factor**i for i in range(exponential.num_finite_buckets + 1)
        )
    else:
        bounds = ()
    counts = list(value.bucket_counts)
    counts += [0] * (len(bounds) + 1 - len(counts))
    return Distribution(int(value.count), float(value.mean), bounds, tuple(counts))


def write_series(store: Store, series: Sequence[Any]) -> list[Refusal]:
    """Store raw protobuf series, one point each; what breaks a rule is refused and the others are written."""
    refused: list[Refusal] = []
    seen: set[SeriesKey] = set()
    for index, item in enumerate(series):
        key = _key(item)
        reason = (
            "Field timeSeries has a duplicate of this series in the same request."
            if key in seen
            else _refusal(store, item, key)
        )
        seen.add(key)
        if reason:
            refused.append(Refusal(index, reason))
            continue
        start_ms, end_ms = _interval(store, item)
        point = item.points[0]
        store.metrics.put(key, _descriptor(item), [(start_ms, end_ms, _value(point.value))])
    if len(refused) < len(series):
        store.changed("metrics")
    return refused


def _key(item: Any) -> SeriesKey:
    return SeriesKey(
        item.metric.type,
        tuple(sorted(item.metric.labels.items())),
        item.resource.type,
        tuple(sorted(item.resource.labels.items())),
    )


def _kind(item: Any) -> str:
    return _KINDS.get(item.metric_kind, "GAUGE")


def _descriptor(item: Any) -> Descriptor:
    field = item.points[0].value.WhichOneof("value")
    return Descriptor(
        type=item.metric.type,
        kind=_kind(item),
        value_type=_VALUE_TYPES.get(item.value_type) or _BY_FIELD[field],
        unit=item.unit,
        labels=tuple(sorted(item.metric.labels)),
    )


def _value(value: Any) -> float | Distribution:
    field = value.WhichOneof("value")
    return distribution_of(value.distribution_value) if field == "distribution_value" else float(getattr(value, field))


def _real_ms(moment: Any) -> int:
    return int(moment.seconds) * 1000 + int(moment.nanos) // 1_000_000


def _interval(store: Store, item: Any) -> tuple[int, int]:
    interval = item.points[0].interval
    end_ms = store.clock.to_backend_ms(_real_ms(interval.end_time))
    if not interval.HasField("start_time") or _kind(item) == "GAUGE":
        return end_ms, end_ms
    return min(end_ms, store.clock.to_backend_ms(_real_ms(interval.start_time))), end_ms


def _refusal(store: Store, item: Any, key: SeriesKey) -> str:
    return _shape(item) or _labels(store, item) or _types(store, item) or _times(store, item, key)


def _shape(item: Any) -> str:
    if len(item.points) != 1:
        return f"Field points had an invalid value: {len(item.points)} points, must be exactly 1."
    if "/" not in item.metric.type:
        return f"Field metric.type had an invalid value of {item.metric.type!r}: must be DOMAIN/NAME."
    if item.resource.type not in RESOURCE_TYPES:
        return f"Field resource.type had an invalid value of {item.resource.type!r}: unknown monitored resource type."
    unknown = sorted(set(item.resource.labels) - set(RESOURCE_TYPES[item.resource.type]))
    if unknown:
        return f"unrecognized resource label {unknown[0]!r} for {item.resource.type}."
    if item.points[0].value.WhichOneof("value") is None:
        return "Field points[0].value is missing."
    return ""


def _labels(store: Store, item: Any) -> str:
    is_prometheus = item.metric.type.startswith("prometheus.googleapis.com/")
    most = _PROMETHEUS_LABELS if is_prometheus else _MOST_LABELS
    known = store.metrics.descriptors.get(item.metric.type)
    if known is None and len(store.metrics.descriptors) >= MOST_DESCRIPTORS:
        return f"The project has {MOST_DESCRIPTORS} custom metric descriptors already."
    # What counts is the descriptor, which gains every label that any series brings.
    count = len(set(item.metric.labels).union(known.labels if known else ()))
    if count > most:
        return f"Field metric.labels makes {count} labels of metric {item.metric.type}, at most {most} are allowed."
    for name, value in item.metric.labels.items():
        if not is_prometheus and not _LABEL_KEY.fullmatch(name):
            return f"Field metric.labels had an invalid key {name!r}: letters, digits and _, not a digit first."
        if len(name) > _MOST_KEY:
            return f"Field metric.labels has a key of {len(name)} characters, at most {_MOST_KEY} are allowed."
        if len(value) > _MOST_VALUE:
            return f"Field metric.labels[{name}] has {len(value)} characters, at most {_MOST_VALUE} are allowed."
    return ""


def _types(store: Store, item: Any) -> str:
    value = item.points[0].value
    field = value.WhichOneof("value")
    declared = _VALUE_TYPES.get(item.value_type)
    if declared and declared != _BY_FIELD[field]:
        return f"Field points[0].value had a {field}, and the series is declared {declared}."
    if field == "distribution_value":
        distribution = distribution_of(value.distribution_value)
        if len(distribution.bucket_counts) > _MOST_BUCKETS:
            return f"Field distributionValue has {len(distribution.bucket_counts)} buckets, at most {_MOST_BUCKETS}."
        if sum(distribution.bucket_counts) != distribution.count:
            return "Field distributionValue.bucketCounts do not add up to count."
    known = store.metrics.descriptors.get(item.metric.type)
    made = _descriptor(item)
    if known is not None and (known.kind, known.value_type) != (made.kind, made.value_type):
        return (
            f"Metric kind for metric {item.metric.type} must be {known.kind} and its value type {known.value_type}, "
            f"but are {made.kind} and {made.value_type}."
        )
    return ""


def _times(store: Store, item: Any, key: SeriesKey) -> str:
    start_ms, end_ms = _interval(store, item)
    now_ms = store.clock.now_ms()
    if end_ms > now_ms + _NEWEST_MS:
        return "Field points[0].interval.end_time is more than 5 minutes in the future."
    if end_ms < now_ms - _OLDEST_MS:
        return "Field points[0].interval.end_time is more than 25 hours in the past."
    if _kind(item) != "GAUGE":
        interval = item.points[0].interval
        if not interval.HasField("start_time") or _real_ms(interval.start_time) >= _real_ms(interval.end_time):
            return "Field points[0].interval.start_time must be before end_time for a cumulative or delta metric."
    last = store.metrics.last_interval(key)
    if last is None:
        return ""
    if end_ms <= last[1]:
        return (
            "Points must be written in order. One or more of the points specified had an older end time "
            "than the most recent point."
        )
    # On a clock that is fast for a while, an exporter's interval fits one of its two speeds only.
    if store.clock.scale == 1.0 and end_ms - last[1] < _SPACING_MS - _TOLERANCE_MS:
        return (
            "One or more points were written more frequently than the maximum sampling period "
            "configured for the metric."
        )
    if _kind(item) == "CUMULATIVE" and start_ms != last[0] and start_ms < last[1]:
        return "Points must be written in order. The start time is within the interval of the most recent point."
    return ""
