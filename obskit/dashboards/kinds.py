"""Every kind of widget by its key in the REST API, and how a widget of any kind is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from obskit.dashboards.charts import Scorecard, XyChart
from obskit.dashboards.layout import CollapsibleGroup, SingleViewGroup
from obskit.dashboards.panels import AlertChart, ErrorReportingPanel, FilterControl, IncidentList, LogsPanel
from obskit.dashboards.tables import PieChart, TimeSeriesTable, Treemap
from obskit.dashboards.texts import Blank, SectionHeader, Text
from obskit.dashboards.widgets import RawWidget, Widget
from obskit.dashboards.wire import Unreadable, Wire

__all__ = ["KINDS", "WIDGET", "WIDGETS", "read_widget"]

_ALL: Final[tuple[type[Widget], ...]] = (
    *(XyChart, Scorecard, TimeSeriesTable, PieChart, Treemap, Text, Blank, AlertChart, IncidentList, LogsPanel),
    *(ErrorReportingPanel, CollapsibleGroup, SingleViewGroup, SectionHeader, FilterControl),
)

KINDS: Final[Mapping[str, type[Widget]]] = {kind.key: kind for kind in _ALL}
"""Key in the REST API → class. Source: the API's discovery document, revision 20260903."""


def read_widget(document: Mapping[str, Any]) -> Widget:
    """Return the widget that a document of the REST API is: of its own class, or else carried as it is."""
    keys = [key for key in KINDS if isinstance(document.get(key), Mapping)]
    if len(keys) == 1:
        try:
            return KINDS[keys[0]].from_json(document)
        except Unreadable:
            pass  # its class cannot say it; the document can
    return RawWidget(json=document)


def _widgets(value: Any) -> tuple[Widget, ...]:
    return tuple(read_widget(item) for item in value)


WIDGET: Final = Wire(path="widget", write=lambda value, context: value.to_dict(context), read=read_widget)
"""How a widget in a tile is spelled."""

WIDGETS: Final = Wire(
    path="widgets", write=lambda value, context: [widget.to_dict(context) for widget in value], read=_widgets
)
"""How a list of widgets is spelled."""
