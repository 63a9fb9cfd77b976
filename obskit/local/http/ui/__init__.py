"""The services behind the web UI: one table, one file a topic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from obskit.local.http.ui.alerts import incident, incidents, notifications, policies
from obskit.local.http.ui.charts import promql, timeseries
from obskit.local.http.ui.llm import llm
from obskit.local.http.ui.overview import info, overview, stats
from obskit.local.http.ui.telemetry import error_group, error_groups, error_panel, logs, trace, traces

__all__ = ["UI_SERVICES", "ui_routes"]

_Handler = Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]

UI_SERVICES: Final[dict[tuple[str, str], _Handler]] = {
    ("GET", "/api/info"): info,
    ("GET", "/api/overview"): overview,
    ("GET", "/api/stats"): stats,
    ("GET", "/api/policies"): policies,
    ("GET", "/api/incidents"): incidents,
    ("GET", "/api/incidents/{id}"): incident,
    ("GET", "/api/notifications"): notifications,
    ("GET", "/api/traces"): traces,
    ("GET", "/api/traces/{id}"): trace,
    ("GET", "/api/logs"): logs,
    ("GET", "/api/errors"): error_groups,
    ("GET", "/api/errors-panel"): error_panel,
    ("GET", "/api/errors/{id}"): error_group,
    ("GET", "/api/llm"): llm,
    ("POST", "/api/timeseries"): timeseries,
    ("POST", "/api/promql"): promql,
}


def ui_routes() -> list[Route]:
    """Return the routes of the table."""
    return [Route(path, handler, methods=[method]) for (method, path), handler in UI_SERVICES.items()]
