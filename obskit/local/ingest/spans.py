"""Spans of the Cloud Trace API, version 2."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from obskit.local.store import SpanRow, Store

__all__ = ["write_spans"]

# Source: span.proto of google.devtools.cloudtrace.v2, enum SpanKind.
_KINDS: Final = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
_SERVICE_KEYS: Final = (
    "service.name",
    "g.co/r/generic_task/job",
    "g.co/r/cloud_run_revision/service_name",
    "g.co/gae/app/module",
)
# What Google's exporter spells in Cloud Trace's own way.
_NAMES: Final = {"/http/method": "http.method", "/http/route": "http.route", "/http/status_code": "http.status_code"}


def write_spans(store: Store, spans: Iterable[Any]) -> None:
    """Store raw protobuf spans."""
    store.traces.put([_row(store, span) for span in spans])


def _row(store: Store, span: Any) -> SpanRow:
    trace_id = span.name.split("/")[3] if span.name.count("/") >= 3 else ""
    start_ns = _ns(span.start_time)
    shift = store.clock.trace_shift_ns(trace_id, start_ns)
    attributes = {_NAMES.get(key, key): _value(value) for key, value in span.attributes.attribute_map.items()}
    has_status = span.HasField("status")
    return SpanRow(
        trace_id=trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        name=span.display_name.value,
        service=next((str(attributes[key]) for key in _SERVICE_KEYS if attributes.get(key)), ""),
        kind=_KINDS.get(span.span_kind, "INTERNAL"),
        start_ns=start_ns + shift,
        end_ns=_ns(span.end_time) + shift,
        status_code="UNSET" if not has_status else "ERROR" if span.status.code else "OK",
        status_message=span.status.message,
        attributes=attributes,
        events=tuple(_event(event, shift) for event in span.time_events.time_event),
    )


def _ns(moment: Any) -> int:
    return int(moment.seconds) * 1_000_000_000 + int(moment.nanos)


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return value.string_value.value if kind == "string_value" else getattr(value, kind) if kind else None


def _event(event: Any, shift: int) -> dict[str, Any]:
    return {
        "time_ms": (_ns(event.time) + shift) / 1e6,
        "name": event.annotation.description.value,
        "attributes": {key: _value(value) for key, value in event.annotation.attributes.attribute_map.items()},
    }
