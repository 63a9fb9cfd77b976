"""The dashboard of web services: requests, latency, errors, and where they come from.

Source of the lines: the project's requirements: p95 alert 2 s, warning 1 s, target 0.5 s; errors 5 %, target 1 %.
"""

from __future__ import annotations

from collections.abc import Sequence

from obskit.catalog import HTTP_CLIENT_DURATION, HTTP_SERVER_DURATION, TELEMETRY_LOST
from obskit.dashboards.charts import Color, DataSet, Plot, Scorecard, Spark, Threshold, XyChart
from obskit.dashboards.dashboards import Dashboard
from obskit.dashboards.layout import CollapsibleGroup, Row
from obskit.dashboards.panels import IncidentList, LogsPanel
from obskit.dashboards.widgets import Policy
from obskit.queries.definitions import ready_made
from obskit.queries.metrics import growth, highest, percentile, rate, share
from obskit.queries.promql import Labels, Query, matches

__all__ = ["service"]

_PERCENT = "10^2.%"
_WINDOW = "2m"


@ready_made("dashboard")
def service(
    *,
    service: str | None = None,
    latency: Policy | float = 2.0,
    errors: Policy | float = 0.05,
    policies: Sequence[Policy | str] = (),
    id: str = "service",  # noqa: A002 - the field's name
    display_name: str = "Service",
) -> Dashboard:
    """Return the dashboard of one service, or of all of them side by side.

    Args:
        service: the service's name; every service gets its own lines when not given.
        latency: the latency policy, whose threshold is drawn, or seconds.
        errors: the error policy, whose threshold is drawn, or a share of 0 to 1.
        policies: more policies whose incidents are listed.
        id: the dashboard's id.
        display_name: the dashboard's name.
    """
    where: Labels = {} if service is None else {"service": service}
    listed = [policy for policy in (latency, errors) if isinstance(policy, Policy)]
    return Dashboard(
        id=id,
        display_name=display_name,
        rows=(
            _cards(where, latency, errors, [*listed, *policies]),
            Row(widgets=(_latency(where, latency), _errors(where, errors))),
            Row(widgets=(_by_status(where), _by_route(where))),
            Row(widgets=(_slow_routes(where, latency), _failing_routes(where))),
            LogsPanel(title="Warnings and errors", filter=_log_filter(service), height=14),
            _causes(where),
        ),
    )


def _line(limit: Policy | float) -> Policy | Threshold:
    return limit if isinstance(limit, Policy) else Threshold(value=limit, label="alert")


def _red(limit: Policy | float) -> Policy | Threshold:
    return limit if isinstance(limit, Policy) else Threshold(value=limit, color=Color.RED)


def _cards(where: Labels, latency: Policy | float, errors: Policy | float, policies: Sequence[Policy | str]) -> Row:
    p95 = percentile(95, HTTP_SERVER_DURATION, where=where, by="service", window=_WINDOW)
    return Row(
        height=8,
        widgets=(
            Scorecard(
                title="Requests",
                query=rate(HTTP_SERVER_DURATION, where=where, window=_WINDOW),
                unit="1/s",
                spark=Spark.LINE,
                width=10,
            ),
            Scorecard(
                title="p95, slowest service",
                query=highest(p95),
                unit="s",
                thresholds=(_red(latency), Threshold(value=1.0, color=Color.YELLOW)),
                spark=Spark.LINE,
                width=10,
            ),
            Scorecard(
                title="Failed requests (5xx)",
                query=_error_ratio(where, by=()),
                unit=_PERCENT,
                thresholds=(_red(errors), Threshold(value=0.01, color=Color.YELLOW)),
                spark=Spark.LINE,
                width=10,
            ),
            IncidentList(policies=policies),
        ),
    )


def _error_ratio(where: Labels, by: Sequence[str] | str) -> Query:
    failed: Labels = {**where, "http.response.status_code": matches("5..")}
    return share(
        growth(HTTP_SERVER_DURATION, where=failed, by=by, window=_WINDOW),
        growth(HTTP_SERVER_DURATION, where=where, by=by, window=_WINDOW),
    )


