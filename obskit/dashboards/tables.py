"""Widgets with numbers at one time: pie charts, tables and treemaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from obskit.dashboards.columns import SLICES, Breakdown, Dimension, Measure
from obskit.dashboards.sources import QUERY, Source, query_rules, query_text, source
from obskit.dashboards.thresholds import LIMITS, Threshold, thresholds
from obskit.dashboards.widgets import Policy, Widget
from obskit.dashboards.wire import Part, Unreadable, Wire, choice, duration, flag, maybe, parts, text, texts
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Parse, as_flag, as_text, definition, given, many, one_of
from obskit.queries.durations import DurationLike, as_duration
from obskit.queries.promql import Query

__all__ = ["ColumnSettings", "PieChart", "PieData", "TableData", "TimeSeriesTable", "Treemap", "TreemapData"]

_QUERY: Mapping[str, Wire] = {
    "query": QUERY,
    "unit": text("timeSeriesQuery.unitOverride"),
    "is_whole_range": flag("timeSeriesQuery.outputFullDuration"),
}


class PieKind(StrEnum):
    """A full pie, or one with a hole in which the total stands."""

    PIE = "pie"
    DONUT = "donut"


@definition
class PieData(Part):
    """Slices of a pie chart.

    Attributes:
        query: a query of `obskit.queries`, PromQL as text, or one of `obskit.dashboards.sources`.
        name: names each slice; ``${label}`` stands for a label's value.
        unit: of the values, in UCUM notation.
        period: least time between two points.
        is_whole_range: whether the time range becomes one value.
        dimensions: columns of a SQL result whose values are the slices.
        measures: what is computed of them.
    """

    noun: ClassVar[str] = "data set"
    wire: ClassVar[Mapping[str, Wire]] = {
        **_QUERY,
        "name": text("sliceNameTemplate"),
        "period": duration("minAlignmentPeriod"),
        "dimensions": SLICES["dimensions"],
        "measures": SLICES["measures"],
    }

    query: Source | str = given(source, placeholder=Query(("vector(0)",)))
    name: str = given(as_text, default="")
    unit: str = given(as_text, default="")
    period: DurationLike | None = given(as_duration, default=None)
    is_whole_range: bool = given(as_flag, default=False)
    dimensions: Sequence[Dimension] = given(many(Dimension), default=())
    measures: Sequence[Measure] = given(many(Measure), default=())

    def as_written(self) -> object:
        """Return what a person would write for it: the query, where it has nothing else to say."""
        return self.query if self == PieData(query=self.query) else self


@definition
class TableData(Part):
    """Rows of a table.

    Attributes:
        query: a query of `obskit.queries`, PromQL as text, or one of `obskit.dashboards.sources`.
        name: names each row's series; ``${label}`` stands for a label's value.
        unit: of the values, in UCUM notation.
        period: least time between two points.
        is_whole_range: whether the time range becomes one value.
    """

    noun: ClassVar[str] = "data set"
    wire: ClassVar[Mapping[str, Wire]] = {
        **_QUERY,
        "name": text("tableTemplate"),
        "period": duration("minAlignmentPeriod"),
    }

    query: Source | str = given(source, placeholder=Query(("vector(0)",)))
    name: str = given(as_text, default="")
    unit: str = given(as_text, default="")
    period: DurationLike | None = given(as_duration, default=None)
    is_whole_range: bool = given(as_flag, default=False)

    def as_written(self) -> object:
        """Return what a person would write for it: the query, where it has nothing else to say."""
        return self.query if self == TableData(query=self.query) else self


@definition
class TreemapData(Part):
    """Rectangles of a treemap.

    Attributes:
        query: a query of `obskit.queries`, PromQL as text, or one of `obskit.dashboards.sources`.
        unit: of the values, in UCUM notation.
        is_whole_range: whether the time range becomes one value.
        measures: what is computed of a SQL result's columns.
        breakdowns: one rectangle for each value of a column.
    """

    noun: ClassVar[str] = "data set"
    wire: ClassVar[Mapping[str, Wire]] = {
        **_QUERY,
        "measures": SLICES["measures"],
        "breakdowns": SLICES["breakdowns"],
    }

    query: Source | str = given(source, placeholder=Query(("vector(0)",)))
    unit: str = given(as_text, default="")
    is_whole_range: bool = given(as_flag, default=False)
    measures: Sequence[Measure] = given(many(Measure), default=())
    breakdowns: Sequence[Breakdown] = given(many(Breakdown), default=())

    def as_written(self) -> object:
        """Return what a person would write for it: the query, where it has nothing else to say."""
        return self.query if self == TreemapData(query=self.query) else self


def _of(kind: Any) -> Parse:
    def parse(value: object) -> tuple[Any, ...]:
        items = value if isinstance(value, list | tuple) else (value,)
        return tuple(item if isinstance(item, kind) else kind(query=source(item)) for item in items)

    return parse


def _query_rules(data: Sequence[Any], context: RenderContext) -> Iterator[tuple[str, str]]:
    if not data:
        yield "there is no data", "Add data=[…]"
    for place, each in enumerate(data, 1):
        where = f"data set {place}: " if len(data) > 1 else ""
        if not each.is_broken:
            yield from ((where + problem, way_out) for problem, way_out in query_rules(each.query, context))


def _needs_data(values: dict[str, Any]) -> dict[str, Any]:
    if "data" not in values:
        raise Unreadable("there are no data sets that are known")
    return values


@definition
class PieChart(Widget):
    """Shares of a whole.

    Attributes:
        title: above it.
        data: `PieData`, or queries; at least one.
        kind: ``pie`` or ``donut``.
        has_labels: whether the slices are labelled.
    """

    key: ClassVar[str] = "pieChart"
    wire: ClassVar[Mapping[str, Wire]] = {
        "kind": choice("chartType", PieKind),
        "data": parts("dataSets", PieData),
        "has_labels": flag("showLabels"),
    }

    title: str = given(as_text, placeholder="")
    data: Sequence[PieData | Source | str] | PieData | Source | str = given(_of(PieData), placeholder=())
    kind: str | None = given(maybe(one_of(PieKind)), default=PieKind.DONUT)
    has_labels: bool = given(as_flag, default=False)

    @classmethod
    def hoisted(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values; without data there is nothing to say."""
        return _needs_data(values)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from _query_rules(_of(PieData)(self.data), context)

    def texts(self, context: RenderContext) -> Iterator[str]:
        """Return the queries."""
        yield from (query_text(data.query, context) for data in _of(PieData)(self.data))


