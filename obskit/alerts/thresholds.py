"""Conditions on a Monitoring filter: a threshold, a ratio, a forecast, or the absence of data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from obskit.alerts.conditions import Condition
from obskit.alerts.selectors import Renderable
from obskit.queries.aggregations import Aggregation, Aligner, Reducer, check_filter, check_ratio, check_result
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_number, as_text, definition, given, many, one, one_of
from obskit.queries.durations import DurationLike, as_duration, json_duration, shown_duration, whole_seconds
from obskit.queries.reading import (
    carrying,
    read_aggregations,
    read_choice,
    read_duration,
    read_number,
    read_table,
    read_text,
)
from obskit.queries.series import Series

__all__ = ["AbsenceCondition", "Comparison", "MissingData", "ThresholdCondition", "Trigger"]

_LONGEST_PERIOD: Final = timedelta(hours=25)  # Source: Aggregation.alignment_period, for alerts


class Comparison(StrEnum):
    """On which side of the threshold it is bad. The platform knows only these two."""

    ABOVE = ">"
    BELOW = "<"


class MissingData(StrEnum):
    """What a threshold condition makes of missing data."""

    IGNORE = "ignore"
    """Stay as it is."""
    FALSE = "false"
    """Count as good."""
    TRUE = "true"
    """Count as bad."""


_MISSING: Final = {
    MissingData.FALSE: "EVALUATION_MISSING_DATA_INACTIVE",
    MissingData.TRUE: "EVALUATION_MISSING_DATA_ACTIVE",
    MissingData.IGNORE: "EVALUATION_MISSING_DATA_NO_OP",
}
_COMPARISONS: Final = {Comparison.ABOVE: "COMPARISON_GT", Comparison.BELOW: "COMPARISON_LT"}
# Source: "Retrieving SLO data" in Cloud Monitoring's documentation: selectors that stand instead of a filter.
_SLO_SELECTOR: Final = re.compile(
    r"\s*select_slo_(?:burn_rate|health|compliance|budget|budget_fraction|budget_total|counts)\("
    r'\s*"projects/[^/"]+/services/[^/"]+/serviceLevelObjectives/[^/"]+"\s*(?:,\s*"?[^,")]+"?\s*)?\)\s*'
)


def _filter(value: object) -> str | Renderable:
    return value if isinstance(value, Renderable) else as_text(value)


def _rendered(value: str | Renderable, context: RenderContext) -> str:
    return value if isinstance(value, str) else value.render(context)


@definition
class Trigger(Definition):
    """How many series must be bad. Give one of the two.

    Attributes:
        count: so many series.
        percent: so many percent of all series, above 0, up to 100.
    """

    noun: ClassVar[str] = "trigger"

    count: float | None = given(as_number, default=None)
    percent: float | None = given(as_number, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the REST form."""
        return {"count": int(self.count)} if self.count is not None else {"percent": self.percent}

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if (self.count is None) == (self.percent is None):
            yield "a trigger is either a count or a percentage", "Write Trigger(count=1) or Trigger(percent=50)"
        elif self.count is not None and (self.count < 1 or self.count != int(self.count)):
            yield f"the trigger's count is {self.count:g}, must be a whole number from 1 on", "Use count=1"
        elif self.percent is not None and not 0 < self.percent <= 100:
            yield f"the trigger's percent is {self.percent:g}, must be above 0 and at most 100", "Use percent=50"


def _aggregation_rules(aggregations: Sequence[Aggregation], series: Sequence[Series]) -> Iterator[tuple[str, str]]:
    for place, aggregation in enumerate(aggregations):
        if not aggregation.is_broken:
            # A later aggregation works on what an earlier one made, which is no longer the metric.
            yield from aggregation.rules(series if place == 0 else (), longest=_LONGEST_PERIOD)