def _latency(where: Labels, latency: Policy | float) -> XyChart:
    return XyChart(
        title="Latency",
        data=[
            DataSet(
                query=percentile(percent, HTTP_SERVER_DURATION, where=where, by="service", window=_WINDOW),
                legend=f"p{percent} ${{labels.job}}",
            )
            for percent in (50, 95, 99)
        ],
        thresholds=(
            _line(latency),
            Threshold(value=1.0, label="p95 warning"),
            Threshold(value=0.5, label="p95 target"),
        ),
        unit="s",
        label="seconds",
    )


def _errors(where: Labels, errors: Policy | float) -> XyChart:
    return XyChart(
        title="Failed requests (5xx)",
        data=[DataSet(query=_error_ratio(where, by="service"), legend="${labels.job}")],
        thresholds=(_line(errors), Threshold(value=0.01, label="target")),
        unit=_PERCENT,
        label="share of requests",
    )


def _by_status(where: Labels) -> XyChart:
    query = rate(HTTP_SERVER_DURATION, where=where, by="http.response.status_code", window=_WINDOW)
    return XyChart(
        title="Requests by status",
        data=[DataSet(query=query, legend="${labels.http_response_status_code}", plot=Plot.STACKED_AREA)],
        unit="1/s",
        label="requests per second",
    )


def _by_route(where: Labels) -> XyChart:
    query = rate(HTTP_SERVER_DURATION, where=where, by=("service", "http.route"), window=_WINDOW)
    return XyChart(
        title="Requests by route",
        data=[DataSet(query=query, legend="${labels.job} ${labels.http_route}", plot=Plot.STACKED_AREA)],
        unit="1/s",
        label="requests per second",
    )


def _slow_routes(where: Labels, latency: Policy | float) -> XyChart:
    query = percentile(95, HTTP_SERVER_DURATION, where=where, by=("service", "http.route"), window="5m")
    return XyChart(
        title="p95 by route",
        data=[DataSet(query=query, legend="${labels.job} ${labels.http_route}")],
        thresholds=(_line(latency),),
        unit="s",
        label="seconds",
    )


def _failing_routes(where: Labels) -> XyChart:
    failed: Labels = {**where, "http.response.status_code": matches("5..")}
    query = growth(HTTP_SERVER_DURATION, where=failed, by=("service", "http.route"), window="1m")
    return XyChart(
        title="Failed requests by route",
        data=[DataSet(query=query, legend="${labels.job} ${labels.http_route}", plot=Plot.STACKED_BAR)],
        unit="1",
        label="requests per minute",
    )


def _log_filter(service: str | None) -> str:
    return "severity>=WARNING" + (f' AND jsonPayload.service="{service}"' if service else "")


def _causes(where: Labels) -> CollapsibleGroup:
    calls = percentile(95, HTTP_CLIENT_DURATION, where=where, by="server.address", window="5m")
    failing = growth(
        HTTP_CLIENT_DURATION,
        where={**where, "error.type": matches(".+")},
        by=("server.address", "error.type"),
        window="1m",
    )
    lost = growth(TELEMETRY_LOST, where=where, by=("obskit.signal", "obskit.reason"), window="1m")
    return CollapsibleGroup(
        title="What it depends on",
        is_collapsed=True,
        rows=(
            Row(
                height=14,
                widgets=(
                    XyChart(
                        title="p95 of outgoing calls",
                        data=[DataSet(query=calls, legend="${labels.server_address}")],
                        unit="s",
                        label="seconds",
                    ),
                    XyChart(
                        title="Failed outgoing calls",
                        data=[
                            DataSet(
                                query=failing,
                                legend="${labels.server_address} ${labels.error_type}",
                                plot=Plot.STACKED_BAR,
                            )
                        ],
                        unit="1",
                        label="calls per minute",
                    ),
                    XyChart(
                        title="Telemetry lost",
                        data=[
                            DataSet(
                                query=lost,
                                legend="${labels.obskit_signal} ${labels.obskit_reason}",
                                plot=Plot.STACKED_BAR,
                            )
                        ],
                        unit="1",
                        label="items per minute",
                    ),
                ),
            ),
        ),
    )
