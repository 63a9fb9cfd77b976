"""OTLP metrics, stored as Google's telemetry endpoint stores them.

``prometheus.googleapis.com/NAME/KIND`` on ``prometheus_target``, whole numbers as doubles.

Source: "v1.metrics overview" and "OTLP metric ingestion overview" of Google Cloud Observability. Google refuses points
without an instance; here they are taken, and the answer warns of it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2

from obskit.engine.series import Distribution
from obskit.local.ingest.attributes import attributes_of
from obskit.local.store import Descriptor, SeriesKey, Store

__all__ = ["take_metrics", "target_of"]

_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_:./]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")
_DELTA: Final = metrics_pb2.AGGREGATION_TEMPORALITY_DELTA
_NO_RECORDED_VALUE: Final = metrics_pb2.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_MOST_BUCKETS: Final = 200
_PLATFORM_CLUSTERS: Final = {"gcp_compute_engine": "__gce__", "gcp_cloud_run": "__run__"}
_HISTOGRAMS: Final = frozenset({"histogram", "exponential_histogram"})

Target = tuple[tuple[str, str], ...]


def take_metrics(store: Store, request: Any) -> Any:
    """Store the points of a request; delta points are added up to cumulative ones."""
    run = _Run(store)
    for block in request.resource_metrics:
        target = tuple(sorted(target_of(attributes_of(block.resource.attributes)).items()))
        for scope in block.scope_metrics:
            for metric in scope.metrics:
                run.take(metric, target)
    if run.stored:
        store.changed("metrics")
    answer = metrics_service_pb2.ExportMetricsServiceResponse()
    if run.refused or run.nameless:
        answer.partial_success.rejected_data_points = run.refused.total()
        answer.partial_success.error_message = run.message()
    return answer


def target_of(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of ``prometheus_target`` for a resource's attributes."""
    namespace = str(resource.get("service.namespace") or "")
    name = str(resource.get("service.name") or "unknown_service")

    def first(*keys: str) -> str:
        return str(next((resource[key] for key in keys if resource.get(key)), ""))

    cluster = first("cluster", "k8s.cluster.name")
    return {
        "location": first("location", "cloud.availability_zone", "cloud.region") or "global",
        "cluster": cluster or _PLATFORM_CLUSTERS.get(first("cloud.platform"), ""),
        "namespace": first("namespace", "k8s.namespace.name") or namespace,
        "job": f"{namespace}/{name}" if namespace else name,
        "instance": first("instance", "service.instance.id"),
    }


