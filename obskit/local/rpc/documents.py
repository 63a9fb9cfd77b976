"""What the services of alert policies, channels and dashboards have in common: JSON in, changed, and out."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from google.protobuf import json_format

from obskit.local.rpc.failure import Refused, invalid, missing
from obskit.local.rpc.times import text_of_ms
from obskit.local.store import Store

__all__ = ["existing", "json_of", "merged", "number", "refuse", "refuse_filters", "stamp"]


def json_of(message: Any) -> dict[str, Any]:
    """Return a raw protobuf as the REST API's JSON."""
    document: dict[str, Any] = json_format.MessageToDict(message)
    return document


def stamp(store: Store) -> dict[str, str]:
    """Return a mutation record of this moment."""
    return {"mutateTime": text_of_ms(store.clock.now_ms()), "mutatedBy": "local"}


def number() -> str:
    """Return a new id, as the service makes them."""
    return str(secrets.randbelow(9 * 10**18) + 10**18)


def existing(store: Store, name: str) -> dict[str, Any]:
    """Return an object.

    Raises:
        Refused: NOT_FOUND.
    """
    document = store.objects.get(name)
    if document is None:
        raise missing(name)
    return document


def refuse(faults: Sequence[str]) -> None:
    """Refuse the call if there are faults.

    Raises:
        Refused: INVALID_ARGUMENT with all of them.
    """
    if faults:
        raise invalid(" ".join(faults))


def refuse_filters(request: Any) -> None:
    """Refuse a list that is to be filtered or ordered: that is not implemented here.

    Raises:
        Refused: UNIMPLEMENTED.
    """
    if request.filter or request.order_by:
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, "The local backend does not filter or order lists.")


def merged(current: Mapping[str, Any], given: Mapping[str, Any], mask: Any) -> dict[str, Any]:
    """Return an object after an update: only the fields of the mask change, everything where it is empty.

    Raises:
        Refused: a path leads through a list, or to nothing that could be changed.
    """
    if not mask.paths:
        return {**given, **{key: current[key] for key in ("name", "creationRecord") if key in current}}
    changed: dict[str, Any] = dict(current)
    for path in mask.paths:
        keys = [_camel(part) for part in path.split(".")]
        if keys[0] == "name":
            raise invalid("Field update_mask has the path name, which cannot change.")
        changed = _with(changed, given, keys, path)
    return changed


def _with(current: Mapping[str, Any], given: Mapping[str, Any], keys: Sequence[str], path: str) -> dict[str, Any]:
    key, *rest = keys
    changed = {name: value for name, value in current.items() if name != key}
    if not rest:
        return {**changed, key: given[key]} if key in given else changed
    inner, new = current.get(key, {}), given.get(key, {})
    if not isinstance(inner, Mapping) or not isinstance(new, Mapping):
        raise invalid(f"Field update_mask has the path {path}, which is not valid.")
    # The keys of a map of labels are the user's own spelling.
    if key in {"labels", "userLabels"}:
        rest = [path.split(".", 1)[1]]
    return {**changed, key: _with(inner, new, rest, path)}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
