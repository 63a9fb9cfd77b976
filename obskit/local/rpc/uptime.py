"""UptimeCheckService."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import grpc

from obskit.local.rpc.conditions import seconds_of
from obskit.local.rpc.documents import existing, json_of, merged, number, refuse
from obskit.local.rpc.failure import Refused, invalid
from obskit.local.rpc.paging import page_of
from obskit.local.rpc.rules import user_label_faults
from obskit.local.store import Store

__all__ = ["create_check", "delete_check", "get_check", "list_checks", "update_check"]

Answer = Mapping[str, Any]
_PERIODS_S: Final = (60, 300, 600, 900)
_RESOURCES: Final = ("monitoredResource", "resourceGroup", "syntheticMonitor")
_STARS: Final = "******"


def _faults(check: Mapping[str, Any]) -> Iterator[str]:
    if not 1 <= len(check.get("displayName") or "") <= 512:
        yield "Field uptime_check_config.display_name must have 1 to 512 characters."
    if sum(field in check for field in _RESOURCES) != 1:
        yield "Field uptime_check_config.resource must be set to exactly one resource."
    if "syntheticMonitor" not in check and ("httpCheck" in check) == ("tcpCheck" in check):
        yield "Field uptime_check_config.check_request_type must be set to exactly one of http_check and tcp_check."
    if seconds_of(check.get("period") or "60s") not in _PERIODS_S:
        yield "Field uptime_check_config.period must be 60s, 300s, 600s or 900s."
    if not 1 <= seconds_of(check.get("timeout") or "0s") <= 60:
        yield "Field uptime_check_config.timeout must be from 1 to 60 seconds."
    if "tcpCheck" in check and not 1 <= int(check["tcpCheck"].get("port") or 0) <= 65_535:
        yield "Field uptime_check_config.tcp_check.port must be from 1 to 65535."
    resource = check.get("monitoredResource") or {}
    if resource.get("type") == "uptime_url" and not (resource.get("labels") or {}).get("host"):
        yield "Field uptime_check_config.monitored_resource.labels[host] is required."
    regions = check.get("selectedRegions") or ()
    if regions and sum(3 if region == "USA" else 1 for region in set(regions)) < 3:
        yield "Field uptime_check_config.selected_regions must have at least 3 locations."
    yield from user_label_faults(check.get("userLabels") or {}, "uptime_check_config.user_labels")


def _filled(store: Store, check: Mapping[str, Any]) -> dict[str, Any]:
    """Return a check with what the server fills in."""
    found = {"period": "60s", **check}
    if "httpCheck" in found:
        http = dict(found["httpCheck"])
        found["httpCheck"] = {"path": "/", "port": 443 if http.get("useSsl") else 80, "requestMethod": "GET", **http}
        found.setdefault("checkerType", "STATIC_IP_CHECKERS")
    if "monitoredResource" in found:
        resource = found["monitoredResource"]
        found["monitoredResource"] = {
            **resource,
            "labels": {"project_id": store.project, **(resource.get("labels") or {})},
        }
    return found


def _masked(check: Mapping[str, Any]) -> dict[str, Any]:
    http = dict(check.get("httpCheck") or {})
    if "authInfo" in http:
        http["authInfo"] = {**http["authInfo"], **({"password": _STARS} if http["authInfo"].get("password") else {})}
    if http.get("maskHeaders"):
        http["headers"] = dict.fromkeys(http.get("headers") or {}, _STARS)
    return {**check, "httpCheck": http} if http else dict(check)


def _unmasked(document: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Return a check whose masked secrets are those that it had."""
    http, before = dict(document.get("httpCheck") or {}), current.get("httpCheck") or {}
    if (http.get("authInfo") or {}).get("password") == _STARS:
        http["authInfo"] = {**http["authInfo"], "password": (before.get("authInfo") or {}).get("password", "")}
    if http.get("headers"):
        known = before.get("headers") or {}
        http["headers"] = {key: known.get(key, "") if text == _STARS else text for key, text in http["headers"].items()}
    return {**document, "httpCheck": http} if http else dict(document)


def create_check(store: Store, request: Any) -> Answer:
    """Create an uptime check under a name that begins like its display name."""
    check = json_of(request.uptime_check_config)
    refuse(list(_faults(check)))
    plain = re.sub(r"[^a-z0-9]+", "-", check["displayName"].lower()).strip("-")[:40]
    document = {**_filled(store, check), "name": f"{request.parent}/uptimeCheckConfigs/{plain}-{number()[:11]}"}
    store.objects.put(document)
    return _masked(document)


def get_check(store: Store, request: Any) -> Answer:
    """Return one check, its secrets masked."""
    return _masked(existing(store, request.name))


def list_checks(store: Store, request: Any) -> Answer:
    """Return a page of a project's checks, their secrets masked."""
    if request.filter:
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, "The local backend does not filter lists of uptime checks.")
    found = [_masked(each) for each in store.objects.list("uptimeCheckConfigs", parent=request.parent)]
    page, token = page_of(found, request.page_size, request.page_token)
    return {"uptimeCheckConfigs": list(page), "nextPageToken": token, "totalSize": len(found)}


def update_check(store: Store, request: Any) -> Answer:
    """Change the fields of the mask, or everything where it is empty; never what is checked."""
    given = json_of(request.uptime_check_config)
    current = existing(store, request.uptime_check_config.name)
    document = _filled(store, _unmasked(merged(current, given, request.update_mask), current))
    refuse(list(_faults(document)))
    for field in _RESOURCES:
        if document.get(field) != current.get(field):
            raise invalid(f"Field uptime_check_config.{field} cannot change.")
    store.objects.put(document)
    return _masked(document)


def delete_check(store: Store, request: Any) -> Answer:
    """Delete a check; not one that a policy is about."""
    existing(store, request.name)
    identity = request.name.rpartition("/")[2]
    users = [each for each in store.objects.list("alertPolicies") if f'"{identity}"' in str(each.get("conditions"))]
    if users:
        message = f"Uptime check {request.name} is referenced by {len(users)} alert policies."
        raise Refused(grpc.StatusCode.FAILED_PRECONDITION, message)
    store.objects.delete(request.name)
    return {}
