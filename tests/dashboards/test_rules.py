"""What is wrong with a dashboard is told before it is sent, all of it at once, where it is written."""

from __future__ import annotations

import pytest

from obskit.alerts import latency_p95
from obskit.dashboards import (
    AlertChart,
    CollapsibleGroup,
    Column,
    ColumnSettings,
    Dashboard,
    DashboardFilter,
    DataSet,
    EventAnnotation,
    FilterControl,
    FilterQuery,
    GridLayout,
    Links,
    MosaicLayout,
    MqlQuery,
    Pick,
    PieChart,
    RatioQuery,
    Row,
    Scorecard,
    SingleViewGroup,
    SqlQuery,
    Text,
    TextStyle,
    Tile,
    TimeRange,
    TimeSeriesTable,
    TraceQuery,
    Treemap,
    VisibleWhen,
    XyChart,
)
from obskit.errors import DefinitionError
from obskit.queries import per_stack
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(project="p")
TEXT = Text(content="x")
ZONE = DashboardFilter(label="zone", variable="Zone")
RUN = FilterQuery(filter='metric.type="run.googleapis.com/request_count"')


def told(*rows, **fields):
    return [problem.problem for problem in Dashboard(id="d", rows=rows, **fields).problems(CONTEXT)]


@pytest.mark.parametrize(
    ("widget", "problem"),
    [
        (XyChart(title="t", data=["up"], compared_with="0s"), "compared_with is 0 s, must be above 0"),
        (
            XyChart(title="t", data=[DataSet(query="up", plot="heatmap")], compared_with="1d"),
            "compared_with is for lines only",
        ),
        (Scorecard(title="t", query="up", gauge=(0, 1), is_blank=True), "a blank scorecard has neither"),
        (Scorecard(title="t", query="up", spark_period="1m"), "spark_period has no effect"),
        (PieChart(title="t", data=[]), "there is no data"),
        (PieChart(title="t", data=["sum("]), "the query does not parse"),
        (TimeSeriesTable(title="t", data=["up", "sum("]), "data set 2: the query does not parse"),
        (Treemap(title="t", data=["up"]), "the treemap has no hierarchy"),
        (AlertChart(policy=""), "the chart has no policy"),
        (SingleViewGroup(), "the group has no widgets"),
        (CollapsibleGroup(title="g", rows=[TEXT], width=5), "width= and height= do not fit a group"),
        (Text(content="x", id="a b"), 'id "a b" has characters beside'),
        (Text(content="x", time_range=TimeRange(last="0s")), "the time range is 0 s long"),
        (Text(content="x", time_range=TimeRange(start="2026-01-01")), "the time range has neither"),
        (Links(), "there are no links"),
        (Links(pages={"Runbook": "wiki/latency"}), "\"Runbook\": 'wiki/latency' is no http or https address"),
        (Scorecard(title="t", query=SqlQuery(sql=" ")), "the SQL query is empty"),
        (Scorecard(title="t", query=MqlQuery(mql="")), "the MQL query is empty"),
        (Scorecard(title="t", query=TraceQuery(shortest="2s", longest="1s")), "shortest is above longest"),
        (
            Scorecard(title="t", query=RatioQuery(numerator=RUN, denominator=FilterQuery(filter=RUN.filter, pick=3))),
            "the denominator has a secondary aggregation or a pick",
        ),
        (FilterControl(variable="Zome"), 'the dashboard has no variable "Zome"'),
        (Text(content="x", visible_when=VisibleWhen(variable="unit", matches="a")), 'the dashboard has no variable "u'),
        (XyChart(title="t", data=["up{${Zoen}}"]), 'the dashboard has no variable "Zoen"'),
    ],
)
def test_each_rule_of_a_widget_is_checked(widget, problem):
    """What would be refused, or show nothing, is told."""
    (found,) = told(widget, filters=[ZONE])
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"rows": [TEXT], "layout": GridLayout(widgets=[TEXT])}, "the dashboard has both rows= and layout="),
        ({"rows": [TEXT], "columns": 49}, "the grid is 49 blocks wide, at most 48 are allowed"),
        ({"rows": [TEXT], "filters": [ZONE, ZONE]}, 'two filters have the variable "Zone"'),
        ({"rows": [Text(content="x", id="a"), Text(content="y", id="a")]}, 'two widgets have the id "a"'),
        ({"rows": [TEXT], "filters": [DashboardFilter(variable="a")]}, "the filter has no label"),
        (
            {"rows": [TEXT], "filters": [DashboardFilter(kind="value_only")]},
            'a filter of kind "value_only" needs a variable',
        ),
        (
            {"rows": [TEXT], "filters": [DashboardFilter(label="a", default="b", defaults=["c"])]},
            "the filter has both default= and defaults=",
        ),
        (
            {"rows": [TEXT], "filters": [DashboardFilter(label="a", default="b", value_type="string_array")]},
            'default= is for one value, value_type is "string_array"',
        ),
        ({"layout": GridLayout(widgets=[])}, "the grid has no widgets"),
        ({"layout": MosaicLayout(tiles=[Tile(x=40, width=9, height=1, widget=TEXT)])}, "a tile ends at block 49"),
        (
            {
                "layout": MosaicLayout(
                    tiles=[Tile(width=2, height=2, widget=TEXT), Tile(x=1, width=2, height=2, widget=TEXT)]
                )
            },
            "the tiles at x=0, y=0 and x=1, y=0 overlap",
        ),
        ({"rows": [Row(widgets=[Column(widgets=[])])]}, "the column has no widgets"),
        (
            {"rows": [Row(widgets=[Column(widgets=[Text(content="a", height=16), TEXT]), TEXT])]},
            "the column's widgets are 17 blocks high or more, the row has 16",
        ),
        (
            {"rows": [Row(widgets=[Column(widgets=[Text(content="a", width=30)]), TEXT])]},
            "a widget is 30 blocks wide, the column has 24",
        ),
        (
            {"rows": [Row(widgets=[Column(widgets=[Row(widgets=[Text(content="a", width=25)])]), TEXT])]},
            "the row's widgets are 25 blocks wide or more, the grid has 24",
        ),
    ],
)
def test_each_rule_of_a_dashboard_is_checked(fields, problem):
    """Layout, filters and ids."""
    (found,) = [found.problem for found in Dashboard(id="d", **fields).problems(CONTEXT)]
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: TextStyle(color="red"), "'red' is not a colour"),
        (lambda: Pick(count=0), "0 is not a number of series"),
        (lambda: EventAnnotation(event="cloud_run_deploymnt"), 'Did you mean "cloud_run_deployment"'),
        (lambda: Dashboard(id="d", annotations=["deploy"]), "'deploy' is not one of"),
        (lambda: Dashboard(id="d", layout=3), "3 is not a layout"),
        (lambda: Tile(x=-1, width=1, height=1, widget=TEXT), "-1 is not a position"),
        (lambda: SingleViewGroup(widgets=[Row(widgets=[TEXT])]), "is not a widget"),
        (lambda: TimeRange(start="yesterday"), "'yesterday' is not a time"),
        (lambda: ColumnSettings(column="a", align="middle"), "'middle' is not one of"),
    ],
)
def test_wrong_values_are_refused_where_they_are_written(make, problem):
    """Each with its reason."""
    with pytest.raises(DefinitionError, match=problem):
        make()


