"""Replacing an attribute of someone else's class, once, and putting it back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

__all__ = ["is_left_to_opentelemetry", "replace", "undo"]

_done: Final[list[tuple[Any, str, Any, Any]]] = []
_INSTRUMENTORS: Final = {
    "httpx": ("opentelemetry.instrumentation.httpx", "HTTPXClientInstrumentor"),
    "requests": ("opentelemetry.instrumentation.requests", "RequestsInstrumentor"),
    "aiohttp": ("opentelemetry.instrumentation.aiohttp_client", "AioHttpClientInstrumentor"),
    "grpc": ("opentelemetry.instrumentation.grpc", "GrpcInstrumentorClient"),
}


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace ``owner.name`` by ``make(original)``, unless that has been done; nothing happens where it is missing."""
    original = getattr(owner, name, None)
    if original is None or getattr(original, "_obskit_original", None) is not None:
        return
    replacement = wraps(original)(make(original))
    replacement.__dict__["_obskit_original"] = original
    setattr(owner, name, replacement)
    _done.append((owner, name, original, replacement))


def undo() -> None:
    """Put back every original that nobody else has replaced since."""
    while _done:
        owner, name, original, replacement = _done.pop()
        if getattr(owner, name, None) is replacement:
            setattr(owner, name, original)


def is_left_to_opentelemetry(library: str) -> bool:
    """Return whether OpenTelemetry's own instrumentation of the library is switched on in this process."""
    module, name = _INSTRUMENTORS[library]
    instrumentor = getattr(sys.modules.get(module), name, None)
    instance = getattr(instrumentor, "_instance", None)
    return bool(getattr(instance, "is_instrumented_by_opentelemetry", False))
