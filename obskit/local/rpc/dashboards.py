"""DashboardsService."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import Any

import grpc

from obskit.local.rpc.documents import existing, json_of, refuse
from obskit.local.rpc.failure import Refused, invalid, missing
from obskit.local.rpc.paging import page_of
from obskit.local.rpc.rules import dashboard_faults
from obskit.local.store import Store

__all__ = ["create_dashboard", "delete_dashboard", "get_dashboard", "list_dashboards", "update_dashboard"]

Answer = Mapping[str, Any]


def create_dashboard(store: Store, request: Any) -> Answer:
    """Create a dashboard, under its own name or a new one; an etag has no place here."""
    dashboard = json_of(request.dashboard)
    refuse(dashboard_faults(dashboard))
    if dashboard.get("etag"):
        raise invalid("Field dashboard.etag must not be set on create.")
    name = dashboard.get("name") or f"{request.parent}/dashboards/{uuid.uuid4()}"
    if store.objects.get(name) is not None:
        raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"{name} already exists.")
    document = {**dashboard, "name": name, "etag": secrets.token_hex(16)}
    if not request.validate_only:
        store.objects.put(document)
    return document


def get_dashboard(store: Store, request: Any) -> Answer:
    """Return one dashboard."""
    return existing(store, request.name)


def list_dashboards(store: Store, request: Any) -> Answer:
    """Return a page of a project's dashboards."""
    found = store.objects.list("dashboards", parent=request.parent)
    page, token = page_of(found, request.page_size, request.page_token)
    return {"dashboards": list(page), "nextPageToken": token}


def update_dashboard(store: Store, request: Any) -> Answer:
    """Replace a dashboard; with an etag only if nobody has changed it since."""
    dashboard = json_of(request.dashboard)
    current = existing(store, request.dashboard.name)
    refuse(dashboard_faults(dashboard))
    if dashboard.get("etag") and dashboard["etag"] != current.get("etag"):
        raise Refused(grpc.StatusCode.ABORTED, f"The etag of {current['name']} is not the current one.")
    document = {**dashboard, "name": current["name"], "etag": secrets.token_hex(16)}
    if not request.validate_only:
        store.objects.put(document)
    return document


def delete_dashboard(store: Store, request: Any) -> Answer:
    """Delete a dashboard."""
    if not store.objects.delete(request.name):
        raise missing(request.name)
    return {}
