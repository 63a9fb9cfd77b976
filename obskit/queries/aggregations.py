"""The aggregation of what a Monitoring filter selects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final

from obskit.queries import units
from obskit.queries.definitions import Definition, as_text, definition, given, many, one_of
from obskit.queries.durations import DurationLike, as_duration, json_duration, shown_duration, whole_seconds
from obskit.queries.filter_checks import check_filter, field_findings, filter_series
from obskit.queries.fitting import aligned, aligner_problem, reduced, reducer_problem
from obskit.queries.google_metrics import ValueType
from obskit.queries.metric_filters import MetricFilter, metric_filter
from obskit.queries.series import Series

__all__ = [
    "Aggregation",
    "Aligner",
    "MetricFilter",
    "Reducer",
    "check_filter",
    "check_ratio",
    "check_result",
    "metric_filter",
    "outcome",
]


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


_LONGEST_IN_ALERTS: Final = timedelta(hours=25)
_GROUPED: Final = re.compile(r"(?:metric|resource)\.labels?\.|metadata\.|resource\.type$|project$|\$\{")


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

    def rules(self, series: Sequence[Series], *, longest: timedelta) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules.

        Args:
            series: what `check_filter` knows of the series that are aggregated; empty when nothing is.
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
        yield from self._fitting(series)

    def _fitting(self, series: Sequence[Series]) -> Iterator[tuple[str, str]]:
        for each in series:
            problem = aligner_problem(self.aligner, each)
            if problem is None and self.aligner != Aligner.NONE:
                problem = reducer_problem(self.reducer, aligned(self.aligner, each))
            if problem is not None:
                yield problem
        for field in self.by:
            if not _GROUPED.match(field):
                scope = "resource" if any(field in each.resource_labels for each in series) else "metric"
                yield f'by= names "{field}", which is no field of series', f"Write for example {scope}.labels.{field}"
            for finding in field_findings(field, series):
                if not finding.is_note:
                    yield f"by=: {finding.problem}", finding.way_out

    def fits(self, series: Series) -> bool:
        """Return whether aligner and reducer can be applied to some series."""
        if aligner_problem(self.aligner, series) is not None:
            return False
        return reducer_problem(self.reducer, aligned(self.aligner, series)) is None

    def result(self, series: Series) -> Series:
        """Return what it makes of some series that it fits."""
        return reduced(self.reducer, aligned(self.aligner, series))


def outcome(text: str, aggregations: Sequence[Aggregation]) -> tuple[Series, ...]:
    """Return what becomes of the series that a filter selects; nothing where it is not known or does not fit.

    Args:
        text: the filter as it will be sent.
        aggregations: one after the other.
    """
    found = filter_series(text)
    for aggregation in aggregations:
        if aggregation.is_broken or any(not aggregation.fits(each) for each in found):
            return ()
        found = tuple(aggregation.result(each) for each in found)
    return found


def check_result(text: str, aggregations: Sequence[Aggregation]) -> Iterator[tuple[str, str]]:
    """Return what is wrong with comparing the outcome of a filter with a number.

    Args:
        text: the filter as it will be sent.
        aggregations: one after the other.
    """
    for series in outcome(text, aggregations):
        if series.value is ValueType.DISTRIBUTION:
            yield f"{series.name} is still a distribution, not a number", 'Add for example reducer="percentile_95"'
        elif series.value is ValueType.BOOL:
            yield f"{series.name} is still true or false, not a number", 'Use for example aligner="fraction_true"'
        elif series.value is ValueType.STRING:
            yield f"{series.name} is still a text, not a number", 'Use for example reducer="count"'


def check_ratio(
    over: str, over_aggregations: Sequence[Aggregation], under: str, under_aggregations: Sequence[Aggregation]
) -> Iterator[tuple[str, str]]:
    """Return what is unlike in the two sides of a ratio.

    Args:
        over: the filter of the numerator.
        over_aggregations: of the numerator.
        under: the filter of the denominator.
        under_aggregations: of the denominator.
    """
    for part in outcome(over, over_aggregations):
        for whole in outcome(under, under_aggregations):
            units_of = [units.plain(each.unit.removesuffix("/s")) for each in (part, whole)]
            rates = [each.unit.endswith("/s") for each in (part, whole)]
            reason = units.clash(*units_of, is_quotient=True)
            if reason:
                yield f"the ratio is of unlike things: {reason}", "Use metrics of the same unit"
            elif rates[0] != rates[1] and units_of[0] == units_of[1]:
                yield "the ratio is of a rate per second and of a count per period", "Give both sides the same aligner"
