"""What is rendered, judged by the REST API's own schema: no field that it lacks, and no field that is never rendered.

`rest_schema.json` has the names and types of the API's discovery document (`monitoring:v1`, its revision is in the file).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from every_widget import CONTEXT, WIDGETS

from obskit.dashboards import (
    ColumnLayout,
    Dashboard,
    DashboardFilter,
    EventAnnotation,
    FilterQuery,
    GridLayout,
    Pick,
    RatioQuery,
    Row,
    RowLayout,
    Scorecard,
    SqlQuery,
    Text,
    TraceQuery,
    Weighted,
    charts,
    columns,
    filters,
    layout,
    sources,
    tables,
    texts,
    thresholds,
    widgets,
)
from obskit.dashboards.kinds import KINDS
from obskit.queries.aggregations import Aggregation, Aligner, Reducer

DOCUMENT = json.loads((Path(__file__).parent / "rest_schema.json").read_text())
SCHEMAS = DOCUMENT["schemas"]
TEXT = Text(content="x")
MINUTE = Aggregation(period="60s", aligner="mean", reducer="sum", by=["a"])
MORE = [
    Scorecard(
        title="t",
        query=RatioQuery(
            numerator=FilterQuery(filter="a", aggregation=MINUTE),
            denominator=FilterQuery(filter="b"),
            secondary=MINUTE,
            pick=Pick(count=1),
        ),
    ),
    Scorecard(
        title="t",
        query=TraceQuery(scope="projects/p", names=["a"], kinds=["b"], status=["c"], longest="1s"),
        dimensions=WIDGETS[0].data[5].dimensions,
        breakdowns=WIDGETS[0].data[5].breakdowns,
    ),
]
DASHBOARDS = [
    Dashboard(
        id="d",
        rows=[TEXT, Row(widgets=[TEXT, TEXT])],
        labels={"a": "b"},
        filters=[
            DashboardFilter(label="a", variable="b", default="c", value_type="string"),
            DashboardFilter(kind="value_only", variable="v", defaults=["a"], choices=["a"], query=SqlQuery(sql="x")),
        ],
        annotations=[EventAnnotation(event="gke_pod_crash", display_name="n", filter="f", projects=["projects/p"])],
        annotation_projects=["projects/p"],
    ),
    Dashboard(id="d", layout=GridLayout(columns=2, widgets=[TEXT])),
    Dashboard(id="d", layout=RowLayout(rows=[Weighted(weight=2, widgets=[TEXT])])),
    Dashboard(id="d", layout=ColumnLayout(columns=[Weighted(weight=2, widgets=[TEXT])])),
]
# Fields that Google's own dashboards have, and the discovery document does not list.
UNLISTED = {"ChartOptions.showLegend"}
# Fields that a model need not say: the server's own, those that the API ignores, and those of a preview that are carried.
UNSAID = {
    *("Dashboard.name", "Dashboard.etag", "TimeSeriesFilter.statisticalTimeSeriesFilter"),
    *("TimeSeriesFilterRatio.statisticalTimeSeriesFilter", "TableDataSet.tableDisplayOptions"),
    *("PickTimeSeriesFilter.interval", "SpanFilters.apphubServices", "SpanFilters.apphubWorkloads"),
    *("SpanFilters.applicationIds", "SpanFilters.attributes"),
}


def judged(value, kind, place, said):
    """Yield what the schema does not have; note the fields that were said."""
    if isinstance(kind, list):
        if not isinstance(value, list):
            yield f"{place}: no list"
            return
        for item in value:
            yield from judged(item, kind[0], place, said)
    elif isinstance(kind, dict):
        if not all(isinstance(item, str) for item in value.values()):
            yield f"{place}: no table of texts"
    elif kind in SCHEMAS:
        for key, item in value.items():
            said.add(f"{kind}.{key}")
            if f"{kind}.{key}" in UNLISTED:
                continue
            if key not in SCHEMAS[kind]:
                yield f"{place}.{key}: the API has no such field"
            else:
                yield from judged(item, SCHEMAS[kind][key], f"{place}.{key}", said)
    elif "|" in kind:
        if value not in kind.split("|"):
            yield f"{place}: {value!r} is none of {kind}"
    elif not fits(value, kind):
        yield f"{place}: {value!r} is no {kind}"


def fits(value, kind):
    if kind == "int64":
        return isinstance(value, str) and value.isdigit()
    if kind == "google-duration":
        return isinstance(value, str) and value.endswith("s")
    expected = {"boolean": bool, "double": float, "int32": int, "google-datetime": str, "string": str}[kind]
    return isinstance(value, expected)


def test_every_widget_fits_the_schema_and_every_field_of_it_is_used():
    """Names, enums and types are the API's; and there is nothing in the API that the models cannot say."""
    said, faults = set(), []
    for widget in [*WIDGETS, *MORE]:
        faults += judged(widget.to_dict(CONTEXT), "Widget", type(widget).__name__, said)
    for made in DASHBOARDS:
        faults += judged(made.to_dict(CONTEXT), "Dashboard", "dashboard", said)
    assert faults == []
    known = {f"{kind}.{field}" for kind, fields in SCHEMAS.items() for field in fields}
    assert sorted(known - said - UNSAID - {name for name in known if name.split(".")[0] in UNREACHED}) == []


