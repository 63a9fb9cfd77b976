"""Observes an ASGI app: HTTP, WebSockets, and the end of its lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, Final

from obskit.middleware import native
from obskit.middleware.requests import CURRENT, SPAN_KEY, THICK_S, Observer, leave
from obskit.signals import context
from obskit.signals.context import RequestState
from obskit.signals.native import MODULE

__all__ = ["MARK_OF_OTHERS", "ASGIMiddleware", "App", "Locate"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Locate = Callable[[Scope], str]

_SEEN: Final = "obskit.request"
MARK_OF_OTHERS: Final = "_is_instrumented_by_opentelemetry"
"""What OpenTelemetry's own instrumentations set on an app."""


def _no_route(_scope: Scope) -> str:
    return ""


class ASGIMiddleware:
    """An ASGI app around another one.

    Args:
        app: the app to observe.
        observer: of this process.
        locate: returns the route's template of a scope that has been routed, empty where there is none.
        marks: attributes of the app, where another instrumentation leaves its mark.
        is_left_to_others: says whether another instrumentation makes the server span, where its mark is there.
    """

    def __init__(
        self,
        app: App,
        observer: Observer,
        *,
        locate: Locate = _no_route,
        marks: Mapping[str, Any] = MappingProxyType({}),
        is_left_to_others: Callable[[], bool] = lambda: False,
    ) -> None:
        self.app = app
        self._locate = locate
        self._marks = marks
        self._is_left_to_others = is_left_to_others
        self._known_routes: dict[int, tuple[Any, Any, str]] = {}
        self.observer = observer

    @property
    def observer(self) -> Observer:
        """Who observes the requests of this app."""
        return self._observer

    @observer.setter
    def observer(self, observer: Observer) -> None:
        self._observer = observer
        self._way = native.way(observer, _NativeExchange, CURRENT, SPAN_KEY, THICK_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection or lifespan."""
        way = self._way
        if way is not None:
            fast = way.begin(scope, receive, send, self._locate, self._marks, self._known_routes)
            if fast is not None:
                try:
                    await self.app(scope, fast.receive, fast.send)
                except BaseException as error:
                    self._observer.finish(fast.state, error)
                    raise
                finally:
                    fast.leave()
                return
        if scope["type"] != "http" or _SEEN in scope:
            await self._other(scope, receive, send)
            return
        observer = self._observer
        if observer.excluded is not None and observer.is_excluded(scope["path"]):
            await self._unrecorded(scope, receive, send)
            return
        state, entered = self._begin(scope)
        if entered is None:
            await self.app(scope, receive, send)
            return

        exchange = _Exchange(observer, state, receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            observer.finish(state, error)
            raise
        finally:
            if not state.is_finished or state.error is not None:
                observer.finish(state)
            leave(entered)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if _SEEN in scope:  # an app within the app; the outer one has the whole request
            await self.app(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await self.app(scope, receive, self._until_shutdown(send))
        else:
            await self.app(scope, receive, send)

    async def _unrecorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        # FastAPI's and Starlette's own telemetry, and apps inside, see that this request is taken care of.
        scope[_SEEN] = scope["fastapi.telemetry"] = None
        scope["starlette.opentelemetry"] = True
        with context.unrecorded():
            await self.app(scope, receive, send)

    def _begin(self, scope: Scope) -> tuple[RequestState, Any]:
        is_left = MARK_OF_OTHERS in self._marks and self._is_left_to_others()
        is_left = is_left or scope.get("fastapi.telemetry") is not None
        query = scope.get("query_string")
        state = RequestState(
            scope.get("method", "GET"),
            scope["path"],
            str(query, "latin-1") if query else "",
            scope.get("scheme", "http"),
            scope,
            self._locate,
        )
        header = dict(scope["headers"]).get
        if value := header(b"host"):
            state.host = str(value, "latin-1")[:512]
        if value := header(b"user-agent"):
            state.user_agent = str(value, "latin-1")
        if value := header(b"referer"):
            state.referrer = str(value, "latin-1")
        if (value := header(b"content-length")) and value.isdigit() and len(value) < 16:
            state.request_bytes = int(value)
        if client := scope.get("client"):
            state.remote_ip = str(client[0])[:64]  # servers take it from headers too
        scope[_SEEN] = state
        scope["starlette.opentelemetry"] = True
        if not is_left:
            scope["fastapi.telemetry"] = None
        if root := scope.get("root_path"):
            scope["obskit.root_path"] = root
        caller, cloud = header(b"traceparent"), header(b"x-cloud-trace-context")
        entered = self.observer.begin(
            state,
            str(caller, "latin-1") if caller else "",
            str(header(b"tracestate", b""), "latin-1") if caller else "",
            str(cloud, "latin-1") if cloud else "",
            "websocket" if scope["type"] == "websocket" else scope.get("http_version", ""),
            is_left,
        )
        return state, entered

    # ------------------------------------------------------------------ WebSockets

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        observer = self.observer
        if observer.is_excluded(scope["path"]):
            await self._unrecorded(scope, receive, send)
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
            leave(entered)

    # ------------------------------------------------------------------ lifespan

    def _until_shutdown(self, send: Send) -> Send:
        async def flush_before_the_end(message: Message) -> None:
            if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                await _in_thread(self.observer.flush)
            await send(message)

        return flush_before_the_end


class _Exchange:
    """What goes between the server and the app for one request."""

    __slots__ = ("_observer", "_receive", "_send", "_state")

    def __init__(self, observer: Observer, state: RequestState, receive: Receive, send: Send) -> None:
        self._observer = observer
        self._state = state
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            state = self._state
            if state.elapsed_s < 0:
                state.is_disconnected = state.method != "HEAD" or not state.status  # a HEAD has all that it wants
        return message

    def send(self, message: Message) -> Awaitable[None]:
        # No coroutine of its own but for the last message, so that a stream costs what it costs without.
        kind = message["type"]
        state = self._state
        if kind == "http.response.body":
            state.response_bytes += len(message.get("body", b""))
            if not message.get("more_body", False) and not state.has_trailers:
                return self._complete(message)
        elif kind == "http.response.start":
            state.status = message["status"]
            if message.get("trailers", False):
                state.has_trailers = True
            if not state.trace_id:
                self._observer.adopt(state)
        elif kind == "http.response.pathsend" or (
            kind == "http.response.trailers" and not message.get("more_trailers", False)
        ):
            return self._complete(message)
        return self._send(message)

    async def _complete(self, message: Message) -> None:
        state = self._state
        if _has_left(self._receive):
            state.is_disconnected = True
        try:
            await self._send(message)
        except OSError:  # ASGI's way to say that the client has gone
            state.is_disconnected = True
            raise
        self._finish()

    def _finish(self) -> None:
        self._observer.body_sent(self._state)


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable


def _native_exchange() -> type | None:
    """Return the compiled exchange, with Python's own for what is not its; None where there is none."""
    if MODULE is None:
        return None
    ways = {
        "receive": _Exchange.receive,
        "_complete": _Exchange._complete,  # noqa: SLF001
        "_send_any": _Exchange.send,
        "_await": staticmethod(_awaited),
    }
    return type("_NativeExchange", (MODULE.Exchange,), {"__slots__": (), **ways})


_NativeExchange: Final = _native_exchange()


def _has_left(receive: Receive) -> bool:
    """Return whether the client has gone, where the server tells: uvicorn and gunicorn keep it beside `receive`."""
    server = getattr(receive, "__self__", None)
    if server is None:
        return False
    gone = getattr(server, "disconnected", None)
    return (getattr(server, "_closed", False) if gone is None else gone) is True


async def _in_thread(function: Callable[[], object]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # another event loop, as trio; there is nothing else left to do on it
        function()
    else:
        await asyncio.to_thread(function)
