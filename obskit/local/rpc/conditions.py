"""The rules of an alert policy's conditions, over their JSON.

Source: the proto comments of google.monitoring.v3, "Quotas and limits", and "PromQL for alerting policies".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from obskit.engine.promql import check
from obskit.engine.selectors import slo_selector
from obskit.errors import QueryError
from obskit.local.store import Descriptor
from obskit.queries import filters
from obskit.queries.checks import lookback

__all__ = ["KINDS", "condition_faults", "seconds_of"]

KINDS: Final = (
    "conditionThreshold",
    "conditionAbsent",
    "conditionMatchedLog",
    "conditionMonitoringQueryLanguage",
    "conditionPrometheusQueryLanguage",
    "conditionSql",
)
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
# Up to which lookback an evaluation interval may be as short as this, both in seconds.
_SHORTEST_S: Final = ((25 * _HOUR_S, 30), (8 * _DAY_S, 300), (16 * _DAY_S, _HOUR_S), (730 * _DAY_S, 2 * _HOUR_S))
_SCHEDULES: Final = {"minutes": (5, 1440), "hourly": (1, 48), "daily": (1, 31)}
Described = Mapping[str, Descriptor]


def seconds_of(value: object) -> float:
    """Return the seconds of a JSON duration, NaN for what is none."""
    try:
        return float(str(value or "0s").removesuffix("s"))
    except ValueError:
        return float("nan")


def condition_faults(index: int, condition: Mapping[str, Any], described: Described) -> Iterator[str]:
    """Yield what is wrong with a condition."""
    place = f"Field alert_policy.conditions[{index}]"
    kinds = [kind for kind in KINDS if kind in condition]
    if len(kinds) != 1:
        yield f"{place} must have exactly one kind of condition."
        return
    body = condition[kinds[0]]
    match kinds[0]:
        case "conditionPrometheusQueryLanguage":
            yield from _promql(place + ".condition_prometheus_query_language", body)
        case "conditionThreshold":
            yield from _threshold(place + ".condition_threshold", body, described)
        case "conditionAbsent":
            yield from _absence(place + ".condition_absent", body, described)
        case "conditionMatchedLog":
            if not body.get("filter"):
                yield f"{place}.condition_matched_log.filter is required."
        case "conditionSql":
            yield from _sql(place + ".condition_sql", body)
        case _:
            yield f"{place}.condition_monitoring_query_language: MQL conditions can no longer be created."


def _promql(place: str, body: Mapping[str, Any]) -> Iterator[str]:
    query = body.get("query") or ""
    if not query:
        yield f"{place}.query is required."
    for problem in check(query or "vector(1)"):
        yield f"{place}.query had an invalid value: {problem.problem}."
    interval = seconds_of(body.get("evaluationInterval") or "30s")
    if not interval > 0 or interval % 30:
        yield f"{place}.evaluation_interval must be a positive multiple of 30 seconds."
    far = lookback(query).total_seconds()
    shortest = next((shortest for longest, shortest in _SHORTEST_S if far <= longest), None)
    if shortest is None:
        yield f"{place}.query looks back more than 2 years."
    elif 0 < interval < shortest:
        yield f"{place}.evaluation_interval must be at least {shortest} seconds for a query that looks back so far."
    if not seconds_of(body.get("duration")) >= 0:
        yield f"{place}.duration must be zero or more."


def _threshold(place: str, body: Mapping[str, Any], described: Described) -> Iterator[str]:
    yield from _filter(f"{place}.filter", body.get("filter") or "")
    if body.get("comparison") not in {"COMPARISON_GT", "COMPARISON_LT"}:
        yield f"{place}.comparison must be COMPARISON_GT or COMPARISON_LT."
    duration = seconds_of(body.get("duration"))
    if not duration >= 0 or duration % 60:
        yield f"{place}.duration must be a multiple of a minute."
    missing = body.get("evaluationMissingData", "EVALUATION_MISSING_DATA_UNSPECIFIED")
    if missing != "EVALUATION_MISSING_DATA_UNSPECIFIED" and duration < 60:
        yield f"{place}.evaluation_missing_data needs a duration of at least a minute."
    yield from _aggregations(f"{place}.aggregations", body.get("aggregations") or (), body.get("filter"), described)
    yield from _trigger(place, body.get("trigger") or {})
    forecast = body.get("forecastOptions")
    if forecast and not _HOUR_S <= seconds_of(forecast.get("forecastHorizon")) <= 60 * _HOUR_S:
        yield f"{place}.forecast_options.forecast_horizon must be from 1 hour to 60 hours."
    if body.get("denominatorFilter"):
        yield from _ratio(place, body, described)


def _ratio(place: str, body: Mapping[str, Any], described: Described) -> Iterator[str]:
    text, below = body["denominatorFilter"], body.get("denominatorAggregations") or []
    yield from _filter(f"{place}.denominator_filter", text, needed=("metric.type",))
    yield from _aggregations(f"{place}.denominator_aggregations", below, text, described)
    above = body.get("aggregations") or []
    if not above or not below:
        yield f"{place} needs aggregations and denominator_aggregations for a ratio."
        return
    if seconds_of(above[0].get("alignmentPeriod")) != seconds_of(below[0].get("alignmentPeriod")):
        yield f"{place}.denominator_aggregations must have the alignment period of aggregations."
    if set(above[-1].get("groupByFields") or ()) != set(below[-1].get("groupByFields") or ()):
        yield f"{place}.denominator_aggregations must have the group_by_fields of aggregations."


def _trigger(place: str, trigger: Mapping[str, Any]) -> Iterator[str]:
    if "count" in trigger and int(trigger["count"]) < 1:
        yield f"{place}.trigger.count must be at least 1."
    if "percent" in trigger and not 0 < float(trigger["percent"]) <= 100:
        yield f"{place}.trigger.percent must be above 0 and at most 100."


def _absence(place: str, body: Mapping[str, Any], described: Described) -> Iterator[str]:
    yield from _filter(f"{place}.filter", body.get("filter") or "")
    yield from _aggregations(f"{place}.aggregations", body.get("aggregations") or (), body.get("filter"), described)
    yield from _trigger(place, body.get("trigger") or {})
    duration = seconds_of(body.get("duration"))
    if not 120 <= duration <= 84_600 or duration % 60:
        yield f"{place}.duration must be whole minutes from 2 minutes to 23 hours 30 minutes."


def _sql(place: str, body: Mapping[str, Any]) -> Iterator[str]:
    if not body.get("query"):
        yield f"{place}.query is required."
    schedules = [name for name in _SCHEDULES if name in body]
    if len(schedules) != 1:
        yield f"{place} must have exactly one schedule."
        return
    low, high = _SCHEDULES[schedules[0]]
    if not low <= int(body[schedules[0]].get("periodicity") or 0) <= high:
        yield f"{place}.{schedules[0]}.periodicity must be from {low} to {high}."


def _aggregations(
    place: str, aggregations: Sequence[Mapping[str, Any]], text: object, described: Described
) -> Iterator[str]:
    for index, aggregation in enumerate(aggregations):
        aligner = aggregation.get("perSeriesAligner", "ALIGN_NONE")
        period = seconds_of(aggregation.get("alignmentPeriod"))
        if aligner != "ALIGN_NONE" and not 60 <= period <= 90_000:
            yield f"{place}[{index}].alignment_period must be from 60 seconds to 25 hours."
        if aggregation.get("crossSeriesReducer", "REDUCE_NONE") != "REDUCE_NONE" and aligner == "ALIGN_NONE":
            yield f"{place}[{index}].per_series_aligner must be set when there is a cross_series_reducer."
        # A later aggregation works on what an earlier one has made of the metric.
        if index == 0:
            yield from _aligner(f"{place}[0].per_series_aligner", aligner, str(text or ""), described)


def _aligner(place: str, aligner: str, text: str, described: Described) -> Iterator[str]:
    try:
        types = filters.parse(text).metric_types()
    except QueryError:
        return  # told already
    for found in (described[name] for name in types if name in described):
        if aligner.startswith("ALIGN_PERCENTILE") and found.value_type != "DISTRIBUTION":
            yield f"{place}: {aligner} needs a distribution, and {found.type} is {found.value_type}."
        if aligner in {"ALIGN_RATE", "ALIGN_DELTA"} and found.kind == "GAUGE":
            yield f"{place}: {aligner} needs a cumulative or delta metric, and {found.type} is a gauge."


def _filter(place: str, text: str, needed: Sequence[str] = ("metric.type", "resource.type")) -> Iterator[str]:
    if len(text) > 2048:
        yield f"{place} has {len(text)} characters, at most 2,048 are allowed."
    if slo_selector(text) is not None:  # the series of an SLO, which have neither a metric type nor a resource type
        return
    try:
        parsed = filters.parse(text)
    except QueryError as error:
        yield f"{place} had an invalid value: {error.problems[0].problem}."
        return
    fields = {leaf.field for leaf in parsed.comparisons()}
    for field in needed:
        if field not in fields:
            yield f"{place} must restrict {field}."
