"""Alert policies, notification channels and dashboards: create, read, update, delete."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc
from google.protobuf import json_format

from obskit.local.rpc.failure import Refused, invalid, missing
from obskit.local.rpc.paging import page_of
from obskit.local.rpc.rules import dashboard_faults, policy_faults, user_label_faults
from obskit.local.store import Store

__all__ = [
    "create_channel",
    "create_dashboard",
    "create_policy",
    "delete_channel",
    "delete_dashboard",
    "delete_policy",
    "get_channel",
    "get_dashboard",
    "get_policy",
    "list_channels",
    "list_dashboards",
    "list_policies",
    "update_channel",
    "update_dashboard",
    "update_policy",
]

Answer = Mapping[str, Any]
# Required labels of each type, and which of them are secrets. Source: Google's notification channel descriptors.
_CHANNEL_TYPES: Final[dict[str, tuple[tuple[str, ...], frozenset[str]]]] = {
    "email": (("email_address",), frozenset()),
    "google_chat": (("space",), frozenset()),
    "mobile": ((), frozenset()),
    "pagerduty": (("service_key",), frozenset({"service_key"})),
    "pubsub": (("topic",), frozenset()),
    "slack": (("channel_name", "auth_token"), frozenset({"auth_token"})),
    "sms": (("number",), frozenset()),
    "webhook_basicauth": (("url", "username", "password"), frozenset({"password"})),
    "webhook_tokenauth": (("url",), frozenset()),
}


def _json(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(message)
    return found


def _stamp(store: Store) -> dict[str, str]:
    seconds = store.clock.now_ms() // 1000
    return {"mutateTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)), "mutatedBy": "local"}


def _number() -> str:
    return str(secrets.randbelow(9 * 10**18) + 10**18)


def _found(store: Store, name: str) -> dict[str, Any]:
    document = store.objects.get(name)
    if document is None:
        raise missing(name)
    return document


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        raise invalid(" ".join(faults))


def _merged(current: dict[str, Any], given: Mapping[str, Any], mask: Any) -> dict[str, Any]:
    """Return an object after an update: an empty mask replaces everything."""
    paths = [_camel(path.split(".")[0]) for path in mask.paths]
    if not paths:
        kept: dict[str, Any] = {key: current[key] for key in ("name", "creationRecord") if key in current}
        return {**given, **kept}
    merged = dict(current)
    for path in paths:
        merged.pop(path, None)
        if path in given:
            merged[path] = given[path]
    return merged


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


# --------------------------------------------------------------------------- alert policies


def create_policy(store: Store, request: Any) -> Answer:
    """Create an alert policy under a new number."""
    policy = _json(request.alert_policy)
    _refuse(policy_faults(policy))
    name = f"{request.name}/alertPolicies/{_number()}"
    document = {
        "enabled": True,
        **policy,
        "name": name,
        "conditions": _named_conditions(name, policy["conditions"]),
        "creationRecord": _stamp(store),
        "mutationRecord": _stamp(store),
    }
    _refuse_unknown_channels(store, document)
    store.objects.put(document)
    return document


def _named_conditions(name: str, conditions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**item, "name": item.get("name") or f"{name}/conditions/{_number()}"} for item in conditions]


def _refuse_unknown_channels(store: Store, policy: Mapping[str, Any]) -> None:
    for channel in policy.get("notificationChannels") or ():
        if store.objects.get(channel) is None:
            raise missing(f"Notification channel {channel}")


def get_policy(store: Store, request: Any) -> Answer:
    """Return one policy."""
    return _found(store, request.name)


def list_policies(store: Store, request: Any) -> Answer:
    """Return a page of a project's policies."""
    _refuse_filters(request)
    found = store.objects.list("alertPolicies", parent=request.name)
    page, token = page_of(found, request.page_size, request.page_token)
    return {"alertPolicies": list(page), "nextPageToken": token, "totalSize": len(found)}


def _refuse_filters(request: Any) -> None:
    if request.filter or request.order_by:
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, "The local backend does not filter or order lists.")


def update_policy(store: Store, request: Any) -> Answer:
    """Change the fields of the mask, or everything where it is empty; conditions without a name are new ones."""
    given = _json(request.alert_policy)
    current = _found(store, request.alert_policy.name)
    document = _merged(current, given, request.update_mask)
    _refuse(policy_faults(document))
    known = {item["name"] for item in current["conditions"]}
    unknown = [item["name"] for item in document["conditions"] if item.get("name") and item["name"] not in known]
    if unknown:
        raise invalid(f"Condition {unknown[0]} does not belong to the policy.")
    document["conditions"] = _named_conditions(current["name"], document["conditions"])
    _refuse_unknown_channels(store, document)
    document.setdefault("enabled", True)
    document["mutationRecord"] = _stamp(store)
    store.objects.put(document)
    return document


