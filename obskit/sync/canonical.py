"""The canonical form of an object's JSON: equal exactly when the platform would treat two documents as equal."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from obskit.sync.defaults import secrets_of, without_defaults
from obskit.sync.kinds import Kind
from obskit.sync.marks import unmarked

__all__ = ["canonical", "content_hash"]

# Written by the server; never part of what a definition says.
_OUTPUT_ONLY: Final = frozenset({"name", "etag", "creationRecord", "mutationRecord", "mutationRecords", "validity"})
_OUTPUT_ONLY_ANYWHERE: Final = frozenset({"apiSource"})
# What the server fills in, and what therefore means the same as leaving it out.
# Source: observed round trips of dashboards, see docs/fidelity.md.
_DEFAULTS: Final[Mapping[str, tuple[object, ...]]] = {
    "crossSeriesReducer": ("REDUCE_NONE",),
    "perSeriesAligner": ("ALIGN_NONE",),
    "enabled": (True,),
    "verificationStatus": ("UNVERIFIED", "VERIFIED"),
    "targetAxis": ("Y1", "TARGET_AXIS_UNSPECIFIED"),
    "timeshiftDuration": ("0s",),
    "timeBinSize": ("0s",),
}
# A widget's kind is told by which of these is present, even when it is empty.
_TELLS_BY_PRESENCE: Final = frozenset(
    {
        *("blank", "blankView", "collapsibleGroup", "errorReportingPanel", "incidentList", "logsPanel"),
        *("sectionHeader", "singleViewGroup", "text"),
    }
)
_UNORDERED: Final = frozenset({"notificationChannels", "policyNames", "notificationPrompts"})
_DURATION: Final = re.compile(r"-?\d+(\.\d+)?s")
_FIRST_OF_NUMBERS: Final = frozenset("-0123456789")
_WHOLE: Final = re.compile(r"-?(0|[1-9]\d{0,17})")


def canonical(document: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """Return a document without what the server adds, with one spelling for each value.

    Ownership labels and masked secrets are left out, since neither is for comparison.
    """
    cleaned = without_defaults(document, kind)
    stripped = {key: value for key, value in cleaned.items() if key not in _OUTPUT_ONLY}
    labels = stripped.get(kind.labels_field) if kind.labels_field else None
    if isinstance(stripped.get(kind.marked_field), str):
        stripped[kind.marked_field] = unmarked(stripped[kind.marked_field])
    if isinstance(labels, Mapping):
        stripped[kind.labels_field] = {key: value for key, value in labels.items() if not _is_ownership(key)}
    if kind.masked and isinstance(stripped.get("labels"), Mapping):
        stripped["labels"] = {key: value for key, value in stripped["labels"].items() if key not in kind.masked}
        stripped.pop("sensitiveLabels", None)
    if isinstance(stripped.get("conditions"), list):
        unnamed = [{key: value for key, value in each.items() if key != "name"} for each in stripped["conditions"]]
        # All of them, or any of them: in which order they stand says nothing, and the server may choose its own.
        stripped["conditions"] = sorted(unnamed, key=lambda each: (str(each.get("displayName", "")), str(each)))
    found = _value("", stripped)
    return found if isinstance(found, dict) else {}


def content_hash(document: Mapping[str, Any], kind: Kind) -> str:
    """Return 32 hex digits that change exactly when what a definition says changes, its secrets included."""
    body: dict[str, Any] = {"document": canonical(document, kind)}
    body |= secrets_of(document, kind)
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:32]


def _is_ownership(key: str) -> bool:
    return key == "managed-by" or key.startswith("obskit-")


def _value(key: str, value: Any) -> Any:
    # Called for every field of every object: the usual types are told by their class, the others by what they can do.
    if type(value) is str:
        return _text(value)
    if type(value) is dict or isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for inner, item in value.items():
            if inner in _OUTPUT_ONLY_ANYWHERE:
                continue
            shown = _value(inner, item)
            if not _says_nothing(inner, shown):
                found[inner] = shown
        return found
    if isinstance(value, list | tuple):
        items = [_value("", item) for item in value]
        if key == "tiles":
            return sorted(items, key=_where)
        return sorted(items, key=str) if key in _UNORDERED else items
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return _number(value)
    return _text(str(value))


def _text(text: str) -> str | int:
    if text[:1] not in _FIRST_OF_NUMBERS:
        return text
    if _DURATION.fullmatch(text):
        return f"{_number(float(text[:-1]))}s"
    # 64-bit numbers travel as strings in Google's JSON.
    return int(text) if _WHOLE.fullmatch(text) else text


def _where(tile: Any) -> tuple[float, float, bool]:
    """Where a tile lies, a group before its members: a mosaic says that, and not in which order it lists its tiles."""
    widget = tile.get("widget", {})
    return tile.get("yPos", 0), tile.get("xPos", 0), not {"collapsibleGroup", "singleViewGroup"} & set(widget)


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else float(value)


def _says_nothing(key: str, value: Any) -> bool:
    if value:
        is_unspecified = isinstance(value, str) and value.endswith("_UNSPECIFIED")
        return is_unspecified or (key in _DEFAULTS and value in _DEFAULTS[key])
    # Nothing, zero, an empty text, list or table.
    return value is None or not (key in _TELLS_BY_PRESENCE or key == "enabled")
