"""Where a widget's numbers come from: PromQL, filters with aggregations and their ratios, SQL, traces, MQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final

from obskit.dashboards.variables import filter_without_variables, promql_without_variables
from obskit.dashboards.wire import Part, Unreadable, Wire, choice, duration, flag, maybe, part, text, texts, whole
from obskit.errors import Problem
from obskit.queries.aggregations import Aggregation, Aligner, MetricFilter, check_filter
from obskit.queries.checks import check_promql
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_flag, as_number, as_text, definition, given, many, one, one_of, shown
from obskit.queries.durations import DurationLike, as_duration
from obskit.queries.promql import Query, promql
from obskit.queries.reading import read_aggregations

__all__ = [
    "QUERY",
    "FilterQuery",
    "MqlQuery",
    "Pick",
    "RatioQuery",
    "Source",
    "SpanValue",
    "SqlQuery",
    "TraceQuery",
    "query_dict",
    "query_rules",
    "query_text",
    "source",
]

_LONGEST_PERIOD: Final = timedelta(weeks=104)  # Source: Aggregation.alignment_period, for charts


def _filter(value: object) -> str | MetricFilter:
    return value if isinstance(value, MetricFilter) else as_text(value)


def _aggregation(value: object) -> Aggregation:
    return one(Aggregation)(value)  # type: ignore[no-any-return]


def _read_aggregation(value: Any) -> Aggregation:
    found = read_aggregations({"items": [value]}, "items")
    if not found:
        raise Unreadable(f"{value!r} is no aggregation")
    return found[0]


def _aggregating(path: str) -> Wire:
    return Wire(path=path, write=lambda value, _: value.to_dict(), read=_read_aggregation)


_FILTER: Final = Wire(
    path="filter",
    write=lambda value, context: value.render(context) if isinstance(value, MetricFilter) else value,
    read=as_text,
    absent="",
)


class Ranking(StrEnum):
    """By what series are ranked."""

    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    SUM = "sum"
    LATEST = "latest"


class End(StrEnum):
    """Which end of a ranking."""

    TOP = "top"
    BOTTOM = "bottom"


def _most(value: object) -> int:
    found = as_number(value)
    if found != int(found) or not 1 <= found <= 300:
        raise ValueError(f"{value!r} is not a number of series | Write a whole number from 1 to 300")
    return int(found)


@definition
class Pick(Part):
    """Only the highest, or the lowest, of many series.

    Attributes:
        count: how many series, 1 to 300.
        by: ``mean``, ``max``, ``min``, ``sum`` or ``latest`` of each series.
        end: ``top`` or ``bottom`` of the ranking.
    """

    noun: ClassVar[str] = "pick"
    wire: ClassVar[Mapping[str, Wire]] = {
        "by": choice("rankingMethod", Ranking, prefix="METHOD_"),
        "count": whole("numTimeSeries"),
        "end": choice("direction", End),
    }

    count: int | None = given(maybe(_most), default=None)
    by: str | None = given(maybe(one_of(Ranking)), default=Ranking.MEAN)
    end: str | None = given(maybe(one_of(End)), default=End.TOP)

    def as_written(self) -> object:
        """Return what a person would write for it: how many, where it has nothing else to say."""
        return self.count if self.count is not None and self == Pick(count=self.count) else self


def _pick(value: object) -> Pick:
    return value if isinstance(value, Pick) else Pick(count=value)  # type: ignore[arg-type]


def _secondary_rules(found: Aggregation) -> Iterator[tuple[str, str]]:
    # Its series are aligned already, so that it may reduce without an aligner of its own.
    aligned = replace(found, aligner=Aligner.MEAN) if found.aligner == Aligner.NONE else found
    yield from aligned.rules((), longest=_LONGEST_PERIOD)


@definition
class FilterQuery(Part):
    """Series that a Monitoring filter selects, aligned and reduced.

    Attributes:
        filter: a Monitoring filter, or a `metric_filter`.
        aggregation: how the points are aligned and the series reduced.
        secondary: a second aggregation of the result.
        pick: only some of the series, or how many of the highest.
    """

    noun: ClassVar[str] = "filter query"
    wire: ClassVar[Mapping[str, Wire]] = {
        "filter": _FILTER,
        "aggregation": _aggregating("aggregation"),
        "secondary": _aggregating("secondaryAggregation"),
        "pick": part("pickTimeSeriesFilter", Pick),
    }

    filter: str | MetricFilter = given(_filter, placeholder="")
    aggregation: Aggregation | None = given(_aggregation, default=None)
    secondary: Aggregation | None = given(_aggregation, default=None)
    pick: Pick | int | None = given(_pick, default=None)

    def text(self, context: RenderContext) -> str:
        """Return the filter as it will be sent."""
        return self.filter.render(context) if isinstance(self.filter, MetricFilter) else self.filter

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        found, kinds = check_filter(filter_without_variables(self.text(context)), needs_resource=False)
        yield from found
        if self.aggregation is not None and not self.aggregation.is_broken:
            yield from self.aggregation.rules(kinds, longest=_LONGEST_PERIOD)
        if self.secondary is not None and not self.secondary.is_broken:
            yield from _secondary_rules(self.secondary)


@definition
class RatioQuery(Part):
    """One filter's series divided by another's.

    Attributes:
        numerator: its `secondary` and `pick` are not used.
        denominator: likewise.
        secondary: an aggregation of the ratio.
        pick: only some of the ratio's series.
    """

    noun: ClassVar[str] = "ratio query"
    wire: ClassVar[Mapping[str, Wire]] = {
        "numerator": part("numerator", FilterQuery),
        "denominator": part("denominator", FilterQuery),
        "secondary": _aggregating("secondaryAggregation"),
        "pick": part("pickTimeSeriesFilter", Pick),
    }

    numerator: FilterQuery = given(one(FilterQuery), placeholder=None)
    denominator: FilterQuery = given(one(FilterQuery), placeholder=None)
    secondary: Aggregation | None = given(_aggregation, default=None)
    pick: Pick | int | None = given(_pick, default=None)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        for name, half in (("numerator", self.numerator), ("denominator", self.denominator)):
            yield from ((f"{name}: {problem}", way_out) for problem, way_out in half.rules(context))
            if half.secondary is not None or half.pick is not None:
                yield f"the {name} has a secondary aggregation or a pick", "Give it to the ratio"


@definition
class SqlQuery(Part):
    """The result of a SQL query over observability data.

    Attributes:
        sql: in GoogleSQL.
    """

    noun: ClassVar[str] = "SQL query"
    wire: ClassVar[Mapping[str, Wire]] = {"sql": text("sql")}

    sql: str = given(as_text, placeholder="")

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - the same for every query
        """Return what breaks the platform's rules."""
        if not self.sql.strip():
            yield "the SQL query is empty", "Write SELECT … FROM `PROJECT.global._Default._AllLogs` WHERE …"


