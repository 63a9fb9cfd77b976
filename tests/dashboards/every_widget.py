"""One widget of every kind, with every field said by one of them."""

from __future__ import annotations

from obskit.dashboards import (
    Aggregation,
    AlertChart,
    Blank,
    Breakdown,
    CollapsibleGroup,
    ColumnSettings,
    DataSet,
    Dimension,
    ErrorReportingPanel,
    FilterControl,
    FilterQuery,
    IncidentList,
    LogsPanel,
    Measure,
    MonitoredResource,
    MqlQuery,
    Pick,
    PieChart,
    PieData,
    RatioQuery,
    Scorecard,
    SectionHeader,
    SingleViewGroup,
    SortedBy,
    SqlQuery,
    TableData,
    Text,
    TextStyle,
    Threshold,
    TimeRange,
    TimeSeriesTable,
    TraceQuery,
    Treemap,
    TreemapData,
    VisibleWhen,
    XyChart,
)
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(project="p")
MINUTE = Aggregation(period="60s", aligner="rate", reducer="sum", by=["resource.labels.zone"])
REQUESTS = FilterQuery(
    filter='metric.type="run.googleapis.com/request_count"',
    aggregation=MINUTE,
    secondary=Aggregation(period="300s", aligner="max"),
    pick=Pick(count=5, by="latest", end="bottom"),
)
PLAIN = FilterQuery(filter=REQUESTS.filter, aggregation=MINUTE)
WIDGETS = [
    XyChart(
        title="all of it",
        data=[
            DataSet(query="up", plot="line", legend="${labels.job}", unit="1"),
            DataSet(query=REQUESTS, plot="stacked_area", axis="y2", is_whole_range=True),
            DataSet(query=RatioQuery(numerator=PLAIN, denominator=PLAIN, pick=3), plot="stacked_bar"),
            DataSet(query=MqlQuery(mql="fetch gce_instance"), plot="heatmap", period=None),
            DataSet(query=TraceQuery(value="duration", services=["a"], is_root=True, shortest="1s"), plot=None),
            DataSet(
                query=SqlQuery(sql="SELECT 1"),
                dimensions=[Dimension(column="a", type="STRING", order="ascending", most_bins=5, time_bin_size="60s")],
                measures=[Measure(column="b", function="percentile", parameters=[95])],
                breakdowns=[Breakdown(column="c", function="sum", limit=3, order="descending")],
                sort=[SortedBy(column="a", order="ascending")],
            ),
        ],
        thresholds=[1, Threshold(value=2, label="two", axis="y2")],
        label="left",
        label_y2="right",
        label_x="below",
        scale="log10",
        scale_y2="log10",
        scale_x="linear",
        mode="stats",
        is_horizontal=True,
        has_legend=True,
        id="chart-1",
        time_range=TimeRange(start="2026-11-21T00:00:00Z", end="2026-11-21T06:00:00Z"),
        visible_when=VisibleWhen(variable="unit", matches="per (second|minute)"),
    ),
    XyChart(title="week over week", data=["up"], unit="s", compared_with="7d", time_range="1d"),
    Scorecard(title="gauge", query="up", gauge=(0, 100), thresholds=[Threshold(value=1, color="yellow")]),
    Scorecard(title="spark", query=REQUESTS, spark="bar", spark_period="60s", unit="ms"),
    Scorecard(title="blank", query=SqlQuery(sql="SELECT 1"), is_blank=True, measures=[Measure(column="a")]),
    TimeSeriesTable(
        title="table",
        data=[TableData(query="up", name="${job}", period="60s", is_whole_range=True, unit="s"), "down"],
        shown=[ColumnSettings(column="job", display_name="Job", align="right", thresholds=[3]), "value"],
        cells="bar",
    ),
    PieChart(
        title="pie",
        data=[
            PieData(
                query=SqlQuery(sql="SELECT 1"),
                name="${job}",
                period="60s",
                dimensions=[
                    Dimension(
                        column="a",
                        sort_column="b",
                        bin_size=10,
                        float_bin_size=0.5,
                        lowest=-1.5,
                        highest=10,
                        order="none",
                    )
                ],
                measures=[Measure(column="a", function="percentile", parameters=[99.5])],
            )
        ],
        kind="pie",
        has_labels=True,
    ),
    Treemap(
        title="tree",
        data=[TreemapData(query="up", measures=[Measure(column="a")], breakdowns=[Breakdown(column="b")])],
        hierarchy=["a", "b"],
    ),
    Text(
        content="# x",
        format="raw",
        style=TextStyle(
            background="#fff",
            color="#212121",
            align="center",
            vertical_align="top",
            padding="extra_small",
            font_size="extra_large",
            pointer="top_left",
        ),
    ),
    Text(title="only a title"),
    AlertChart(policy="projects/p/alertPolicies/1"),
    IncidentList(
        title="",
        policies=["alertPolicies/1"],
        resources=[MonitoredResource(type="gce_instance", labels={"zone": "a"}), "global"],
    ),
    LogsPanel(filter="severity>=ERROR", projects=["a", "projects/b/locations/global/buckets/c/views/d"]),
    LogsPanel(projects=[]),
    ErrorReportingPanel(projects=["a"], services=["b"], versions=["c"]),
    SectionHeader(title="s", subtitle="t", has_divider=True),
    FilterControl(variable="unit"),
    Blank(),
    CollapsibleGroup(title="g", is_collapsed=True),
    SingleViewGroup(title="v", selector="tab"),
]
