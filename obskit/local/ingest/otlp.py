"""OTLP traces, metrics and logs, stored as Google's telemetry endpoint stores them.

Source: "OTLP metrics ingestion" of Google Cloud Observability: ``prometheus.googleapis.com/NAME/KIND`` on
``prometheus_target``, whole numbers as doubles.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2

from obskit.engine.series import Distribution
from obskit.local.ingest.entries import write_entries
from obskit.local.store import Descriptor, SeriesKey, SpanRow, Store

__all__ = ["grpc_methods", "read_json", "read_protobuf", "take_logs", "take_metrics", "take_traces"]

_KINDS: Final = {0: "INTERNAL", 1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
_STATUS: Final = {0: "UNSET", 1: "OK", 2: "ERROR"}
_REQUESTS: Final[dict[str, Any]] = {
    "traces": trace_service_pb2.ExportTraceServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "logs": logs_service_pb2.ExportLogsServiceRequest,
}
_HEX_KEYS: Final = frozenset({"traceId", "spanId", "parentSpanId"})


def read_protobuf(signal: str, body: bytes) -> Any:
    """Return the request of a protobuf body; `signal` is traces, metrics or logs.

    Raises:
        ValueError: the body is not such a request.
    """
    try:
        return _REQUESTS[signal].FromString(body)
    except Exception as error:  # protobuf's own DecodeError is not public everywhere
        raise ValueError(f"the body is not an OTLP {signal} request: {error}") from error


def read_json(signal: str, body: bytes) -> Any:
    """Return the request of a JSON body, whose ids are in hexadecimal.

    Raises:
        ValueError: the body is not such a request.
    """
    try:
        document = _with_bytes(json.loads(body))
        return json_format.ParseDict(document, _REQUESTS[signal](), ignore_unknown_fields=True)
    except (ValueError, json_format.ParseError) as error:
        raise ValueError(f"the body is not an OTLP {signal} request: {error}") from error


def _with_bytes(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode() if key in _HEX_KEYS and item else _with_bytes(item)
            for key, item in value.items()
        }
    return [_with_bytes(item) for item in value] if isinstance(value, list) else value


def _any(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_any(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _any(pair.value) for pair in pairs}


# --------------------------------------------------------------------------- traces


def take_traces(store: Store, request: Any) -> Any:
    """Store the spans of a request."""
    store.traces.put(_spans(store, request))
    return trace_service_pb2.ExportTraceServiceResponse()


def _spans(store: Store, request: Any) -> Iterator[SpanRow]:
    for block in request.resource_spans:
        resource = _attributes(block.resource.attributes)
        for scope in block.scope_spans:
            for span in scope.spans:
                trace_id = span.trace_id.hex()
                shift = store.clock.trace_shift_ns(trace_id, span.start_time_unix_nano)
                yield SpanRow(
                    trace_id=trace_id,
                    span_id=span.span_id.hex(),
                    parent_span_id=span.parent_span_id.hex(),
                    name=span.name,
                    service=str(resource.get("service.name") or ""),
                    kind=_KINDS.get(span.kind, "INTERNAL"),
                    start_ns=span.start_time_unix_nano + shift,
                    end_ns=span.end_time_unix_nano + shift,
                    status_code=_STATUS.get(span.status.code, "UNSET"),
                    status_message=span.status.message,
                    attributes={
                        **{k: v for k, v in resource.items() if k.startswith("service.")},
                        **_attributes(span.attributes),
                    },
                    events=tuple(
                        {
                            "time_ms": (event.time_unix_nano + shift) / 1e6,
                            "name": event.name,
                            "attributes": _attributes(event.attributes),
                        }
                        for event in span.events
                    ),
                )


# --------------------------------------------------------------------------- metrics


def take_metrics(store: Store, request: Any) -> Any:
    """Store the points of a request; delta points are added up, as Google does not take them."""
    count = 0
    for block in request.resource_metrics:
        resource = _target(_attributes(block.resource.attributes))
        for scope in block.scope_metrics:
            for metric in scope.metrics:
                for key, descriptor, point in _points(store, metric, resource):
                    last = store.metrics.last_interval(key)
                    if last is None or point[1] > last[1]:
                        store.metrics.put(key, descriptor, [point])
                        count += 1
    if count:
        store.changed("metrics")
    return metrics_service_pb2.ExportMetricsServiceResponse()


def _target(resource: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    namespace = str(resource.get("service.namespace") or "")
    name = str(resource.get("service.name") or "unknown_service")
    labels = {
        "location": resource.get("cloud.availability_zone") or resource.get("cloud.region") or "global",
        "cluster": resource.get("k8s.cluster.name") or "",
        "namespace": resource.get("k8s.namespace.name") or namespace,
        "job": f"{namespace}/{name}" if namespace else name,
        "instance": resource.get("service.instance.id") or "",
    }
    return tuple(sorted((key, str(value)) for key, value in labels.items()))


Row = tuple[SeriesKey, Descriptor, tuple[int, int, float | Distribution]]


def _points(store: Store, metric: Any, resource: tuple[tuple[str, str], ...]) -> Iterator[Row]:
    data = metric.WhichOneof("data")
    if data not in {"sum", "gauge", "histogram"}:
        return
    body = getattr(metric, data)
    is_delta = getattr(body, "aggregation_temporality", 0) == metrics_pb2.AGGREGATION_TEMPORALITY_DELTA
    kind = "histogram" if data == "histogram" else "counter" if data == "sum" and body.is_monotonic else "gauge"
    metric_type = f"prometheus.googleapis.com/{metric.name}/{kind}"
    descriptor = Descriptor(
        type=metric_type,
        kind="GAUGE" if kind == "gauge" else "CUMULATIVE",
        value_type="DISTRIBUTION" if kind == "histogram" else "DOUBLE",
        unit=metric.unit,
        description=metric.description,
    )
    for point in body.data_points:
        labels = tuple(sorted((key, _text(value)) for key, value in _attributes(point.attributes).items()))
        key = SeriesKey(metric_type, labels, "prometheus_target", resource)
        end_ms = store.clock.to_backend_ms(point.time_unix_nano // 1_000_000)
        start_ms = store.clock.to_backend_ms(point.start_time_unix_nano // 1_000_000) if kind != "gauge" else end_ms
        value = _distribution(point) if kind == "histogram" else _number(point)
        if is_delta:
            start_ms, value = store.deltas.added(key, start_ms, value)
        yield key, descriptor, (min(start_ms, end_ms), end_ms, value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(point: Any) -> float:
    return float(point.as_double if point.WhichOneof("value") == "as_double" else point.as_int)


def _distribution(point: Any) -> Distribution:
    mean = point.sum / point.count if point.count else 0.0
    return Distribution(int(point.count), mean, tuple(point.explicit_bounds), tuple(point.bucket_counts))


# --------------------------------------------------------------------------- logs


def take_logs(store: Store, request: Any) -> Any:
    """Store the log records of a request."""
    write_entries(store, list(_entries(store, request)))
    return logs_service_pb2.ExportLogsServiceResponse()


_LEVELS: Final = ("DEFAULT", "DEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _entries(store: Store, request: Any) -> Iterator[dict[str, Any]]:
    for block in request.resource_logs:
        resource = _attributes(block.resource.attributes)
        labels = dict(_target(resource))
        for scope in block.scope_logs:
            for record in scope.log_records:
                body = _any(record.body)
                fields = {"service": resource.get("service.name"), **_attributes(record.attributes)}
                payload = {**fields, **body} if isinstance(body, dict) else {**fields, "message": body}
                entry: dict[str, Any] = {
                    "logName": f"projects/{store.project}/logs/{scope.scope.name or 'otlp'}",
                    "resource": {
                        "type": "generic_task",
                        "labels": {"job": labels["job"], "task_id": labels["instance"]},
                    },
                    "severity": _LEVELS[min(len(_LEVELS) - 1, (record.severity_number + 3) // 4)],
                    "jsonPayload": payload,
                }
                if nanos := record.time_unix_nano or record.observed_time_unix_nano:
                    entry["timestamp"] = _rfc3339(nanos)
                if record.trace_id:
                    entry["trace"] = f"projects/{store.project}/traces/{record.trace_id.hex()}"
                    entry["spanId"] = record.span_id.hex()
                yield entry


def _rfc3339(nanos: int) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(nanos // 1_000_000_000))}.{nanos % 1_000_000_000:09d}Z"


_PREFIX: Final = "/opentelemetry.proto.collector."


def grpc_methods() -> Mapping[str, tuple[Callable[[bytes], Any], Callable[[Store, Any], Any]]]:
    """Return OTLP's gRPC methods: how a request is read, and what takes it."""
    return {
        _PREFIX + "trace.v1.TraceService/Export": (_REQUESTS["traces"].FromString, take_traces),
        _PREFIX + "metrics.v1.MetricsService/Export": (_REQUESTS["metrics"].FromString, take_metrics),
        _PREFIX + "logs.v1.LogsService/Export": (_REQUESTS["logs"].FromString, take_logs),
    }
