"""AlertPolicyService."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from obskit.local.rpc.documents import existing, json_of, merged, number, refuse, refuse_filters, stamp
from obskit.local.rpc.failure import invalid, missing
from obskit.local.rpc.paging import page_of
from obskit.local.rpc.rules import policy_faults
from obskit.local.store import Store

__all__ = ["create_policy", "delete_policy", "get_policy", "list_policies", "update_policy"]

Answer = Mapping[str, Any]


def create_policy(store: Store, request: Any) -> Answer:
    """Create an alert policy under a new number."""
    policy = json_of(request.alert_policy)
    refuse(policy_faults(policy, store.metrics.descriptors))
    if any(item.get("name") for item in policy["conditions"]):
        raise invalid("Field alert_policy.conditions[].name must not be set on create.")
    name = f"{request.name}/alertPolicies/{number()}"
    document = {
        "enabled": True,
        **policy,
        "name": name,
        "conditions": _named_conditions(name, policy["conditions"]),
        "creationRecord": stamp(store),
        "mutationRecord": stamp(store),
    }
    _refuse_unknown_channels(store, document)
    store.objects.put(document)
    return document


def _named_conditions(name: str, conditions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": f"{name}/conditions/{number()}", **item} for item in conditions]


def _refuse_unknown_channels(store: Store, policy: Mapping[str, Any]) -> None:
    for channel in policy.get("notificationChannels") or ():
        if store.objects.get(channel) is None:
            raise missing(f"Notification channel {channel}")


def get_policy(store: Store, request: Any) -> Answer:
    """Return one policy."""
    return existing(store, request.name)


def list_policies(store: Store, request: Any) -> Answer:
    """Return a page of a project's policies."""
    refuse_filters(request)
    found = store.objects.list("alertPolicies", parent=request.name)
    page, token = page_of(found, request.page_size, request.page_token)
    return {"alertPolicies": list(page), "nextPageToken": token, "totalSize": len(found)}


def update_policy(store: Store, request: Any) -> Answer:
    """Change the fields of the mask, or everything where it is empty; conditions without a name are new ones."""
    given = json_of(request.alert_policy)
    current = existing(store, request.alert_policy.name)
    document = merged(current, given, request.update_mask)
    refuse(policy_faults(document, store.metrics.descriptors))
    known = {item["name"] for item in current["conditions"]}
    unknown = [item["name"] for item in document["conditions"] if item.get("name") and item["name"] not in known]
    if unknown:
        raise invalid(f"Condition {unknown[0]} does not belong to the policy.")
    document["conditions"] = _named_conditions(current["name"], document["conditions"])
    _refuse_unknown_channels(store, document)
    document.setdefault("enabled", True)
    document["mutationRecord"] = stamp(store)
    store.objects.put(document)
    return document


def delete_policy(store: Store, request: Any) -> Answer:
    """Delete a policy."""
    if not store.objects.delete(request.name):
        raise missing(request.name)
    return {}
