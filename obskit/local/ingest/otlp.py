"""OTLP requests in protobuf and JSON; their traces and logs, stored as Google's telemetry endpoint stores them.

What is not stored is counted in the answer's partial success, with the reason.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from obskit.local.ingest.attributes import attributes_of, value_of
from obskit.local.ingest.entries import EntryRefused, write_entries
from obskit.local.ingest.otlp_metrics import take_metrics, target_of
from obskit.local.ingest.special_fields import severity_of
from obskit.local.store import SpanRow, Store

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


# --------------------------------------------------------------------------- traces


def take_traces(store: Store, request: Any) -> Any:
    """Store the spans of a request.

    Exceptions that spans record make no error groups: Error Reporting reads reports and logs, not traces.
    """
    answer = trace_service_pb2.ExportTraceServiceResponse()
    good = list(_spans(store, request))
    total = sum(len(scope.spans) for block in request.resource_spans for scope in block.scope_spans)
    if len(good) < total:
        answer.partial_success.rejected_spans = total - len(good)
        answer.partial_success.error_message = "trace_id must have 16 bytes and span_id 8, not all of them zero"
    store.traces.put(good)
    return answer


def _spans(store: Store, request: Any) -> Iterator[SpanRow]:
    for block in request.resource_spans:
        resource = attributes_of(block.resource.attributes)
        for scope in block.scope_spans:
            for span in scope.spans:
                if (
                    len(span.trace_id) != 16
                    or len(span.span_id) != 8
                    or not any(span.trace_id)
                    or not any(span.span_id)
                ):
                    continue
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
                        **attributes_of(span.attributes),
                    },
                    events=tuple(
                        {
                            "time_ms": (event.time_unix_nano + shift) / 1e6,
                            "name": event.name,
                            "attributes": attributes_of(event.attributes),
                        }
                        for event in span.events
                    ),
                )


# --------------------------------------------------------------------------- logs


def take_logs(store: Store, request: Any) -> Any:
    """Store the log records of a request."""
    answer = logs_service_pb2.ExportLogsServiceResponse()
    try:
        write_entries(store, list(_entries(store, request)), is_partial=True)
    except EntryRefused as error:
        answer.partial_success.rejected_log_records = len(error.indices)
        answer.partial_success.error_message = str(error)
    return answer


_LEVELS: Final = ("DEFAULT", "DEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _severity(record: Any) -> str:
    if not record.severity_number:
        return severity_of(record.severity_text) or "DEFAULT"
    return _LEVELS[min(len(_LEVELS) - 1, (record.severity_number + 3) // 4)]


def _entries(store: Store, request: Any) -> Iterator[dict[str, Any]]:
    for block in request.resource_logs:
        resource = attributes_of(block.resource.attributes)
        labels = dict(target_of(resource))
        for scope in block.scope_logs:
            for record in scope.log_records:
                body = value_of(record.body)
                fields = {"service": resource.get("service.name"), **attributes_of(record.attributes)}
                payload = {**fields, **body} if isinstance(body, dict) else {**fields, "message": body}
                entry: dict[str, Any] = {
                    "logName": f"projects/{store.project}/logs/{scope.scope.name or 'otlp'}",
                    "resource": {
                        "type": "generic_task",
                        "labels": {"job": labels["job"], "task_id": labels["instance"]},
                    },
                    "severity": _severity(record),
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
