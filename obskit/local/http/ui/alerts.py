"""Policies, incidents and the inbox."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from obskit.local.http.context import BackendContext, backend_of
from obskit.local.http.replies import ApiError, JsonReply, Parameters

__all__ = ["incident", "incidents", "incidents_with_notifications", "notifications", "policies"]


def policies(request: Request) -> Response:
    """Answer ``GET /api/policies``."""
    return JsonReply({"policies": backend_of(request).evaluator.statuses()})


def incidents(request: Request) -> Response:
    """Answer ``GET /api/incidents[?state=open|closed]``."""
    state = Parameters.of(request).text("state")
    if state not in {"", "open", "closed"}:
        raise ApiError(400, f"state {state!r} is not open or closed")
    return JsonReply({"incidents": incidents_with_notifications(backend_of(request), state=state)})


def incident(request: Request) -> Response:
    """Answer ``GET /api/incidents/{id}``."""
    store = backend_of(request).store
    found = store.incidents.get(request.path_params["id"])
    if found is None:
        raise ApiError(404, f"no incident {request.path_params['id']!r}")
    return JsonReply({**found, "notifications": store.notifications.list(incident_id=found["id"])})


def notifications(request: Request) -> Response:
    """Answer ``GET /api/notifications``."""
    return JsonReply({"notifications": backend_of(request).store.notifications.list()})


def incidents_with_notifications(backend: BackendContext, *, state: str = "") -> list[Mapping[str, Any]]:
    """Return incidents, open ones first, each with what was sent about it."""
    sent = defaultdict(list)
    for notification in backend.store.notifications.list(limit=10_000):
        sent[notification["incident_id"]].append(notification)
    return [{**row, "notifications": sent[row["id"]]} for row in backend.store.incidents.list(state=state)]