def test_all_problems_are_told_at_once_at_their_lines():
    """One look shows everything that is wrong with a dashboard."""
    chart, pie = XyChart(title="c", data=["up{${Zoen}}"]), PieChart(title="p", data=[])
    problems = Dashboard(id="d", rows=[chart, pie], filters=[ZONE], columns=50).problems(CONTEXT)
    assert [problem.problem for problem in problems] == [
        "the grid is 50 blocks wide, at most 48 are allowed",
        "there is no data",
        'the dashboard has no variable "Zoen"',
    ]
    assert problems[1].place == f'{pie.source}: dashboard "d", widget "p"'
    assert str(problems[2]) == (
        f'{chart.source}: dashboard "d", widget "c": the dashboard has no variable "Zoen". Did you mean "Zone".'
    )


@pytest.mark.parametrize(
    "query",
    [
        "up{${Zone}}",
        'up{${Zone},job="a"}',
        'sum by (x) (rate(up{job="${Zone.value}", ${Zone}}[${__interval}]))',
        "up * ${Zone.value}",
    ],
)
def test_variables_are_no_mistake_in_promql(query):
    """A variable stands for a matcher, a value or a duration."""
    assert told(XyChart(title="t", data=[query]), filters=[ZONE]) == []


def test_a_filter_stands_in_a_query_as_itself():
    """In an f-string, a filter is what the API wants there."""
    unit = DashboardFilter(kind="value_only", variable="unit")
    assert (f"{ZONE}", ZONE.value, f"{unit}") == ("${Zone}", "${Zone.value}", "${unit.value}")


def test_thresholds_follow_the_policy_everywhere():
    """A chart, a scorecard and a table's column draw the alert's own threshold, and change with it."""
    for threshold in (0.8, 1.5):
        policy = latency_p95(threshold=f"{threshold * 1000:g}ms")
        chart = XyChart(title="t", data=["up"], thresholds=[policy]).to_dict(CONTEXT)["xyChart"]
        card = Scorecard(title="t", query="up", thresholds=[policy]).to_dict(CONTEXT)["scorecard"]
        table = TimeSeriesTable(title="t", data=["up"], shown=[ColumnSettings(column="value", thresholds=[policy])])
        column = table.to_dict(CONTEXT)["timeSeriesTable"]["columnSettings"][0]
        for shown in (chart, card, column):
            assert shown["thresholds"][0]["value"] == threshold


def test_a_value_may_differ_between_stacks():
    """A threshold, a filter's default or a whole row may be another one in prod than in dev."""
    made = Dashboard(
        id="d",
        rows=[
            XyChart(title="t", data=["up"], thresholds=[per_stack({"dev": 5, "prod": 1})]),
            per_stack({"prod": Text(content="Careful")}, otherwise=None),
        ],
    )
    shown = {}
    for stack in ("dev", "prod"):
        context = RenderContext(project="p", stack=stack)
        assert made.problems(context) == []
        tiles = made.to_dict(context)["mosaicLayout"]["tiles"]
        shown[stack] = [tiles[0]["widget"]["xyChart"]["thresholds"], len(tiles)]
    assert shown == {"dev": [[{"value": 5.0}], 1], "prod": [[{"value": 1.0}], 2]}


def test_links_lead_into_the_project():
    """Runbooks, log queries and traces become a list of links with the project's id and encoded queries."""
    links = Links(
        pages={"Runbook": "https://wiki.example/latency"},
        logs={"Errors": 'severity>=ERROR AND jsonPayload.service="chat"'},
        traces={"Traces": "chat"},
    )
    assert told(links) == []
    content = links.to_dict(CONTEXT)["text"]["content"]
    assert "- [Runbook](https://wiki.example/latency)" in content
    assert "query;query=severity%3E%3DERROR%20AND%20jsonPayload.service%3D%22chat%22?project=p)" in content
    assert "- [Traces](https://console.cloud.google.com/traces/explorer" in content
