from __future__ import annotations

import pytest

from obskit.alerts import latency_p95
from obskit.catalog import AI_COST, HTTP_SERVER_DURATION, Route
from obskit.dashboards import (
    Dashboard,
    DataSet,
    IncidentList,
    LogsPanel,
    RawWidget,
    Scorecard,
    SectionHeader,
    Text,
    Threshold,
    XyChart,
)
from obskit.errors import DefinitionError
from obskit.queries import latest, rate
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(project="p")
COST = latest(AI_COST)


def told(widget):
    return [problem.problem for problem in Dashboard(id="d", rows=[widget]).problems(CONTEXT)]


def test_a_chart_is_the_apis_json():
    """Data sets, thresholds, axes and units stand where the API has them."""
    chart = XyChart(
        title="Cost",
        data=[
            DataSet(query=COST, legend="${labels.job}", plot="stacked_area", period="5m"),
            DataSet(query="up", unit="1", axis="y2"),
        ],
        thresholds=[75, Threshold(value=50, label="target")],
        unit="USD",
        label="dollars",
        label_y2="instances",
        scale="log10",
    )
    assert told(chart) == []
    assert chart.to_dict(CONTEXT) == {
        "title": "Cost",
        "xyChart": {
            "dataSets": [
                {
                    "timeSeriesQuery": {
                        "prometheusQuery": "sum(workload_googleapis_com:obskit_gen_ai_cost)",
                        "unitOverride": "USD",
                    },
                    "plotType": "STACKED_AREA",
                    "minAlignmentPeriod": "300s",
                    "targetAxis": "Y1",
                    "legendTemplate": "${labels.job}",
                },
                {
                    "timeSeriesQuery": {"prometheusQuery": "up", "unitOverride": "1"},
                    "plotType": "LINE",
                    "minAlignmentPeriod": "60s",
                    "targetAxis": "Y2",
                },
            ],
            "yAxis": {"label": "dollars", "scale": "LOG10"},
            "y2Axis": {"label": "instances", "scale": "LINEAR"},
            "chartOptions": {"mode": "COLOR"},
            "thresholds": [{"value": 75.0}, {"value": 50.0, "label": "target"}],
        },
    }


def test_a_chart_draws_the_alerts_own_threshold():
    """Changing the policy changes the line."""
    chart = XyChart(title="t", data=[COST], thresholds=[latency_p95(threshold="800ms", display_name="Slow")])
    assert chart.to_dict(CONTEXT)["xyChart"]["thresholds"] == [{"value": 0.8, "label": "alert: Slow"}]


def test_a_charts_queries_follow_the_route():
    """The dashboard is the same definition on both routes."""
    chart = XyChart(title="t", data=[rate(HTTP_SERVER_DURATION, window="5m")])
    query = chart.to_dict(RenderContext(project="p", route=Route.OTLP))["xyChart"]["dataSets"][0]["timeSeriesQuery"]
    assert query == {"prometheusQuery": "sum(rate(http_server_request_duration_count[5m]))"}


def test_a_scorecard_is_the_apis_json():
    """Thresholds have colour and direction here, which a chart's do not."""
    card = Scorecard(
        title="Cost",
        query=COST,
        unit="USD",
        thresholds=[Threshold(value=0.4, color="yellow", direction="below", label="l")],
        spark="bar",
    )
    assert told(card) == []
    assert card.to_dict(CONTEXT)["scorecard"] == {
        "timeSeriesQuery": {
            "prometheusQuery": "sum(workload_googleapis_com:obskit_gen_ai_cost)",
            "unitOverride": "USD",
        },
        "thresholds": [{"value": 0.4, "label": "l", "color": "YELLOW", "direction": "BELOW"}],
        "sparkChartView": {"sparkChartType": "SPARK_BAR"},
    }
    gauge = Scorecard(title="g", query="up", gauge=(0, 100)).to_dict(CONTEXT)["scorecard"]
    assert gauge["gaugeView"] == {"lowerBound": 0.0, "upperBound": 100.0}


