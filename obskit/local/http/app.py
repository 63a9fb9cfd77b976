"""All HTTP services of the local backend behind one door."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from obskit.local.http.context import BackendContext
from obskit.local.http.google import google_routes
from obskit.local.http.live import LiveFeed
from obskit.local.http.otlp import otlp_routes
from obskit.local.http.pages import page_routes
from obskit.local.http.prometheus import prometheus_routes
from obskit.local.http.replies import HANDLERS, ApiError, on_api_error
from obskit.local.http.security import SecurityMiddleware
from obskit.local.http.states import state_routes
from obskit.local.http.ui import ui_routes

__all__ = ["build_app"]


def build_app(backend: BackendContext, feed: LiveFeed) -> ASGIApp:
    """Return the application that serves a backend.

    Args:
        backend: its parts.
        feed: tells pages what has changed.
    """
    routes = [
        *ui_routes(),
        *state_routes(),
        *feed.routes(),
        *prometheus_routes(),
        *google_routes(),
        *otlp_routes(),
        *page_routes(),
    ]
    app = Starlette(routes=routes, exception_handlers={**HANDLERS, HTTPException: _on_http_exception})
    app.state.backend = backend
    return SecurityMiddleware(app)


def _on_http_exception(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    reply = on_api_error(request, ApiError(status, f"{request.method} {request.url.path}: {error}"))
    if isinstance(error, HTTPException) and error.headers:
        reply.headers.update(error.headers)
    return reply
