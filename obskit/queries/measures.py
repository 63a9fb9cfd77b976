"""One way to ask for a number, which becomes PromQL, or a Monitoring filter with its aggregation.

from obskit.queries import google, measure

errors = measure(google("run.googleapis.com/request_count"), "rate", where={"response_code_class": "5xx"})
errors.promql()  # sum(rate(run_googleapis_com:request_count{response_code_class="5xx"}[1m]))
errors.filter(), errors.aggregation()  # for a ThresholdCondition or a FilterQuery
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from obskit.catalog import Kind, Metric, Route
from obskit.errors import Problem, QueryError, nearest, report
from obskit.queries import units
from obskit.queries.aggregations import Aggregation
from obskit.queries.definitions import caller
from obskit.queries.durations import DurationLike, as_duration, shown_duration
from obskit.queries.google_metrics import GoogleMetric, MetricKind, ValueType, google_metrics
from obskit.queries.metric_filters import MetricFilter, metric_filter
from obskit.queries.metrics import average, increase, latest, over_time, percentile, rate
from obskit.queries.promql import Labels, Query, labels_of, role_of
from obskit.queries.series import unknown_type
from obskit.queries.stacks import PerStack, varying

__all__ = ["Ask", "Measure", "Ratio", "google", "measure"]


class Ask(StrEnum):
    """What is asked of a metric. Several series of a group are added up by the first three and the last but one."""

    RATE = "rate"
    """Growth per second, of what grows."""
    INCREASE = "increase"
    """Growth in the period, of what grows."""
    LATEST = "latest"
    """The latest values, of a gauge."""
    MEAN = "mean"
    """The mean, of a gauge or a distribution."""
    PEAK = "peak"
    """The highest value, of a gauge."""
    LOWEST = "lowest"
    """The lowest value, of a gauge."""
    SHARE_TRUE = "share_true"
    """The share of time that it was true, 0 to 1, of a gauge that is true or false."""
    PERCENTILE_99 = "percentile_99"
    PERCENTILE_95 = "percentile_95"
    PERCENTILE_50 = "percentile_50"
    PERCENTILE_05 = "percentile_05"


# What each question is to a filter: aligner and reducer.
_STEPS: Final = {
    Ask.RATE: ("rate", "sum"),
    Ask.INCREASE: ("delta", "sum"),
    Ask.LATEST: ("next_older", "sum"),
    Ask.MEAN: ("mean", "mean"),
    Ask.PEAK: ("max", "max"),
    Ask.LOWEST: ("min", "min"),
    Ask.SHARE_TRUE: ("fraction_true", "mean"),
}
_OVER_TIME: Final = {Ask.MEAN: "avg", Ask.PEAK: "max", Ask.LOWEST: "min", Ask.SHARE_TRUE: "avg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A question that one metric answers.

    Attributes:
        metric: of the catalog, or Google's.
        ask: what is asked.
        where: labels that the series must have.
        by: the labels to keep.
        period: over how long.
        resource_type: the monitored resource type of the filter; the metric's usual one when empty.
        source: ``path:line`` where it was made.
        variants: what it is in each stack, where a value was given with `per_stack`.
    """

    metric: Metric | GoogleMetric
    ask: Ask
    where: Labels
    by: tuple[str, ...]
    period: timedelta
    resource_type: str = ""
    source: str = field(default="", compare=False, repr=False)
    variants: PerStack[Measure] | None = field(default=None, compare=False, repr=False)

    @varying
    def promql(self) -> Query:
        """Return the question in PromQL."""
        where = dict(self.where)
        if self.resource_type:
            where["monitored_resource"] = self.resource_type
        if self.ask is Ask.RATE:
            return rate(self.metric, where=where, by=self.by, window=self.period)
        if self.ask is Ask.INCREASE:
            return increase(self.metric, where=where, by=self.by, window=self.period)
        if self.ask is Ask.LATEST:
            return latest(self.metric, where=where, by=self.by)
        if self.ask is Ask.MEAN and role_of(self.metric) is Kind.HISTOGRAM:
            return average(self.metric, where=where, by=self.by, window=self.period)
        if self.ask in _OVER_TIME:
            return over_time(self.metric, _OVER_TIME[self.ask], where=where, by=self.by, window=self.period)
        percent = int(self.ask.rpartition("_")[2])
        return percentile(percent, self.metric, where=where, by=self.by, window=self.period)

    @varying
    def filter(self) -> MetricFilter:
        """Return the filter that selects the series."""
        return metric_filter(self.metric, where=self.where, resource_type=self.resource_type)

    @varying
    def aggregation(self, route: Route = Route.GCP) -> Aggregation:
        """Return how the series of `filter` are aligned and reduced.

        Args:
            route: the export route, which spells the labels of catalog metrics; Google's are the same on both.
        """
        spelled = metric_filter(self.metric)
        aligner, reducer = _steps(self)
        return Aggregation(
            period=self.period,
            aligner=aligner,
            reducer=reducer,
            by=[spelled.label_field(label, route) for label in self.by],
        )

    def threshold_fields(self, route: Route = Route.GCP) -> dict[str, Any]:
        """Return the fields of a `ThresholdCondition` that ask this: ``ThresholdCondition(**…, threshold=5)``."""
        return {"filter": self.filter(), "aggregations": [self.aggregation(route)]}

    @property
    def unit(self) -> str:
        """The unit of the answer."""
        if self.ask is Ask.SHARE_TRUE:
            return "1"
        unit = units.plain(self.metric.unit)
        if role_of(self.metric) is Kind.HISTOGRAM and self.ask in {Ask.RATE, Ask.INCREASE}:
            unit = "1"
        return f"{unit}/s" if self.ask is Ask.RATE else unit

    def __truediv__(self, whole: Measure) -> Ratio:
        found = list(_unlike(self, whole))
        place = f"{caller()}: ratio of measures"
        report([Problem(place=place, problem=text, way_out=hint) for text, hint in found], error=QueryError)
        return Ratio(part=self, whole=whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One measure over another, group by group."""

    part: Measure
    whole: Measure

    def promql(self) -> Query:
        """Return the ratio in PromQL."""
        return self.part.promql() / self.whole.promql()

    def threshold_fields(self, route: Route = Route.GCP) -> dict[str, Any]:
        """Return the fields of a `ThresholdCondition` that ask this: ``ThresholdCondition(**…, threshold=0.05)``."""
        return {
            "filter": self.part.filter(),
            "aggregations": [self.part.aggregation(route)],
            "denominator": self.whole.filter(),
            "denominator_aggregations": [self.whole.aggregation(route)],
        }


def google(metric_type: str) -> GoogleMetric:
    """Return one of Google's metrics, or one that was declared with `known_metric`.

    Args:
        metric_type: e.g. ``run.googleapis.com/request_count``.

    Raises:
        QueryError: outside `errors.collecting`: there is no such metric.
    """
    index = google_metrics()
    found = index.of_type(metric_type)
    if found is not None:
        return found
    finding = unknown_type(metric_type)
    problem = finding.problem if finding else f"{metric_type} is not in the index of Google's metrics"
    way_out = finding.way_out if finding else "Declare it with known_metric(…), which returns it too"
    place = f"{caller()}: google({metric_type!r})"
    report(Problem(place=place, problem=problem, way_out=way_out), error=QueryError)
    meant = nearest(metric_type, index.metrics)
    return (
        index.metrics[meant] if meant else GoogleMetric(type=metric_type, kind=MetricKind.GAUGE, value=ValueType.DOUBLE)
    )


@varying
def measure(
    metric: Metric | GoogleMetric,
    ask: Ask | str,
    *,
    where: Labels | None = None,
    by: Sequence[str] | str = (),
    period: DurationLike = "1m",
    resource_type: str = "",
) -> Measure:
    """Return a question that one metric answers.

    Args:
        metric: one of `obskit.catalog`, or what `google` returns.
        ask: ``rate``, ``increase``, ``latest``, ``mean``, ``peak``, ``lowest``, ``share_true``, or
            ``percentile_99``, ``_95``, ``_50`` or ``_05``.
        where: labels that the series must have.
        by: the labels to keep; all series come together where none is given.
        period: over how long, a minute or more.
        resource_type: the monitored resource type; needed where one of Google's metrics has several.

    Raises:
        QueryError: outside `errors.collecting`: the question does not fit the metric, or a label is unknown.
    """
    place = f"{caller()}: measure of {metric.name}"
    found: list[tuple[str, str]] = []
    asked = _asked(ask, metric, found)
    span = timedelta(minutes=1)
    try:
        span = as_duration(period)
    except (ValueError, TypeError) as error:
        problem, _, way_out = str(error).partition(" | ")
        found.append((problem, way_out))
    report([Problem(place=place, problem=text, way_out=hint) for text, hint in found], error=QueryError)
    metric_filter(metric, where=where)  # reports labels that the metric does not have
    return Measure(
        metric=metric,
        ask=asked,
        where=dict(where or {}),
        by=labels_of(metric, by),
        period=span,
        resource_type=resource_type,
        source=caller(),
    )


def _asked(ask: Ask | str, metric: Metric | GoogleMetric, found: list[tuple[str, str]]) -> Ask:
    fitting = [each for each in Ask if each in _fitting(metric)]
    listed = ", ".join(f'"{each}"' for each in fitting)
    if str(ask) not in set(Ask):
        guess = nearest(str(ask), set(Ask))
        found.append((f'"{ask}" is no question', f'Did you mean "{guess}"' if guess else f"Ask one of {listed}"))
    elif ask not in fitting:
        found.append((f'"{ask}" does not fit {metric.name}, which is {_shape(metric)}', f"Ask one of {listed}"))
    else:
        return Ask(ask)
    return fitting[0]


def _fitting(metric: Metric | GoogleMetric) -> set[Ask]:
    percentiles = {each for each in Ask if each.startswith("percentile")}
    if isinstance(metric, GoogleMetric) and metric.value is ValueType.BOOL:
        return {Ask.SHARE_TRUE}
    if isinstance(metric, GoogleMetric) and metric.value is ValueType.STRING:
        return set()
    return {
        Kind.COUNTER: {Ask.RATE, Ask.INCREASE},
        Kind.GAUGE: {Ask.LATEST, Ask.MEAN, Ask.PEAK, Ask.LOWEST},
        Kind.HISTOGRAM: {Ask.RATE, Ask.INCREASE, Ask.MEAN} | percentiles,
    }[role_of(metric)]


def _shape(metric: Metric | GoogleMetric) -> str:
    return f"a {metric.kind}" if isinstance(metric, Metric) else f"a {metric.kind} of {metric.value}"


def _steps(asked: Measure) -> tuple[str, str]:
    if role_of(asked.metric) is not Kind.HISTOGRAM:
        return _STEPS[asked.ask]
    is_gauge = isinstance(asked.metric, GoogleMetric) and asked.metric.kind is MetricKind.GAUGE
    aligner = "sum" if is_gauge else "delta"
    if asked.ask in {Ask.RATE, Ask.INCREASE}:
        problem = "a filter cannot count the values of a distribution as PromQL can"
        place = f"{asked.source}: measure of {asked.metric.name}"
        report(
            Problem(place=place, problem=problem, way_out="Use its promql(), or a metric that counts"), error=QueryError
        )
    return aligner, asked.ask if asked.ask.startswith("percentile") else "mean"


def _unlike(part: Measure, whole: Measure) -> list[tuple[str, str]]:
    found = []
    if part.period != whole.period:
        spans = f"{shown_duration(part.period)} and {shown_duration(whole.period)}"
        found.append((f"the two sides are over {spans}", "Give both the same period="))
    if set(part.by) != set(whole.by):
        found.append(("the two sides keep different labels", "Give both the same by="))
    reason = units.clash(part.unit, whole.unit, is_quotient=True)
    if reason or part.unit.endswith("/s") != whole.unit.endswith("/s"):
        why = reason or f"one is in {part.unit}, the other in {whole.unit}"
        found.append((f"the ratio is of unlike things: {why}", "Ask the same of both sides"))
    return found
