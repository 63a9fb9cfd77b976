"""Apps that speak ASGI or WSGI in ways that frameworks seldom do are recorded as OpenTelemetry records them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from seen import Seen
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route
from starlette.testclient import TestClient
from werkzeug.test import Client, EnvironBuilder

Instrument = Callable[..., Seen]


def exchange(app: Any, **more: Any) -> list[Any]:
    """Serve one ASGI request whose scope has nothing but what the specification requires, and `more`."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/x",
        "query_string": b"",
        "headers": [],
        **more,
    }
    asyncio.run(app(scope, receive, send))
    return sent


def around(inner: Any) -> Starlette:
    return Starlette(routes=[Mount("/", app=inner)])


async def plain(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize(
    "more",
    [
        {"server": None},
        {"client": None},
        {"client": ("", 0)},
        {"server": ("unix", None)},
        {"headers": [(b"host", b"\xff\xfe")]},
        {"headers": [(b"user-agent", b"a"), (b"user-agent", b"b")]},
        {"query_string": b"\xff=%ff"},
        {"scheme": "https"},
        {"http_version": "2"},
        {"root_path": "/base", "path": "/base/x"},
    ],
    ids=str,
)
def test_scopes_of_all_servers_are_recorded(instrument: Instrument, more: dict[str, Any]):
    """What a server leaves out, or hands over broken, costs an attribute at most."""
    app = around(plain)
    seen = instrument(app)
    assert [message["type"] for message in exchange(app, **more)] == ["http.response.start", "http.response.body"]
    span = seen.server()
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["url.scheme"] == more.get("scheme", "http")
    assert span.attributes["network.protocol.version"] == more.get("http_version", "1.1")


def test_messages_pass_untouched(instrument: Instrument):
    """The server gets the very objects that the app has sent, and no header more."""
    messages = [
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")], "trailers": True},
        {"type": "http.response.body", "body": b"1", "more_body": True},
        {"type": "http.response.body", "body": b"2"},
        {"type": "http.response.trailers", "headers": [(b"c", b"d")], "more_trailers": False},
    ]

    async def trailing(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    app = around(trailing)
    seen = instrument(app)
    assert [sent is message for sent, message in zip(exchange(app), messages, strict=True)] == [True] * 4
    assert seen.server().status.status_code is StatusCode.UNSET


def test_the_span_ends_with_the_response(instrument: Instrument):
    """What the app does after its last message is in the trace, but the span is over by then."""
    recording = []

    async def lingering(scope: Any, receive: Any, send: Any) -> None:
        await plain(scope, receive, send)
        recording.append(trace.get_current_span().is_recording())
        with trace.get_tracer("lib").start_as_current_span("lingering"):
            pass

    app = around(lingering)
    seen = instrument(app)
    exchange(app)
    assert recording == [False]
    assert seen.spans()["lingering"].parent.span_id == seen.server().context.span_id


def test_an_exception_goes_on_to_the_server(instrument: Instrument):
    """It is recorded and raised again; with a response under way the status stays what was sent."""

    async def breaking(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 202, "headers": []})
        raise ValueError("no")

    app = around(breaking)
    seen = instrument(app)
    with pytest.raises(ValueError, match="no"):
        exchange(app)
    span = seen.server()
    assert span.attributes["http.response.status_code"] == 202
    assert span.attributes["error.type"] == "ValueError"
    assert span.status.status_code is StatusCode.ERROR


def test_mounts_and_hosts_are_one_span(instrument: Instrument):
    """An app within the app, instrumented too or not, makes no second server span; its route is whole."""
    inner = FastAPI()
    inner.get("/things/{thing}")(lambda thing: thing)
    app = FastAPI()
    app.mount("/a", around(inner))
    app.router.routes.insert(0, Host("inner.example", app=inner))
    instrument(inner)
    seen = instrument(app)
    assert TestClient(app).get("/a/things/1").status_code == 200
    assert TestClient(app, base_url="http://inner.example").get("/things/1").status_code == 200
    assert [span.name for span in seen.all_spans()] == ["GET /a/things/{thing}", "GET /things/{thing}"]


def test_a_preflight_has_the_route_that_it_asks_about(instrument: Instrument):
    """The CORS middleware answers before the router is asked."""
    app = FastAPI()
    app.get("/items/{item}")(lambda item: item)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    seen = instrument(app)
    headers = {"Origin": "http://a.example", "Access-Control-Request-Method": "GET"}
    assert TestClient(app).options("/items/1", headers=headers).status_code == 200
    assert seen.server().name == "OPTIONS /items/{item}"


class Copying:
    """A middleware that hands a copy of the scope on, so that nobody outside learns of the route."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(dict(scope), receive, send)


@pytest.mark.parametrize("path", ["/items/1", "/in/things/1", "/in/nowhere", "/nowhere"])
@pytest.mark.parametrize("root", ["", "/base"])
def test_a_middleware_that_copies_the_scope_hides_no_route(instrument: Instrument, path: str, root: str):
    """The route is the same as without it."""

    def made(*, is_copying: bool) -> Starlette:
        async def ok(_asked: Any) -> PlainTextResponse:
            return PlainTextResponse("ok")

        app = Starlette(
            routes=[Route("/items/{item}", ok), Mount("/in", routes=[Route("/things/{thing}", ok, methods=["GET"])])]
        )
        if is_copying:
            app.add_middleware(Copying)
        return app

    one, other = made(is_copying=False), made(is_copying=True)
    seen = instrument(one)
    instrument(other)
    for app in (one, other):
        exchange(app, path=root + path, root_path=root, headers=[(b"host", b"a.example")])
    first, second = seen.all_spans()
    assert first.attributes.get("http.route") == second.attributes.get("http.route")
    assert first.name == second.name


# --------------------------------------------------------------------------- WSGI


def wsgi(application: Any) -> Flask:
    app = Flask("wsgi")
    app.wsgi_app = application  # type: ignore[method-assign]
    return app


def test_a_plain_wsgi_app_is_recorded(instrument: Instrument):
    """Status and protocol come from what WSGI says; without a framework there is no route."""

    def application(_environ: Any, start_response: Any) -> Any:
        start_response("204 No Content", [])
        return []

    app = wsgi(application)
    seen = instrument(app)
    assert Client(app).get("/x").status_code == 204
    span = seen.server()
    assert span.name == "GET"
    assert span.attributes["http.response.status_code"] == 204


@pytest.mark.parametrize("body", [list, tuple, iter, lambda pieces: (piece for piece in pieces)])
def test_bodies_of_all_kinds_are_whole(instrument: Instrument, body: Any):
    """Lists, tuples, iterators and generators; the span ends with the last piece."""

    def application(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return body([b"a", b"b"])

    app = wsgi(application)
    seen = instrument(app)
    assert Client(app).get("/x").data == b"ab"
    assert seen.server().status.status_code is StatusCode.UNSET


def test_exc_info_and_the_old_write_are_handed_on(instrument: Instrument):
    """An app may call `start_response` again with an exception, and use what it returns; the last status counts."""

    def application(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        try:
            raise ValueError("no")
        except ValueError:
            write = start_response("500 Broken", [], sys.exc_info())
        write(b"old")
        return [b"new"]

    written, started = [], []
    app = wsgi(application)
    seen = instrument(app)

    def start_response(status: str, _headers: Any, exc_info: Any = None) -> Any:
        started.append((status, exc_info is not None))
        return written.append

    body = app(EnvironBuilder("/x").get_environ(), start_response)
    assert b"".join(body) == b"new"
    body.close()
    assert written == [b"old"]
    assert started == [("200 OK", False), ("500 Broken", True)]
    span = seen.server()
    assert span.attributes["http.response.status_code"] == 500
    assert span.status.status_code is StatusCode.ERROR


def test_a_wsgi_exception_goes_on_to_the_server(instrument: Instrument):
    """It is recorded and raised again, from the call as from the body."""

    def at_once(_environ: Any, _start_response: Any) -> Any:
        raise ValueError("at once")

    def later(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"a"
        raise ValueError("later")

    for application in (at_once, later):
        app = wsgi(application)
        seen = instrument(app)
        with pytest.raises(ValueError):
            Client(app).get("/x", buffered=True)
    assert [span.attributes["error.type"] for span in seen.all_spans()] == ["ValueError", "ValueError"]


@pytest.mark.parametrize("missing", ["HTTP_HOST", "PATH_INFO", "REMOTE_ADDR", "SERVER_PROTOCOL", "QUERY_STRING"])
def test_an_environment_may_lack_something(instrument: Instrument, missing: str):
    """What a server leaves out costs an attribute at most."""

    def application(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [b"ok"]

    app = wsgi(application)
    seen = instrument(app)
    environ = EnvironBuilder("/x").get_environ()
    environ.pop(missing, None)
    assert b"".join(app(environ, lambda *_: lambda _: None)) == b"ok"
    assert seen.server().attributes["http.response.status_code"] == 200