@definition
class MqlQuery(Part):
    """A query in MQL, which may still be shown, but no longer be written anew: carried, and not checked.

    Attributes:
        mql: the query.
    """

    noun: ClassVar[str] = "MQL query"

    mql: str = given(as_text, placeholder="")

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - the same for every query
        """Return what breaks the platform's rules."""
        if not self.mql.strip():
            yield "the MQL query is empty", "Write a query, in PromQL rather than in MQL"


class SpanValue(StrEnum):
    """What of spans is shown."""

    COUNT = "count"
    DURATION = "duration"
    DURATION_PERCENTILES = "duration_percentiles"


@definition
class TraceQuery(Part):
    """Figures of spans.

    Attributes:
        value: ``count``, ``duration`` or ``duration_percentiles``.
        scope: resource name of a project or trace scope; the project's own scope when empty.
        names: of spans; any when empty.
        services: of spans.
        kinds: of spans.
        status: of spans.
        is_root: whether only root spans count.
        shortest: least duration.
        longest: greatest duration.
    """

    noun: ClassVar[str] = "trace query"
    wire: ClassVar[Mapping[str, Wire]] = {
        "value": choice("spanDataValue", SpanValue, prefix="SPAN_"),
        "scope": text("resourceContainer"),
        "names": texts("spanFilters.displayNames"),
        "services": texts("spanFilters.services"),
        "kinds": texts("spanFilters.kinds"),
        "status": texts("spanFilters.status"),
        "is_root": flag("spanFilters.isRootSpan"),
        "shortest": duration("spanFilters.minDuration"),
        "longest": duration("spanFilters.maxDuration"),
    }

    value: str | None = given(maybe(one_of(SpanValue)), default=SpanValue.COUNT)
    scope: str = given(as_text, default="")
    names: Sequence[str] = given(many(str, parse=as_text), default=())
    services: Sequence[str] = given(many(str, parse=as_text), default=())
    kinds: Sequence[str] = given(many(str, parse=as_text), default=())
    status: Sequence[str] = given(many(str, parse=as_text), default=())
    is_root: bool = given(as_flag, default=False)
    shortest: DurationLike | None = given(as_duration, default=None)
    longest: DurationLike | None = given(as_duration, default=None)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - the same for every query
        """Return what breaks the platform's rules."""
        if self.shortest is not None and self.longest is not None:
            least, most = as_duration(self.shortest), as_duration(self.longest)
            if least > most:
                yield "shortest is above longest", "Swap the two"


