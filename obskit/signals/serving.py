"""The attributes of a server span, from what is known of its request. Source: OpenTelemetry's HTTP conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from obskit.signals.context import RequestState
    from obskit.signals.shown import Shown

__all__ = ["METHODS", "end_attributes", "start_attributes"]

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""The methods that are shown; all others are ``_OTHER``."""

_MOST_CHARS: Final = 512


def start_attributes(state: RequestState, protocol: str, shown: Shown) -> dict[str, Any]:
    """Return what is known when a request begins, without its secrets.

    Args:
        state: of the request.
        protocol: the version of HTTP, e.g. ``1.1``, or ``websocket``.
        shown: takes secrets out.
    """
    method = state.method
    attributes: dict[str, Any] = {
        "http.request.method": method if method in METHODS else "_OTHER",
        "url.scheme": state.scheme,
        "url.path": shown.path(state.path.partition("?")[0]),
    }
    if state.query:
        attributes["url.query"] = shown.query(state.query)
    if state.host:
        name, colon, port = state.host.rpartition(":")
        has_port = bool(colon) and port.isdigit()
        attributes["server.address"] = (name if has_port else state.host)[:_MOST_CHARS]
        if has_port:
            attributes["server.port"] = int(port[:5])
    if state.remote_ip:
        attributes["client.address"] = state.remote_ip
    if state.user_agent:
        attributes["user_agent.original"] = shown.agent(state.user_agent)
    if protocol == "websocket":
        attributes["network.protocol.name"] = protocol
    elif protocol:
        attributes["network.protocol.version"] = protocol
    if method not in METHODS:
        attributes["http.request.method_original"] = method[:64]
    return attributes


def end_attributes(state: RequestState, kind: str, attributes: dict[str, Any]) -> str:
    """Add what is known when a request has ended, and return the span's name.

    Args:
        state: of the request.
        kind: `error.type`, empty on success.
        attributes: to add to.
    """
    name = state.method if state.method in METHODS else "HTTP"
    attributes["http.response.status_code"] = state.status
    if route := state.route:
        attributes["http.route"] = route
        name = f"{name} {route}"
    if kind:
        attributes["error.type"] = kind
    return name