class Cells(StrEnum):
    """How a table shows its values."""

    NUMBER = "number"
    BAR = "bar"


class CellAlign(StrEnum):
    """Where a cell's value stands."""

    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"


@definition
class ColumnSettings(Part):
    """How a column of a table looks.

    Attributes:
        column: the column's id: a label's name, or ``value``.
        is_visible: whether it is shown at first.
        display_name: shown above it.
        align: ``left``, ``center`` or ``right``.
        thresholds: limits that colour its cells: numbers, `Threshold`s, or alert policies.
    """

    noun: ClassVar[str] = "column"
    named_by: ClassVar[str] = "column"
    wire: ClassVar[Mapping[str, Wire]] = {
        "column": text("column"),
        "is_visible": flag("visible", absent=False),
        "display_name": text("displayName"),
        "align": choice("alignment", CellAlign),
        "thresholds": LIMITS,
    }

    column: str = given(as_text, placeholder="")
    is_visible: bool = given(as_flag, default=True)
    display_name: str = given(as_text, default="")
    align: str | None = given(one_of(CellAlign), default=None)
    thresholds: Sequence[Threshold | Policy | float] = given(thresholds, default=())

    def as_written(self) -> object:
        """Return what a person would write for it: the column's id, where it has nothing else to say."""
        return self.column if self == ColumnSettings(column=self.column) else self


def _columns(value: object) -> tuple[ColumnSettings, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(item if isinstance(item, ColumnSettings) else ColumnSettings(column=item) for item in items)


@definition
class TimeSeriesTable(Widget):
    """The latest value of each series, one a row.

    Attributes:
        title: above it.
        data: `TableData`, or queries; at least one.
        shown: how columns look, or which are shown; all when empty.
        cells: ``number`` or ``bar``.
    """

    key: ClassVar[str] = "timeSeriesTable"
    wire: ClassVar[Mapping[str, Wire]] = {
        "data": parts("dataSets", TableData),
        "shown": parts("columnSettings", ColumnSettings),
        "cells": choice("metricVisualization", Cells),
    }

    title: str = given(as_text, placeholder="")
    data: Sequence[TableData | Source | str] | TableData | Source | str = given(_of(TableData), placeholder=())
    shown: Sequence[ColumnSettings | str] = given(_columns, default=())
    cells: str | None = given(maybe(one_of(Cells)), default=Cells.NUMBER)

    @classmethod
    def hoisted(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values; without data there is nothing to say."""
        return _needs_data(values)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from _query_rules(_of(TableData)(self.data), context)

    def texts(self, context: RenderContext) -> Iterator[str]:
        """Return the queries."""
        yield from (query_text(data.query, context) for data in _of(TableData)(self.data))


@definition
class Treemap(Widget):
    """Nested rectangles, each as large as its share.

    Attributes:
        title: above it.
        data: `TreemapData`, or queries; at least one.
        hierarchy: labels from the outermost rectangles to the innermost; at least one.
    """

    key: ClassVar[str] = "treemap"
    wire: ClassVar[Mapping[str, Wire]] = {
        "data": parts("dataSets", TreemapData),
        "hierarchy": texts("treemapHierarchy"),
    }

    title: str = given(as_text, placeholder="")
    data: Sequence[TreemapData | Source | str] | TreemapData | Source | str = given(_of(TreemapData), placeholder=())
    hierarchy: Sequence[str] = given(many(str, parse=as_text), default=())

    @classmethod
    def hoisted(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values; without data there is nothing to say."""
        return _needs_data(values)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from _query_rules(_of(TreemapData)(self.data), context)
        if not self.hierarchy:
            yield "the treemap has no hierarchy", 'Add for example hierarchy=["service", "route"]'

    def texts(self, context: RenderContext) -> Iterator[str]:
        """Return the queries."""
        yield from (query_text(data.query, context) for data in _of(TreemapData)(self.data))