Source = Query | FilterQuery | RatioQuery | SqlQuery | TraceQuery | MqlQuery

_KEYS: Final[Mapping[str, type[FilterQuery | RatioQuery | SqlQuery | TraceQuery]]] = {
    "timeSeriesFilter": FilterQuery,
    "timeSeriesFilterRatio": RatioQuery,
    "opsAnalyticsQuery": SqlQuery,
    "traceQuery": TraceQuery,
}


def source(value: object) -> Source:
    """Return a query that was given as one, or as PromQL text."""
    if isinstance(value, Source):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{shown(value)} is not a query | Write PromQL as a text, or for example rate(…)")
    return promql(value)


def query_dict(query: Source | str, context: RenderContext) -> dict[str, Any]:
    """Return the REST form of a TimeSeriesQuery."""
    found = source(query)
    if isinstance(found, Query):
        return {"prometheusQuery": found.render(context)}
    if isinstance(found, MqlQuery):
        return {"timeSeriesQueryLanguage": found.mql}
    key = next(key for key, kind in _KEYS.items() if isinstance(found, kind))
    return {key: found.to_dict(context)}


def _read(document: Mapping[str, Any]) -> Source:
    if len(document) != 1:
        raise Unreadable("a query of several kinds")
    ((key, value),) = document.items()
    if key == "prometheusQuery":
        return source(value)
    return MqlQuery(mql=as_text(value)) if key == "timeSeriesQueryLanguage" else _KEYS[key].from_json(value)


QUERY: Final = Wire(
    path="timeSeriesQuery", write=query_dict, read=_read, takes=("prometheusQuery", "timeSeriesQueryLanguage", *_KEYS)
)
"""How a widget's query is spelled; its unit and the like stand beside it."""


def query_rules(query: Source | str, context: RenderContext) -> Iterator[tuple[str, str]]:
    """Return what is wrong with a query."""
    found = source(query)
    if isinstance(found, Query):
        rendered = found.render(context)
        problems: Sequence[Problem] = check_promql(promql_without_variables(rendered), context, "")
        for problem in problems:
            yield problem.problem, problem.way_out
    elif not found.is_broken:
        yield from found.rules(context)


def query_text(query: Source | str, context: RenderContext) -> str:
    """Return all that a query says, as one text in which variables can be found."""
    return str(query_dict(query, context))