# Types of the fields above that are carried.
UNREACHED = {"StatisticalTimeSeriesFilter", "TableDisplayOptions", "SpanAttributeFilter"}


def test_every_kind_of_widget_has_a_class():
    """The keys of a widget are the kinds that are read, and the four fields that all have."""
    assert set(SCHEMAS["Widget"]) - {"title", "id", "timeRange", "visibilityCondition"} == set(KINDS)


@pytest.mark.parametrize(
    ("field", "prefix", "choices"),
    [
        ("EventAnnotation.eventType", "", filters.Event),
        ("DashboardFilter.filterType", "", filters.FilterKind),
        ("DashboardFilter.valueType", "", filters.ValueType),
        ("DataSet.plotType", "", charts.Plot),
        ("DataSet.targetAxis", "", thresholds.AxisSide),
        ("ChartOptions.mode", "", charts.Mode),
        ("Axis.scale", "", charts.Scale),
        ("SparkChartView.sparkChartType", "SPARK_", charts.Spark),
        ("Threshold.color", "", thresholds.Color),
        ("Threshold.direction", "", thresholds.Direction),
        ("Dimension.sortOrder", "SORT_ORDER_", columns.SortOrder),
        ("PickTimeSeriesFilter.rankingMethod", "METHOD_", sources.Ranking),
        ("PickTimeSeriesFilter.direction", "", sources.End),
        ("TraceQuery.spanDataValue", "SPAN_", sources.SpanValue),
        ("PieChart.chartType", "", tables.PieKind),
        ("TimeSeriesTable.metricVisualization", "", tables.Cells),
        ("ColumnSettings.alignment", "", tables.CellAlign),
        ("SingleViewGroup.displayType", "", layout.Selector),
        ("Text.format", "", widgets.TextFormat),
        ("TextStyle.horizontalAlignment", "H_", texts.Align),
        ("TextStyle.verticalAlignment", "V_", texts.VerticalAlign),
        ("TextStyle.padding", "P_", texts.Size),
        ("TextStyle.fontSize", "FS_", texts.Size),
        ("TextStyle.pointerLocation", "PL_", texts.Pointer),
        ("Aggregation.perSeriesAligner", "ALIGN_", Aligner),
        ("Aggregation.crossSeriesReducer", "REDUCE_", Reducer),
    ],
)
def test_enums_are_complete(field, prefix, choices):
    """Every word of the API that means something is a choice, and no other is."""
    schema, name = field.split(".")
    words = {word for word in SCHEMAS[schema][name].split("|") if not word.endswith("_UNSPECIFIED")}
    assert words == {prefix + choice.name for choice in choices}
