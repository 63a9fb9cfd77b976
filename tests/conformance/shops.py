"""The same shop in FastAPI, Starlette and Flask: what an app that uses OpenTelemetry's API does while it serves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import BackgroundTasks, FastAPI, HTTPException
from flask import Blueprint, Flask, Response, abort, request
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient


class Crash(Exception):
    """What nobody handles."""


class Refused(Exception):
    """What the shop has a handler for."""


def nothing() -> object:
    return None


@dataclass
class Shop:
    """An app, and what its code is to do in a test.

    Attributes:
        kind: of framework.
        app: the app object.
        inside: called by the handler of ``/items/…`` and ``/sync/…``.
        around: called by a middleware, before the handler.
        after: called when the response has been sent.
        piece: called for each piece of ``/stream``.
        handling: called by the handler of `Refused`.
        template: makes the framework's spelling of a route from FastAPI's.
    """

    kind: str
    app: Any = None
    inside: Callable[[], object] = nothing
    around: Callable[[], object] = nothing
    after: Callable[[], object] = nothing
    piece: Callable[[], object] = nothing
    handling: Callable[[], object] = nothing
    template: Callable[[str], str] = field(default=lambda route: route)

    def call(self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> int:
        """Send one request, read the whole answer, and return its status."""
        if self.kind == "flask":
            with contextlib.suppress(Crash):
                return int(
                    self.app.test_client()
                    .open(path, method=method, headers=dict(headers or {}), buffered=True)
                    .status_code
                )
            return 500
        client = TestClient(self.app, raise_server_exceptions=False)
        return client.request(method, path, headers=dict(headers or {})).status_code

    def pieces(self) -> Any:
        for number in range(2):
            self.piece()
            yield f"{number}\n"


async def deny(shop: Shop, asked: Any, go_on: Any) -> Any:
    shop.around()
    if asked.headers.get("x-deny"):
        return PlainTextResponse("no", 401)
    if asked.headers.get("x-crash"):
        raise Crash
    return await go_on(asked)


def fastapi_shop() -> Shop:
    shop = Shop("fastapi")
    app = shop.app = FastAPI()

    @app.get("/items/{item_id}")
    async def _item(item_id: int) -> object:
        shop.inside()
        return item_id

    @app.get("/sync/{item_id}")
    def _sync(item_id: int) -> object:
        shop.inside()
        return item_id

    @app.get("/status/{code}")
    async def _status(code: int) -> None:
        raise HTTPException(code)

    @app.get("/crash")
    async def _crash() -> None:
        raise Crash("gone")

    @app.get("/refused")
    async def _refused() -> None:
        raise Refused

    @app.exception_handler(Refused)
    async def _handle(_request: Any, _error: Any) -> PlainTextResponse:
        shop.handling()
        return PlainTextResponse("no", 409)

    @app.get("/stream")
    async def _stream() -> StreamingResponse:
        return StreamingResponse(shop.pieces())

    @app.get("/later")
    async def _later(tasks: BackgroundTasks) -> None:
        tasks.add_task(shop.after)

    sub = FastAPI()

    @sub.get("/things/{thing_id}")
    async def _thing(thing_id: str) -> str:
        return thing_id

    app.mount("/sub", sub)
    app.middleware("http")(lambda asked, go_on: deny(shop, asked, go_on))
    return shop


def starlette_shop() -> Shop:
    shop = Shop("starlette")

    async def item(asked: Any) -> PlainTextResponse:
        shop.inside()
        return PlainTextResponse(asked.path_params["item_id"])

    def sync(asked: Any) -> PlainTextResponse:
        shop.inside()
        return PlainTextResponse(asked.path_params["item_id"])

    async def status(asked: Any) -> None:
        raise StarletteHTTPException(int(asked.path_params["code"]))

    async def crash(_asked: Any) -> None:
        raise Crash("gone")

    async def refused(_asked: Any) -> None:
        raise Refused

    async def handle(_asked: Any, _error: Exception) -> PlainTextResponse:
        shop.handling()
        return PlainTextResponse("no", 409)

    async def stream(_asked: Any) -> StreamingResponse:
        return StreamingResponse(shop.pieces())

    async def later(_asked: Any) -> PlainTextResponse:
        return PlainTextResponse("ok", background=BackgroundTask(shop.after))

    async def thing(asked: Any) -> PlainTextResponse:
        return PlainTextResponse(asked.path_params["thing_id"])

    shop.app = Starlette(
        routes=[
            Route("/items/{item_id}", item, methods=["GET"]),
            Route("/sync/{item_id}", sync),
            Route("/status/{code}", status),
            Route("/crash", crash),
            Route("/refused", refused),
            Route("/stream", stream),
            Route("/later", later),
            Mount("/sub", app=Starlette(routes=[Route("/things/{thing_id}", thing)])),
        ],
        exception_handlers={Refused: handle},
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=lambda asked, go_on: deny(shop, asked, go_on))],
    )
    return shop


def flask_shop() -> Shop:
    shop = Shop("flask", template=lambda route: route.replace("{", "<").replace("}", ">"))
    app = shop.app = Flask("shop")
    app.logger.disabled = True  # what Flask says of an exception is not asked here

    @app.before_request
    def _before() -> Any:
        shop.around()
        if request.headers.get("x-deny"):
            return "no", 401
        if request.headers.get("x-crash"):
            raise Crash
        return None

    @app.get("/items/<item_id>")
    @app.get("/sync/<item_id>", endpoint="sync")
    def _item(item_id: str) -> str:
        shop.inside()
        return item_id

    @app.get("/status/<code>")
    def _status(code: str) -> None:
        abort(int(code))

    @app.get("/crash")
    def _crash() -> None:
        raise Crash("gone")

    @app.get("/refused")
    def _refused() -> None:
        raise Refused

    @app.errorhandler(Refused)
    def _handle(_error: Refused) -> tuple[str, int]:
        shop.handling()
        return "no", 409

    @app.get("/stream")
    def _stream() -> Response:
        return Response(shop.pieces())

    @app.get("/later")
    def _later() -> Response:
        response = Response("ok")
        response.call_on_close(shop.after)
        return response

    sub = Blueprint("sub", "sub", url_prefix="/sub")

    @sub.get("/things/<thing_id>")
    def _thing(thing_id: str) -> str:
        return thing_id

    app.register_blueprint(sub)
    return shop


SHOPS: dict[str, Callable[[], Shop]] = {
    "fastapi": fastapi_shop,
    "starlette": starlette_shop,
    "flask": flask_shop,
}