def delete_policy(store: Store, request: Any) -> Answer:
    """Delete a policy."""
    if not store.objects.delete(request.name):
        raise missing(request.name)
    return {}


# --------------------------------------------------------------------------- notification channels


def _channel_faults(channel: Mapping[str, Any]) -> list[str]:
    kind = channel.get("type", "")
    if kind not in _CHANNEL_TYPES:
        return [f"Field notification_channel.type had an invalid value of {kind!r}."]
    required, _ = _CHANNEL_TYPES[kind]
    labels = channel.get("labels") or {}
    faults = [
        f"Field notification_channel.labels[{key}] is required for {kind}." for key in required if not labels.get(key)
    ]
    return [*faults, *user_label_faults(channel.get("userLabels") or {}, "notification_channel.user_labels")]


def _masked(channel: Mapping[str, Any]) -> dict[str, Any]:
    secret = _CHANNEL_TYPES.get(channel.get("type", ""), ((), frozenset()))[1]
    labels = {key: "*" * 8 if key in secret else value for key, value in (channel.get("labels") or {}).items()}
    return {**channel, "labels": labels}


def create_channel(store: Store, request: Any) -> Answer:
    """Create a notification channel under a new number."""
    channel = _json(request.notification_channel)
    _refuse(_channel_faults(channel))
    document = {
        "enabled": True,
        **channel,
        "name": f"{request.name}/notificationChannels/{_number()}",
        "creationRecord": _stamp(store),
        "mutationRecords": [_stamp(store)],
    }
    store.objects.put(document)
    return _masked(document)


def get_channel(store: Store, request: Any) -> Answer:
    """Return one channel, its secrets masked."""
    return _masked(_found(store, request.name))


def list_channels(store: Store, request: Any) -> Answer:
    """Return a page of a project's channels, their secrets masked."""
    _refuse_filters(request)
    found = [_masked(item) for item in store.objects.list("notificationChannels", parent=request.name)]
    page, token = page_of(found, request.page_size, request.page_token)
    return {"notificationChannels": list(page), "nextPageToken": token, "totalSize": len(found)}


def update_channel(store: Store, request: Any) -> Answer:
    """Change the fields of the mask, or everything where it is empty; a masked secret stays as it was."""
    given = _json(request.notification_channel)
    current = _found(store, request.notification_channel.name)
    document = _merged(current, given, request.update_mask)
    labels = dict(document.get("labels") or {})
    for key, value in labels.items():
        if value and set(value) == {"*"}:
            labels[key] = (current.get("labels") or {}).get(key, value)
    document["labels"] = labels
    _refuse(_channel_faults(document))
    document["mutationRecords"] = [*(current.get("mutationRecords") or []), _stamp(store)][-10:]
    store.objects.put(document)
    return _masked(document)


def delete_channel(store: Store, request: Any) -> Answer:
    """Delete a channel; one that a policy uses only with force, which detaches it."""
    _found(store, request.name)
    users = [
        policy
        for policy in store.objects.list("alertPolicies")
        if request.name in (policy.get("notificationChannels") or ())
    ]
    if users and not request.force:
        raise Refused(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"Notification channel {request.name} is used by {len(users)} alert policies; set force to detach it.",
        )
    for policy in users:
        kept = [name for name in policy["notificationChannels"] if name != request.name]
        store.objects.put({**policy, "notificationChannels": kept})
    store.objects.delete(request.name)
    return {}


# --------------------------------------------------------------------------- dashboards


def create_dashboard(store: Store, request: Any) -> Answer:
    """Create a dashboard, under its own name or a new one; an etag has no place here."""
    dashboard = _json(request.dashboard)
    _refuse(dashboard_faults(dashboard))
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
    return _found(store, request.name)


def list_dashboards(store: Store, request: Any) -> Answer:
    """Return a page of a project's dashboards."""
    found = store.objects.list("dashboards", parent=request.parent)
    page, token = page_of(found, request.page_size, request.page_token)
    return {"dashboards": list(page), "nextPageToken": token}


def update_dashboard(store: Store, request: Any) -> Answer:
    """Replace a dashboard; with an etag only if nobody has changed it since."""
    dashboard = _json(request.dashboard)
    current = _found(store, request.dashboard.name)
    _refuse(dashboard_faults(dashboard))
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
