"""What only ASGI has: WebSockets, lifespans, mounts of all kinds, and other telemetry on the same app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from observations import Observations
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from services import fastapi_service, http_scope, starlette_service
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

import obskit
from obskit.exporters.memory import STORE

Instrument = Callable[..., Observations]


async def serve(app: Any, scope: dict[str, Any]) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def only(things: Any) -> Any:
    things = list(things)
    assert len(things) == 1, things
    return things[0]


# --------------------------------------------------------------------------- WebSockets


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    obskit.bind(user_id="u-2")
    async for text in socket.iter_text():
        await socket.send_text(text)


def websocket_apps() -> list[Any]:
    fast = FastAPI()
    fast.websocket("/talk/{room}")(echo)
    return [fast, Starlette(routes=[WebSocketRoute("/talk/{room}", echo)])]


@pytest.mark.parametrize("number", [0, 1])
def test_a_websocket_is_one_span_however_much_is_said(number: int, instrument: Instrument) -> None:
    """A connection with 50 messages gives one server span and one line, and no point among request durations."""
    app = websocket_apps()[number]
    observed = instrument(app)
    with TestClient(app).websocket_connect("/talk/red") as socket:
        for count in range(50):
            socket.send_text(str(count))
            assert socket.receive_text() == str(count)
    span = only(observed.spans())
    assert (span.kind, span.attributes["http.route"]) == (SpanKind.SERVER, "/talk/{room}")
    assert span.attributes["http.response.status_code"] == 101
    assert span.status.status_code is StatusCode.UNSET
    line = only(observed.access_lines())
    assert (line["endpoint"], line["user_id"]) == ("/talk/{room}", "u-2")
    assert observed.points() == []
    assert observed.errors() == []


def test_a_websocket_that_breaks_is_an_error(instrument: Instrument) -> None:
    """An exception in a WebSocket's endpoint fails its span and is reported once."""

    async def broken(socket: WebSocket) -> None:
        await socket.accept()
        raise ValueError("no")

    app = Starlette(routes=[WebSocketRoute("/talk", broken)])
    observed = instrument(app)
    with pytest.raises(ValueError, match="no"), TestClient(app).websocket_connect("/talk") as socket:
        socket.receive_text()
    assert only(observed.spans()).status.status_code is StatusCode.ERROR
    assert only(observed.errors()).type == "ValueError"


# --------------------------------------------------------------------------- lifespan


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
def test_the_apps_lifespan_runs_and_its_end_delivers(kind: Any, instrument: Instrument) -> None:
    """The app's own lifespan is untouched, and at its end everything is delivered without another call."""
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: Any) -> Any:
        steps.append("up")
        yield {"state": 1}
        steps.append("down")

    app = kind(lifespan=lifespan)
    app.add_route("/", lambda _request: PlainTextResponse("ok"))
    instrument(app, trace_export_interval="1h", metric_export_interval="1h")
    with TestClient(app) as client:
        assert client.get("/").status_code == 200
        assert not STORE.spans
    assert steps == ["up", "down"]
    assert len(STORE.spans) == 1
    assert STORE.metrics is not None


# --------------------------------------------------------------------------- routes


