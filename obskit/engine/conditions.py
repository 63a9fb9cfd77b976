"""The kinds of conditions: what each measures at one moment, series by series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from obskit.engine.align import aggregate, period_ms
from obskit.engine.promql import evaluate, parse
from obskit.engine.series import Distribution, SeriesSource, TimeSeriesSource, TypedSeries
from obskit.errors import Problem, QueryError
from obskit.queries import filters

__all__ = ["Condition", "Measurement", "condition_of", "ratio", "seconds_ms"]

Key = tuple[tuple[str, str], ...]
_MISSING_LOOKBACK_MS: Final = 25 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a condition found for one series.

    Attributes:
        labels: that tell the series from the others.
        value: that was compared, None for a series that has no value.
        is_violating: whether the comparison holds.
    """

    labels: Mapping[str, str]
    value: float | None
    is_violating: bool


class Condition(Protocol):
    """A condition of a policy.

    Attributes:
        name: resource name of the condition, or its display name.
        display_name: as shown to people.
        duration_ms: how long it must hold.
        interval_ms: time between two evaluations.
        threshold: the number that it compares with, None where there is none.
        needed: how many series must be violating, as a function of how many there are.
    """

    name: str
    display_name: str
    duration_ms: int
    interval_ms: int
    threshold: float | None

    def measure(self, now_ms: int, series: SeriesSource, typed: TimeSeriesSource) -> list[Measurement]: ...
    def is_met(self, violating: int, total: int) -> bool: ...


def seconds_ms(value: object, default_ms: int = 0) -> int:
    """Return milliseconds of a duration in the API's form, ``"300s"``."""
    text = str(value or "").removesuffix("s")
    return round(float(text) * 1000) if text else default_ms


def condition_of(document: Mapping[str, Any]) -> Condition:
    """Return the condition of its JSON.

    Raises:
        QueryError: its kind is not evaluated here, or its query or filter does not parse.
    """
    name = str(document.get("name") or document.get("displayName") or "condition")
    display = str(document.get("displayName") or name)
    if body := document.get("conditionPrometheusQueryLanguage"):
        parse(str(body.get("query", "")))
        return PromQL(name, display, str(body.get("query", "")), seconds_ms(body.get("duration")),
                      seconds_ms(body.get("evaluationInterval"), 30_000) or 30_000)  # fmt: skip
    if (body := document.get("conditionThreshold")) is not None:
        return Threshold.of(name, display, body)
    if (body := document.get("conditionAbsent")) is not None:
        return Absence.of(name, display, body)
    kinds = sorted(key for key in document if key.startswith("condition"))
    raise QueryError(
        Problem(
            place=f'condition "{display}"',
            problem=f"{', '.join(kinds) or 'an empty condition'} is not evaluated here",
            way_out="Use a PromQL, threshold or absence condition, or try it in Cloud Monitoring",
        )
    )


@dataclass(slots=True)
class PromQL:
    """A query whose every result violates."""

    name: str
    display_name: str
    query: str
    duration_ms: int
    interval_ms: int
    threshold: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.threshold = _compared_with(parse(self.query))

    def measure(self, now_ms: int, series: SeriesSource, typed: TimeSeriesSource) -> list[Measurement]:
        """Return one violating measurement for each series of the result; a number other than 0 is one too."""
        del typed
        found = evaluate(self.query, series, now_ms)
        if isinstance(found, str):
            return []
        if isinstance(found, float):
            return [Measurement(labels={}, value=found, is_violating=True)] if found else []
        return [Measurement(labels=s.labels, value=s.value, is_violating=True) for s in found]

    def is_met(self, violating: int, total: int) -> bool:
        """Return whether any series violates."""
        del total
        return violating > 0


def _compared_with(node: Any) -> float | None:
    """The number on the right of the outermost comparison, for charts and notifications."""
    import promql_parser as pp  # noqa: PLC0415

    while isinstance(node, pp.ParenExpr):
        node = node.expr
    if isinstance(node, pp.BinaryExpr) and str(node.op) in {">", "<", ">=", "<=", "==", "!="}:
        right = node.rhs
        while isinstance(right, pp.ParenExpr):
            right = right.expr
        return float(right.val) if isinstance(right, pp.NumberLiteral) else None
    if isinstance(node, pp.BinaryExpr) and str(node.op) in {"and", "unless"}:
        return _compared_with(node.lhs)
    return None


def _labels(item: TypedSeries) -> dict[str, str]:
    return {
        **{f"resource.labels.{name}": value for name, value in item.resource_labels.items()},
        **{f"metric.labels.{name}": value for name, value in item.metric_labels.items()},
    }


def _chain(
    source: TimeSeriesSource, text: str, aggregations: Sequence[Mapping[str, Any]], start_ms: int, now_ms: int
) -> list[TypedSeries]:
    found = list(source.list_series(filters.parse(text), start_ms, now_ms))
    for aggregation in aggregations or [{}]:
        found = aggregate(found, aggregation, start_ms, now_ms)
    return found


