"""Dashboards as code, and the ready-made ones."""

from __future__ import annotations

from obskit.dashboards.charts import DataSet, Plot, Scale, Scorecard, Spark, Threshold, XyChart
from obskit.dashboards.dashboards import Dashboard
from obskit.dashboards.layout import CollapsibleGroup, Row, SectionHeader
from obskit.dashboards.ready.budgets import budgets
from obskit.dashboards.ready.guard import llm_guard
from obskit.dashboards.ready.health import health
from obskit.dashboards.ready.llm import llm
from obskit.dashboards.ready.service import service
from obskit.dashboards.sources import FilterQuery
from obskit.dashboards.widgets import IncidentList, LogsPanel, RawWidget, Text

__all__ = [
    "CollapsibleGroup",
    "Dashboard",
    "DataSet",
    "FilterQuery",
    "IncidentList",
    "LogsPanel",
    "Plot",
    "RawWidget",
    "Row",
    "Scale",
    "Scorecard",
    "SectionHeader",
    "Spark",
    "Text",
    "Threshold",
    "XyChart",
    "budgets",
    "health",
    "llm",
    "llm_guard",
    "service",
]
