"""Every widget, layout, filter and annotation of the REST API: written, read back the same, and never dropped."""

from __future__ import annotations

import pytest
from every_widget import CONTEXT, WIDGETS

from obskit import dashboards
from obskit.dashboards import (
    Aggregation,
    CollapsibleGroup,
    Column,
    ColumnLayout,
    Dashboard,
    DashboardFilter,
    EventAnnotation,
    FilterQuery,
    GridLayout,
    MosaicLayout,
    RawWidget,
    Row,
    RowLayout,
    SingleViewGroup,
    Space,
    SqlQuery,
    Text,
    Tile,
    Weighted,
    XyChart,
)
from obskit.dashboards.kinds import KINDS, read_widget
from obskit.queries.carried import is_same
from obskit.sync.source import expression


@pytest.mark.parametrize("widget", WIDGETS, ids=lambda widget: f"{type(widget).__name__}-{WIDGETS.index(widget)}")
def test_a_widget_is_read_back_the_same(widget):
    """JSON and back gives the model itself, with nothing carried."""
    again = read_widget(widget.to_dict(CONTEXT))
    assert again == widget
    assert again.carried == {}


@pytest.mark.parametrize("widget", WIDGETS, ids=lambda widget: f"{type(widget).__name__}-{WIDGETS.index(widget)}")
def test_a_widget_is_written_as_python_and_is_the_same_again(widget):
    """Every field survives being written, short forms included."""
    names = vars(dashboards)
    assert eval(expression(widget), dict(names)) == widget  # our own text


def test_every_kind_of_widget_is_tried():
    """The list above has each kind that the API has."""
    assert {type(widget) for widget in WIDGETS} == set(KINDS.values())


@pytest.mark.parametrize(
    "document",
    [
        {"title": "t", "hologram": {"depth": 3, "isNew": False}},
        {"hologram": {}},
        {"title": "t", "xyChart": {"dataSets": [{"timeSeriesQuery": {"newQuery": "x"}, "plotType": "LINE"}]}},
        {"title": "t", "xyChart": {}},
        {"scorecard": {"timeSeriesQuery": {"timeSeriesFilter": 3}}},
        {"text": "not a table"},
        {"title": "two", "text": {"content": "a"}, "blank": {}},
    ],
)
def test_what_has_no_class_is_carried_as_json(document):
    """Unknown kinds, unknown queries and broken documents come back as they were."""
    widget = read_widget(document)
    assert isinstance(widget, RawWidget)
    assert is_same(widget.to_dict(CONTEXT), document)


@pytest.mark.parametrize(
    ("document", "carried"),
    [
        (
            {"title": "t", "text": {"content": "a", "format": "RAW", "glow": {"radius": 3}}, "pinned": True},
            {"text": {"glow": {"radius": 3}}, "pinned": True},
        ),
        ({"text": {"content": "a", "format": "HTML"}}, {"text": {"format": "HTML"}}),
        (
            {"title": "t", "scorecard": {"timeSeriesQuery": {"prometheusQuery": "up"}, "holoView": {"angle": 2}}},
            {"scorecard": {"holoView": {"angle": 2}}},
        ),
    ],
)
def test_unknown_fields_are_carried_beside_the_known(document, carried):
    """A field or a word that is newer than this model stays in place, and the rest is a model all the same."""
    widget = read_widget(document)
    assert not isinstance(widget, RawWidget)
    assert widget.carried == carried
    assert is_same(widget.to_dict(CONTEXT), document)


def test_what_the_server_adds_is_not_read():
    """apiSource, REDUCE_NONE, empty lists and 60.0s leave no trace in the model."""
    document = {
        "title": "t",
        "xyChart": {
            "dataSets": [
                {
                    "timeSeriesQuery": {
                        "apiSource": "DEFAULT_CLOUD",
                        "outputFullDuration": False,
                        "timeSeriesFilter": {
                            "filter": 'metric.type="a"',
                            "aggregation": {
                                "alignmentPeriod": "60.0s",
                                "perSeriesAligner": "ALIGN_RATE",
                                "crossSeriesReducer": "REDUCE_NONE",
                                "groupByFields": [],
                            },
                            "secondaryAggregation": {},
                        },
                    },
                    "plotType": "LINE",
                    "minAlignmentPeriod": "60s",
                    "breakdowns": [],
                }
            ],
            "yAxis": {"label": "", "scale": "LINEAR"},
            "chartOptions": {"mode": "COLOR", "displayHorizontal": False},
            "timeshiftDuration": "0s",
            "thresholds": [],
        },
    }
    query = FilterQuery(filter='metric.type="a"', aggregation=Aggregation(period="60s", aligner="rate"))
    assert read_widget(document) == XyChart(title="t", data=[query])


TEXTS = [Text(content=name) for name in "abcdefg"]
A, B, C, D, E, F, G = TEXTS


