"""Outgoing calls: trace headers, a client span and a duration for httpx, requests, aiohttp and gRPC.

One file a library. Each is patched when the app imports it, or at once where it is imported already; obskit
imports none of them. OpenTelemetry's own instrumentation packages are not used because each pins one exact
version of the SDK; where the app has one of them switched on, obskit leaves that library to it.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Final

from obskit.clients import patches
from obskit.clients.calls import configure
from obskit.config import Config
from obskit.signals import imports

__all__ = ["install", "uninstall"]

_LIBRARIES: Final = {
    "httpx": "obskit.clients.httpx",
    "httpx2": "obskit.clients.httpx",
    "requests": "obskit.clients.requests",
    "aiohttp": "obskit.clients.aiohttp",
    "grpc": "obskit.clients.grpc",
}


def install(config: Config) -> None:
    """Follow the outgoing calls of every library that the app imports, now or later. Safe to call again."""
    configure(config)
    for library, module in _LIBRARIES.items():
        imports.when_imported(library, partial(_patch, module))


def _patch(module: str, library: ModuleType) -> None:
    import_module(module).patch(library)


def uninstall() -> None:
    """Put everything back as it was."""
    imports.forget(*_LIBRARIES)
    patches.undo()
