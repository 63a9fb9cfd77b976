"""SnoozeService. A snooze cannot be deleted, only ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from obskit.errors import QueryError
from obskit.local.rpc.documents import existing, json_of, merged, number, refuse, refuse_filters
from obskit.local.rpc.failure import invalid, missing
from obskit.local.rpc.paging import page_of
from obskit.local.rpc.times import ms_of
from obskit.local.store import Store
from obskit.queries import filters

__all__ = ["create_snooze", "get_snooze", "list_snoozes", "update_snooze"]

Answer = Mapping[str, Any]
_SKEW_MS: Final = 15_000  # Source: Snooze.interval
_FIELDS: Final = frozenset({"display_name", "interval.start_time", "interval.end_time"})


def _faults(snooze: Mapping[str, Any]) -> Iterator[str]:
    if not 1 <= len(snooze.get("displayName") or "") <= 512:
        yield "Field snooze.display_name must have 1 to 512 characters."
    criteria = snooze.get("criteria") or {}
    count = len(criteria.get("policies") or ())
    if not 1 <= count <= 16:
        yield f"Field snooze.criteria.policies had {count} elements, must have 1 to 16."
    if criteria.get("filter") and count != 1:
        yield "Field snooze.criteria.filter needs exactly one policy."
    yield from _filter_faults(str(criteria.get("filter") or ""))


def _filter_faults(text: str) -> Iterator[str]:
    """Source: Snooze.Criteria.filter, "one or more resource labels with specific label values", joined by AND."""
    if not text:
        return
    try:
        leaves = filters.parse(text).comparisons()
    except QueryError as error:
        yield f"Field snooze.criteria.filter had an invalid value: {error.problems[0].problem}."
        return
    for leaf in leaves:
        if leaf.op != "=" or not leaf.field.startswith(("resource.labels.", "metric.labels.")):
            yield f"Field snooze.criteria.filter may only compare labels with =, not {leaf.field} with {leaf.op}."


def _refuse_interval(message: Any) -> None:
    if ms_of(message.interval.end_time) <= ms_of(message.interval.start_time):
        raise invalid("Field snooze.interval.end_time must be after its start.")


def _refuse_past(store: Store, message: Any) -> None:
    if ms_of(message.interval.start_time) < store.clock.now_ms() - _SKEW_MS:
        raise invalid("Field snooze.interval.start_time cannot be in the past.")


def create_snooze(store: Store, request: Any) -> Answer:
    """Create a snooze that has not begun yet."""
    snooze = json_of(request.snooze)
    refuse(list(_faults(snooze)))
    _refuse_interval(request.snooze)
    _refuse_past(store, request.snooze)
    for policy in snooze["criteria"]["policies"]:
        if store.objects.get(policy) is None:
            raise missing(f"Alert policy {policy}")
    document = {**snooze, "name": f"{request.parent}/snoozes/{number()}"}
    store.objects.put(document)
    return document


def get_snooze(store: Store, request: Any) -> Answer:
    """Return one snooze."""
    return existing(store, request.name)


def list_snoozes(store: Store, request: Any) -> Answer:
    """Return a page of a project's snoozes, those that are over among them."""
    refuse_filters(request) if hasattr(request, "order_by") else None
    page, token = page_of(store.objects.list("snoozes", parent=request.parent), request.page_size, request.page_token)
    return {"snoozes": list(page), "nextPageToken": token}


def update_snooze(store: Store, request: Any) -> Answer:
    """Change a name or the times that are still to come."""
    current = existing(store, request.snooze.name)
    paths = set(request.update_mask.paths)
    if not paths or not paths <= _FIELDS:
        raise invalid(f"Field update_mask may have {', '.join(sorted(_FIELDS))}.")
    before = type(request.snooze)()
    before.interval.start_time.FromJsonString(current["interval"]["startTime"])
    before.interval.end_time.FromJsonString(current["interval"]["endTime"])
    now = store.clock.now_ms()
    if ms_of(before.interval.end_time) <= now:
        raise invalid("The snooze is over and cannot be changed.")
    if "interval.start_time" in paths and ms_of(before.interval.start_time) <= now:
        raise invalid("The snooze has begun; its start cannot be changed.")
    document = merged(current, json_of(request.snooze), request.update_mask)
    refuse(list(_faults(document)))
    for name in ("startTime", "endTime"):
        if name not in document["interval"]:
            raise invalid(f"Field snooze.interval.{name.removesuffix('Time')}_time is required.")
    after = type(request.snooze)()
    after.interval.start_time.FromJsonString(document["interval"]["startTime"])
    after.interval.end_time.FromJsonString(document["interval"]["endTime"])
    _refuse_interval(after)
    if "interval.start_time" in paths:
        _refuse_past(store, after)
    store.objects.put(document)
    return document
