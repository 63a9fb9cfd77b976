"""Widgets with numbers over time: charts and scorecards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar

from obskit.dashboards.columns import SLICES, Breakdown, Dimension, Measure, SortedBy
from obskit.dashboards.sources import QUERY, Source, query_rules, query_text, source
from obskit.dashboards.thresholds import LIMITS, LINES, AxisSide, Color, Direction, Threshold, thresholds
from obskit.dashboards.widgets import Policy, Widget
from obskit.dashboards.wire import Part, Unreadable, Wire, choice, duration, flag, maybe, parts, text
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_flag, as_number, as_text, definition, given, many, one_of, shown
from obskit.queries.durations import DurationLike, as_duration, whole_seconds
from obskit.queries.promql import Query

__all__ = [
    "AxisSide",
    "Color",
    "DataSet",
    "Direction",
    "Mode",
    "Plot",
    "Scale",
    "Scorecard",
    "Spark",
    "Threshold",
    "XyChart",
]


class Plot(StrEnum):
    """How a data set is drawn."""

    LINE = "line"
    STACKED_AREA = "stacked_area"
    STACKED_BAR = "stacked_bar"
    HEATMAP = "heatmap"


class Scale(StrEnum):
    """How an axis is divided."""

    LINEAR = "linear"
    LOG10 = "log10"


class Mode(StrEnum):
    """How a chart tells many lines apart."""

    COLOR = "color"
    X_RAY = "x_ray"
    STATS = "stats"


class Spark(StrEnum):
    """The small chart on a scorecard."""

    LINE = "line"
    BAR = "bar"


def with_unit(rendered: dict[str, Any], unit: str) -> dict[str, Any]:
    """Return a data set in a chart's unit where it has none of its own."""
    query = rendered.get("timeSeriesQuery", {})
    if unit and "unitOverride" not in query:
        return {**rendered, "timeSeriesQuery": {**query, "unitOverride": unit}}
    return rendered


@definition
class DataSet(Part):
    """Series in a chart.

    Attributes:
        query: a query of `obskit.queries`, PromQL as text, or one of `obskit.dashboards.sources`.
        legend: names each series; ``${label}`` stands for a label's value.
        plot: ``line``, ``stacked_area``, ``stacked_bar`` or ``heatmap``.
        unit: of the values, in UCUM notation; the chart's when empty.
        axis: ``y1`` or ``y2``.
        period: least time between two points; the platform's choice when None.
        is_whole_range: whether the time range becomes one value.
        dimensions: columns of a SQL result whose values are the categories.
        measures: what is computed of them.
        breakdowns: one series for each value of a column.
        sort: columns that order the data and the legend.
    """

    noun: ClassVar[str] = "data set"
    wire: ClassVar[Mapping[str, Wire]] = {
        "query": QUERY,
        "unit": text("timeSeriesQuery.unitOverride"),
        "is_whole_range": flag("timeSeriesQuery.outputFullDuration"),
        "plot": choice("plotType", Plot),
        "period": duration("minAlignmentPeriod"),
        "axis": choice("targetAxis", AxisSide, absent=AxisSide.Y1),
        "legend": text("legendTemplate"),
        **SLICES,
        "sort": parts("sort", SortedBy),
    }

    query: Source | str = given(source, placeholder=Query(("vector(0)",)))
    legend: str = given(as_text, default="")
    plot: str | None = given(maybe(one_of(Plot)), default=Plot.LINE)
    unit: str = given(as_text, default="")
    axis: str = given(one_of(AxisSide), default=AxisSide.Y1)
    period: DurationLike | None = given(maybe(as_duration), default=timedelta(seconds=60))
    is_whole_range: bool = given(as_flag, default=False)
    dimensions: Sequence[Dimension] = given(many(Dimension), default=())
    measures: Sequence[Measure] = given(many(Measure), default=())
    breakdowns: Sequence[Breakdown] = given(many(Breakdown), default=())
    sort: Sequence[SortedBy] = given(many(SortedBy), default=())

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from query_rules(self.query, context)
        if self.period is not None and whole_seconds(self.period) < 1:
            yield "the period is shorter than a second", 'Write for example period="60s"'
        if self.legend.count("${") != self.legend.count("}"):
            yield f'legend "{self.legend}" has a "${{" without "}}"', "Write ${label}"

    def as_written(self) -> object:
        """Return what a person would write for it: the query, where it has nothing else to say."""
        return self.query if self == DataSet(query=self.query) else self


