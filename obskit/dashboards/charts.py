"""Widgets with numbers: charts and scorecards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from obskit.dashboards.sources import FilterQuery, query_dict, query_rules, source
from obskit.dashboards.widgets import Policy, Widget, span
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_number, as_text, definition, given, one_of
from obskit.queries.durations import DurationLike, as_duration, json_duration, whole_seconds
from obskit.queries.promql import Query

__all__ = ["AxisSide", "Color", "DataSet", "Direction", "Plot", "Scale", "Scorecard", "Spark", "Threshold", "XyChart"]


class Plot(StrEnum):
    """How a data set is drawn."""

    LINE = "line"
    STACKED_AREA = "stacked_area"
    STACKED_BAR = "stacked_bar"


class Scale(StrEnum):
    """How an axis is divided."""

    LINEAR = "linear"
    LOG10 = "log10"


class AxisSide(StrEnum):
    """Which of a chart's two value axes."""

    Y1 = "y1"
    Y2 = "y2"


class Color(StrEnum):
    """How bad it is to cross a threshold."""

    YELLOW = "yellow"
    RED = "red"


class Direction(StrEnum):
    """On which side of a threshold it is bad."""

    ABOVE = "above"
    BELOW = "below"


class Spark(StrEnum):
    """The small chart on a scorecard."""

    LINE = "line"
    BAR = "bar"


@definition
class Threshold(Definition):
    """A line in a chart, or a limit of a scorecard.

    Attributes:
        value: in the unit of what is shown.
        label: what it is.
        color: ``yellow`` or ``red``; scorecards only, a chart's line has no colour in the API.
        direction: ``above`` or ``below``; scorecards only.
    """

    noun: ClassVar[str] = "threshold"
    named_by: ClassVar[str] = "label"

    value: float = given(as_number, placeholder=0.0)
    label: str = given(as_text, default="")
    color: str = given(one_of(Color), default=Color.RED)
    direction: str = given(one_of(Direction), default=Direction.ABOVE)

    def line(self) -> dict[str, Any]:
        """Return the REST form for a chart, where colour and direction are not allowed."""
        return {"value": self.value} | ({"label": self.label} if self.label else {})

    def limit(self) -> dict[str, Any]:
        """Return the REST form for a scorecard."""
        return self.line() | {"color": Color(self.color).name, "direction": Direction(self.direction).name}


