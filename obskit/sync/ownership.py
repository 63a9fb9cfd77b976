"""Who owns an object: user labels that say it, so that no state file is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from obskit.sync.canonical import content_hash
from obskit.sync.kinds import Kind

__all__ = ["Owner", "owner_of", "stamped"]

_MANAGED_BY, _STACK, _ID, _HASH = "managed-by", "obskit-stack", "obskit-id", "obskit-hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What an object's labels say of where it came from."""

    stack: str
    id: str
    hash: str


def stamped(document: Mapping[str, Any], kind: Kind, *, stack: str, definition_id: str) -> dict[str, Any]:
    """Return the document with the labels of its owner added to the user's own."""
    labels = {
        **(document.get(kind.labels_field) or {}),
        _MANAGED_BY: "obskit",
        _STACK: stack,
        _ID: definition_id,
        _HASH: content_hash(document, kind),
    }
    return {**document, kind.labels_field: labels}


def owner_of(document: Mapping[str, Any], kind: Kind) -> Owner | None:
    """Return the owner that the labels name, or None for an object that is not obskit's."""
    labels = document.get(kind.labels_field) or {}
    if labels.get(_MANAGED_BY) != "obskit" or not labels.get(_ID) or not labels.get(_STACK):
        return None
    return Owner(stack=labels[_STACK], id=labels[_ID], hash=labels.get(_HASH, ""))
