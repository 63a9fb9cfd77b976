"""Starlette: where the middleware goes, and the template of the route that a request took."""

from __future__ import annotations

import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, Final

from opentelemetry import trace

from obskit.middleware.asgi import MARK_OF_OTHERS, ASGIMiddleware
from obskit.middleware.requests import Observer

__all__ = ["Routes", "install"]

_MARK: Final = "_obskit_middleware"
_MOST_KNOWN: Final = 2000
_MOST_LAYERS: Final = 100


def install(app: Any, observer: Observer) -> None:
    """Observe the app. Again on the same app, only the observer changes.

    The middleware goes around the whole stack, so that it sees what Starlette itself answers to an exception,
    and it does so on this one app: no class is changed, and it works on an app that is serving already.
    """
    marks = vars(app)
    known = marks.get(_MARK)
    if known is not None:
        known.observer = observer
        return
    routes = Routes(app)
    middleware = ASGIMiddleware(
        _not_built,
        observer,
        locate=routes.template,
        marks=marks,
        is_left_to_others=lambda: _is_left_to_opentelemetry(app, middleware),
    )
    marks[_MARK] = middleware
    build = app.build_middleware_stack

    def build_observed() -> ASGIMiddleware:
        middleware.app = build()
        return middleware

    app.build_middleware_stack = build_observed
    if app.middleware_stack is not None:
        middleware.app = app.middleware_stack
        app.middleware_stack = middleware


async def _not_built(_scope: Any, _receive: Any, _send: Any) -> None:
    raise RuntimeError("the app's middleware stack is not built yet")


def _is_left_to_opentelemetry(app: Any, stack: Any) -> bool:
    """Return whether OpenTelemetry's own instrumentation makes this request's server span, around us or inside.

    Its mark on the app alone does not say so: it is there too when the middleware did not find its place.
    """
    if not getattr(app, MARK_OF_OTHERS, False):
        return False
    for _ in range(_MOST_LAYERS):
        if type(stack).__name__ == "OpenTelemetryMiddleware" and type(stack).__module__.startswith("opentelemetry."):
            return True
        stack = getattr(stack, "app", None)
    return trace.get_current_span().is_recording()


class Routes:
    """Finds the templates of an app's routes, through mounts, hosts and included routers.

    Args:
        app: the outermost app.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        # The key has ids, so the objects are kept along with the answer: an id is not given out again.
        self._known: dict[tuple[int, int, str, str], tuple[str, Any, Any]] = {}

    def template(self, scope: MutableMapping[str, Any]) -> str:
        """Return the full template, e.g. ``/api/items/{item_id}``; empty where no route has matched."""
        get = scope.get
        route, endpoint = get("route"), None
        if route is None:
            endpoint = get("endpoint")
            if endpoint is None:
                return "" if "router" in scope else self._not_asked(scope)
        inner = get("fastapi")
        effective = inner.get("effective_route_context") if inner else None
        outer_root, root = get("obskit.root_path", ""), get("root_path", "")
        key = (id(route if route is not None else endpoint), id(effective), outer_root, root)
        known = self._known.get(key)
        if known is None:
            endpoint = get("endpoint")
            known = (self._find(route, endpoint, effective, outer_root, root), (route, endpoint), effective)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = known
        return known[0]

    def _not_asked(self, scope: MutableMapping[str, Any]) -> str:
        """Return the template of a request that never came to the router: a middleware has answered, or has raised."""
        root = scope.get("root_path", "")
        path = scope.get("path", "")
        found = _by_path(self._app.routes, path.removeprefix(root) if root else path, scope.get("method"))
        return root.rstrip("/") + found if found else ""

    def _find(self, route: Any, endpoint: Any, effective: Any, outer_root: str, root: str) -> str:
        prefix, routes = "", self._app.routes
        if root != outer_root and root.startswith(outer_root):
            prefix, routes = _mounted(self._app.routes, root[len(outer_root) :])
        own = _own_template(route, effective)
        if own is None:
            own = _by_endpoint(routes, endpoint)
        if own is None and prefix:
            own = "/{path}"
        if own is None:
            return ""
        if own.endswith("/{path}") and _is_mount(route):  # the mount's own part is in the prefix already
            own = "/{path}"
        return (outer_root.rstrip("/") + prefix + own) or "/"


def _own_template(route: Any, effective: Any) -> str | None:
    if effective is not None and getattr(effective, "original_route", None) is route and route is not None:
        within = getattr(effective, "starlette_route", None) or effective
        found = getattr(within, "path_format", None)
        if isinstance(found, str):
            return found
    found = getattr(route, "path_format", None)
    return found if isinstance(found, str) else None


def _is_mount(route: Any) -> bool:
    mount = getattr(sys.modules.get("starlette.routing"), "Mount", None)
    return mount is not None and isinstance(route, mount)


def _flattened(routes: Iterable[Any]) -> Iterable[Any]:
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route
            continue
        for context in contexts():
            yield getattr(context, "starlette_route", None) or context


def _mounted(routes: Iterable[Any], path: str) -> tuple[str, Iterable[Any]]:
    """Return the template of a mounted path and the routes that are mounted there.

    What no mount explains (an app that hides its own) stays out of the template, so that no path of a client gets in.
    """
    for route in _flattened(routes):
        pattern = getattr(route, "path_regex", None)
        if not _is_mount(route):
            inner = getattr(route, "routes", None)
            if inner and pattern is None:
                found = _mounted(inner, path)
                if found[0]:
                    return found
            continue
        match = pattern.match(f"{path}/") if pattern is not None else None
        if match is None:
            continue
        rest = match.group("path").rstrip("/")
        if not rest:
            return route.path, route.routes or ()
        prefix, innermost = _mounted(route.routes or (), f"/{rest}")
        return route.path + prefix, innermost
    return "", ()


def _by_path(routes: Iterable[Any], path: str, method: str | None) -> str:
    """Find the route that the router would have taken; one for another method will do where there is no better."""
    second = ""
    for route in _flattened(routes):
        pattern = getattr(route, "path_regex", None)
        match = pattern.match(path) if pattern is not None else None
        if match is None:
            continue
        if _is_mount(route):
            return f"{route.path}{_by_path(route.routes or (), '/' + match.group('path'), method) or '/{path}'}"
        methods = getattr(route, "methods", None)
        if not methods or method in methods:
            return str(route.path_format)
        second = second or str(route.path_format)
    return second


def _by_endpoint(routes: Iterable[Any], endpoint: Any) -> str | None:
    """Find the route by what it calls; older Starlette, and some routes of FastAPI, do not say which one they are."""
    if endpoint is None:
        return None
    for route in _flattened(routes):
        if getattr(route, "endpoint", None) is endpoint and isinstance(getattr(route, "path_format", None), str):
            return str(route.path_format)
        if getattr(route, "app", None) is endpoint and _is_mount(route):
            return "/{path}"
    return None