@pytest.mark.parametrize(
    "rows",
    [
        [A, Row(widgets=[B, C], height=8)],
        [Row(widgets=[A, Column(widgets=[B, C])])],
        [Row(widgets=[Column(widgets=[A, Row(widgets=[B, C])]), D], height=20)],
        [Row(widgets=[Space(width=8), Text(content="a", width=16), Space(width=8), Text(content="b", width=16)])],
        [A, Row(widgets=[Space()], height=3), B],
        [Row(widgets=[Text(content="a", width=18), Column(widgets=[B, Space(), C], width=30)], height=30)],
        [CollapsibleGroup(title="g", rows=[A, Row(widgets=[B, C], height=5)]), D],
        [Row(widgets=[SingleViewGroup(title="v", widgets=[A, B, C]), D])],
        [CollapsibleGroup(title="g", rows=[Row(widgets=[SingleViewGroup(widgets=[A, B]), Column(widgets=[C, D, E])])])],
    ],
    ids=["rows", "next-to", "nested", "spaces", "gap", "column-with-gap", "group", "views", "views-in-group"],
)
def test_positions_become_rows_again(rows):
    """Rows, columns, spaces and groups are found again in the tiles' positions, sizes left out where they are shared."""
    made = Dashboard(id="d", rows=rows)
    again = Dashboard.from_json(made.to_dict(CONTEXT))
    assert again.layout is None
    assert again.to_dict(CONTEXT) == made.to_dict(CONTEXT)
    assert again == made


def test_a_grid_of_another_width_stays_so():
    """Older dashboards have twelve columns; their rows share those."""
    made = Dashboard(id="d", rows=[Row(widgets=[A, B, C], height=4), Row(widgets=[D, E], height=3)], columns=12)
    assert [tile["width"] for tile in made.to_dict(CONTEXT)["mosaicLayout"]["tiles"]] == [4, 4, 4, 6, 6]
    assert Dashboard.from_json(made.to_dict(CONTEXT)) == made


def test_positions_that_no_rows_can_say_stay_positions():
    """A pinwheel cannot be cut; it comes back tile by tile."""
    mosaic = MosaicLayout(
        columns=3,
        tiles=[
            Tile(x=0, y=0, width=2, height=1, widget=A),
            Tile(x=2, y=0, width=1, height=2, widget=B),
            Tile(x=1, y=2, width=2, height=1, widget=C),
            Tile(x=0, y=1, width=1, height=2, widget=D),
            Tile(x=1, y=1, width=1, height=1, widget=E),
        ],
    )
    made = Dashboard(id="d", layout=mosaic)
    assert made.problems(CONTEXT) == []
    assert Dashboard.from_json(made.to_dict(CONTEXT)) == made


@pytest.mark.parametrize(
    "layout",
    [
        GridLayout(columns=2, widgets=[A, B, C]),
        GridLayout(widgets=[A]),
        RowLayout(rows=[Weighted(weight=2, widgets=[A, B]), [C]]),
        ColumnLayout(columns=[[A], Weighted(weight=3, widgets=[B])]),
    ],
)
def test_the_apis_other_layouts_are_read_back(layout):
    """Grid, rows and columns with weights, whose 64-bit numbers travel as text."""
    made = Dashboard(id="d", layout=layout)
    assert made.problems(CONTEXT) == []
    assert Dashboard.from_json(made.to_dict(CONTEXT)) == made


def test_what_a_dashboard_has_around_its_widgets_is_read_back():
    """Labels, filters, variables, annotations; what sync and the server wrote is left out, what is unknown is carried."""
    made = Dashboard(
        id="checkout",
        display_name="Checkout",
        rows=[A],
        labels={"team": "shop"},
        filters=[
            DashboardFilter(label="zone", kind="metric_label", variable="Zone", default="a", value_type="string"),
            DashboardFilter(label="zone", defaults=["a", "b"]),
            DashboardFilter(kind="value_only", variable="unit", choices=["s", "ms"]),
            DashboardFilter(label="pod", variable="Pod", query=SqlQuery(sql="SELECT 1")),
        ],
        annotations=["cloud_run_deployment", EventAnnotation(event="gke_pod_crash", filter="a=b", enabled=False)],
        annotation_projects=["projects/p"],
    )
    document = made.to_dict(CONTEXT)
    own = {"managed-by": "obskit", "obskit-id": "checkout", "obskit-stack": "s", "obskit-hash": "0"}
    stamped = {**document, "labels": {"team": "shop"} | own, "name": "projects/1/dashboards/2", "etag": "e", "mood": 3}
    again = Dashboard.from_json(stamped)
    assert again.carried == {"mood": 3}
    assert again.to_dict(CONTEXT) == {**document, "mood": 3}
    assert made.problems(CONTEXT) == []
    assert Dashboard.from_json(document) == made
