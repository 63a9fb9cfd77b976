"""ServiceMonitoringService: services and their objectives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import grpc

from obskit.local.rpc.conditions import seconds_of
from obskit.local.rpc.documents import existing, json_of, merged, number, refuse
from obskit.local.rpc.failure import Refused, missing
from obskit.local.rpc.paging import page_of
from obskit.local.rpc.rules import user_label_faults
from obskit.local.store import Store

__all__ = [
    "create_objective",
    "create_service",
    "delete_objective",
    "delete_service",
    "get_objective",
    "get_service",
    "list_objectives",
    "list_services",
    "update_objective",
    "update_service",
]

Answer = Mapping[str, Any]
_ID: Final = re.compile(r"[a-zA-Z0-9\-_:.]{1,63}")
_DAY_S: Final = 86_400


def _kept(store: Store, document: Mapping[str, Any]) -> Answer:
    store.objects.put(document)
    return document


def _new_name(store: Store, collection: str, identity: str) -> str:
    wanted = identity or number()
    if not _ID.fullmatch(wanted):
        refuse([f"The id {wanted!r} is not valid."])
    name = f"{collection}/{wanted}"
    if store.objects.get(name) is not None:
        raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"{name} already exists.")
    return name


def _service_faults(service: Mapping[str, Any]) -> Iterator[str]:
    if len(service.get("displayName") or "") > 512:
        yield "Field service.display_name must have at most 512 characters."
    yield from user_label_faults(service.get("userLabels") or {}, "service.user_labels")


def create_service(store: Store, request: Any) -> Answer:
    """Create a service, under its own id or a new one."""
    service = json_of(request.service)
    refuse(list(_service_faults(service)))
    return _kept(store, {**service, "name": _new_name(store, f"{request.parent}/services", request.service_id)})


def get_service(store: Store, request: Any) -> Answer:
    """Return one service."""
    return existing(store, request.name)


def list_services(store: Store, request: Any) -> Answer:
    """Return a page of a project's services."""
    _refuse_filter(request)
    page, token = page_of(store.objects.list("services", parent=request.parent), request.page_size, request.page_token)
    return {"services": list(page), "nextPageToken": token}


def update_service(store: Store, request: Any) -> Answer:
    """Change the fields of the mask, or everything where it is empty."""
    current = existing(store, request.service.name)
    document = merged(current, json_of(request.service), request.update_mask)
    refuse(list(_service_faults(document)))
    return _kept(store, document)


def delete_service(store: Store, request: Any) -> Answer:
    """Delete a service and its objectives."""
    existing(store, request.name)
    for each in store.objects.list("serviceLevelObjectives", parent=request.name):
        store.objects.delete(each["name"])
    store.objects.delete(request.name)
    return {}


def _objective_faults(objective: Mapping[str, Any]) -> Iterator[str]:
    if not 0 < float(objective.get("goal") or 0) <= 0.9999:
        yield "Field service_level_objective.goal must be in (0, 0.9999]."
    if not objective.get("serviceLevelIndicator"):
        yield "Field service_level_objective.service_level_indicator is required."
    rolling = objective.get("rollingPeriod")
    if (rolling is None) == ("calendarPeriod" not in objective):
        yield "Field service_level_objective.period must be either rolling_period or calendar_period."
    if rolling is not None:
        seconds = seconds_of(rolling)
        if seconds % _DAY_S or not _DAY_S <= seconds <= 30 * _DAY_S:
            yield "Field service_level_objective.rolling_period must be 1 to 30 whole days."
    yield from user_label_faults(objective.get("userLabels") or {}, "service_level_objective.user_labels")


def create_objective(store: Store, request: Any) -> Answer:
    """Create an objective of a service, under its own id or a new one."""
    if store.objects.get(request.parent) is None:
        raise missing(request.parent)
    objective = json_of(request.service_level_objective)
    refuse(list(_objective_faults(objective)))
    collection = f"{request.parent}/serviceLevelObjectives"
    return _kept(store, {**objective, "name": _new_name(store, collection, request.service_level_objective_id)})


def get_objective(store: Store, request: Any) -> Answer:
    """Return one objective."""
    return existing(store, request.name)


def list_objectives(store: Store, request: Any) -> Answer:
    """Return a page of the objectives of a service, or of all services of a project where it is named ``-``."""
    _refuse_filter(request)
    parent = request.parent
    if parent.endswith("/services/-"):
        parent = parent.removesuffix("/-").replace("workspaces/", "projects/")
    elif store.objects.get(parent) is None:
        raise missing(parent)
    found = store.objects.list("serviceLevelObjectives", parent=parent)
    page, token = page_of(found, request.page_size, request.page_token)
    return {"serviceLevelObjectives": list(page), "nextPageToken": token}


def update_objective(store: Store, request: Any) -> Answer:
    """Change the fields of the mask, or everything where it is empty."""
    current = existing(store, request.service_level_objective.name)
    document = merged(current, json_of(request.service_level_objective), request.update_mask)
    refuse(list(_objective_faults(document)))
    return _kept(store, document)


def delete_objective(store: Store, request: Any) -> Answer:
    """Delete an objective."""
    if not store.objects.delete(request.name):
        raise missing(request.name)
    return {}


def _refuse_filter(request: Any) -> None:
    if request.filter:
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, "The local backend does not filter lists of services.")
