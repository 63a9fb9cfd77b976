"""Apps that are plain ASGI or WSGI callables: which of the two it is, and the route where somebody inside knows it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from obskit.middleware.asgi import ASGIMiddleware
from obskit.middleware.requests import Observer
from obskit.middleware.starlette import Routes
from obskit.middleware.wsgi import WSGIMiddleware

__all__ = ["interface", "wrapped"]

_MOST_LAYERS: Final = 100
_PLACES: Final = {3: "asgi", 2: "wsgi"}
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def interface(app: object) -> str:
    """Return ``asgi`` or ``wsgi``; empty where the object is neither, or does not show which.

    A coroutine function of three arguments is an ASGI app; otherwise three required arguments make an ASGI app (which
    returns something to await), two a WSGI app. That goes for `__call__` of objects too.
    """
    if not callable(app) or isinstance(app, type):
        return ""
    called: Any = app
    while isinstance(called, functools.partial):
        called = called.func
    if not (inspect.isfunction(called) or inspect.ismethod(called)):
        called = type(called).__call__.__get__(called)
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):  # of C, and it does not tell
        return ""
    places = [each for each in parameters if each.kind in _POSITIONAL and each.default is each.empty]
    found = _PLACES.get(len(places), "")
    return "" if found == "wsgi" and inspect.iscoroutinefunction(called) else found


def wrapped(app: Any, observer: Observer) -> Any:
    """Return the app with its requests observed; an app that is so already is returned itself.

    Args:
        app: an ASGI or WSGI callable.
        observer: of this process.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(app, ASGIMiddleware | WSGIMiddleware):
        app.observer = observer
        return app
    kind = interface(app)
    if kind == "asgi":
        return ASGIMiddleware(app, observer, locate=_asgi_route(app))
    if kind == "wsgi":
        return WSGIMiddleware(app, observer, locate=_wsgi_route)
    raise ValueError("neither an ASGI callable (scope, receive, send) nor a WSGI callable (environ, start_response)")


def _asgi_route(app: Any) -> Callable[[MutableMapping[str, Any]], str]:
    """Return what tells the route: of Starlette's and FastAPI's apps inside other middleware."""
    inner = app
    for _ in range(_MOST_LAYERS):
        if inner is None or hasattr(inner, "routes"):
            break
        inner = getattr(inner, "app", None)
    return Routes(inner).template if getattr(inner, "routes", None) is not None else _no_route


def _no_route(_scope: MutableMapping[str, Any]) -> str:
    return ""


def _wsgi_route(environ: dict[str, Any]) -> str:
    """Return the rule that Flask has found, where it is inside."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return f"{environ.get('SCRIPT_NAME', '')}{rule.rule}" if rule is not None else ""
