"""NotificationChannelService."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc

from obskit.local.rpc.documents import existing, json_of, merged, number, refuse, refuse_filters, stamp
from obskit.local.rpc.failure import Refused, missing
from obskit.local.rpc.paging import page_of
from obskit.local.rpc.rules import user_label_faults
from obskit.local.store import Store

__all__ = [
    "create_channel",
    "delete_channel",
    "get_channel",
    "get_channel_descriptor",
    "list_channel_descriptors",
    "list_channels",
    "update_channel",
]

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Type:
    """A type of channel: its name for people, its labels, and which of them it can do without or keeps secret."""

    display_name: str
    labels: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()


# Source: Google's notification channel descriptors.
_TYPES: Final[dict[str, _Type]] = {
    "email": _Type("Email", ("email_address",)),
    "google_chat": _Type("Google Chat", ("space",)),
    "mobile": _Type("Cloud Console (mobile)", ()),
    "pagerduty": _Type("PagerDuty", ("service_key",), secrets=frozenset({"service_key"})),
    "pubsub": _Type("Pub/Sub", ("topic",)),
    "slack": _Type(
        "Slack", ("auth_token", "channel_name", "team"), frozenset({"team"}), secrets=frozenset({"auth_token"})
    ),
    "sms": _Type("SMS", ("number",)),
    "webhook_basicauth": _Type(
        "Webhook with Basic Authentication", ("url", "username", "password"), secrets=frozenset({"password"})
    ),
    "webhook_tokenauth": _Type("Webhook with Token Authentication", ("url",)),
}


def _descriptor(project: str, name: str) -> dict[str, Any]:
    kind = _TYPES[name]
    return {
        "name": f"{project}/notificationChannelDescriptors/{name}",
        "type": name,
        "displayName": kind.display_name,
        "labels": [{"key": label, "valueType": "STRING"} for label in kind.labels],
    }


def list_channel_descriptors(store: Store, request: Any) -> Answer:
    """Return a page of the types that a channel can have."""
    del store
    page, token = page_of(sorted(_TYPES), request.page_size, request.page_token)
    return {"channelDescriptors": [_descriptor(request.name, name) for name in page], "nextPageToken": token}


def get_channel_descriptor(store: Store, request: Any) -> Answer:
    """Return one type."""
    del store
    project, _, name = request.name.partition("/notificationChannelDescriptors/")
    if name not in _TYPES:
        raise missing(request.name)
    return _descriptor(project, name)


def _channel_faults(channel: Mapping[str, Any]) -> list[str]:
    name = channel.get("type", "")
    if name not in _TYPES:
        return [f"Field notification_channel.type had an invalid value of {name!r}."]
    kind, labels = _TYPES[name], channel.get("labels") or {}
    faults = [
        f"Field notification_channel.labels[{key}] is required for {name}."
        for key in kind.labels
        if key not in kind.optional and not labels.get(key)
    ]
    faults += [
        f"Field notification_channel.labels[{key}] is not a label of {name}."
        for key in labels
        if key not in kind.labels
    ]
    return [*faults, *user_label_faults(channel.get("userLabels") or {}, "notification_channel.user_labels")]


def _masked(channel: Mapping[str, Any]) -> dict[str, Any]:
    secret = _TYPES[channel["type"]].secrets
    labels = {key: "*" * 8 if key in secret else value for key, value in (channel.get("labels") or {}).items()}
    return {**channel, "labels": labels}


def create_channel(store: Store, request: Any) -> Answer:
    """Create a notification channel under a new number."""
    channel = json_of(request.notification_channel)
    refuse(_channel_faults(channel))
    document = {
        "enabled": True,
        **channel,
        "name": f"{request.name}/notificationChannels/{number()}",
        "creationRecord": stamp(store),
        "mutationRecords": [stamp(store)],
    }
    store.objects.put(document)
    return _masked(document)


def get_channel(store: Store, request: Any) -> Answer:
    """Return one channel, its secrets masked."""
    return _masked(existing(store, request.name))


def list_channels(store: Store, request: Any) -> Answer:
    """Return a page of a project's channels, their secrets masked."""
    refuse_filters(request)
    found = [_masked(item) for item in store.objects.list("notificationChannels", parent=request.name)]
    page, token = page_of(found, request.page_size, request.page_token)
    return {"notificationChannels": list(page), "nextPageToken": token, "totalSize": len(found)}


def update_channel(store: Store, request: Any) -> Answer:
    """Change the fields of the mask, or everything where it is empty; a masked secret stays as it was."""
    given = json_of(request.notification_channel)
    current = existing(store, request.notification_channel.name)
    document = merged(current, given, request.update_mask)
    labels = dict(document.get("labels") or {})
    for key, value in labels.items():
        if value and set(value) == {"*"}:
            labels[key] = (current.get("labels") or {}).get(key, value)
    document["labels"] = labels
    refuse(_channel_faults(document))
    document["mutationRecords"] = [*(current.get("mutationRecords") or []), stamp(store)][-10:]
    store.objects.put(document)
    return _masked(document)


def delete_channel(store: Store, request: Any) -> Answer:
    """Delete a channel; one that a policy uses only with force, which detaches it."""
    existing(store, request.name)
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
