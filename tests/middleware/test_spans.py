"""The span of a request, as an app and OpenTelemetry's own parts know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from observations import Observations
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags
from starlette.testclient import TestClient

Instrument = Callable[..., Observations]
CALLER = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}


def answer(instrument: Instrument, inside: Callable[[Any], Any], **settings: Any) -> tuple[Any, Observations]:
    """Serve one request that looks at, or changes, its span."""
    app, seen = FastAPI(), []

    @app.get("/a/{b}")
    def a(b: int) -> None:
        seen.append(inside(trace.get_current_span()))

    observed = instrument(app, **settings)
    assert TestClient(app, raise_server_exceptions=False).get("/a/1", headers=CALLER).status_code in {200, 500}
    return (seen or [None])[0], observed


def test_an_untouched_span_has_ids_and_a_parent(instrument: Instrument):
    """What the app sees is what is exported."""
    own, observed = answer(instrument, lambda span: span.get_span_context())
    (span,) = observed.spans()
    assert (own.trace_id, own.span_id) == (span.context.trace_id, span.context.span_id)
    assert f"{own.trace_id:032x}" == "a" * 32
    assert f"{span.parent.span_id:016x}" == "b" * 16
    assert span.parent.is_remote
    assert not own.is_remote


def test_what_the_app_puts_on_it_is_exported(instrument: Instrument):
    """Attributes, events, links, the status and the name are the SDK's, and the request's own are there too."""
    link = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))

    def change(span: Any) -> None:
        span.set_attribute("one", 1)
        span.set_attributes({"two": (2, 2)})
        span.add_event("happened", {"what": "x"})
        span.add_link(link, {"why": "y"})
        span.set_status(Status(StatusCode.OK))
        span.update_name("mine")

    _, observed = answer(instrument, change)
    (span,) = observed.spans()
    assert (span.attributes["one"], span.attributes["two"]) == (1, (2, 2))
    assert [event.name for event in span.events] == ["happened"]
    assert [(each.context, dict(each.attributes)) for each in span.links] == [(link, {"why": "y"})]
    assert span.status.status_code is StatusCode.OK
    assert span.name == "mine"
    assert (span.attributes["http.route"], span.attributes["http.response.status_code"]) == ("/a/{b}", 200)


def test_it_reads_as_a_span_of_the_sdk(instrument: Instrument):
    """Libraries that ask for a `ReadableSpan` find one, with what is known so far."""
    seen, observed = answer(
        instrument, lambda span: (isinstance(span, ReadableSpan), span.attributes["url.path"], span.kind, span.name)
    )
    assert seen == (True, "/a/1", trace.SpanKind.SERVER, "GET")
    assert len(observed.spans()) == 1


def test_children_are_in_its_trace(instrument: Instrument):
    """A span of any tracer is a child of the request's."""

    def inside(_: Any) -> None:
        with trace.get_tracer("lib").start_as_current_span("child"):
            pass

    _, observed = answer(instrument, inside)
    spans = {span.name: span for span in observed.spans()}
    assert spans["child"].parent.span_id == spans["GET /a/{b}"].context.span_id
    assert spans["child"].context.trace_id == spans["GET /a/{b}"].context.trace_id


def test_after_its_end_nothing_changes_it(instrument: Instrument):
    """A task that outlives its request does no harm, and reads what was exported."""
    span, observed = answer(instrument, lambda span: span)
    assert not span.is_recording()
    span.set_attribute("late", 1)
    span.add_event("late")
    span.end()
    (exported,) = observed.spans()
    assert "late" not in exported.attributes
    assert span.attributes["http.route"] == "/a/{b}"


@pytest.mark.parametrize("is_failing", [True, False])
def test_an_unsampled_request_is_kept_when_it_fails(instrument: Instrument, *, is_failing: bool):
    """With a ratio of nothing, only the failed one is exported, as one of one."""

    def inside(_: Any) -> None:
        if is_failing:
            raise RuntimeError("no")

    _, observed = answer(instrument, inside, sample_ratio=0.0)
    assert [span.attributes["obskit.sample_ratio"] for span in observed.spans()] == [1.0] * is_failing


def test_an_unsampled_request_is_kept_when_it_is_slow(instrument: Instrument):
    """It takes as long as the setting says."""
    _, observed = answer(instrument, lambda _: None, sample_ratio=0.0, slow_request="0.000001s")
    assert [span.attributes["obskit.sample_ratio"] for span in observed.spans()] == [1.0]


class Guest(SpanProcessor):
    """Sees spans begin and end."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.seen.append(("start", span.name))

    def on_end(self, span: Any) -> None:
        self.seen.append(("end", span.name))


def test_anothers_processor_sees_the_request(instrument: Instrument):
    """From the moment that it is added, spans of requests are the SDK's from their start."""
    app = FastAPI()

    @app.get("/a/{b}")
    def a(b: int) -> None:
        pass

    instrument(app)
    provider: Any = vars(app)["_obskit_middleware"].observer._provider
    guest = Guest()
    provider.add_span_processor(guest)
    assert TestClient(app).get("/a/1").status_code == 200
    assert guest.seen == [("start", "GET"), ("end", "GET /a/{b}")]
