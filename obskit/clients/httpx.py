"""httpx, and httpx2, which has the same transports under another name (google-genai uses it).

The transports are patched rather than the clients: each hop of a redirect is a request of its own, and what
never reaches the network (a test client's in-process transport) makes no span.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from obskit.clients.calls import HttpCall, begin
from obskit.clients.patches import is_left_to_opentelemetry, replace

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Follow every request that goes through the library's network transports."""
    is_httpx = library.__name__ == "httpx"
    replace(library.HTTPTransport, "handle_request", lambda original: _sync(original, is_httpx=is_httpx))
    replace(library.AsyncHTTPTransport, "handle_async_request", lambda original: _async(original, is_httpx=is_httpx))


def _begin(request: Any, *, is_httpx: bool) -> HttpCall | None:
    if is_httpx and is_left_to_opentelemetry("httpx"):
        return None
    call = begin(request.method, str(request.url))
    if call is not None:
        request.headers.update(call.headers)
    return call


def _forget_headers(request: Any, call: HttpCall) -> None:
    # A redirect is built from this request's headers, and may lead to a host that must not see them.
    for name, value in call.headers.items():
        if request.headers.get(name) == value:
            del request.headers[name]


def _sync(original: Callable[..., Any], *, is_httpx: bool) -> Callable[..., Any]:
    def handle_request(self: Any, request: Any) -> Any:
        call = _begin(request, is_httpx=is_httpx)
        if call is None:
            return original(self, request)
        try:
            response = original(self, request)
        except BaseException as error:
            call.end(error=error)
            raise
        finally:
            _forget_headers(request, call)
        call.end(status=response.status_code)
        return response

    return handle_request


def _async(original: Callable[..., Awaitable[Any]], *, is_httpx: bool) -> Callable[..., Awaitable[Any]]:
    async def handle_async_request(self: Any, request: Any) -> Any:
        call = _begin(request, is_httpx=is_httpx)
        if call is None:
            return await original(self, request)
        try:
            response = await original(self, request)
        except BaseException as error:
            call.end(error=error)
            raise
        finally:
            _forget_headers(request, call)
        call.end(status=response.status_code)
        return response

    return handle_async_request
