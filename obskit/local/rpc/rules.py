"""The rules that Cloud Monitoring holds alert policies and dashboards to, over their JSON.

Source: the proto comments of google.monitoring.v3 and google.monitoring.dashboard.v1, and "Quotas and limits".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from obskit.local.rpc.conditions import KINDS, condition_faults, seconds_of
from obskit.local.store import Descriptor

__all__ = ["dashboard_faults", "policy_faults", "user_label_faults"]

_KEY: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VALUE: Final = re.compile(r"[a-z0-9_-]{0,63}")
_ALONE: Final = frozenset({"conditionMatchedLog", "conditionMonitoringQueryLanguage"})


def user_label_faults(labels: Mapping[str, str], field: str = "user_labels") -> Iterator[str]:
    """Yield what is wrong with user labels."""
    if len(labels) > 64:
        yield f"Field {field} has {len(labels)} entries, at most 64 are allowed."
    for key, value in labels.items():
        if not _KEY.fullmatch(key):
            yield f"Field {field} had an invalid key {key!r}."
        if not _VALUE.fullmatch(value):
            yield f"Field {field}[{key}] had an invalid value {value!r}."


def policy_faults(policy: Mapping[str, Any], described: Mapping[str, Descriptor]) -> list[str]:
    """Return what is wrong with an alert policy.

    Args:
        policy: in the REST API's JSON.
        described: the metric descriptors that there are, by type; a metric that is not among them is not checked.
    """
    conditions = enumerate(policy.get("conditions") or ())
    return [
        *_policy(policy),
        *(fault for index, item in conditions for fault in condition_faults(index, item, described)),
    ]


def _policy(policy: Mapping[str, Any]) -> Iterator[str]:
    conditions = policy.get("conditions") or []
    name = policy.get("displayName") or ""
    if not name or len(name) > 512:
        yield "Field alert_policy.display_name must have 1 to 512 characters."
    if not 1 <= len(conditions) <= 6:
        yield f"Field alert_policy.conditions had {len(conditions)} elements, must have 1 to 6."
    if len(conditions) > 1 and policy.get("combiner", "COMBINE_UNSPECIFIED") == "COMBINE_UNSPECIFIED":
        yield "Field alert_policy.combiner must be set when there is more than one condition."
    kinds = {kind for item in conditions for kind in KINDS if kind in item}
    if len(conditions) > 1 and kinds & _ALONE:
        yield f"A policy with a {min(kinds & _ALONE)} must have no other condition."
    if len(policy.get("notificationChannels") or ()) > 16:
        yield "Field alert_policy.notification_channels has more than 16 elements."
    yield from user_label_faults(policy.get("userLabels") or {}, "alert_policy.user_labels")
    yield from _documentation(policy.get("documentation") or {})
    strategy = policy.get("alertStrategy") or {}
    if strategy.get("notificationRateLimit") and "conditionMatchedLog" not in kinds:
        yield "Field alert_policy.alert_strategy.notification_rate_limit is only for policies with a log match."
    if "conditionMatchedLog" in kinds and not strategy.get("notificationRateLimit"):
        yield "Field alert_policy.alert_strategy.notification_rate_limit is required for a log match condition."
    prompts = strategy.get("notificationPrompts") or []
    if "conditionMatchedLog" in kinds and any(prompt != "OPENED" for prompt in prompts):
        yield "Field alert_policy.alert_strategy.notification_prompts may only be OPENED for a log match condition."
    closes = strategy.get("autoClose")
    if closes and not 1800 <= seconds_of(closes) <= 7 * 86400:
        yield "Field alert_policy.alert_strategy.auto_close must be from 30 minutes to 7 days."


def _documentation(documentation: Mapping[str, Any]) -> Iterator[str]:
    content = documentation.get("content") or ""
    if len(content) > 8192 or len(content.encode()) > 10240:
        yield "Field alert_policy.documentation.content must have at most 8,192 characters and 10,240 bytes."
    if len((documentation.get("subject") or "").encode()) > 255:
        yield "Field alert_policy.documentation.subject must have at most 255 bytes."
    links = documentation.get("links") or []
    if len(links) > 3:
        yield "Field alert_policy.documentation.links has more than 3 elements."
    for link in links:
        if len(link.get("displayName") or "") > 63 or len(link.get("url") or "") > 2083:
            yield "Field alert_policy.documentation.links has a name over 63 or a URL over 2,083 characters."


# --------------------------------------------------------------------------- dashboards

_LAYOUTS: Final = ("gridLayout", "mosaicLayout", "rowLayout", "columnLayout")


def dashboard_faults(dashboard: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a dashboard."""
    found = []
    if not dashboard.get("displayName"):
        found.append("Field dashboard.display_name is required.")
    layouts = [layout for layout in _LAYOUTS if layout in dashboard]
    if len(layouts) > 1:
        found.append("A dashboard has at most one layout.")
    mosaic = dashboard.get("mosaicLayout")
    if mosaic is not None:
        found += _mosaic(mosaic)
    found += user_label_faults(
        {key: value for key, value in (dashboard.get("labels") or {}).items() if value}, "dashboard.labels"
    )
    return found


def _box(tile: Mapping[str, Any]) -> tuple[int, int, int, int]:
    x, y, width, height = (int(tile.get(key) or 0) for key in ("xPos", "yPos", "width", "height"))
    return x, y, width, height


def _mosaic(mosaic: Mapping[str, Any]) -> Iterator[str]:
    columns = int(mosaic.get("columns") or 0)
    if not 1 <= columns <= 48:
        yield f"Field mosaic_layout.columns had an invalid value of {columns}, must be 1 to 48."
    taken: list[tuple[int, int, int, int, int]] = []
    tiles = mosaic.get("tiles") or ()
    # The members of a single-view group lie on one another, of which one shows.
    shared = {_box(tile) for tile in tiles if "singleViewGroup" in (tile.get("widget") or {})}
    for index, tile in enumerate(tiles):
        x, y, width, height = _box(tile)
        if width < 1 or height < 1 or x < 0 or y < 0 or x + width > columns:
            yield f"Field mosaic_layout.tiles[{index}] does not fit into {columns} columns."
            continue
        is_group = bool({"collapsibleGroup", "singleViewGroup"} & set(tile.get("widget") or {}))
        for other, ox, oy, owidth, oheight in taken:
            if (x, y, width, height) in shared and (x, y, width, height) == (ox, oy, owidth, oheight):
                continue
            if not is_group and x < ox + owidth and ox < x + width and y < oy + oheight and oy < y + height:
                yield f"Field mosaic_layout.tiles[{index}] overlaps tiles[{other}]."
                break
        if not is_group:
            taken.append((index, x, y, width, height))