@dataclass(slots=True)
class Threshold:
    """A filter whose aligned value is compared with a number."""

    name: str
    display_name: str
    body: Mapping[str, Any]
    duration_ms: int
    interval_ms: int
    threshold: float | None
    _known: dict[Key, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, display: str, body: Mapping[str, Any]) -> Threshold:
        """Return the condition of a ``MetricThreshold``."""
        filters.parse(str(body.get("filter", "")))
        if body.get("denominatorFilter"):
            filters.parse(str(body["denominatorFilter"]))
        if body.get("forecastOptions"):
            raise QueryError(
                Problem(
                    place=f'condition "{display}"',
                    problem="a forecast is not evaluated here",
                    way_out="Leave forecast_options out to try the rest",
                )
            )
        width = min((period_ms(step) for step in body.get("aggregations") or [{}]), default=60_000)
        return cls(name, display, body, seconds_ms(body.get("duration")), min(60_000, width),
                   float(body.get("thresholdValue") or 0.0))  # fmt: skip

    def measure(self, now_ms: int, series: SeriesSource, typed: TimeSeriesSource) -> list[Measurement]:
        """Return the newest aligned value of each series, compared."""
        del series
        body = self.body
        steps = body.get("aggregations") or [{}]
        width = max(period_ms(step) for step in steps)
        found = _chain(typed, str(body.get("filter", "")), steps, now_ms - 2 * width, now_ms)
        if body.get("denominatorFilter"):
            below = body.get("denominatorAggregations") or steps
            found = ratio(found, _chain(typed, str(body["denominatorFilter"]), below, now_ms - 2 * width, now_ms))
        measured: dict[Key, Measurement] = {}
        for item in found:
            labels = _labels(item)
            key = tuple(sorted(labels.items()))
            self._known[key] = labels
            newest = item.points[-1] if item.points else None
            if newest is None or newest.end_ms <= now_ms - width or isinstance(newest.value, Distribution):
                continue
            measured[key] = Measurement(
                labels=labels, value=float(newest.value), is_violating=self._compare(float(newest.value))
            )
        return [*measured.values(), *self._missing(measured)]

    def _compare(self, value: float) -> bool:
        limit = self.threshold or 0.0
        return value < limit if self.body.get("comparison") == "COMPARISON_LT" else value > limit

    def _missing(self, measured: Mapping[Key, Measurement]) -> list[Measurement]:
        treat = self.body.get("evaluationMissingData")
        if treat not in {"EVALUATION_MISSING_DATA_ACTIVE", "EVALUATION_MISSING_DATA_INACTIVE"}:
            return []
        is_violating = treat == "EVALUATION_MISSING_DATA_ACTIVE"
        gone = {key: labels for key, labels in self._known.items() if key not in measured}
        return [Measurement(labels=labels, value=None, is_violating=is_violating) for labels in gone.values()]

    def is_met(self, violating: int, total: int) -> bool:
        """Return whether enough series violate, as the trigger says; one, by default."""
        trigger = self.body.get("trigger") or {}
        if trigger.get("percent"):
            return total > 0 and violating / total * 100 >= float(trigger["percent"])
        return violating >= max(1, int(trigger.get("count") or 1))


def ratio(numerator: Sequence[TypedSeries], denominator: Sequence[TypedSeries]) -> list[TypedSeries]:
    """Return aligned series divided by those of the same labels, moment by moment."""
    from dataclasses import replace  # noqa: PLC0415

    below = {tuple(sorted(_labels(item).items())): item for item in denominator}
    found = []
    for item in numerator:
        other = below.get(tuple(sorted(_labels(item).items())))
        if other is None and len(below) == 1 and len(numerator) == 1:
            other = next(iter(below.values()))
        if other is None:
            continue
        values = {point.end_ms: point.value for point in other.points}
        points = [
            replace(point, value=float(point.value) / float(values[point.end_ms]))  # type: ignore[arg-type]
            for point in item.points
            if values.get(point.end_ms)
        ]
        found.append(replace(item, points=points, value_type="DOUBLE", kind="GAUGE"))
    return found


@dataclass(slots=True)
class Absence:
    """A filter whose series stop."""

    name: str
    display_name: str
    body: Mapping[str, Any]
    duration_ms: int
    interval_ms: int
    threshold: float | None = None
    _known: dict[Key, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, display: str, body: Mapping[str, Any]) -> Absence:
        """Return the condition of a ``MetricAbsence``."""
        filters.parse(str(body.get("filter", "")))
        return cls(name, display, body, seconds_ms(body.get("duration"), 300_000), 60_000)

    def measure(self, now_ms: int, series: SeriesSource, typed: TimeSeriesSource) -> list[Measurement]:
        """Return whether each series that was ever seen has a point of late."""
        del series
        steps = self.body.get("aggregations") or [{}]
        width = max(period_ms(step) for step in steps)
        found = _chain(typed, str(self.body.get("filter", "")), steps, now_ms - max(width, 60_000), now_ms)
        present = {tuple(sorted(_labels(item).items())): _labels(item) for item in found if item.points}
        self._known.update(present)
        return [
            Measurement(labels=labels, value=None, is_violating=key not in present)
            for key, labels in self._known.items()
        ]

    def is_met(self, violating: int, total: int) -> bool:
        """Return whether enough series are absent."""
        del total
        trigger = self.body.get("trigger") or {}
        return violating >= max(1, int(trigger.get("count") or 1))
