"""Plain ASGI and WSGI callables behind real servers, and the hooks that the app puts on requests."""

from __future__ import annotations

import functools
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import uvicorn
from observations import Observations
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import obskit
from obskit.middleware import hooks
from obskit.middleware.plain import interface

Instrument = Callable[..., Observations]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """An app without a framework."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/broken":
        raise ValueError("broken")
    if scope["path"].startswith("/orders/"):
        obskit.set_route("/orders/{number}")
    obskit.get_logger("app").info("inside")
    await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def wsgi_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The same for WSGI."""
    if environ["PATH_INFO"] == "/broken":
        raise ValueError("broken")
    if environ["PATH_INFO"].startswith("/orders/"):
        obskit.set_route("/orders/{number}")
    obskit.get_logger("app").info("inside")
    start_response("201 Created", [("Content-Length", "2")])
    return [b"ok"]


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing: what obskit writes is looked at."""


@contextmanager
def _wsgi_server(app: Any) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _asgi_server(app: Any) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


KINDS = {"asgi": (asgi_app, _asgi_server), "wsgi": (wsgi_app, _wsgi_server)}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def no_hooks() -> Iterator[None]:
    yield
    for hook in (*hooks.AT_BEGIN, *hooks.AT_END):
        hooks.remove(hook)


def _ask(port: int, *paths: str, headers: dict[str, str] | None = None) -> list[int]:
    statuses = []
    for path in paths:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
        connection.close()
    return statuses


def _eventually(found: Callable[[], list[Any]], count: int) -> list[Any]:
    deadline = time.monotonic() + 20
    while len(found()) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return found()


def test_a_plain_callable_is_observed(kind: str, instrument: Instrument):
    """It has a span, a duration, a line with its trace, and an error report for what it raises."""
    seen = instrument(None)
    app, server = KINDS[kind]
    with server(obskit.wrap(app)) as port:
        assert _ask(port, "/orders/1?a=b", "/elsewhere", "/broken") == [201, 201, 500]
        spans = _eventually(seen.server_spans, 3)
    assert sorted(span.name for span in spans) == ["GET", "GET", "GET /orders/{number}"]
    named = next(span for span in spans if span.name != "GET")
    assert named.attributes["http.route"] == "/orders/{number}"
    assert named.attributes["url.query"] == "a=b"
    assert {point.attributes.get("http.route"): point.count for point in seen.points() if not _is_error(point)} == {
        "/orders/{number}": 1,
        None: 1,
    }
    assert [report.type for report in seen.errors()] == ["ValueError"]
    inside = [line for line in seen.lines() if line["message"] == "inside"]
    assert {line["trace_id"] for line in inside} < {f"{span.context.trace_id:032x}" for span in spans}


def _is_error(point: Any) -> bool:
    return "error.type" in point.attributes


def test_middleware_around_an_app_keeps_its_routes(instrument: Instrument):
    """An app of Starlette's inside what has wrapped it is found, with its mounts."""
    seen = instrument(None)
    inner = Starlette(routes=[Mount("/api", routes=[Route("/items/{number}", lambda _: PlainTextResponse("x"))])])
    with _asgi_server(obskit.wrap(GZipMiddleware(inner))) as port:
        assert _ask(port, "/api/items/3") == [200]
        (span,) = _eventually(seen.server_spans, 1)
    assert span.name == "GET /api/items/{number}"


def test_an_app_of_a_framework_is_instrumented_itself(instrument: Instrument):
    """It comes back as it is, and what wraps it again makes no second span."""
    seen = instrument(None)
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("x"))])
    assert obskit.wrap(app) is app
    outer = obskit.wrap(GZipMiddleware(app))
    assert obskit.wrap(outer) is outer
    with _asgi_server(outer) as port:
        assert _ask(port, "/") == [200]
        assert len(_eventually(seen.server_spans, 1)) == 1


