"""Who owns an object: user labels that say it, or a mark in a text where the API has no labels. No state file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from obskit.sync.canonical import content_hash
from obskit.sync.kinds import OBJECTIVE, Definition, Kind
from obskit.sync.marks import MARK, unmarked

__all__ = ["Owner", "is_hashed", "key_of", "name_tail", "owner_of", "owner_rank", "stamped"]

_MANAGED_BY, _STACK, _ID, _HASH = "managed-by", "obskit-stack", "obskit-id", "obskit-hash"
_OBJECTIVE: Final = re.compile(r"(?P<service>[^/]+)/serviceLevelObjectives/(?P<id>[^/]+)$")

# Source: google.protobuf.Timestamp in JSON: RFC 3339 with 0, 3, 6 or 9 digits of a second.
_MOMENT: Final = re.compile(
    r"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What an object says of where it came from; without a hash, whether its definition changed is not known."""

    stack: str
    id: str
    hash: str


def stamped(document: Mapping[str, Any], kind: Kind, *, stack: str, definition_id: str) -> dict[str, Any]:
    """Return the document with the labels, or the mark, of its owner added to the user's own."""
    if kind.labels_field:
        labels = {
            **(document.get(kind.labels_field) or {}),
            _MANAGED_BY: "obskit",
            _STACK: stack,
            _ID: definition_id,
            _HASH: content_hash(document, kind),
        }
        return {**document, kind.labels_field: labels}
    own = unmarked(str(document.get(kind.marked_field) or ""))
    told = f" {content_hash(document, kind)}" if is_hashed(kind) else ""
    return {**document, kind.marked_field: f"{own} [obskit {stack}/{definition_id}{told}]".strip()}


def is_hashed(kind: Kind) -> bool:
    """Return whether objects of a kind carry the hash of their definition: a name is short, and everybody sees it."""
    return bool(kind.labels_field) or kind.marked_field == "description"


def owner_of(document: Mapping[str, Any], kind: Kind) -> Owner | None:
    """Return the owner that an object names, or None for an object that is not obskit's."""
    if not kind.labels_field:
        match = MARK.search(str(document.get(kind.marked_field) or ""))
        return None if match is None else Owner(stack=match["stack"], id=match["id"], hash=match["hash"] or "")
    labels = document.get(kind.labels_field) or {}
    if labels.get(_MANAGED_BY) != "obskit" or not labels.get(_ID) or not labels.get(_STACK):
        return None
    return Owner(stack=labels[_STACK], id=labels[_ID], hash=labels.get(_HASH, ""))


def key_of(owner: Owner | Definition, kind: Kind, name: str = "") -> str:
    """Return what tells an object of a kind from others of its stack: its id, for an SLO with its service's.

    Args:
        owner: of an object, or a definition.
        kind: of either.
        name: the resource name of the object.
    """
    if kind is not OBJECTIVE:
        return owner.id
    if isinstance(owner, Owner):
        match = _OBJECTIVE.search(name)
        return f"{match['service']}/{owner.id}" if match else owner.id
    return f"{getattr(owner, 'service_id', '')}/{owner.id}"


def owner_rank(document: Mapping[str, Any]) -> tuple[datetime, int, str]:
    """Return what decides which of two objects with one id is the one to keep: the older, else the first by name.

    An object that tells no time of its creation counts as the oldest.
    """
    return *_created_at(document), str(document["name"])


def _created_at(document: Mapping[str, Any]) -> tuple[datetime, int]:
    """Return the second of an object's creation, and the nanoseconds in it.

    The API leaves zeros out: as texts, ``…48Z`` would come after ``…48.020Z``.
    """
    match = _MOMENT.fullmatch(str((document.get("creationRecord") or {}).get("mutateTime", "")))
    if match is None:
        return datetime.min.replace(tzinfo=UTC), 0
    second = datetime.fromisoformat(match["second"] + match["zone"]).astimezone(UTC)
    return second, int((match["fraction"] or "").ljust(9, "0")[:9])


def name_tail(name: str) -> str:
    """Return a resource name without its project, which Google writes now as id and now as number."""
    return name.split("/", 2)[2] if name.startswith("projects/") and name.count("/") > 1 else name
