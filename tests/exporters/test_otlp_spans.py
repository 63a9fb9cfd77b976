"""Spans of requests as OTLP's bytes: what OpenTelemetry's own encoder makes of the same spans, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from obskit.exporters.otlp_spans import SpanEncoder
from obskit.signals.context import RequestState
from obskit.signals.ended import EndedSpans, Record, record_of
from obskit.signals.pace import SpanBatch
from obskit.signals.redaction import Redactor
from obskit.signals.shown import Shown

RESOURCE = Resource({"service.name": "shop", "number": 1}, "https://opentelemetry.io/schemas/1.37.0")
CALLER = ("a" * 32, "b" * 16, True, "")


def ended(ratio: float = 1.0) -> EndedSpans:
    return EndedSpans(lambda: RESOURCE, ratio, Shown(Redactor(())))


def record(caller: Any = CALLER, kind: str = "", more: Any = None, **fields: Any) -> Record:
    """Return the record of a request to a shop."""
    state = RequestState("GET", "/items/7")
    values = {
        "trace_id": "a" * 32,
        "span_id": "c" * 16,
        "sampled": True,
        "start_ns": 1_700_000_000_123_456_789,
        "elapsed_s": 0.25,
        "status": 200,
        "route": "/items/{item}",
        "host": "shop.example:8080",
        "remote_ip": "203.0.113.7",
        "user_agent": "Mozilla/5.0",
        **fields,
    }
    for name, value in values.items():
        setattr(state, name, value)
    return record_of(state, caller, kind, "1.1", more)


def spans_of(body: bytes) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each span with its attributes in the order of their names, its resource and its scope."""
    for owner in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in owner.scope_spans:
            for span in scope.spans:
                pairs = sorted(span.attributes, key=lambda pair: pair.key)
                del span.attributes[:]
                span.attributes.extend(pairs)
                yield span, (owner.resource, owner.schema_url), (scope.scope, scope.schema_url)


@pytest.mark.parametrize(
    "one",
    [
        record(),
        record(caller=None),
        record(caller=("a" * 32, "b" * 16, False, "")),
        record(caller=("a" * 32, "b" * 16, True, "vendor=1,other=2")),
        record(kind="500", status=500),
        record(more={"user.id": "u-1"}),
        record(path="/" + "long/" * 60, query="a=1&token=secret", user_agent="é" * 300),
        record(path="/ü/“quoted”", remote_ip="", user_agent="", host="", route=""),
        record(method="BREW", elapsed_s=0.0, sampled=False),
    ],
)
@pytest.mark.parametrize("ratio", [1.0, 0.25])
def test_it_is_what_opentelemetry_makes_of_it(one: Record, ratio: float) -> None:
    """Each kind of request, twice, as the second finds what the first has left."""
    spans = ended(ratio)
    encoder = SpanEncoder()
    for _ in range(2):
        ours = list(spans_of(encoder.body(SpanBatch([one, one], spans, is_hurried=True))))
        theirs = list(spans_of(encode_spans([spans.built(one, RESOURCE)] * 2).SerializeToString()))
        assert ours == theirs


def test_requests_and_other_spans_in_one_batch() -> None:
    """Both are in the request, each under its scope."""
    other = TracerProvider(resource=RESOURCE).get_tracer("lib").start_span("query")
    other.end()
    spans = ended()
    body = SpanEncoder().body(SpanBatch([record(), other, record(span_id="d" * 16)], spans, is_hurried=True))
    found = [(span.name, scope[0].name) for span, _, scope in spans_of(body)]
    assert sorted(found) == [("GET /items/{item}", "obskit"), ("GET /items/{item}", "obskit"), ("query", "lib")]


def test_a_batch_without_requests_is_opentelemetrys() -> None:
    """Nothing is added to it."""
    other = TracerProvider(resource=RESOURCE).get_tracer("lib").start_span("query")
    other.end()
    assert SpanEncoder().body(SpanBatch([other], None, is_hurried=True)) == encode_spans([other]).SerializeToString()


def test_lengths_of_more_than_a_byte() -> None:
    """A batch whose parts need lengths of one, two and three bytes is read back whole."""
    paths = ["/" + "x/" * length for length in (1, 40, 200, 900, 9000, 20_000)]
    spans = ended()
    body = SpanEncoder().body(SpanBatch([record(path=path) for path in paths], spans, is_hurried=True))
    shown = [
        pair.value.string_value for span, _, _ in spans_of(body) for pair in span.attributes if pair.key == "url.path"
    ]
    assert [len(text) for text in shown] == [min(2048, len(path)) for path in paths]
