"""Spans of requests straight to OTLP's bytes: what is alike in all requests of one kind is encoded once.

OpenTelemetry's encoder makes a span's message field by field, which takes ten times as long as serving did. It makes
the parts here too, and all spans that are not a request's, or have more than is usual.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from obskit.signals.ended import KIND, OF_KIND, OWN, RECORDS, STATES, EndedSpans, Record, scope
from obskit.signals.pace import SpanBatch

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

__all__ = ["SpanEncoder"]

_MOST_KNOWN: Final = 2000
# Tags of opentelemetry.proto.trace.v1: a field's number and wire type. Source: opentelemetry-proto, trace.proto
_REQUEST_RESOURCE_SPANS: Final = b"\x0a"
_RESOURCE: Final = b"\x0a"
_RESOURCE_SCOPE_SPANS: Final = b"\x12"
_SCOPE: Final = b"\x0a"
_SCOPE_SPANS: Final = b"\x12"
_SCHEMA_URL: Final = b"\x1a"
_TIMES: Final = Struct("<BQBQ").pack  # start_time_unix_nano, end_time_unix_nano
_START, _END = 0x39, 0x41
_TRACE_ID: Final = b"\x0a\x10"
_SPAN_ID: Final = b"\x12\x08"
_PARENT_ID: Final = b"\x22\x08"
_ATTRIBUTES: Final = b"\x4a"
_KEYS: Final = {
    key: b"\x0a" + bytes([len(key)]) + key.encode()
    for key in ("url.path", "url.query", "client.address", "user_agent.original")
}


def _length(number: int) -> bytes:
    """Return a length as protobuf writes it, seven bits a byte."""
    if number < 128:
        return _SMALL[number]
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


_SMALL: Final = tuple(bytes([number]) for number in range(128))


def _attribute(key: str, text: str) -> bytes:
    value = text.encode()
    held = b"\x0a" + _length(len(value)) + value  # AnyValue.string_value
    pair = _KEYS[key] + b"\x12" + _length(len(held)) + held
    return _ATTRIBUTES + _length(len(pair)) + pair


class SpanEncoder:
    """Encodes batches as the body of an `ExportTraceServiceRequest`."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], bytes] = {}
        self._agents: dict[str, bytes] = {}
        self._owner: tuple[Any, bytes, bytes] | None = None

    def body(self, batch: SpanBatch) -> bytes:
        """Return the bytes.

        Raises:
            Exception: whatever an item that cannot be encoded makes OpenTelemetry's encoder raise.
        """
        own: list[bytes] = []
        others: list[ReadableSpan] = []
        ended = batch.ended
        resource = ended.resource() if ended is not None else None
        for item in batch.items():
            if type(item) not in RECORDS or ended is None or resource is None:
                others.append(item)
            elif item[STATES] or item[-1] is not None:  # a tracestate, or attributes of the user's
                others.append(ended.built(item, resource))
            else:
                span = self._span(item, ended)
                own += (_SCOPE_SPANS, _length(len(span)), span)
        body = encode_spans(others).SerializePartialToString() if others else b""
        return body + self._enclosed(own, resource) if own else body

    def _span(self, record: Record, ended: EndedSpans) -> bytes:
        trace_id, span_id, _, parent_id, _, _, start_ns, elapsed_s = record[:8]
        key = (*record[OF_KIND], bool(parent_id))
        alike = self._known.get(key)
        if alike is None:
            alike = self._learn(key, record, ended)
        parts = [_TRACE_ID, bytes.fromhex(trace_id), _SPAN_ID, bytes.fromhex(span_id), alike]
        if parent_id:
            parts += (_PARENT_ID, bytes.fromhex(parent_id))
        parts.append(_TIMES(_START, start_ns, _END, start_ns + int(elapsed_s * 1e9)))
        own: dict[str, str] = {}
        ended.add_own(own, *record[OWN])
        for name, text in own.items():
            if name == "user_agent.original":
                parts.append(self._agents.get(text) or self._agent(text))
            else:
                parts.append(_attribute(name, text))
        return b"".join(parts)

    def _agent(self, agent: str) -> bytes:
        if len(self._agents) >= _MOST_KNOWN:
            self._agents.clear()
        known = self._agents[agent] = _attribute("user_agent.original", agent)
        return known

    def _learn(self, key: tuple[Any, ...], record: Record, ended: EndedSpans) -> bytes:
        """Encode what is the same for all requests of that kind."""
        name, attributes, status = ended.common(record[OF_KIND])
        context = SpanContext(1, 1, is_remote=True, trace_flags=TraceFlags(0))
        whole = ReadableSpan(
            name,
            context,
            context if key[-1] else None,
            ended.resource(),
            attributes,
            kind=KIND,
            status=status,
            start_time=0,
            end_time=0,
            instrumentation_scope=scope(),
        )
        message = encode_spans([whole]).resource_spans[0].scope_spans[0].spans[0]
        for field in ("trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano"):
            message.ClearField(field)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        known: bytes = message.SerializeToString()
        self._known[key] = known
        return known

    def _enclosed(self, spans: list[bytes], resource: Resource | None) -> bytes:
        """Put the spans into their scope, and that into the resource."""
        if self._owner is None or self._owner[0] is not resource:
            context = SpanContext(1, 1, is_remote=False)
            whole = ReadableSpan("", context, None, resource, start_time=0, end_time=0, instrumentation_scope=scope())
            owner = encode_spans([whole]).resource_spans[0]
            part = owner.scope_spans[0]
            self._owner = (
                resource,
                _field(_RESOURCE, owner.resource.SerializeToString()) + _field(_SCHEMA_URL, owner.schema_url.encode()),
                _field(_SCOPE, part.scope.SerializeToString()) + _field(_SCHEMA_URL, part.schema_url.encode()),
            )
        _, of_resource, of_scope = self._owner
        inside = of_scope + b"".join(spans)
        return _field(_REQUEST_RESOURCE_SPANS, of_resource + _field(_RESOURCE_SCOPE_SPANS, inside))


def _field(tag: bytes, value: bytes) -> bytes:
    return tag + _length(len(value)) + value if value else b""
