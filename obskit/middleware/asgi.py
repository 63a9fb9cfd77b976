"""Observes an ASGI app: HTTP, WebSockets, and the end of its lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from obskit.middleware.requests import Observer
from obskit.signals import context
from obskit.signals.context import RequestState

__all__ = ["ASGIMiddleware", "App", "Locate"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Locate = Callable[[Scope], str]

_SEEN: Final = "obskit.request"


def _no_route(_scope: Scope) -> str:
    return ""


class ASGIMiddleware:
    """An ASGI app around another one.

    Args:
        app: the app to observe.
        observer: of this process.
        locate: returns the route's template of a scope that has been routed, empty where there is none.
        is_left_to_others: says whether another instrumentation makes the server span.
    """

    def __init__(
        self,
        app: App,
        observer: Observer,
        *,
        locate: Locate = _no_route,
        is_left_to_others: Callable[[], bool] = lambda: False,
    ) -> None:
        self.app = app
        self.observer = observer
        self._locate = locate
        self._is_left_to_others = is_left_to_others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection or lifespan."""
        kind = scope["type"]
        if _SEEN in scope:  # an app within the app; the outer one has the whole request
            await self.app(scope, receive, send)
        elif kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await self.app(scope, receive, self._until_shutdown(send))
        else:
            await self.app(scope, receive, send)

    # ------------------------------------------------------------------ HTTP

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        observer = self.observer
        if observer.is_excluded(scope["path"]):
            _claim(scope, None)
            with context.unrecorded():
                await self.app(scope, receive, send)
            return
        state, entered = self._begin(scope)
        if entered is None:
            await self.app(scope, receive, send)
            return
        has_trailers = False

        async def observed_receive() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect" and state.elapsed_s < 0:
                state.is_disconnected = True
            return message

        async def observed_send(message: Message) -> None:
            nonlocal has_trailers
            kind = message["type"]
            if kind == "http.response.start":
                state.status = message["status"]
                has_trailers = message.get("trailers", False)
                observer.adopt(state)
            elif kind == "http.response.body":
                state.response_bytes += len(message.get("body", b""))
            try:
                await send(message)
            except OSError:  # ASGI's way to say that the client has gone
                state.is_disconnected = True
                raise
            if _is_last(kind, message, has_trailers=has_trailers):
                observer.body_sent(state)

        try:
            await self.app(scope, observed_receive, observed_send)
        except BaseException as error:
            observer.finish(state, error)
            raise
        finally:
            observer.finish(state)
            observer.leave(entered)

    def _begin(self, scope: Scope) -> tuple[RequestState, Any]:
        headers = dict(scope["headers"])
        is_left = self._is_left_to_others() or scope.get("fastapi.telemetry") is not None
        state = RequestState(
            method=scope.get("method", "GET"),
            path=scope["path"],
            query=_text(scope.get("query_string", b"")),
            scheme=scope.get("scheme", "http"),
            source=scope,
            locate=self._locate,
        )
        _describe(state, scope, headers)
        _claim(scope, state, keep_fastapi=is_left)
        scope["obskit.root_path"] = scope.get("root_path", "")
        entered = self.observer.begin(
            state,
            traceparent=_text(headers.get(b"traceparent", b"")),
            tracestate=_text(headers.get(b"tracestate", b"")),
            cloud_trace=_text(headers.get(b"x-cloud-trace-context", b"")),
            protocol="websocket" if scope["type"] == "websocket" else scope.get("http_version", ""),
            is_left_to_others=is_left,
        )
        return state, entered

    # ------------------------------------------------------------------ WebSockets

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        observer = self.observer
        if observer.is_excluded(scope["path"]):
            _claim(scope, None)
            with context.unrecorded():
                await self.app(scope, receive, send)
            return
        state, entered = self._begin(scope)
        if entered is None:
            await self.app(scope, receive, send)
            return

        async def observed_send(message: Message) -> None:
            kind = message["type"]
            if kind == "websocket.accept":
                state.status = 101
            elif kind == "websocket.close" and not state.status:
                state.status = 403  # what servers answer to a handshake that the app refuses
            elif kind == "websocket.http.response.start":
                state.status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, observed_send)
        except BaseException as error:
            observer.finish(state, error)
            raise
        finally:
            observer.finish(state)
            observer.leave(entered)

    # ------------------------------------------------------------------ lifespan

    def _until_shutdown(self, send: Send) -> Send:
        async def flush_before_the_end(message: Message) -> None:
            if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                await _in_thread(self.observer.flush)
            await send(message)

        return flush_before_the_end


def _claim(scope: Scope, state: RequestState | None, *, keep_fastapi: bool = False) -> None:
    """Tell FastAPI's and Starlette's own telemetry, and apps inside, that this request is taken care of."""
    scope[_SEEN] = state
    scope["starlette.opentelemetry"] = True
    if not keep_fastapi:
        scope["fastapi.telemetry"] = None


def _describe(state: RequestState, scope: Scope, headers: dict[bytes, bytes]) -> None:
    state.host = _text(headers.get(b"host", b""))[:512]
    state.user_agent = _text(headers.get(b"user-agent", b""))
    state.referrer = _text(headers.get(b"referer", b""))
    client = scope.get("client")
    if client:
        state.remote_ip = str(client[0])
    length = headers.get(b"content-length", b"")
    if length.isdigit() and len(length) < 16:
        state.request_bytes = int(length)


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _is_last(kind: str, message: Message, *, has_trailers: bool) -> bool:
    if kind == "http.response.body":
        return not message.get("more_body", False) and not has_trailers
    if kind == "http.response.trailers":
        return not message.get("more_trailers", False)
    return kind == "http.response.pathsend"


async def _in_thread(function: Callable[[], object]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # another event loop, as trio; there is nothing else left to do on it
        function()
    else:
        await asyncio.to_thread(function)