def _thresholds(value: object) -> tuple[Threshold, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(found for item in items for found in _threshold(item))


def _threshold(value: object) -> Iterator[Threshold]:
    if isinstance(value, Threshold):
        yield value
    elif isinstance(value, Policy):
        if value.threshold is None:
            raise ValueError(f'policy "{value.id}" compares with no number | Give a Threshold(value=…)')
        yield Threshold(value=value.threshold, label=f"alert: {value.display_name or value.id}")
    else:
        yield Threshold(value=as_number(value))


@definition
class DataSet(Definition):
    """Series in a chart.

    Attributes:
        query: a query of `obskit.queries`, PromQL as text, or a `FilterQuery`.
        legend: names each series; ``${label}`` stands for a label's value.
        plot: ``line``, ``stacked_area`` or ``stacked_bar``.
        unit: of the values, in UCUM notation; the chart's when empty.
        axis: ``y1`` or ``y2``.
        period: least time between two points.
    """

    noun: ClassVar[str] = "data set"

    query: Query | FilterQuery | str = given(source, placeholder=Query(("vector(0)",)))
    legend: str = given(as_text, default="")
    plot: str = given(one_of(Plot), default=Plot.LINE)
    unit: str = given(as_text, default="")
    axis: str = given(one_of(AxisSide), default=AxisSide.Y1)
    period: DurationLike = given(as_duration, default="60s")

    def to_dict(self, context: RenderContext, *, unit: str) -> dict[str, Any]:
        """Return the REST form."""
        rendered: dict[str, Any] = {
            "timeSeriesQuery": query_dict(self.query, context, unit=self.unit or unit),
            "plotType": Plot(self.plot).name,
            "minAlignmentPeriod": json_duration(self.period),
            "targetAxis": AxisSide(self.axis).name,
        }
        if self.legend:
            rendered["legendTemplate"] = self.legend
        return rendered

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from query_rules(self.query, context)
        if whole_seconds(self.period) < 1:
            yield "the period is shorter than a second", 'Write for example period="60s"'
        if self.legend.count("${") != self.legend.count("}"):
            yield f'legend "{self.legend}" has a "${{" without "}}"', "Write ${label}"


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
        width: in grid blocks.
        height: in grid blocks.
    """

    title: str = given(as_text, placeholder="")
    data: Sequence[DataSet | Query | FilterQuery | str] | DataSet | Query | FilterQuery = given(_data, placeholder=())
    thresholds: Sequence[Threshold | Policy | float] = given(_thresholds, default=())
    unit: str = given(as_text, default="")
    label: str = given(as_text, default="")
    label_y2: str = given(as_text, default="")
    scale: str = given(one_of(Scale), default=Scale.LINEAR)
    width: int | None = given(span, default=None)
    height: int | None = given(span, default=None)

    def shown(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        axis = ({"label": self.label} if self.label else {}) | {"scale": Scale(self.scale).name}
        chart: dict[str, Any] = {
            "dataSets": [data.to_dict(context, unit=self.unit) for data in _data(self.data)],
            "yAxis": axis,
            "chartOptions": {"mode": "COLOR"},
        }
        if any(data.axis == AxisSide.Y2 for data in _data(self.data)):
            chart["y2Axis"] = ({"label": self.label_y2} if self.label_y2 else {}) | {"scale": "LINEAR"}
        if self.thresholds:
            chart["thresholds"] = [threshold.line() for threshold in _thresholds(self.thresholds)]
        return {"xyChart": chart}

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if not self.data:
            yield "the chart has no data", "Add data=[DataSet(query=…)]"
        for place, data in enumerate(_data(self.data), 1):
            if data.is_broken:
                continue
            where = f"data set {place}: " if len(_data(self.data)) > 1 else ""
            yield from ((where + problem, way_out) for problem, way_out in data.rules(context))
        if self.label_y2 and all(data.axis == AxisSide.Y1 for data in _data(self.data)):
            yield "label_y2 names an axis that no data set uses", 'Give one axis="y2", or leave label_y2 out'
        if self.scale == Scale.LOG10 and any(threshold.value <= 0 for threshold in _thresholds(self.thresholds)):
            yield "a threshold of 0 or less has no place on a logarithmic axis", 'Use scale="linear"'


def _gauge(value: object) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{value!r} is not a range | Write gauge=(0, 100)")
    return as_number(value[0]), as_number(value[1])


@definition
class Scorecard(Widget):
    """The latest value of a query that returns one series.

    Attributes:
        title: above it.
        query: a query of `obskit.queries`, PromQL as text, or a `FilterQuery`.
        unit: of the value, in UCUM notation.
        thresholds: limits that colour it: numbers, `Threshold`s, or alert policies.
        spark: ``line`` or ``bar``: a small chart behind the value.
        gauge: lowest and highest possible value: shows a gauge instead.
        width: in grid blocks.
        height: in grid blocks.
    """

    title: str = given(as_text, placeholder="")
    query: Query | FilterQuery | str = given(source, placeholder=Query(("vector(0)",)))
    unit: str = given(as_text, default="")
    thresholds: Sequence[Threshold | Policy | float] = given(_thresholds, default=())
    spark: str | None = given(one_of(Spark), default=None)
    gauge: tuple[float, float] | None = given(_gauge, default=None)
    width: int | None = given(span, default=None)
    height: int | None = given(span, default=None)

    def shown(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        card: dict[str, Any] = {"timeSeriesQuery": query_dict(self.query, context, unit=self.unit)}
        if self.thresholds:
            card["thresholds"] = [threshold.limit() for threshold in _thresholds(self.thresholds)]
        if self.gauge is not None:
            card["gaugeView"] = {"lowerBound": self.gauge[0], "upperBound": self.gauge[1]}
        elif self.spark is not None:
            card["sparkChartView"] = {"sparkChartType": f"SPARK_{Spark(self.spark).name}"}
        return {"scorecard": card}

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from query_rules(self.query, context)
        if self.gauge is not None and self.gauge[0] >= self.gauge[1]:
            yield f"the gauge ends at {self.gauge[1]:g}, before it begins at {self.gauge[0]:g}", "Turn the two round"
        if self.gauge is not None and self.spark is not None:
            yield "a scorecard has a gauge or a spark chart, not both", "Leave one out"