@definition
class ThresholdCondition(Condition):
    """A filter's series, aligned and reduced, are on the wrong side of a number.

    Attributes:
        filter: a Monitoring filter that names the metric and the resource type, or a `metric_filter`.
        threshold: the number, in the metric's unit.
        comparison: ``>`` or ``<``.
        duration: for how long, whole minutes; 0 for at once.
        aggregations: how the points are aligned and the series reduced.
        denominator: a second filter; the condition then tests the ratio.
        denominator_aggregations: of the denominator; same alignment period and labels.
        trigger: how many series must be bad; one, when not given.
        forecast: test what the series will be within this time instead, 1 h to 60 h.
        missing_data: what missing data means; needs a duration of a minute or more.
        display_name: shown in incidents; the policy's name when empty.
        carried: fields of the REST API that this model does not know.
    """

    json_field: ClassVar[str] = "conditionThreshold"

    filter: str | Renderable = given(_filter, placeholder="")
    threshold: float = given(as_number, placeholder=0.0)
    comparison: str = given(one_of(Comparison), default=Comparison.ABOVE)
    duration: DurationLike = given(as_duration, default=timedelta(0))
    aggregations: Sequence[Aggregation] = given(many(Aggregation), default=())
    denominator: str | Renderable | None = given(_filter, default=None)
    denominator_aggregations: Sequence[Aggregation] = given(many(Aggregation), default=())
    trigger: Trigger | None = given(one(Trigger), default=None)
    forecast: DurationLike | None = given(as_duration, default=None)
    missing_data: str | None = given(one_of(MissingData), default=None)
    display_name: str = given(as_text, default="")
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def limit(self) -> float | None:
        """The threshold."""
        return self.threshold

    def to_dict(self, context: RenderContext, default_name: str) -> dict[str, Any]:
        """Return the REST form."""
        body: dict[str, Any] = {
            "filter": _rendered(self.filter, context),
            "comparison": _COMPARISONS[Comparison(self.comparison)],
            "thresholdValue": self.threshold,
            "duration": json_duration(self.duration),
            "trigger": (self.trigger or Trigger(count=1)).to_dict(),
        }
        if self.aggregations:
            body["aggregations"] = [aggregation.to_dict() for aggregation in self.aggregations]
        if self.denominator is not None:
            body["denominatorFilter"] = _rendered(self.denominator, context)
            body["denominatorAggregations"] = [each.to_dict() for each in self.denominator_aggregations]
        if self.forecast is not None:
            body["forecastOptions"] = {"forecastHorizon": json_duration(self.forecast)}
        if self.missing_data is not None:
            body["evaluationMissingData"] = _MISSING[MissingData(self.missing_data)]
        return merged({"displayName": self.display_name or default_name, self.json_field: body}, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the condition that an object of the REST API is."""
        body = read_table(document, cls.json_field)
        horizon = read_duration(read_table(body, "forecastOptions"), "forecastHorizon")
        made = cls(
            filter=read_text(body, "filter"),
            threshold=read_number(body, "thresholdValue"),
            comparison=read_choice(body, "comparison", _COMPARISONS) or Comparison.ABOVE,
            duration=read_duration(body, "duration") or timedelta(0),
            aggregations=read_aggregations(body, "aggregations"),
            denominator=read_text(body, "denominatorFilter") or None,
            denominator_aggregations=read_aggregations(body, "denominatorAggregations"),
            trigger=_trigger(body),
            forecast=horizon,
            missing_data=read_choice(body, "evaluationMissingData", _MISSING),
            display_name=read_text(document, "displayName"),
        )
        return carrying(made, made.to_dict(RenderContext(project=""), ""), document)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from self._filter_rules(_rendered(self.filter, context))
        seconds = whole_seconds(self.duration)
        if seconds % 60:
            yield f"duration is {shown_duration(self.duration)}, must be whole minutes", f'Use "{_minutes(seconds)}s"'
        if self.missing_data is not None and seconds < 60:
            yield "missing_data needs a duration of at least a minute", 'Use duration="60s", or leave missing_data out'
        if self.forecast is not None and not 3600 <= whole_seconds(self.forecast) <= 60 * 3600:
            yield f"forecast is {shown_duration(self.forecast)}, must be 1 h to 60 h", 'Use for example forecast="24h"'
        if self.trigger is not None and not self.trigger.is_broken:
            yield from self.trigger.rules()
        yield from self._ratio_rules(context)

    def _filter_rules(self, text: str) -> Iterator[tuple[str, str]]:
        if not text.lstrip().startswith("select_slo_"):
            found, series = check_filter(text, needs_resource=True)
            yield from found
            yield from _aggregation_rules(self.aggregations, series)
            yield from check_result(text, self.aggregations)
            return
        if not _SLO_SELECTOR.fullmatch(text):
            yield (
                f"filter: {text!r} is no selector of an SLO's data",
                'Write select_slo_burn_rate("projects/P/services/S/serviceLevelObjectives/O", "3600s")',
            )
        if self.aggregations:
            yield "an SLO's data is aggregated already", "Leave out aggregations=…"

    def _ratio_rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        if self.denominator is None:
            if self.denominator_aggregations:
                yield "denominator_aggregations= is given without denominator=", "Add denominator=…"
            return
        found, kinds = check_filter(_rendered(self.denominator, context), needs_resource=False)
        yield from ((f"denominator: {problem}", way_out) for problem, way_out in found)
        yield from _aggregation_rules(self.denominator_aggregations, kinds)
        if self.forecast is not None:
            yield "a ratio cannot be forecast", "Leave out forecast=… or denominator=…"
        if not (self.aggregations and self.denominator_aggregations):
            yield "a ratio needs aggregations on both sides", "Add aggregations=… and denominator_aggregations=…"
            return
        over, under = self.aggregations[-1], self.denominator_aggregations[-1]
        periods = {each[0].period for each in (self.aggregations, self.denominator_aggregations)}
        if len({None if period is None else whole_seconds(period) for period in periods}) > 1:
            yield "a ratio needs the same alignment period on both sides", "Give both sides the same period"
        if set(over.by) != set(under.by) or (over.reducer == Reducer.NONE) != (under.reducer == Reducer.NONE):
            yield "a ratio needs the same labels on both sides", "Give both sides the same by= and a reducer"
        if Aligner.NONE in (self.aggregations[0].aligner, self.denominator_aggregations[0].aligner):
            yield "a ratio needs an aligner on both sides", 'Use for example aligner="rate"'
        filters = [_rendered(each, context) for each in (self.filter, self.denominator)]
        yield from check_ratio(filters[0], self.aggregations, filters[1], self.denominator_aggregations)


@definition
class AbsenceCondition(Condition):
    """A filter's series get no data any more. Needs one point after the policy was made.

    Attributes:
        filter: a Monitoring filter that names the metric and the resource type, or a `metric_filter`.
        duration: for how long, 2 min to 23 h 30 min, whole minutes.
        aggregations: how the points are aligned and the series reduced.
        trigger: how many series must be absent; one, when not given.
        display_name: shown in incidents; the policy's name when empty.
        carried: fields of the REST API that this model does not know.
    """

    json_field: ClassVar[str] = "conditionAbsent"

    filter: str | Renderable = given(_filter, placeholder="")
    duration: DurationLike = given(as_duration, placeholder=timedelta(minutes=5))
    aggregations: Sequence[Aggregation] = given(many(Aggregation), default=())
    trigger: Trigger | None = given(one(Trigger), default=None)
    display_name: str = given(as_text, default="")
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    def to_dict(self, context: RenderContext, default_name: str) -> dict[str, Any]:
        """Return the REST form."""
        body: dict[str, Any] = {
            "filter": _rendered(self.filter, context),
            "duration": json_duration(self.duration),
            "trigger": (self.trigger or Trigger(count=1)).to_dict(),
        }
        if self.aggregations:
            body["aggregations"] = [aggregation.to_dict() for aggregation in self.aggregations]
        return merged({"displayName": self.display_name or default_name, self.json_field: body}, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the condition that an object of the REST API is."""
        body = read_table(document, cls.json_field)
        made = cls(
            filter=read_text(body, "filter"),
            duration=read_duration(body, "duration") or timedelta(0),
            aggregations=read_aggregations(body, "aggregations"),
            trigger=_trigger(body),
            display_name=read_text(document, "displayName"),
        )
        return carrying(made, made.to_dict(RenderContext(project=""), ""), document)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        found, kinds = check_filter(_rendered(self.filter, context), needs_resource=True)
        yield from found
        yield from _aggregation_rules(self.aggregations, kinds)
        seconds = whole_seconds(self.duration)
        if seconds % 60:
            yield f"duration is {shown_duration(self.duration)}, must be whole minutes", f'Use "{_minutes(seconds)}s"'
        if not 120 <= seconds <= 84_600:
            yield f"duration is {shown_duration(self.duration)}, must be 2 min to 23 h 30 min", 'Use for example "5m"'
        if self.trigger is not None and not self.trigger.is_broken:
            yield from self.trigger.rules()


def _trigger(body: Mapping[str, Any]) -> Trigger | None:
    found = read_table(body, "trigger")
    count, percent = read_number(found, "count", None), read_number(found, "percent", None)
    return Trigger(count=count, percent=percent) if (count is None) != (percent is None) else None


def _minutes(seconds: float) -> int:
    return max(60, round(seconds / 60) * 60)