def _data(value: object) -> tuple[DataSet, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(item if isinstance(item, DataSet) else DataSet(query=source(item)) for item in items)


@definition
class XyChart(Widget):
    """A chart over time.

    Attributes:
        title: above it.
        data: data sets, or queries; at least one.
        thresholds: lines: numbers, `Threshold`s, or alert policies, whose own threshold is drawn.
        unit: of the values, in UCUM notation, e.g. ``s``, ``USD``, ``10^2.%`` for a ratio shown in percent.
        label: of the value axis.
        label_y2: of the second value axis.
        scale: ``linear`` or ``log10``.
        scale_y2: likewise, of the second value axis.
        label_x: of the axis of time.
        scale_x: of the axis of time, where it shows something else.
        mode: ``color``, ``x_ray`` or ``stats``.
        is_horizontal: whether bars lie.
        has_legend: whether the legend is shown from the start.
        compared_with: also shows the values of so long ago, e.g. ``"7d"``; lines only.
    """

    key: ClassVar[str] = "xyChart"
    wire: ClassVar[Mapping[str, Wire]] = {
        "data": parts("dataSets", DataSet),
        "label": text("yAxis.label"),
        "scale": choice("yAxis.scale", Scale),
        "label_x": text("xAxis.label"),
        "scale_x": choice("xAxis.scale", Scale),
        "mode": choice("chartOptions.mode", Mode),
        "is_horizontal": flag("chartOptions.displayHorizontal"),
        "has_legend": flag("chartOptions.showLegend"),
        "label_y2": text("y2Axis.label"),
        "scale_y2": choice("y2Axis.scale", Scale, absent=Scale.LINEAR),
        "thresholds": LINES,
        "compared_with": duration("timeshiftDuration"),
    }

    title: str = given(as_text, placeholder="")
    data: Sequence[DataSet | Source | str] | DataSet | Source = given(_data, placeholder=())
    thresholds: Sequence[Threshold | Policy | float] = given(thresholds, default=())
    unit: str = given(as_text, default="")
    label: str = given(as_text, default="")
    label_y2: str = given(as_text, default="")
    scale: str | None = given(maybe(one_of(Scale)), default=Scale.LINEAR)
    scale_y2: str = given(one_of(Scale), default=Scale.LINEAR)
    label_x: str = given(as_text, default="")
    scale_x: str | None = given(one_of(Scale), default=None)
    mode: str | None = given(maybe(one_of(Mode)), default=Mode.COLOR)
    is_horizontal: bool = given(as_flag, default=False)
    has_legend: bool = given(as_flag, default=False)
    compared_with: DurationLike | None = given(as_duration, default=None)

    def written(self, context: RenderContext) -> dict[str, Any]:
        """Return what the fields say in the REST form."""
        document = Widget.written(self, context)
        chart = document["xyChart"]
        chart["dataSets"] = [with_unit(data, self.unit) for data in chart.get("dataSets", ())]
        if not self._has_y2() and not self.label_y2:
            del chart["y2Axis"]
        return document

    @classmethod
    def hoisted(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values, a unit that all data sets share as the chart's."""
        if "data" not in values:
            raise Unreadable("the chart has no data sets that are known")
        units = {data.unit for data in values["data"]}
        if len(units) == 1 and units != {""}:
            data = tuple(replace(data, unit="") for data in values["data"])
            return values | {"data": data, "unit": units.pop()}
        return values

    def _has_y2(self) -> bool:
        return any(data.axis == AxisSide.Y2 for data in _data(self.data))

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if not self.data:
            yield "the chart has no data", "Add data=[DataSet(query=…)]"
        for place, data in enumerate(_data(self.data), 1):
            if data.is_broken:
                continue
            where = f"data set {place}: " if len(_data(self.data)) > 1 else ""
            yield from ((where + problem, way_out) for problem, way_out in data.rules(context))
        if self.label_y2 and not self._has_y2():
            yield "label_y2 names an axis that no data set uses", 'Give one axis="y2", or leave label_y2 out'
        if self.scale == Scale.LOG10 and any(threshold.value <= 0 for threshold in thresholds(self.thresholds)):
            yield "a threshold of 0 or less has no place on a logarithmic axis", 'Use scale="linear"'
        yield from self._comparison_rules()

    def _comparison_rules(self) -> Iterator[tuple[str, str]]:
        if self.compared_with is None:
            return
        if whole_seconds(self.compared_with) <= 0:
            yield "compared_with is 0 s, must be above 0", 'Write for example compared_with="7d"'
        # Source: XyChart.timeshift_duration.
        if any(data.plot not in (Plot.LINE, None) for data in _data(self.data)):
            yield "compared_with is for lines only", 'Use plot="line", or leave compared_with out'

    def texts(self, context: RenderContext) -> Iterator[str]:
        """Return the queries."""
        yield from (query_text(data.query, context) for data in _data(self.data) if not data.is_broken)


def _gauge(value: object) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{shown(value)} is not a range of two numbers | Write gauge=(0, 100)")
    return as_number(value[0]), as_number(value[1])


@definition
class Scorecard(Widget):
    """The latest value of a query that returns one series.

    Attributes:
        title: above it.
        query: a query of `obskit.queries`, PromQL as text, or one of `obskit.dashboards.sources`.
        unit: of the value, in UCUM notation.
        thresholds: limits that colour it: numbers, `Threshold`s, or alert policies.
        spark: ``line`` or ``bar``: a small chart behind the value.
        spark_period: least time between two points of the small chart.
        gauge: lowest and highest possible value: shows a gauge instead.
        is_blank: whether the value stands alone, without a colour for its thresholds.
        is_whole_range: whether the value is of the whole time range instead of its end.
        dimensions: columns of a SQL result.
        measures: what is computed of them.
        breakdowns: one value for each of a column's.
    """

    key: ClassVar[str] = "scorecard"
    wire: ClassVar[Mapping[str, Wire]] = {
        "query": QUERY,
        "unit": text("timeSeriesQuery.unitOverride"),
        "is_whole_range": flag("timeSeriesQuery.outputFullDuration"),
        "thresholds": LIMITS,
        "gauge": Wire(
            path="gaugeView",
            write=lambda value, _: {"lowerBound": value[0], "upperBound": value[1]},
            read=lambda value: (value.get("lowerBound", 0), value.get("upperBound", 0)),
        ),
        "spark": choice("sparkChartView.sparkChartType", Spark, prefix="SPARK_"),
        "spark_period": duration("sparkChartView.minAlignmentPeriod"),
        "is_blank": Wire(path="blankView", write=lambda _, __: {}, read=lambda value: value == {}),
        **SLICES,
    }

    title: str = given(as_text, placeholder="")
    query: Source | str = given(source, placeholder=Query(("vector(0)",)))
    unit: str = given(as_text, default="")
    thresholds: Sequence[Threshold | Policy | float] = given(thresholds, default=())
    spark: str | None = given(one_of(Spark), default=None)
    spark_period: DurationLike | None = given(as_duration, default=None)
    gauge: tuple[float, float] | None = given(_gauge, default=None)
    is_blank: bool = given(as_flag, default=False)
    is_whole_range: bool = given(as_flag, default=False)
    dimensions: Sequence[Dimension] = given(many(Dimension), default=())
    measures: Sequence[Measure] = given(many(Measure), default=())
    breakdowns: Sequence[Breakdown] = given(many(Breakdown), default=())

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from query_rules(self.query, context)
        if self.gauge is not None and self.gauge[0] >= self.gauge[1]:
            yield f"the gauge ends at {self.gauge[1]:g}, before it begins at {self.gauge[0]:g}", "Swap the two"
        if self.gauge is not None and self.spark is not None:
            yield "a scorecard has a gauge or a spark chart, not both", "Leave one out"
        if self.is_blank and (self.gauge is not None or self.spark is not None):
            yield "a blank scorecard has neither a gauge nor a spark chart", "Leave is_blank out"
        if self.spark_period is not None and self.spark is None:
            yield "spark_period has no effect without a spark chart", 'Add spark="line"'

    def texts(self, context: RenderContext) -> Iterator[str]:
        """Return the query."""
        yield query_text(self.query, context)
