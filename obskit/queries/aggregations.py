"""Monitoring filters over catalog metrics, and the aggregation of what they select."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final

from obskit.catalog import METRICS, Kind, Metric, Route
from obskit.errors import QueryError
from obskit.queries import filters
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_text, caller, definition, given, many, one_of
from obskit.queries.durations import DurationLike, as_duration, json_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels, Match, Matching, label_named
from obskit.queries.stacks import PerStack, varying

__all__ = ["Aggregation", "Aligner", "MetricFilter", "Reducer", "check_filter", "metric_filter"]


class Aligner(StrEnum):
    """What becomes of one series' points in an alignment period."""

    NONE = "none"
    DELTA = "delta"
    RATE = "rate"
    INTERPOLATE = "interpolate"
    NEXT_OLDER = "next_older"
    MIN = "min"
    MAX = "max"
    MEAN = "mean"
    COUNT = "count"
    SUM = "sum"
    STDDEV = "stddev"
    COUNT_TRUE = "count_true"
    COUNT_FALSE = "count_false"
    FRACTION_TRUE = "fraction_true"
    PERCENTILE_99 = "percentile_99"
    PERCENTILE_95 = "percentile_95"
    PERCENTILE_50 = "percentile_50"
    PERCENTILE_05 = "percentile_05"
    PERCENT_CHANGE = "percent_change"


class Reducer(StrEnum):
    """How several aligned series become one."""

    NONE = "none"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    STDDEV = "stddev"
    COUNT = "count"
    COUNT_TRUE = "count_true"
    COUNT_FALSE = "count_false"
    FRACTION_TRUE = "fraction_true"
    PERCENTILE_99 = "percentile_99"
    PERCENTILE_95 = "percentile_95"
    PERCENTILE_50 = "percentile_50"
    PERCENTILE_05 = "percentile_05"


_RATES: Final = frozenset({Aligner.RATE, Aligner.DELTA})
_LONGEST_IN_ALERTS: Final = timedelta(hours=25)
_LONGEST_FILTER: Final = 2048  # Source: AlertPolicy.Condition.MetricThreshold.filter