def test_panels_and_texts_are_the_apis_json():
    """Logs, incidents, texts and headings."""
    assert LogsPanel(filter="severity>=ERROR").to_dict(CONTEXT) == {
        "logsPanel": {"filter": "severity>=ERROR", "resourceNames": ["projects/p"]}
    }
    assert LogsPanel(title="l", projects=["a", "b"]).to_dict(CONTEXT)["logsPanel"]["resourceNames"] == [
        "projects/a",
        "projects/b",
    ]
    assert Text(content="*x*", format="raw").to_dict(CONTEXT) == {"text": {"content": "*x*", "format": "RAW"}}
    assert SectionHeader(title="s", subtitle="t", has_divider=True).to_dict(CONTEXT) == {
        "title": "s",
        "sectionHeader": {"subtitle": "t", "dividerBelow": True},
    }
    assert IncidentList(policies=[latency_p95(), "other"]).to_dict(CONTEXT)["incidentList"] == {
        "policyNames": ["projects/p/alertPolicies/obskit:latency-p95", "projects/p/alertPolicies/obskit:other"]
    }
    assert IncidentList(title="").to_dict(CONTEXT) == {"incidentList": {}}


def test_a_raw_widget_is_carried_unchanged():
    """Kinds and fields without a class here pass through."""
    document = {"title": "t", "pieChart": {"chartType": "DONUT", "newField": [1, {"x": None}]}}
    assert RawWidget(json=document).to_dict(CONTEXT) == document


@pytest.mark.parametrize(
    ("widget", "problem"),
    [
        (XyChart(title="t", data=[]), "the chart has no data"),
        (XyChart(title="t", data=["sum("]), "the query does not parse"),
        (XyChart(title="t", data=["up", "sum("]), "data set 2: the query does not parse"),
        (XyChart(title="t", data=[COST], label_y2="x"), "label_y2 names an axis that no data set uses"),
        (XyChart(title="t", data=[COST], scale="log10", thresholds=[0]), "a threshold of 0 or less has no place"),
        (XyChart(title="t", data=[DataSet(query="up", legend="${a")]), 'legend "${a" has a "${" without "}"'),
        (XyChart(title="t", data=[DataSet(query="up", period="0s")]), "the period is shorter than a second"),
        (Scorecard(title="t", query="up", gauge=(5, 5)), "the gauge ends at 5, before it begins at 5"),
        (Scorecard(title="t", query="up", gauge=(0, 5), spark="line"), "a scorecard has a gauge or a spark chart"),
        (Text(content=" "), "the text is empty"),
        (SectionHeader(title=""), "the section has no title"),
        (LogsPanel(filter='a="b'), "the filter has a quote that is not closed"),
        (LogsPanel(filter="(a=b"), 'the filter has "(" without ")"'),
        (RawWidget(json={"title": "t"}), "the widget shows nothing"),
    ],
)
def test_each_rule_is_checked(widget, problem):
    """What would be refused, or show nothing, is told."""
    (found,) = told(widget)
    assert found.startswith(problem)


def test_a_widgets_problem_stands_at_its_line():
    """The widget's own file and line, with the dashboard's id and the widget's title."""
    chart = XyChart(title="Cost", data=[])
    (problem,) = Dashboard(id="d", rows=[chart]).problems(CONTEXT)
    assert problem.place == f'{chart.source}: dashboard "d", widget "Cost"'


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: XyChart(title="t", data=[COST], thresholds="2s"), "'2s' is not a number"),
        (lambda: XyChart(title="t", data=[3]), "3 is not a query"),
        (lambda: DataSet(query=COST, plot="lines"), 'Did you mean "line"'),
        (lambda: Scorecard(title="t", query=COST, gauge=5), "5 is not a range"),
        (lambda: IncidentList(policies=[3]), "3 is not an alert policy"),
        (lambda: XyChart(titel="t", data=[COST]), 'Did you mean "title"'),
        (lambda: RawWidget(json="{}"), "is not a table"),
    ],
)
def test_wrong_values_are_refused_where_they_are_written(make, problem):
    """Each with its reason."""
    with pytest.raises(DefinitionError, match=problem.replace("[", r"\[")):
        make()
