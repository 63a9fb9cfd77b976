"""The app's code finds the request's span wherever it looks for it, and nowhere once the request is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from flask import Flask, render_template_string, stream_with_context
from opentelemetry import baggage, context, trace
from opentelemetry.trace import INVALID_SPAN, SpanKind
from seen import Seen
from shops import Shop
from starlette.testclient import TestClient

Instrument = Callable[..., Seen]


def child(name: str = "child") -> trace.SpanContext:
    """Make a span as a library does, and return the span that it was made in."""
    around = trace.get_current_span().get_span_context()
    with trace.get_tracer("lib").start_as_current_span(name):
        return around


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("inside", "/items/1"),
        ("inside", "/sync/1"),
        ("around", "/items/1"),
        ("around", "/nowhere"),
        ("handling", "/refused"),
        ("piece", "/stream"),
        ("after", "/later"),
    ],
)
def test_spans_made_anywhere_are_children(shop: Shop, instrument: Instrument, place: str, path: str):
    """In handlers, on the thread pool, in middleware, error handlers, streams and background tasks."""
    found: list[trace.SpanContext] = []
    setattr(shop, place, lambda: found.append(child(f"child {len(found)}")))
    seen = instrument(shop.app)
    shop.call(path)
    server, children = seen.server(), [span for span in seen.all_spans() if span.name.startswith("child")]
    assert len(children) == len(found) > 0
    assert {span.parent.span_id for span in children} == {server.context.span_id}
    assert {span.context.trace_id for span in children} == {server.context.trace_id}
    assert {around.span_id for around in found} == {server.context.span_id}


@pytest.mark.parametrize("path", ["/items/1", "/sync/1"])
def test_the_handler_may_use_the_whole_span(shop: Shop, instrument: Instrument, path: str):
    """Its attributes, events and name are exported with the request's own; its ids never change."""

    def change() -> None:
        span = trace.get_current_span()
        assert span.is_recording()
        before = span.get_span_context()
        span.set_attribute("mine", 1)
        span.add_event("happened")
        span.update_name("renamed")
        span.record_exception(ValueError("seen"))
        assert span.get_span_context() == before

    shop.inside = change
    seen = instrument(shop.app)
    assert shop.call(path) == 200
    span = seen.server()
    assert span.name == "renamed"
    assert span.attributes["mine"] == 1
    assert span.attributes["http.response.status_code"] == 200
    assert [event.name for event in span.events] == ["happened", "exception"]


def test_nothing_stays_current(shop: Shop, instrument: Instrument):
    """Between two requests there is no span, and what one has put into the context the next does not see."""
    found = []

    def leak() -> None:
        found.append((baggage.get_baggage("who"), trace.get_current_span().get_span_context().trace_id))
        context.attach(baggage.set_baggage("who", "me"))

    shop.inside = leak
    seen = instrument(shop.app)
    for _ in range(3):
        shop.call("/items/1")
        assert trace.get_current_span() is INVALID_SPAN
    assert [who for who, _ in found] == [None, None, None]
    assert len({trace_id for _, trace_id in found}) == 3
    assert len(seen.all_spans()) == 3


def test_a_strangers_baggage_stays_outside(shop: Shop, instrument: Instrument):
    """The header is not read: what a stranger says would go out again with every call."""
    found = []
    shop.inside = lambda: found.append(dict(baggage.get_all()))
    instrument(shop.app)
    shop.call("/items/1", headers={"baggage": "who=me"})
    assert found == [{}]


def test_what_is_attached_around_stays(shop: Shop, instrument: Instrument):
    """A value that the context has before the request is there inside."""
    found = []
    shop.inside = lambda: found.append(context.get_value("tenant"))
    instrument(shop.app)
    token = context.attach(context.set_value("tenant", "acme"))
    try:
        shop.call("/items/1")
    finally:
        context.detach(token)
    assert found == ["acme"]