@definition
class Aggregation(Definition):
    """How the points of series are aligned, and the series reduced.

    Attributes:
        period: alignment period, 60 s to 25 h in an alert; a chart may leave it to the platform.
        aligner: what becomes of one series' points in a period.
        reducer: how the aligned series become fewer.
        by: the labels to keep, as the API writes them (``metric.labels.method``, ``resource.labels.zone``).
    """

    noun: ClassVar[str] = "aggregation"

    period: DurationLike | None = given(as_duration, default=None)
    aligner: str = given(one_of(Aligner), default=Aligner.NONE)
    reducer: str = given(one_of(Reducer), default=Reducer.NONE)
    by: Sequence[str] = given(many(str, parse=as_text), default=())

    def to_dict(self) -> dict[str, Any]:
        """Return the REST form."""
        rendered: dict[str, Any] = {} if self.period is None else {"alignmentPeriod": json_duration(self.period)}
        rendered["perSeriesAligner"] = f"ALIGN_{Aligner(self.aligner).name}"
        if self.reducer != Reducer.NONE:
            rendered["crossSeriesReducer"] = f"REDUCE_{Reducer(self.reducer).name}"
        if self.by:
            rendered["groupByFields"] = list(self.by)
        return rendered

    def rules(self, kinds: tuple[Kind, ...], *, longest: timedelta) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules.

        Args:
            kinds: kinds of the catalog metrics that are aggregated; empty when they are not obskit's.
            longest: the longest period allowed: 25 h in an alert, 104 weeks in a chart.
        """
        if self.period is None:
            if longest <= _LONGEST_IN_ALERTS:
                yield 'field "period" is missing', 'Add for example period="60s"'
        elif not 60 <= whole_seconds(self.period) <= longest.total_seconds():
            yield (
                f"alignment period is {shown_duration(self.period)}, must be 1 min to {shown_duration(longest)}",
                'Write for example period="60s"',
            )
        if self.reducer != Reducer.NONE and self.aligner == Aligner.NONE:
            yield f'reducer "{self.reducer}" needs an aligner other than "none"', 'Add for example aligner="mean"'
        if self.by and self.reducer == Reducer.NONE:
            yield "by= has no effect without a reducer", 'Add for example reducer="sum"'
        if self.aligner.startswith("percentile") and kinds and Kind.HISTOGRAM not in kinds:
            yield (
                f'aligner "{self.aligner}" needs a distribution, the metric is a {kinds[0]}',
                'Use "mean", or a histogram',
            )
        if self.aligner in _RATES and kinds and Kind.GAUGE in kinds:
            yield f'aligner "{self.aligner}" needs a cumulative or delta metric, the metric is a gauge', 'Use "mean"'


@dataclass(frozen=True, slots=True)
class MetricFilter:
    """A Monitoring filter on a catalog metric, spelled for the route when it is rendered."""

    metric: Metric
    where: tuple[tuple[str, Matching], ...] = ()
    resource_type: str = ""
    source: str = field(default="", compare=False, repr=False)
    variants: PerStack[MetricFilter] | None = field(default=None, compare=False, repr=False)

    def render(self, context: RenderContext) -> str:
        """Return the filter's text."""
        if self.variants is not None:
            return self.variants.value(context.stack, f"{self.source}: filter").render(context)
        resource = self.resource_type or context.resource_type or self.metric.resource_type(context.route)
        terms = [f'metric.type="{self.metric.metric_type(context.route)}"', f'resource.type="{resource}"']
        return " AND ".join([*terms, *(self._term(label, found, context.route) for label, found in self.where)])

    def _term(self, label: str, found: Matching, route: Route) -> str:
        key = self.metric.label_key(label, route)
        name = f"metric.labels.{key}" if "." not in key else f'metric.labels."{key}"'
        value = '"' + found.value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if found.match in (Match.EQUAL, Match.DIFFERS):
            return f"{name}{found.match}{value}"
        term = f"{name}=monitoring.regex.full_match({value})"
        return term if found.match is Match.MATCHES else f"NOT {term}"


@varying
def metric_filter(metric: Metric, *, where: Labels | None = None, resource_type: str = "") -> MetricFilter:
    """Return a Monitoring filter for a catalog metric.

    Args:
        metric: one of `obskit.catalog`.
        where: labels that the series must have.
        resource_type: the monitored resource type; the route's usual one when empty.
    """
    found = []
    for label, value in (where or {}).items():
        matching = value if isinstance(value, Matching) else Matching(Match.EQUAL, str(value))
        found.append((label_named(metric, label), matching))
    return MetricFilter(metric, tuple(found), resource_type, caller())


def check_filter(text: str, *, needs_resource: bool) -> tuple[list[tuple[str, str]], tuple[Kind, ...]]:
    """Return what is wrong with a filter, and the kinds of the catalog metrics that it names.

    Args:
        text: the filter as it will be sent.
        needs_resource: whether it must name a resource type, as in an alert's condition.
    """
    found: list[tuple[str, str]] = []
    if len(text) > _LONGEST_FILTER:
        found.append((f"the filter has {len(text)} characters, at most {_LONGEST_FILTER} are allowed", "Shorten it"))
    try:
        types = tuple(filters.parse(text).metric_types())
    except QueryError as error:
        return [(f"filter: {problem.problem}", problem.way_out) for problem in error.problems], ()
    if not types:
        found.append(("the filter names no metric type", 'Add metric.type="…"'))
    if needs_resource and "resource.type" not in text:
        found.append(("the filter names no resource type", 'Add AND resource.type="…"'))
    by_type: Mapping[str, Metric] = {metric.metric_type(route): metric for metric in METRICS for route in Route}
    return found, tuple(by_type[name].kind for name in types if name in by_type)
