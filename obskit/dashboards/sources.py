"""Where a widget's numbers come from: PromQL, or a filter with an aggregation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar, Final

from obskit.queries.aggregations import Aggregation, MetricFilter, check_filter
from obskit.queries.checks import check_promql
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_text, definition, given, many
from obskit.queries.promql import Query, promql

__all__ = ["FilterQuery", "Source", "query_dict", "query_rules", "source"]

_LONGEST_PERIOD: Final = timedelta(weeks=104)  # Source: Aggregation.alignment_period, for charts


def _filter(value: object) -> str | MetricFilter:
    return value if isinstance(value, MetricFilter) else as_text(value)


def _aggregation(value: object) -> Aggregation:
    return many(Aggregation)(value)[0]  # type: ignore[no-any-return]


@definition
class FilterQuery(Definition):
    """Series that a Monitoring filter selects, aligned and reduced.

    Attributes:
        filter: a Monitoring filter, or a `metric_filter`.
        aggregation: how the points are aligned and the series reduced.
        secondary: a second aggregation of the result.
    """

    noun: ClassVar[str] = "filter query"

    filter: str | MetricFilter = given(_filter, placeholder="")
    aggregation: Aggregation | None = given(_aggregation, default=None)
    secondary: Aggregation | None = given(_aggregation, default=None)

    def text(self, context: RenderContext) -> str:
        """Return the filter as it will be sent."""
        return self.filter.render(context) if isinstance(self.filter, MetricFilter) else self.filter

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        rendered: dict[str, Any] = {"filter": self.text(context)}
        if self.aggregation is not None:
            rendered["aggregation"] = self.aggregation.to_dict()
        if self.secondary is not None:
            rendered["secondaryAggregation"] = self.secondary.to_dict()
        return rendered

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        found, kinds = check_filter(self.text(context), needs_resource=False)
        yield from found
        if self.aggregation is not None and not self.aggregation.is_broken:
            yield from self.aggregation.rules(kinds, longest=_LONGEST_PERIOD)
        if self.secondary is not None and not self.secondary.is_broken:
            yield from self.secondary.rules((), longest=_LONGEST_PERIOD)


Source = Query | FilterQuery


def source(value: object) -> Source:
    """Return a query that was given as one, or as PromQL text."""
    if isinstance(value, Query | FilterQuery):
        return value
    return promql(as_text(value))


def query_dict(query: Source | str, context: RenderContext, *, unit: str) -> dict[str, Any]:
    """Return the REST form of a TimeSeriesQuery."""
    found = source(query)
    if isinstance(found, Query):
        rendered: dict[str, Any] = {"prometheusQuery": found.render(context)}
    else:
        rendered = {"timeSeriesFilter": found.to_dict(context)}
    if unit:
        rendered["unitOverride"] = unit
    return rendered


def query_rules(query: Source | str, context: RenderContext) -> Iterator[tuple[str, str]]:
    """Return what is wrong with a query."""
    found = source(query)
    if isinstance(found, Query):
        for problem in check_promql(found.render(context), context, ""):
            yield problem.problem, problem.way_out
    elif not found.is_broken:
        yield from found.rules(context)
