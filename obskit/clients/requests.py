"""requests: the adapter that sends is patched, so that each hop of a redirect is a request of its own."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from obskit.clients.calls import begin
from obskit.clients.patches import is_left_to_opentelemetry, replace

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Follow every request that a session sends to the network."""
    replace(library.adapters.HTTPAdapter, "send", _send)


def _send(original: Callable[..., Any]) -> Callable[..., Any]:
    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        call = None if is_left_to_opentelemetry("requests") else begin(request.method or "GET", request.url or "")
        if call is None:
            return original(self, request, *args, **kwargs)
        request.headers.update(call.headers)
        try:
            response = original(self, request, *args, **kwargs)
        except BaseException as error:
            call.end(error=error)
            raise
        finally:
            # A redirect copies this request's headers, and may lead to a host that must not see them.
            for name in call.headers:
                request.headers.pop(name, None)
        call.end(status=response.status_code)
        return response

    return send