def test_a_thread_with_the_context_is_inside(shop: Shop, instrument: Instrument):
    """As OpenTelemetry's threading instrumentation, or the app itself, hands it on; without it there is no span."""

    def work() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, child, "with").result()
            pool.submit(child, "without").result()

    shop.inside = work
    seen = instrument(shop.app)
    shop.call("/sync/1")
    spans = seen.spans()
    assert spans["with"].parent.span_id == seen.server().context.span_id
    assert spans["without"].parent is None


async def first() -> AsyncIterator[int]:
    child("first")
    yield 1
    child("last")


def second() -> int:
    child("second")
    return 2


def test_fastapis_dependencies_are_inside(instrument: Instrument):
    """Async and sync ones, before and after the handler."""
    app = FastAPI()

    @app.get("/")
    async def root(one: Annotated[int, Depends(first)], two: Annotated[int, Depends(second)]) -> int:
        return one + two

    seen = instrument(app)
    assert TestClient(app).get("/").json() == 3
    server = seen.server().context.span_id
    assert {seen.spans()[name].parent.span_id for name in ("first", "second", "last")} == {server}


def test_flasks_templates_and_teardowns_are_inside(instrument: Instrument):
    """Templates, `after_request`, `teardown_request` and streams with the request's context."""
    app = Flask("places")
    app.jinja_env.globals["child"] = child
    app.after_request(lambda response: (child("after"), response)[1])
    app.teardown_request(lambda _error: (child("teardown"), None)[1])

    @app.get("/")
    def root() -> Any:
        def pieces() -> Any:
            child("stream")
            yield render_template_string("{{ child('template') and '' }}")

        return stream_with_context(pieces())

    seen = instrument(app)
    assert app.test_client().get("/", buffered=True).status_code == 200
    server, spans = seen.server().context.span_id, seen.spans()
    assert {spans[name].parent.span_id for name in ("after", "teardown", "stream", "template")} == {server}


def test_a_websocket_is_one_server_span(instrument: Instrument):
    """From the handshake to the close; spans of the handler are inside, messages have none."""
    app = FastAPI()

    @app.websocket("/talk/{room}")
    async def talk(socket: WebSocket, room: str) -> None:
        await socket.accept()
        while await socket.receive_text() != "bye":
            child("answer")
            await socket.send_text(room)
        await socket.close()

    seen = instrument(app)
    with TestClient(app).websocket_connect("/talk/a") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "a"
        socket.send_text("bye")
    server = seen.server()
    assert server.name == "GET /talk/{room}"
    assert server.attributes["http.response.status_code"] == 101
    assert seen.spans()["answer"].parent.span_id == server.context.span_id
    assert len(seen.all_spans()) == 2


def test_the_lifespan_is_in_no_request(instrument: Instrument):
    """Spans of an app's start and end are roots; no request adopts them."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        child("start")
        yield
        child("end")

    app = FastAPI(lifespan=lifespan)
    app.get("/")(lambda: child("inside") and None)
    seen = instrument(app)
    with TestClient(app) as client:
        client.get("/")
    spans = seen.spans()
    assert (spans["start"].parent, spans["end"].parent, spans["GET /"].parent) == (None, None, None)
    assert spans["inside"].parent.span_id == spans["GET /"].context.span_id


def test_tasks_that_outlive_the_request_stay_in_its_trace(instrument: Instrument):
    """A task begun in a handler has the span as parent after that has ended, and cannot change it any more."""
    app, tasks, seen_late = FastAPI(), [], []

    async def late(gate: asyncio.Event) -> None:
        await gate.wait()
        span = trace.get_current_span()
        seen_late.append(span.is_recording())
        span.set_attribute("late", 1)
        child("late")

    async def serve() -> None:
        gate = asyncio.Event()

        @app.get("/")
        async def root() -> None:
            tasks.append(asyncio.create_task(late(gate)))

        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "headers": [],
            "query_string": b"",
            "http_version": "1.1",
        }
        await app(scope, receive, send)
        gate.set()
        await asyncio.gather(*tasks)

    seen = instrument(app)
    asyncio.run(serve())
    server = seen.server()
    assert seen_late == [False]
    assert seen.spans()["late"].parent.span_id == server.context.span_id
    assert "late" not in server.attributes
    assert server.kind is SpanKind.SERVER