def test_every_kind_of_route_has_its_template(instrument: Instrument, tmp_path: Any) -> None:
    """Parameters in mounts, hosts, static files and nested mounts appear as templates, never as they came."""
    (tmp_path / "a.txt").write_text("a")

    async def ok(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    tenant = Mount("/tenants/{tenant}", routes=[Mount("/v{version}", routes=[Route("/users/{user:int}", ok)])])
    app = Starlette(
        routes=[
            Host("www.example.org", app=Starlette(routes=[Route("/hosted/{page}", ok)])),
            tenant,
            Mount("/static", app=StaticFiles(directory=tmp_path)),
        ]
    )
    observed = instrument(app)
    client = TestClient(app)
    for path in ("/tenants/acme/v2/users/5", "/tenants/umbrella/v3/users/6", "/static/a.txt"):
        assert client.get(path).status_code == 200, path
    assert client.get("/hosted/home", headers={"host": "www.example.org"}).status_code == 200
    assert [span.attributes["http.route"] for span in observed.server_spans()] == [
        "/tenants/{tenant}/v{version}/users/{user}",
        "/tenants/{tenant}/v{version}/users/{user}",
        "/static/{path}",
        "/hosted/{page}",
    ]


def test_fastapis_routes_of_all_kinds_have_their_template(instrument: Instrument, tmp_path: Any) -> None:
    """The same router under two prefixes, FastAPI's own pages, static files and mounts within routers."""
    (tmp_path / "a.txt").write_text("a")
    app, router = FastAPI(), APIRouter()

    @router.get("/users/{user}")
    async def user(user: str) -> str:
        return user

    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    app.mount("/static", StaticFiles(directory=tmp_path))
    app.mount("/tenants/{tenant}", app=FastAPI(routes=[Route("/raw/{thing}", lambda _: PlainTextResponse("ok"))]))
    observed = instrument(app)
    client = TestClient(app)
    for path in ("/v1/users/a", "/v2/users/b", "/openapi.json", "/static/a.txt", "/tenants/acme/raw/x"):
        assert client.get(path).status_code == 200, path
    assert [span.attributes["http.route"] for span in observed.server_spans()] == [
        "/v1/users/{user}",
        "/v2/users/{user}",
        "/openapi.json",
        "/static/{path}",
        "/tenants/{tenant}/raw/{thing}",
    ]


def test_a_root_path_is_part_of_the_route(instrument: Instrument) -> None:
    """What a server or proxy puts in front of the app stands in front of the template."""
    app = starlette_service().app
    observed = instrument(app)
    asyncio.run(serve(app, http_scope("/base/items/7", root_path="/base")))
    assert only(observed.server_spans()).attributes["http.route"] == "/base/items/{item_id}"


# --------------------------------------------------------------------------- beside other telemetry


def test_fastapis_own_telemetry_makes_way(instrument: Instrument) -> None:
    """With global providers in place FastAPI would make a second server span, duration and operation spans."""
    app = fastapi_service().app
    observed = instrument(app)
    assert type(trace.get_tracer_provider()).__name__ == "OwnTracerProvider"
    assert TestClient(app).get("/sub/things/1").status_code == 200
    assert [span.name for span in observed.spans()] == ["GET /sub/things/{thing_id}"]
    assert only(observed.points()).count == 1


def test_starlettes_own_telemetry_makes_way(instrument: Instrument) -> None:
    """Starlette's `OpenTelemetryMiddleware` on the same app makes no second server span."""
    app = Starlette(
        routes=[Route("/", lambda _request: PlainTextResponse("ok"))],
        middleware=[Middleware(OpenTelemetryMiddleware)],
    )
    observed = instrument(app)
    assert TestClient(app).get("/").status_code == 200
    assert [span.name for span in observed.spans()] == ["GET /"]


def test_a_mounted_app_that_is_instrumented_too_adds_nothing(instrument: Instrument) -> None:
    """Where both the outer and the mounted app are instrumented, the outer one has the request."""
    inner = Starlette(routes=[Route("/x", lambda _request: PlainTextResponse("ok"))])
    outer = Starlette(routes=[Mount("/in", app=inner)])
    instrument(inner)
    observed = instrument(outer)
    assert TestClient(outer).get("/in/x").status_code == 200
    assert [span.name for span in observed.server_spans()] == ["GET /in/x"]
    assert only(observed.points()).count == 1
    only(observed.access_lines())


def test_an_app_that_serves_already_can_be_instrumented(instrument: Instrument) -> None:
    """Instrumenting works after the first request, when the middleware stack is built."""
    app = starlette_service().app
    client = TestClient(app)
    assert client.get("/items/1").status_code == 200
    observed = instrument(app)
    assert client.get("/items/2").status_code == 200
    only(observed.server_spans())


class Foreign:
    """A twin of OpenTelemetry's own ASGI middleware: a server span around the app, by the same name."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with trace.get_tracer("foreign").start_as_current_span("theirs", kind=SpanKind.SERVER):
            await self.app(scope, receive, send)


Foreign.__name__ = "OpenTelemetryMiddleware"
Foreign.__module__ = "opentelemetry.instrumentation.asgi"


def test_opentelemetrys_own_instrumentation_keeps_its_span(instrument: Instrument) -> None:
    """Its server span stays the only one, obskit's line and duration carry its ids, and it is said once."""
    app = starlette_service().app
    app.add_middleware(Foreign)
    app._is_instrumented_by_opentelemetry = True
    observed = instrument(app)
    assert TestClient(app).get("/items/1").status_code == 200
    span = only(observed.server_spans())
    assert span.name == "theirs"
    assert only(observed.access_lines())["trace_id"] == f"{span.context.trace_id:032x}"
    assert only(observed.points()).count == 1
    assert "OpenTelemetry's own instrumentation" in only(observed.handle.status().problems).problem


# --------------------------------------------------------------------------- concurrency


def test_a_thousand_interleaved_requests_do_not_mix(instrument: Instrument) -> None:
    """Ids and bound fields stay with their request over interleaved tasks, child tasks and threads."""

    async def work(request: Any) -> PlainTextResponse:
        number = request.path_params["number"]
        obskit.bind(user_id=f"u-{number}")

        async def child() -> None:
            await asyncio.sleep(0)
            with obskit.span(f"child {number}"):
                await asyncio.to_thread(obskit.get_logger().info, f"said {number}")

        await asyncio.gather(asyncio.create_task(child()), asyncio.sleep(0))
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/{number:int}", work)])
    observed = instrument(app)

    async def flood() -> None:
        await asyncio.gather(*(serve(app, http_scope(f"/{number}")) for number in range(1000)))

    asyncio.run(flood())
    servers = {span.attributes["user.id"]: span for span in observed.server_spans()}
    children = {span.name: span for span in observed.spans() if span.name.startswith("child")}
    said = {line["message"]: line for line in observed.lines() if line["message"].startswith("said")}
    assert (len(servers), len(children), len(said)) == (1000, 1000, 1000)
    for number in range(1000):
        server, child, line = servers[f"u-{number}"], children[f"child {number}"], said[f"said {number}"]
        assert child.parent.span_id == server.context.span_id
        assert line["user_id"] == f"u-{number}"
        assert line["trace_id"] == f"{server.context.trace_id:032x}"


def test_a_task_that_fails_after_the_response_is_reported(instrument: Instrument) -> None:
    """A background task that raises leaves the span as it ended and makes one report with the request's trace."""
    from starlette.background import BackgroundTask

    def fail() -> None:
        raise ValueError("late")

    app = Starlette(
        routes=[Route("/", lambda _request: PlainTextResponse("ok", background=BackgroundTask(fail)))],
    )
    observed = instrument(app)
    with pytest.raises(ValueError, match="late"):
        TestClient(app).get("/")
    span = only(observed.server_spans())
    assert span.status.status_code is StatusCode.UNSET
    assert only(observed.errors()).trace_id == f"{span.context.trace_id:032x}"
    only(observed.access_lines())


def test_a_cancelled_request_is_cancelled(instrument: Instrument) -> None:
    """A request whose task is cancelled gives one span, marked, and the cancellation goes on."""
    started = asyncio.Event()

    async def wait(_request: Any) -> PlainTextResponse:
        started.set()
        await asyncio.Event().wait()
        return PlainTextResponse("never")

    app = Starlette(routes=[Route("/", wait)])
    observed = instrument(app)

    async def cancel() -> None:
        task = asyncio.create_task(serve(app, http_scope("/")))
        await started.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
    span = only(observed.server_spans())
    assert span.attributes["error.type"] == "client_disconnected"
    assert span.attributes["http.response.status_code"] == 499
    assert observed.errors() == []


def test_an_app_that_never_answers_is_an_error(instrument: Instrument) -> None:
    """A response that was not finished is not a success."""

    async def silent(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    app = Starlette(routes=[Mount("/", app=silent)])
    observed = instrument(app)
    asyncio.run(serve(app, http_scope("/x")))
    assert only(observed.server_spans()).attributes["error.type"] == "incomplete_response"


def test_requests_at_the_same_time_have_a_line_each(instrument: Instrument) -> None:
    """Their lines are gathered for one write, and all out when the event loop is through."""
    begun = []

    async def meet(request: Any) -> PlainTextResponse:
        begun.append(request)
        while len(begun) < 20:
            await asyncio.sleep(0)
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/meet", meet)])
    observed = instrument(app)

    async def all_at_once() -> None:
        await asyncio.gather(*(serve(app, http_scope("/meet")) for _ in range(20)))

    asyncio.run(all_at_once())
    assert len(observed.access_lines()) == 20
