"""References between definitions: by id until the object exists, by resource name afterwards."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from obskit.alerts.lookups import channels_found

__all__ = ["Names", "resolved", "unresolved", "with_channels_found"]

# What RenderContext writes where a definition refers to another one, or asks for channels that exist already.
_REFERENCE: Final = re.compile(r"projects/[^/]+/(?P<collection>[A-Za-z]+)/obskit:(?P<id>[a-z0-9-]+|find\?[^/]*)")
_QUESTION: Final = re.compile(r"projects/[^/]+/notificationChannels/obskit:find\?[^/]*")
# Within a text, e.g. a filter, the last part of a resource name is meant.
_WITHIN: Final = re.compile(r"obskit:(?P<collection>[A-Za-z]+)/(?P<id>[a-z0-9-]+)")

# Fields that want resource names without their project.
# Source: IncidentList.policy_names, "Don't include the project ID prefix in the policy name".
_BARE: Final = frozenset({"policyNames"})

Names = Mapping[tuple[str, str], str]
"""(collection, id) → resource name of the objects that exist."""


def resolved(value: Any, names: Names) -> Any:
    """Return a document in which every reference to an existing object is its resource name."""
    if isinstance(value, str):
        if "obskit:" not in value:
            return value
        if match := _REFERENCE.fullmatch(value):
            return names.get((match["collection"], match["id"]), value)
        return _WITHIN.sub(lambda match: _last_part(match, names), value)
    if isinstance(value, Mapping):
        pairs = ((key, resolved(item, names)) for key, item in value.items())
        return {key: _bare(item) if key in _BARE else item for key, item in pairs}
    if isinstance(value, list | tuple):
        return [resolved(item, names) for item in value]
    return value


def _last_part(match: re.Match[str], names: Names) -> str:
    name = names.get((match["collection"], match["id"]))
    return match[0] if name is None else name.rpartition("/")[2]


def with_channels_found(value: Any, channels: Sequence[Mapping[str, Any]]) -> Any:
    """Return a document in which each question for existing channels is answered, if there are any such channels.

    Args:
        value: the document.
        channels: the project's channels, as the API returns them.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {key: with_channels_found(item, channels) for key, item in value.items()}
    if not isinstance(value, list | tuple):
        return value
    items: list[Any] = []
    for item in value:
        is_question = isinstance(item, str) and _QUESTION.fullmatch(item) is not None
        found = channels_found(item, channels) if is_question else ()
        items += [name for name in found if name not in items] if found else [with_channels_found(item, channels)]
    return items


def _bare(value: Any) -> Any:
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if not isinstance(value, str) or _REFERENCE.fullmatch(value):
        return value
    return re.sub(r"^projects/[^/]+/", "", value)


def unresolved(value: Any) -> list[str]:
    """Return the references that still stand in a document."""
    if isinstance(value, str):
        return _unresolved_in(value)
    if isinstance(value, Mapping):
        return [found for item in value.values() for found in unresolved(item)]
    if isinstance(value, list | tuple):
        return [found for item in value for found in unresolved(item)]
    return []


def _unresolved_in(value: str) -> list[str]:
    if "obskit:" not in value:
        return []
    if _REFERENCE.fullmatch(value):
        return [value]
    return [f"projects/-/{match['collection']}/obskit:{match['id']}" for match in _WITHIN.finditer(value)]