@dataclass(slots=True)
class _Run:
    """One request: what became of its points."""

    store: Store
    stored: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    nameless: bool = False

    def message(self) -> str:
        """Return why points were refused, and what Google would refuse besides."""
        reasons = [f"{count} points: {reason}" for reason, count in self.refused.items()]
        if self.nameless:
            reasons.append("warning: without service.instance.id on the resource Google refuses the points")
        return "; ".join(reasons)

    def take(self, metric: Any, target: Target) -> None:
        """Store a metric's points."""
        data = metric.WhichOneof("data")
        points = getattr(metric, data).data_points if data else ()
        if data == "summary" or data is None:
            self.refused[f"metric {metric.name} is a {data}, which is not stored here"] += len(points)
            return
        if not _NAME.fullmatch(metric.name):
            self.refused[f"metric name {metric.name!r} does not match {_NAME.pattern}"] += len(points)
            return
        descriptor = _descriptor(metric, data)
        self.nameless = self.nameless or not dict(target)["instance"]
        for point in points:
            if not point.flags & _NO_RECORDED_VALUE:
                self._take_point(point, descriptor, target, is_delta=_is_delta(metric, data))

    def _take_point(self, point: Any, descriptor: Descriptor, target: Target, *, is_delta: bool) -> None:
        labels = {key: _text(value) for key, value in attributes_of(point.attributes).items()}
        wrong = next((key for key in labels if not _LABEL.fullmatch(key)), None)
        if wrong is not None:
            self.refused[f"attribute {wrong!r} does not match {_LABEL.pattern}"] += 1
            return
        if not point.time_unix_nano:
            self.refused[f"{descriptor.type}: a point has no time"] += 1
            return
        key = SeriesKey(descriptor.type, tuple(sorted(labels.items())), "prometheus_target", target)
        to_ms, last = self.store.clock.to_backend_ms, self.store.metrics.last_interval(key)
        end_ms = to_ms(point.time_unix_nano // 1_000_000)
        if last is not None and end_ms <= last[1]:
            self.refused[f"{descriptor.type}: points must be in order, and one a millisecond"] += 1
            return
        value = _value(point)
        if isinstance(value, str):
            self.refused[f"{descriptor.type}: {value}"] += 1
            return
        start_ms = end_ms if descriptor.kind == "GAUGE" else to_ms(point.start_time_unix_nano // 1_000_000)
        if is_delta:
            start_ms, value = self.store.deltas.added(key, start_ms, value)
        described = Descriptor(
            type=descriptor.type,
            kind=descriptor.kind,
            value_type=descriptor.value_type,
            unit=descriptor.unit,
            description=descriptor.description,
            labels=tuple(sorted(labels)),
        )
        self.store.metrics.put(key, described, [(min(start_ms, end_ms), end_ms, value)])
        self.stored += 1


def _is_delta(metric: Any, data: str) -> bool:
    return bool(getattr(getattr(metric, data), "aggregation_temporality", 0) == _DELTA)


def _descriptor(metric: Any, data: str) -> Descriptor:
    """A sum that can fall is a gauge to Prometheus."""
    is_counter = data == "sum" and metric.sum.is_monotonic
    kind = "histogram" if data in _HISTOGRAMS else "counter" if is_counter else "gauge"
    return Descriptor(
        type=f"prometheus.googleapis.com/{metric.name}/{kind}",
        kind="GAUGE" if kind == "gauge" else "CUMULATIVE",
        value_type="DISTRIBUTION" if kind == "histogram" else "DOUBLE",
        unit=metric.unit,
        description=metric.description,
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(point: Any) -> float | Distribution | str:
    """Return a point's value, or why it has none that can be stored."""
    if isinstance(point, metrics_pb2.NumberDataPoint):
        kind = point.WhichOneof("value")
        return float(getattr(point, kind)) if kind else "a point has no value"
    made = _explicit(point) if isinstance(point, metrics_pb2.HistogramDataPoint) else _exponential(point)
    if not all(low < high < math.inf for low, high in pairwise((-math.inf, *made.bounds))):
        return "a point's bounds do not rise, or are no numbers"
    if len(made.bucket_counts) != len(made.bounds) + 1:
        return "a point does not have one bucket more than bounds"
    if len(made.bucket_counts) > _MOST_BUCKETS:
        return f"a point has {len(made.bucket_counts)} buckets, more than {_MOST_BUCKETS}"
    return made if sum(made.bucket_counts) == made.count else "a point's buckets do not add up to its count"


def _explicit(point: Any) -> Distribution:
    mean = point.sum / point.count if point.count else 0.0
    # Without buckets, a histogram is one bucket that holds everything.
    counts = tuple(point.bucket_counts) or (int(point.count),)
    return Distribution(int(point.count), mean, tuple(point.explicit_bounds), counts)


def _exponential(point: Any) -> Distribution:
    """Return an exponential histogram with explicit bounds; zero and below are in the lowest bucket."""
    scale, offset, counts = point.scale, point.positive.offset, list(point.positive.bucket_counts)
    while len(counts) > _MOST_BUCKETS - 2:
        scale, offset, counts = scale - 1, offset >> 1, _halved(counts, is_odd=bool(offset % 2))
    bounds = tuple(_power_of_two((offset + index) * 2.0**-scale) for index in range(len(counts) + 1))
    low = int(point.zero_count) + sum(point.negative.bucket_counts)
    mean = point.sum / point.count if point.count else 0.0
    return Distribution(int(point.count), mean, bounds, (low, *counts, 0))


def _power_of_two(exponent: float) -> float:
    return 2.0**exponent if exponent < 1024 else math.inf


def _halved(counts: list[int], *, is_odd: bool) -> list[int]:
    """Return buckets of the next smaller scale: two and two of them in one."""
    padded = [0, *counts] if is_odd else counts
    return [sum(padded[index : index + 2]) for index in range(0, len(padded), 2)]
