"""Fields of the REST API that a model does not know: carried along with it, never dropped.

A model that was read from JSON keeps a merge patch (RFC 7396) between what it renders itself and what was read: empty
where the model says it all, and only what it cannot say otherwise. Rendering applies the patch.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from obskit.queries.values import shown

__all__ = ["as_json_fields", "is_same", "merged", "patch_between"]

_DURATION: Final = re.compile(r"(-?\d+(?:\.\d+)?)s")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
# Left out, these say something else than false: they are on.
_ON_WHEN_ABSENT: Final = frozenset({"enabled"})
# Tables that choose nothing: empty they say as much as left out.
_TABLES: Final = frozenset({"userLabels", "labels", "labelExtractors", "headers"})
_ZEROS: Final = frozenset({"", "0", "0s", "REDUCE_NONE", "ALIGN_NONE"})


def as_json_fields(value: object) -> Mapping[str, Any]:
    """Return a table of JSON fields that was given as one."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(f'{shown(value)} is not a table of JSON fields | Write for example {{"newField": 1}}')
    return copy.deepcopy(dict(value))


def merged(rendered: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with a merge patch applied: tables are merged, None removes, all else replaces."""
    found = dict(rendered)
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping):
            inner = found.get(key)
            found[key] = merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            found[key] = copy.deepcopy(value)
    return found


def patch_between(rendered: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that makes `rendered` say what `wanted` says; empty where it does already."""
    patch: dict[str, Any] = {}
    for key in dict.fromkeys((*rendered, *wanted)):
        before, after = rendered.get(key), wanted.get(key)
        if is_same(before, after, key=key):
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            patch[key] = patch_between(before, after)
        else:
            patch[key] = copy.deepcopy(after)
    return patch


def is_same(before: Any, after: Any, *, key: str = "") -> bool:
    """Return whether two JSON values mean the same to Google's APIs.

    Numbers may be texts, durations may have decimals, and an absent field is its zero; an absent table is not an empty
    one, since that may choose between alternatives.

    Args:
        before: one value; None where the field is absent.
        after: the other.
        key: the field's name.
    """
    if before is None or after is None:
        other = after if before is None else before
        if key in _ON_WHEN_ABSENT:
            return other is None or other is True
        return _is_zero(other, key)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return all(is_same(before.get(name), after.get(name), key=name) for name in {*before, *after})
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        return len(before) == len(after) and all(is_same(*pair) for pair in zip(before, after, strict=True))
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    return bool(_plain(before) == _plain(after))


def _is_zero(value: Any, key: str) -> bool:
    if isinstance(value, Mapping):
        return key in _TABLES and not value
    if isinstance(value, str):
        return value in _ZEROS or value.endswith("_UNSPECIFIED")
    return not value


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        if match := _DURATION.fullmatch(value):
            return Decimal(match[1]), "s"
        return Decimal(value) if _NUMBER.fullmatch(value) else value
    # Exact: 64-bit numbers travel as texts, and are more than a float can hold.
    return Decimal(repr(value)) if isinstance(value, int | float) else value
