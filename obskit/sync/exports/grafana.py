"""Dashboards as Grafana's JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.dashboards import Dashboard
from obskit.sync.exports.grafana_panels import KIND_FIELDS, Panels
from obskit.sync.exports.grafana_variables import variables, with_variables
from obskit.sync.exports.items import Export, Item, Loss

__all__ = ["as_grafana"]

_COLUMNS: Final = 24
_GRID_HEIGHT: Final = 8
_SCHEMA: Final = 39
# Source: dashboards exported "for sharing externally" by Grafana.
_INPUTS: Final = [
    {"name": "monitoring", "label": "Google Cloud Monitoring", "type": "datasource", "pluginId": "stackdriver"},
    {
        "name": "logging",
        "label": "Google Cloud Logging",
        "type": "datasource",
        "pluginId": "googlecloud-logging-datasource",
    },
]
_GROUPS: Final = ("collapsibleGroup", "singleViewGroup")
_TOLD: Final = frozenset(
    {"displayName", "labels", "mosaicLayout", "gridLayout", "rowLayout", "columnLayout", "dashboardFilters"}
)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A widget on a grid of 24 columns."""

    x: int
    y: int
    width: int
    height: int
    widget: Mapping[str, Any]


def as_grafana(items: Sequence[Item], *, project: str) -> Export:
    """Return a file for each dashboard, ``ID.json``, to be imported into Grafana.

    Args:
        items: the objects; all but dashboards are told as losses.
        project: the project whose metrics and logs are asked.
    """
    losses: list[Loss] = []
    files: dict[str, str] = {}
    for item in items:
        if isinstance(item.definition, Dashboard):
            made = _dashboard(item, project, losses)
            files[f"{item.definition.id}.json"] = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        else:
            losses.append(item.loss("left out: these files hold dashboards only"))
    return Export(files=files, losses=tuple(losses))


def _dashboard(item: Item, project: str, losses: list[Loss]) -> dict[str, Any]:
    document = item.document
    filters = document.get("dashboardFilters", ())
    panels = Panels(project, lambda name, reason: losses.append(item.loss(f'widget "{name}": {reason}')))
    made: list[dict[str, Any]] = []
    for number, placed in enumerate(_placed(document)):
        kind = next((key for key in placed.widget if key not in KIND_FIELDS), "")
        where = {"x": placed.x, "y": placed.y, "w": placed.width, "h": placed.height}
        if kind in _GROUPS:
            made.append(
                {"id": number + 1, "type": "row", "title": placed.widget.get("title", ""), "gridPos": {**where, "h": 1}}
            )
            if (placed.widget[kind] or {}).get("collapsed") or kind == "singleViewGroup":
                losses.append(item.loss(f'group "{placed.widget.get("title", "")}" is a row that is open'))
            continue
        panel = panels.panel(with_variables(placed.widget, filters))
        if panel is not None:
            made.append({"id": number + 1, **panel, "gridPos": where})
    losses += [item.loss(f"{key} is left out: Grafana has nothing like it") for key in document if key not in _TOLD]
    return {
        "__inputs": _INPUTS,
        "title": str(document.get("displayName") or item.definition.id),
        "uid": item.definition.id[:40],
        "tags": [*(f"{key}:{value}" if value else key for key, value in (document.get("labels") or {}).items())],
        "schemaVersion": _SCHEMA,
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": list(variables(filters, lambda reason: losses.append(item.loss(reason))))},
        "panels": made,
    }


def _placed(document: Mapping[str, Any]) -> list[_Placed]:
    """Return the widgets of any layout on Grafana's grid, top to bottom."""
    if (mosaic := document.get("mosaicLayout")) is not None:
        scale = _COLUMNS / int(mosaic.get("columns") or 12)
        found = [_scaled(tile, scale) for tile in mosaic.get("tiles", ())]
    elif (grid := document.get("gridLayout")) is not None:
        columns = max(1, min(int(grid.get("columns") or 2), _COLUMNS))
        width = _COLUMNS // columns
        found = [
            _Placed(number % columns * width, number // columns * _GRID_HEIGHT, width, _GRID_HEIGHT, widget)
            for number, widget in enumerate(grid.get("widgets", ()))
        ]
    else:
        found = list(_stripes(document))
    return sorted(found, key=lambda each: (each.y, each.x, each.widget.keys().isdisjoint(_GROUPS)))


def _scaled(tile: Mapping[str, Any], scale: float) -> _Placed:
    x, y = int(tile.get("xPos") or 0), int(tile.get("yPos") or 0)
    left, top = round(x * scale), round(y * scale)
    right = round((x + int(tile.get("width") or 1)) * scale)
    bottom = math.ceil((y + int(tile.get("height") or 1)) * scale)
    return _Placed(left, top, max(1, right - left), max(1, bottom - top), tile.get("widget", {}))


def _stripes(document: Mapping[str, Any]) -> Iterator[_Placed]:
    rows = (document.get("rowLayout") or {}).get("rows", ())
    for number, row in enumerate(rows):
        widgets = row.get("widgets", ())
        width = _COLUMNS // max(1, len(widgets))
        for place, widget in enumerate(widgets):
            yield _Placed(place * width, number * _GRID_HEIGHT, width, _GRID_HEIGHT, widget)
    columns = (document.get("columnLayout") or {}).get("columns", ())
    width = _COLUMNS // max(1, len(columns))
    for number, column in enumerate(columns):
        for place, widget in enumerate(column.get("widgets", ())):
            yield _Placed(number * width, place * _GRID_HEIGHT, width, _GRID_HEIGHT, widget)
