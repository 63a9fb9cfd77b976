"""Google's own types judge what is rendered."""

from __future__ import annotations

import json

import pytest
from google.cloud.monitoring_dashboard_v1 import Dashboard as GoogleDashboard
from google.protobuf import json_format

from obskit.alerts import latency_p95
from obskit.catalog import HTTP_SERVER_DURATION, Route
from obskit.dashboards import (
    CollapsibleGroup,
    Dashboard,
    DataSet,
    FilterQuery,
    IncidentList,
    LogsPanel,
    Row,
    Scorecard,
    SectionHeader,
    Text,
    Threshold,
    XyChart,
    llm,
    service,
)
from obskit.queries.aggregations import Aggregation, metric_filter
from obskit.queries.context import RenderContext

FILTERED = FilterQuery(
    filter=metric_filter(HTTP_SERVER_DURATION),
    aggregation=Aggregation(period="60s", aligner="percentile_95", reducer="max", by=["resource.labels.job"]),
    secondary=Aggregation(period="300s", aligner="mean"),
)
EVERYTHING = Dashboard(
    id="everything",
    display_name="Everything",
    labels={"team": "search"},
    rows=[
        SectionHeader(title="s", subtitle="t", has_divider=True),
        Row(
            widgets=[
                XyChart(
                    title="x",
                    data=[DataSet(query=FILTERED, legend="${a}", plot="stacked_bar"), DataSet(query="up", axis="y2")],
                    thresholds=[latency_p95(), Threshold(value=1)],
                    unit="s",
                    label="l",
                    label_y2="m",
                    scale="log10",
                ),
                Scorecard(title="c", query="up", thresholds=[1], spark="line"),
                Scorecard(title="g", query=FILTERED, gauge=(1, 2)),
            ]
        ),
        CollapsibleGroup(title="g", is_collapsed=True, rows=[Text(content="t"), LogsPanel(filter="a=b")]),
        IncidentList(policies=["a"]),
    ],
)


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("dashboard", [EVERYTHING, service(), llm()], ids=lambda dashboard: dashboard.id)
def test_a_dashboard_passes_googles_types_and_comes_back_the_same(dashboard, route):
    """Every field is known to the official Dashboard, and none is lost on the way."""
    context = RenderContext(project="p", route=route)
    rendered = dashboard.to_dict(context)
    assert dashboard.problems(context) == []
    parsed = GoogleDashboard.from_json(json.dumps(rendered), ignore_unknown_fields=False)
    assert json_format.MessageToDict(GoogleDashboard.pb(parsed)) == rendered
