"""FastAPI: as Starlette, and its own telemetry makes way for this app's requests."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from obskit.middleware import starlette
from obskit.middleware.requests import Observer

__all__ = ["install"]


def install(app: Any, observer: Observer) -> None:
    """Observe the app. Again on the same app, only the observer changes."""
    # From 0.142 on FastAPI makes a server span and a duration of its own as soon as there are providers, before
    # the middleware stack is reached. These are its documented switches, `FastAPI(telemetry={…})`.
    settings = vars(app).get("_telemetry")
    if isinstance(settings, MutableMapping):
        settings.update({"tracing": False, "metrics": False, "logs": False})
    starlette.install(app, observer)
