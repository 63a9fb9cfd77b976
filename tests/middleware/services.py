"""The same small service in FastAPI, Starlette and Flask, and one way to call each of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, BackgroundTasks, FastAPI
from flask import Blueprint, Flask, Response
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, EnvironBuilder

import obskit

log = obskit.get_logger("service")


class Refused(Exception):
    """What the service has a handler for."""


def item(item_id: int) -> dict[str, int]:
    obskit.bind(user_id="u-1", session_id="s-1", user_tier="free", cart="c-9")
    with obskit.span("look up"):
        log.info("looked up", item=item_id)
    return {"id": item_id}


def boom() -> None:
    secret = "password=hunter2"  # noqa: F841 - locals must not get out
    raise ValueError("no: password=hunter2")


def chunks() -> Any:
    for number in range(3):
        with obskit.span(f"chunk {number}"):
            yield f"{number}\n".encode()


def broken_chunks() -> Any:
    yield b"0\n"
    raise ValueError("broken in the middle")


def after() -> None:
    with obskit.span("after the response"):
        log.info("after the response")


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    error: BaseException | None = None


@dataclass(frozen=True)
class Service:
    """An app, how to call it, and how it spells its routes."""

    name: str
    app: Any
    call: Callable[..., Answer]
    abandon: Callable[[str], None]
    item: str
    nested: str
    mounted: str


# --------------------------------------------------------------------------- FastAPI


def fastapi_service() -> Service:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def _item(item_id: int) -> dict[str, int]:
        await asyncio.sleep(0)
        return item(item_id)

    @app.get("/sync/{item_id}")
    def _sync(item_id: int) -> dict[str, int]:
        return item(item_id)

    @app.get("/boom")
    async def _boom() -> None:
        boom()

    @app.get("/refused")
    async def _refused() -> None:
        raise Refused("handled")

    @app.exception_handler(Refused)
    async def _handle(_request: Any, _error: Refused) -> JSONResponse:
        return JSONResponse({"refused": True}, status_code=500)

    @app.get("/stream")
    async def _stream() -> StreamingResponse:
        return StreamingResponse(chunks())

    @app.get("/broken")
    async def _broken() -> StreamingResponse:
        return StreamingResponse(broken_chunks())

    @app.get("/task")
    async def _task(tasks: BackgroundTasks) -> dict[str, bool]:
        tasks.add_task(after)
        return {"ok": True}

    router = APIRouter(prefix="/orders")

    @router.get("/{order_id}")
    async def _order(order_id: str) -> dict[str, str]:
        return {"id": order_id}

    outer = APIRouter(prefix="/api")
    outer.include_router(router)
    app.include_router(outer)
    sub = FastAPI()

    @sub.get("/things/{thing_id}")
    async def _thing(thing_id: str) -> dict[str, str]:
        return {"id": thing_id}

    @sub.get("/boom")
    async def _sub_boom() -> None:
        boom()

    app.mount("/sub", sub)
    return _asgi("fastapi", app, "/items/{item_id}", "/api/orders/{order_id}", "/sub/things/{thing_id}")


# --------------------------------------------------------------------------- Starlette


def starlette_service() -> Service:
    async def _item(request: Any) -> JSONResponse:
        await asyncio.sleep(0)
        return JSONResponse(item(request.path_params["item_id"]))

    def _sync(request: Any) -> JSONResponse:
        return JSONResponse(item(request.path_params["item_id"]))

    async def _boom(_request: Any) -> None:
        boom()

    async def _refused(_request: Any) -> None:
        raise Refused("handled")

    async def _handle(_request: Any, _error: Exception) -> JSONResponse:
        return JSONResponse({"refused": True}, status_code=500)

    async def _stream(_request: Any) -> StreamingResponse:
        return StreamingResponse(chunks())

    async def _broken(_request: Any) -> StreamingResponse:
        return StreamingResponse(broken_chunks())

    async def _task(_request: Any) -> JSONResponse:
        return JSONResponse({"ok": True}, background=BackgroundTask(after))

    async def _echo(request: Any) -> JSONResponse:
        return JSONResponse(dict(request.path_params))

    sub = Starlette(routes=[Route("/things/{thing_id}", _echo), Route("/boom", _boom)])
    app = Starlette(
        routes=[
            Route("/items/{item_id:int}", _item),
            Route("/sync/{item_id:int}", _sync),
            Route("/boom", _boom),
            Route("/refused", _refused),
            Route("/stream", _stream),
            Route("/broken", _broken),
            Route("/task", _task),
            Mount("/api", routes=[Mount("/orders", routes=[Route("/{order_id}", _echo)])]),
            Mount("/sub", app=sub),
        ],
        exception_handlers={Refused: _handle},
    )
    return _asgi("starlette", app, "/items/{item_id}", "/api/orders/{order_id}", "/sub/things/{thing_id}")


def _asgi(name: str, app: Any, item_route: str, nested: str, mounted: str) -> Service:
    def call(method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        client = TestClient(app, raise_server_exceptions=False)
        response = client.request(method, path, headers=dict(headers or {}))
        return Answer(response.status_code, response.content)

    def abandon(path: str) -> None:
        asyncio.run(_abandon(app, path))

    return Service(name, app, call, abandon, item_route, nested, mounted)


async def _abandon(app: Any, path: str) -> None:
    """Ask for a path, and go away after the first piece of the body."""
    first_piece = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not first_piece.is_set():
            await first_piece.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            first_piece.set()
            await asyncio.sleep(0.01)

    await app(http_scope(path), receive, send)


def http_scope(path: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 5000),
        "server": ("testserver", 80),
        **more,
    }


# --------------------------------------------------------------------------- Flask


def flask_service() -> Service:
    app = Flask("service")

    @app.get("/items/<int:item_id>")
    @app.get("/sync/<int:item_id>", endpoint="sync")
    def _item(item_id: int) -> dict[str, int]:
        return item(item_id)

    @app.get("/boom")
    def _boom() -> str:
        boom()
        return ""

    @app.get("/refused")
    def _refused() -> str:
        raise Refused("handled")

    @app.errorhandler(Refused)
    def _handle(_error: Refused) -> tuple[dict[str, bool], int]:
        return {"refused": True}, 500

    @app.get("/stream")
    def _stream() -> Response:
        return Response(chunks())

    @app.get("/broken")
    def _broken() -> Response:
        return Response(broken_chunks())

    @app.get("/task")
    def _task() -> Response:
        response = Response(b"ok")
        response.call_on_close(after)
        return response

    inner = Blueprint("orders", __name__, url_prefix="/orders")

    @inner.get("/<order_id>")
    def _order(order_id: str) -> dict[str, str]:
        return {"id": order_id}

    outer = Blueprint("api", __name__, url_prefix="/api")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    sub = Flask("sub")

    @sub.get("/things/<thing_id>")
    def _thing(thing_id: str) -> dict[str, str]:
        return {"id": thing_id}

    sub.add_url_rule("/boom", "boom", boom)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/sub": sub.wsgi_app})  # type: ignore[method-assign]
    app.logger.setLevel(logging.CRITICAL)  # what Flask says of an exception itself is another test's matter
    sub.logger.setLevel(logging.CRITICAL)
    return Service(
        "flask",
        app,
        lambda *args, **kwargs: _call_wsgi(app, *args, **kwargs),
        lambda path: _abandon_wsgi(app, path),
        "/items/<int:item_id>",
        "/api/orders/<order_id>",
        "/sub/things/<thing_id>",
    )


def _call_wsgi(app: Any, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    try:
        response = Client(app).open(path, method=method, headers=dict(headers or {}), buffered=True)
        return Answer(response.status_code, response.data)
    except ValueError as error:  # what a stream raises reaches the server
        return Answer(0, b"", error)


def _abandon_wsgi(app: Any, path: str) -> None:
    body = app(EnvironBuilder(path).get_environ(), lambda *_: lambda _: None)
    next(iter(body))
    body.close()


SERVICES: dict[str, Callable[[], Service]] = {
    "fastapi": fastapi_service,
    "starlette": starlette_service,
    "flask": flask_service,
}