def test_what_is_no_app_is_said_and_returned(instrument: Instrument):
    """A warning says what is wanted; the thing comes back, so that the server can say its own."""
    seen = instrument(None)

    def odd(*_: Any) -> None: ...

    assert obskit.wrap(odd) is odd
    assert "neither an ASGI callable" in str(seen.handle.status().problems)


def test_nothing_is_wrapped_where_obskit_is_off():
    """`enabled=False` returns the app itself."""
    assert obskit.wrap(asgi_app, enabled=False) is asgi_app


class _Called:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class _CalledPlainly:
    def __call__(self, environ: Any, start_response: Any, timeout_s: float = 1.0) -> Any: ...


def _returns_something_to_await(scope: Any, receive: Any, send: Any) -> Any: ...


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        pytest.param(asgi_app, "asgi", id="coroutine function"),
        pytest.param(_Called(), "asgi", id="object with a coroutine method"),
        pytest.param(_returns_something_to_await, "asgi", id="plain function of three"),
        pytest.param(functools.partial(asgi_app), "asgi", id="partial"),
        pytest.param(wsgi_app, "wsgi", id="function of two"),
        pytest.param(_CalledPlainly(), "wsgi", id="object, with a default"),
        pytest.param(_Called, "", id="class"),
        pytest.param("app", "", id="text"),
        pytest.param(print, "", id="anything goes"),
    ],
)
def test_the_interface_is_known_by_what_is_called(app: Any, expected: str):
    """As servers do it: coroutine functions and three arguments are ASGI, two are WSGI."""
    assert interface(app) == expected


def test_hooks_see_each_request_begin_and_end(kind: str, instrument: Instrument):
    """They have the span, the scope or environment, and the status; what they set is on the span and the line."""
    seen = instrument(None)
    app, server = KINDS[kind]
    statuses = []

    @obskit.on_request
    def begun(span: Any, source: Any) -> None:
        tenant = source.get("HTTP_X_TENANT") or dict(source.get("headers", ())).get(b"x-tenant", b"").decode()
        span.set_attribute("tenant", tenant)
        obskit.bind(tenant=tenant)

    @obskit.on_response
    def ended(span: Any, source: Any, status: int) -> None:
        span.set_attribute("has.path", "path" in source or "PATH_INFO" in source)
        statuses.append(status)

    with server(obskit.wrap(app)) as port:
        _ask(port, "/orders/1", "/broken", headers={"X-Tenant": "acme"})
        spans = _eventually(seen.server_spans, 2)
    assert [span.attributes["tenant"] for span in spans] == ["acme", "acme"]
    assert [span.attributes["has.path"] for span in spans] == [True, True]
    assert statuses == [201, 500]
    assert {line["tenant"] for line in seen.access_lines()} == {"acme"}


def test_a_hook_that_fails_is_said_once_and_the_request_is_served(kind: str, instrument: Instrument):
    """Two requests, one warning, two spans; a hook that is taken away is called no more."""
    seen = instrument(None)
    app, server = KINDS[kind]
    calls = []

    def bad(*_: Any) -> None:
        calls.append(1)
        raise RuntimeError("no")

    obskit.on_request(bad)
    with server(obskit.wrap(app)) as port:
        assert _ask(port, "/orders/1", "/orders/2") == [201, 201]
        assert len(_eventually(seen.server_spans, 2)) == 2
        hooks.remove(bad)
        assert _ask(port, "/orders/3") == [201]
    assert len(calls) == 2
    assert seen.text().count("bad failed: RuntimeError: no") == 1


def test_hooks_hold_for_frameworks_too(instrument: Instrument):
    """One set before `instrument` is called for an app of a framework."""
    obskit.on_response(lambda span, _scope, status: span.set_attribute("seen.status", status))
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("x"))])
    seen = instrument(app)
    with _asgi_server(app) as port:
        _ask(port, "/")
        (span,) = _eventually(seen.server_spans, 1)
    assert (span.kind, span.attributes["seen.status"]) == (SpanKind.SERVER, 200)
