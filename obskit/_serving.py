"""Beside `obskit.instrument`: apps of no framework, and what the app adds to the record of each request."""

from __future__ import annotations

from typing import Any, TypeVar

from obskit import _setup
from obskit.errors import Problem
from obskit.middleware import hooks, plain
from obskit.middleware.frameworks import installer_of

__all__ = ["on_request", "on_response", "wrap"]

_App = TypeVar("_App")
_Begin = TypeVar("_Begin", bound=hooks.OnRequest)
_End = TypeVar("_End", bound=hooks.OnResponse)


def wrap(app: _App, **settings: Any) -> _App:
    """Make any ASGI or WSGI app observable, and return the app to serve in its place.

    For what is no FastAPI, Starlette or Flask app: a plain callable, another framework's app, or an app inside
    middleware that has wrapped it. One of these three is instrumented in itself, and returned.

    Args:
        app: an ASGI callable of a scope, a receive and a send, or a WSGI callable of an environment and what starts
            the response.
        settings: as for `instrument`.

    Returns:
        What the server is to serve; `app` itself where it cannot be wrapped, and a warning says why.
    """
    if installer_of(app) is not None:
        _setup.instrument(app, **settings)
        return app
    handle = _setup.instrument(None, **settings)
    observer = _setup.observer()
    if observer is None or not handle.is_enabled:
        return app
    try:
        observed: _App = plain.wrapped(app, observer)
    except ValueError as error:
        _setup.tell(
            Problem(
                place="obskit.wrap()",
                problem=f"{type(app).__module__}.{type(app).__qualname__} cannot be wrapped: it is {error}",
                way_out="Give the callable that the server is to serve",
            )
        )
        return app
    return observed


def on_request(hook: _Begin) -> _Begin:
    """Have `hook` called when a request begins, after its span has, and before the app sees it. Also a decorator.

    Args:
        hook: called with the span, and with the ASGI scope or the WSGI environment of the request. It may set
            attributes, and call `obskit.bind` and `obskit.set_route`. It must not wait; what it raises is logged once.
    """
    hooks.add(hooks.AT_BEGIN, hook)
    _follow()
    return hook


def on_response(hook: _End) -> _End:
    """Have `hook` called when a request has ended, before its span does. Also a decorator.

    Args:
        hook: as for `on_request`; called with the status of the response too: 499 where the client left before there
            was one, 500 where the app raised.
    """
    hooks.add(hooks.AT_END, hook)
    _follow()
    return hook


def _follow() -> None:
    observer = _setup.observer()
    if observer is not None:
        hooks.follow(observer)
