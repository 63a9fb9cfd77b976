"""Dashboards as code, and the ready-made ones."""

from __future__ import annotations

from obskit.dashboards.charts import DataSet, Mode, Plot, Scale, Scorecard, Spark, XyChart
from obskit.dashboards.columns import Breakdown, Dimension, Measure, SortedBy
from obskit.dashboards.dashboards import Dashboard
from obskit.dashboards.filters import DashboardFilter, Event, EventAnnotation
from obskit.dashboards.layout import CollapsibleGroup, Column, Row, SingleViewGroup, Space
from obskit.dashboards.layouts import ColumnLayout, GridLayout, MosaicLayout, RowLayout, Tile, Weighted
from obskit.dashboards.panels import (
    AlertChart,
    ErrorReportingPanel,
    FilterControl,
    IncidentList,
    LogsPanel,
    MonitoredResource,
)
from obskit.dashboards.ready.budgets import budgets
from obskit.dashboards.ready.guard import llm_guard
from obskit.dashboards.ready.health import health
from obskit.dashboards.ready.llm import llm
from obskit.dashboards.ready.service import service
from obskit.dashboards.sources import FilterQuery, MqlQuery, Pick, RatioQuery, SqlQuery, TraceQuery
from obskit.dashboards.tables import (
    ColumnSettings,
    PieChart,
    PieData,
    TableData,
    TimeSeriesTable,
    Treemap,
    TreemapData,
)
from obskit.dashboards.texts import Blank, Links, SectionHeader, Text, TextStyle
from obskit.dashboards.thresholds import Threshold
from obskit.dashboards.widgets import RawWidget, TimeRange, VisibleWhen
from obskit.queries.aggregations import Aggregation

__all__ = [
    "Aggregation",
    "AlertChart",
    "Blank",
    "Breakdown",
    "CollapsibleGroup",
    "Column",
    "ColumnLayout",
    "ColumnSettings",
    "Dashboard",
    "DashboardFilter",
    "DataSet",
    "Dimension",
    "ErrorReportingPanel",
    "Event",
    "EventAnnotation",
    "FilterControl",
    "FilterQuery",
    "GridLayout",
    "IncidentList",
    "Links",
    "LogsPanel",
    "Measure",
    "Mode",
    "MonitoredResource",
    "MosaicLayout",
    "MqlQuery",
    "Pick",
    "PieChart",
    "PieData",
    "Plot",
    "RatioQuery",
    "RawWidget",
    "Row",
    "RowLayout",
    "Scale",
    "Scorecard",
    "SectionHeader",
    "SingleViewGroup",
    "SortedBy",
    "Space",
    "Spark",
    "SqlQuery",
    "TableData",
    "Text",
    "TextStyle",
    "Threshold",
    "Tile",
    "TimeRange",
    "TimeSeriesTable",
    "TraceQuery",
    "Treemap",
    "TreemapData",
    "VisibleWhen",
    "Weighted",
    "XyChart",
    "budgets",
    "health",
    "llm",
    "llm_guard",
    "service",
]
