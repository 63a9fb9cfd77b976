"""Observes a WSGI app, to the last byte of each response."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from typing import Any, Final
from urllib.parse import quote

from obskit.middleware.requests import Observer
from obskit.signals import context
from obskit.signals.context import RequestState

__all__ = ["App", "Locate", "WSGIMiddleware"]

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
Locate = Callable[[Environ], str]
Run = Callable[..., Any]

_SEEN: Final = "obskit.request"


def _no_route(_environ: Environ) -> str:
    return ""


class WSGIMiddleware:
    """A WSGI app around another one.

    Args:
        app: the app to observe.
        observer: of this process.
        locate: returns the route's template of an environment that has been routed, empty where there is none.
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

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        observer = self.observer
        if _SEEN in environ:  # an app within the app; the outer one has the whole request
            return self.app(environ, start_response)
        if observer.excluded is not None and observer.is_excluded(environ.get("PATH_INFO", "")):
            environ[_SEEN] = None
            with context.unrecorded():
                return self.app(environ, start_response)
        state = self._state(environ)
        environ[_SEEN] = state
        # One context for all of the request's code: to enter it for each piece of a body costs little, a token that one
        # step has taken holds in the next ones, and the server's thread is in no trace between them.
        run = copy_context().run
        entered = run(
            observer.begin,
            state,
            environ.get("HTTP_TRACEPARENT", ""),
            environ.get("HTTP_TRACESTATE", ""),
            environ.get("HTTP_X_CLOUD_TRACE_CONTEXT", ""),
            environ.get("SERVER_PROTOCOL", "").removeprefix("HTTP/"),
            self._is_left_to_others(),
        )
        if entered is None:
            return self.app(environ, start_response)
        ending = _Ending(observer, state)

        def observed_start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            ending.response_began(status, headers)
            return start_response(status, headers, *exc_info)

        try:
            body = run(self.app, environ, observed_start)
        except BaseException as error:
            run(observer.finish, state, error)
            raise
        return _observed(body, environ, ending, run)

    def _state(self, environ: Environ) -> RequestState:
        script = environ.get("SCRIPT_NAME", "")
        state = RequestState(
            environ.get("REQUEST_METHOD", "GET"),
            _decoded(script + environ.get("PATH_INFO", "")) or "/",
            environ.get("QUERY_STRING", ""),
            environ.get("wsgi.url_scheme", "http"),
            environ,
            self._locate,
        )
        state.host = environ.get("HTTP_HOST", "")[:512]
        state.user_agent = environ.get("HTTP_USER_AGENT", "")
        state.referrer = environ.get("HTTP_REFERER", "")
        state.remote_ip = (environ.get("REMOTE_ADDR", "") or "")[:64]
        length = environ.get("CONTENT_LENGTH")
        if length and length.isdigit() and len(length) < 16:
            state.request_bytes = int(length)
        return state


def _decoded(path: str) -> str:
    """Return a path as people read it; WSGI hands over its bytes in the disguise of Latin-1."""
    try:
        return path.encode("latin-1").decode("utf-8") if not path.isascii() else path
    except UnicodeError:
        return quote(path, safe="/%")


class _Ending:
    """Knows when and how a response has ended."""

    __slots__ = ("_expected_bytes", "_has_body", "_observer", "state")

    def __init__(self, observer: Observer, state: RequestState) -> None:
        self._observer = observer
        self.state = state
        self._expected_bytes = -1
        self._has_body = True

    def response_began(self, status: str, headers: Iterable[tuple[str, str]]) -> None:
        """Note the status, and how long the body will be."""
        state = self.state
        code = status[:3]
        state.status = int(code) if code.isdigit() else 500
        self._has_body = state.method != "HEAD" and state.status not in {204, 304}
        for name, value in headers:
            if name.lower() == "content-length" and value.isdigit():
                self._expected_bytes = int(value)
        state.locate()
        if not state.trace_id:
            self._observer.adopt(state)

    def complete(self) -> None:
        """The server has taken the whole body."""
        state = self.state
        self._observer.body_sent(state)
        if not state.is_finished or state.error is not None:
            self._observer.finish(state)

    def closed(self) -> None:
        """The server wants no more of the body, whether it has had all of it or not."""
        state = self.state
        if not state.is_finished:
            is_whole = not self._has_body or 0 <= self._expected_bytes <= state.response_bytes
            # A server that could not write closes the body while that error is under way.
            has_left = isinstance(sys.exc_info()[1], ConnectionError)
            state.is_disconnected = state.is_disconnected or has_left or not is_whole
            if is_whole and not has_left:
                self._observer.body_sent(state)
        if not state.is_finished or state.error is not None:
            self._observer.finish(state)

    def failed(self, error: BaseException) -> None:
        """The body raised."""
        self._observer.finish(self.state, error)


def _observed(body: Iterable[bytes], environ: Environ, ending: _Ending, run: Run) -> Iterable[bytes]:
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        # The server sends the file by itself, which it only does for its own kind of object.
        return _watch_file(body, ending, run)
    return _Body(body, ending, run)


def _watch_file(body: Any, ending: _Ending, run: Run) -> Iterable[bytes]:
    close = getattr(body, "close", None)

    def observed_close() -> None:
        try:
            if close is not None:
                run(close)
        finally:
            run(ending.closed if isinstance(sys.exc_info()[1], ConnectionError) else ending.complete)

    body.close = observed_close
    return body  # type: ignore[no-any-return]


def _pieces(body: Iterable[bytes], ending: _Ending, run: Run) -> Iterator[bytes]:
    state = ending.state
    try:
        make = run(iter, body).__next__
        while True:
            piece = run(make)
            state.response_bytes += len(piece)
            yield piece
    except StopIteration:
        pass  # what comes then is not to look as if it came of this
    except GeneratorExit:  # the server has let go of it; `close` tells how the request ends
        raise
    except BaseException as error:
        run(ending.failed, error)
        raise
    run(ending.complete)


class _Body:
    """The response's body; each piece is made inside the request's context."""

    __slots__ = ("_body", "_ending", "_pieces", "_run")

    def __init__(self, body: Iterable[bytes], ending: _Ending, run: Run) -> None:
        self._body = body
        self._ending = ending
        self._run = run
        self._pieces = _pieces(body, ending, run)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Close the app's body, and end the request if it has not ended."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._run(close)
        except BaseException as error:
            self._run(self._ending.failed, error)
            raise
        finally:
            self._run(self._ending.closed)
