"""Error Reporting: reports taken in, groups and their events given back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from obskit.local.ingest.entries import http_of, location_of
from obskit.local.rpc.failure import invalid, missing
from obskit.local.rpc.paging import page_of
from obskit.local.rpc.times import ms_of, text_of_ms
from obskit.local.store import ErrorEvent, Store
from obskit.local.store.errors import has_stack

__all__ = ["get_group", "list_events", "list_group_stats", "report_error_event", "update_group"]

Answer = Mapping[str, Any]
# Source: enum ErrorStatsService.QueryTimeRange.Period.
_PERIODS_MS = {1: 3_600_000, 2: 21_600_000, 3: 86_400_000, 4: 604_800_000, 5: 2_592_000_000}


def report_error_event(store: Store, request: Any) -> Answer:
    """Take in an error report; without a stack it needs the place that it was reported from."""
    event = json_format.MessageToDict(request.event)
    context = event.get("context") or {}
    service = event.get("serviceContext") or {}
    location = context.get("reportLocation") or {}
    message = str(event.get("message") or "")
    if not message:
        raise invalid("Field event.message is required.")
    if not service.get("service"):
        raise invalid("Field event.service_context.service is required.")
    if not has_stack(message) and not location.get("functionName"):
        raise invalid(
            "Field event.context.report_location.function_name is required for a message without a stack trace."
        )
    has_time = request.event.HasField("event_time")
    store.errors.put(
        ErrorEvent(
            time_ms=store.clock.to_backend_ms(ms_of(request.event.event_time)) if has_time else store.clock.now_ms(),
            stack=message,
            service=str(service["service"]),
            version=str(service.get("version") or ""),
            user=str(context.get("user") or ""),
            http=http_of(context.get("httpRequest") or {}),
            location=location_of(location),
        )
    )
    return {}


def _since_ms(store: Store, request: Any) -> int:
    """Return the beginning of the time range that is asked for; without one it is an hour, as at Google."""
    return store.clock.now_ms() - _PERIODS_MS.get(request.time_range.period, _PERIODS_MS[1])


def list_group_stats(store: Store, request: Any) -> Answer:
    """Return the groups with events in the time range, and their counts."""
    groups = store.errors.groups(service=request.service_filter.service, since_ms=_since_ms(store, request))
    wanted = set(request.group_id)
    found = [
        {
            "group": _group(store, f"{request.project_name}/groups/{group['id']}"),
            "count": str(group["count"]),
            "affectedUsersCount": str(group["affected_users"]),
            "firstSeenTime": text_of_ms(group["first_ms"]),
            "lastSeenTime": text_of_ms(group["last_ms"]),
            "affectedServices": [{"service": group["service"]}],
            "numAffectedServices": 1,
            "representative": {
                "message": f"{group['type']}: {group['message']}" if group["type"] else group["message"]
            },
        }
        for group in groups
        if not wanted or group["id"] in wanted
    ]
    page, token = page_of(found, request.page_size or 20, request.page_token)
    return {"errorGroupStats": list(page), "nextPageToken": token}


def list_events(store: Store, request: Any) -> Answer:
    """Return the events of a group in the time range, newest first."""
    if not request.group_id:
        raise invalid("Field group_id is required.")
    since_ms = _since_ms(store, request)
    events = [each for each in store.errors.events(request.group_id, limit=10_000) if each["time_ms"] >= since_ms]
    page, token = page_of(events, request.page_size or 20, request.page_token)
    return {"errorEvents": [_event(event) for event in page], "nextPageToken": token}


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    http, place = event["http"], event["location"]
    context = {
        "user": event["user"],
        "httpRequest": {
            "method": http.get("method"),
            "url": http.get("url"),
            "userAgent": http.get("user_agent"),
            "referrer": http.get("referrer"),
            "responseStatusCode": http.get("status"),
            "remoteIp": http.get("remote_ip"),
        },
        "reportLocation": {
            "filePath": place.get("file"),
            "lineNumber": place.get("line"),
            "functionName": place.get("function"),
        },
    }
    return {
        "eventTime": text_of_ms(event["time_ms"]),
        "message": event["stack"],
        "serviceContext": {"service": event["service"], "version": event["version"]},
        "context": context,
    }


def _group(store: Store, name: str) -> dict[str, Any]:
    default = {"name": name, "groupId": name.rpartition("/")[2], "resolutionStatus": "OPEN"}
    return store.objects.get(name) or default


def get_group(store: Store, request: Any) -> Answer:
    """Return a group's tracking issues and resolution status."""
    if store.errors.group(request.group_name.rpartition("/")[2]) is None:
        raise missing(request.group_name)
    return _group(store, request.group_name)


def update_group(store: Store, request: Any) -> Answer:
    """Change a group's tracking issues and resolution status."""
    name = request.group.name
    if store.errors.group(name.rpartition("/")[2]) is None:
        raise missing(name)
    document = {**_group(store, name), **json_format.MessageToDict(request.group), "name": name}
    store.objects.put(document)
    return document
