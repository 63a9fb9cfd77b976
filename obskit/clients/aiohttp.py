"""aiohttp: every client session gets a trace configuration, the library's own way to follow requests."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from obskit.clients.calls import begin
from obskit.clients.patches import is_left_to_opentelemetry, replace

__all__ = ["patch"]

_CALL: Final = "obskit_call"


def patch(library: ModuleType) -> None:
    """Follow every request of the sessions that are made from now on."""
    replace(library.ClientSession, "__init__", lambda original: _init(original, library))


def _init(original: Callable[..., None], library: ModuleType) -> Callable[..., None]:
    def initialise(self: Any, *args: Any, trace_configs: Any = None, **kwargs: Any) -> None:
        configs = [*(trace_configs or ()), _trace_config(library)]
        original(self, *args, trace_configs=configs, **kwargs)

    return initialise


def _trace_config(library: ModuleType) -> Any:
    config = library.TraceConfig()
    config.on_request_start.append(_on_start)
    config.on_request_redirect.append(_on_redirect)
    config.on_request_end.append(_on_end)
    config.on_request_exception.append(_on_exception)
    return config


def _begin(context: Any, method: str, url: str, headers: Any) -> None:
    call = None if is_left_to_opentelemetry("aiohttp") else begin(method, url)
    setattr(context, _CALL, call)
    if call is not None:
        headers.update(call.headers)


async def _on_start(_session: Any, context: Any, params: Any) -> None:
    _begin(context, params.method, str(params.url), params.headers)


async def _on_redirect(_session: Any, context: Any, params: Any) -> None:
    """End this hop and begin the next, whose host may not be allowed to see the trace headers."""
    call = getattr(context, _CALL, None)
    if call is None:
        return
    for name in call.headers:
        params.headers.popall(name, None)
    call.end(status=params.response.status)
    location = params.response.headers.get("Location") or params.response.headers.get("URI") or ""
    _begin(context, params.method, str(params.url.join(type(params.url)(location))), params.headers)


async def _on_end(_session: Any, context: Any, params: Any) -> None:
    call = getattr(context, _CALL, None)
    if call is not None:
        call.end(status=params.response.status)


async def _on_exception(_session: Any, context: Any, params: Any) -> None:
    call = getattr(context, _CALL, None)
    if call is not None:
        call.end(error=params.exception)
