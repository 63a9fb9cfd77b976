"""References between definitions: by id until the object exists, by resource name afterwards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["Names", "resolved", "unresolved"]

# What RenderContext writes where a definition refers to another one.
_REFERENCE: Final = re.compile(r"projects/[^/]+/(?P<collection>[A-Za-z]+)/obskit:(?P<id>[a-z0-9-]+)")

# Fields that want resource names without their project.
# Source: IncidentList.policy_names, "Don't include the project ID prefix in the policy name".
_BARE: Final = frozenset({"policyNames"})

Names = Mapping[tuple[str, str], str]
"""(collection, id) → resource name of the objects that exist."""


def resolved(value: Any, names: Names) -> Any:
    """Return a document in which every reference to an existing object is its resource name."""
    if isinstance(value, Mapping):
        pairs = ((key, resolved(item, names)) for key, item in value.items())
        return {key: _bare(item) if key in _BARE else item for key, item in pairs}
    if isinstance(value, list | tuple):
        return [resolved(item, names) for item in value]
    if isinstance(value, str) and (match := _REFERENCE.fullmatch(value)):
        return names.get((match["collection"], match["id"]), value)
    return value


def _bare(value: Any) -> Any:
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if not isinstance(value, str) or _REFERENCE.fullmatch(value):
        return value
    return re.sub(r"^projects/[^/]+/", "", value)


def unresolved(value: Any) -> list[str]:
    """Return the references that still stand in a document."""
    if isinstance(value, Mapping):
        return [found for item in value.values() for found in unresolved(item)]
    if isinstance(value, list | tuple):
        return [found for item in value for found in unresolved(item)]
    return [value] if isinstance(value, str) and _REFERENCE.fullmatch(value) else []
