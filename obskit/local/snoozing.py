"""Snoozes: which of them keeps the notifications of an incident back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from obskit.errors import QueryError
from obskit.local.store.objects import ObjectStore
from obskit.queries import filters

__all__ = ["snooze_of", "told_of"]


def snooze_of(objects: ObjectStore, incident: Mapping[str, Any], at_ms: int) -> dict[str, Any] | None:
    """Return the snooze that an incident is under at a moment: its name, display name and end; None without one.

    Args:
        objects: where the snoozes are.
        incident: as it is stored, with its policy's name and the labels of its series.
        at_ms: milliseconds since the epoch.
    """
    for snooze in objects.list("snoozes"):
        criteria = snooze.get("criteria") or {}
        begin_ms, end_ms = (_ms(snooze, key) for key in ("startTime", "endTime"))
        is_about = incident["policy_name"] in (criteria.get("policies") or ())
        if is_about and begin_ms <= at_ms < end_ms and _fits(str(criteria.get("filter") or ""), incident):
            return {"name": snooze["name"], "display_name": snooze.get("displayName", ""), "end_ms": end_ms}
    return None


def told_of(snooze: Mapping[str, Any]) -> str:
    """Return why a notification was kept back."""
    return f'not sent: snoozed by "{snooze["display_name"]}"'


def _ms(snooze: Mapping[str, Any], key: str) -> int:
    return round(datetime.fromisoformat(str(snooze["interval"][key])).timestamp() * 1000)


def _fits(text: str, incident: Mapping[str, Any]) -> bool:
    """Whether a snooze's filter, on labels of resources, fits; the labels of PromQL's series may be either's."""
    if not text:
        return True
    labels = incident.get("labels") or {}
    try:
        return filters.parse(text).matches("", labels, "", labels)
    except QueryError:  # refused when the snooze is made; one that was stored before that silences nothing
        return False
