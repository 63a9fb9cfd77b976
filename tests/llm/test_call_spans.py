"""The span of an AI call: cheap while nobody looks at it, and the same as the SDK's for everybody who does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import obskit
from obskit.llm.record import Call
from obskit.llm.usage import Usage
from obskit.signals import clientspans, traces
from obskit.signals.providers import OwnTracerProvider
from obskit.signals.redaction import Redactor
from obskit.signals.sampling import Policy
from obskit.testing import Captured

USED = Usage(input=10, cached=4, output=5)


def call(**options: Any) -> Call:
    return Call(operation="chat", provider="openai", model="gpt-4o", **options)


def test_it_is_current_and_spans_inside_join(seen: Captured) -> None:
    """A span that the app makes inside is its child, in a trace of which the call's span is the root."""
    made = call(attributes={"server.port": 443})
    with made.active():
        inside = trace.get_current_span().get_span_context()
        with obskit.span("child"):
            pass
    made.end(usage=USED)
    span, child = seen.span("chat gpt-4o"), seen.span("child")
    assert (span.context.trace_id, span.context.span_id) == (inside.trace_id, inside.span_id)
    assert span.parent is None
    assert child.parent.span_id == span.context.span_id
    assert child.context.trace_id == span.context.trace_id
    assert span.kind is SpanKind.CLIENT
    assert span.attributes["server.port"] == 443
    assert span.attributes["gen_ai.usage.input_tokens"] == 14
    assert span.instrumentation_scope.name == "obskit"
    assert span.resource.attributes["service.name"]


def test_it_is_a_child_of_what_is_around(seen: Captured) -> None:
    """The span around the call is its parent, and decides the trace."""
    with obskit.span("around"):
        call().end(usage=USED)
    span, around = seen.span("chat gpt-4o"), seen.span("around")
    assert span.parent.span_id == around.context.span_id
    assert span.context.trace_id == around.context.trace_id


def test_a_touched_span_keeps_everything(seen: Captured) -> None:
    """What others put on the current span is exported with what obskit puts there before and after, as one span."""
    made = call(attributes={"before": 1})
    with made.active():
        inside = trace.get_current_span()
        assert inside.is_recording()
        inside.set_attribute("theirs", "x")
        inside.add_event("happened", {"n": 2})
    made.end(usage=USED, error=TimeoutError("late"))
    span = seen.span("chat gpt-4o")
    assert span.context.span_id == inside.get_span_context().span_id
    assert span.attributes["before"] == 1
    assert span.attributes["theirs"] == "x"
    assert span.attributes["gen_ai.usage.output_tokens"] == 5
    assert [event.name for event in span.events] == ["happened"]
    assert span.status.status_code is StatusCode.ERROR
    assert not inside.is_recording()


def test_secrets_are_taken_out(seen: Captured) -> None:
    """An attribute with a secret, and an error's message with one, leave the process without it."""
    made = call()
    made.set({"asked": "password=hunter22", "api_key": "abc"})
    made.end(error=ValueError("Bearer abcdefghijklmnopqrstuvwxyz0123456789"))
    text = seen.span("chat gpt-4o").to_json()
    assert "hunter22" not in text
    assert '"abc"' not in text
    assert "abcdefghijklmnop" not in text


def test_what_no_backend_could_read_is_replaced(seen: Captured) -> None:
    """Lone surrogates and numbers beyond 64 bits do not cost the span."""
    made = call(attributes={"asked.words": 2**70})
    made.answered("gpt-4o-\ud800", "id-\ud800", ["stop"])
    made.end(usage=USED)
    span = seen.span("chat gpt-4o")
    assert span.attributes["gen_ai.response.model"] == "gpt-4o-?"
    assert span.attributes["gen_ai.response.id"] == "id-?"
    assert span.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert span.attributes["asked.words"] == str(2**70)


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """An own provider, to which somebody else has added a processor."""
    before, spans = traces._provider, clientspans._spans
    found = InMemorySpanExporter()
    provider = OwnTracerProvider(Policy(1.0), lambda: Resource({}), lambda: SimpleSpanProcessor(InMemorySpanExporter()))
    traces.use_provider(provider, Redactor())
    clientspans.begin(provider, None, lambda *_: pytest.fail("it is the SDK's"))  # type: ignore[arg-type]
    provider.add_span_processor(SimpleSpanProcessor(found))
    yield found
    provider.shutdown()
    traces._provider, traces._tracer, clientspans._spans = before, None, spans


def test_other_processors_see_it(exporter: InMemorySpanExporter) -> None:
    """With another processor on obskit's provider each span is the SDK's from its beginning."""
    span = clientspans.start("chat m", {"a": 1}, 1_000, Context())
    span.put({"b": 2})
    span.finish(2_000)
    (found,) = exporter.get_finished_spans()
    assert (found.name, dict(found.attributes or {}), found.start_time, found.end_time) == (
        "chat m",
        {"a": 1, "b": 2},
        1_000,
        2_000,
    )
