"""Conditions over Monitoring filters: a threshold, a ratio or forecast against one, and the absence of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obskit.engine.align import aggregate, period_ms, reach_ms
from obskit.engine.conditions import Key, Measurement, key_of, seconds_ms
from obskit.engine.forecasts import Trend
from obskit.engine.logs import LogSource
from obskit.engine.reduce import labels_of, ratio
from obskit.engine.selectors import parsed_filter
from obskit.engine.series import Distribution, SeriesSource, TimeSeriesSource, TypedSeries
from obskit.errors import Problem, QueryError

__all__ = ["Absence", "Threshold"]

_INTERVAL_MS: Final = 60_000
_REMEMBERED_MS: Final = 86_400_000  # how long a series without data still counts as one that could have some
_COMPARISONS: Final = {"COMPARISON_GT", "COMPARISON_LT"}


def _chain(
    source: TimeSeriesSource, text: str, steps: Sequence[Mapping[str, Any]], start_ms: int, now_ms: int
) -> list[TypedSeries]:
    """The series of a filter, through each aggregation in turn."""
    reach = max((reach_ms(step) for step in steps), default=0)
    found = list(source.list_series(parsed_filter(text), start_ms - reach, now_ms))
    for step in steps:
        found = aggregate(found, step, start_ms, now_ms)
    return found


def _steps(body: Mapping[str, Any], key: str = "aggregations") -> Sequence[Mapping[str, Any]]:
    return tuple(body.get(key) or ({},))


def _is_triggered(body: Mapping[str, Any], violating: int, known: int) -> bool:
    trigger = body.get("trigger") or {}
    if trigger.get("percent"):
        return known > 0 and violating / known * 100 >= float(trigger["percent"])
    return violating >= max(1, int(trigger.get("count") or 1))


class _Known:
    """The series that a condition has seen, so that it can tell which are missing."""

    def __init__(self) -> None:
        self._seen: dict[Key, tuple[Mapping[str, str], int]] = {}

    def missing(self, present: Mapping[Key, Mapping[str, str]], now_ms: int) -> list[Mapping[str, str]]:
        """Remember what is present, and return the labels of what is not any more."""
        for key, labels in present.items():
            self._seen[key] = (labels, now_ms)
        for key in [key for key, (_, seen) in self._seen.items() if now_ms - seen > _REMEMBERED_MS]:
            del self._seen[key]
        return [labels for key, (labels, _) in self._seen.items() if key not in present]


@dataclass(slots=True)
class Threshold:
    """A filter whose aligned value, or ratio of two, is compared with a number."""

    name: str
    display_name: str
    body: Mapping[str, Any]
    duration_ms: int
    threshold: float | None
    interval_ms: int = _INTERVAL_MS
    closes_without_data: bool = False
    horizon_ms: int = 0
    _known: _Known = field(default_factory=_Known)
    _trends: dict[Key, Trend] | None = None

    @classmethod
    def of(cls, name: str, display: str, body: Mapping[str, Any]) -> Threshold:
        """Return the condition of a ``MetricThreshold``.

        Raises:
            QueryError: a filter, duration or comparison cannot be used.
        """
        place = f'condition "{display}"'
        parsed_filter(str(body.get("filter") or ""))
        if body.get("denominatorFilter"):
            parsed_filter(str(body["denominatorFilter"]))
        if body.get("comparison") not in _COMPARISONS:
            problem = f"{body.get('comparison') or 'no comparison'} cannot be evaluated"
            raise QueryError(Problem(place=place, problem=problem, way_out="Use COMPARISON_GT or COMPARISON_LT"))
        for step in (*_steps(body), *_steps(body, "denominatorAggregations")):
            period_ms(step)
        limit = float(body.get("thresholdValue") or 0.0)
        horizon_ms = seconds_ms((body.get("forecastOptions") or {}).get("forecastHorizon"))
        return cls(name, display, body, seconds_ms(body.get("duration")), limit, horizon_ms=horizon_ms)

    def measure(
        self, now_ms: int, series: SeriesSource, typed: TimeSeriesSource, logs: LogSource | None = None
    ) -> Sequence[Measurement]:
        """Return the newest aligned value of each series, compared; with a forecast, where it is heading as well.

        Raises:
            QueryError: an aggregation does not fit the series.
        """
        del series, logs
        body, steps = self.body, _steps(self.body)
        width = max(period_ms(step) for step in steps)
        # Two periods: the one that ends now, and one before it for a second aggregation to look at. A forecast begins
        # with all of the past that it needs.
        back = 2 * self.horizon_ms + width if self.horizon_ms and self._trends is None else 2 * width
        found = _chain(typed, str(body.get("filter") or ""), steps, now_ms - back, now_ms)
        if body.get("denominatorFilter"):
            below = _steps(body, "denominatorAggregations") if body.get("denominatorAggregations") else steps
            found = ratio(found, _chain(typed, str(body["denominatorFilter"]), below, now_ms - 2 * width, now_ms))
        measured: dict[Key, Measurement] = {}
        for item in found:
            newest = item.points[-1] if item.points else None
            if newest is None or newest.end_ms <= now_ms - width:
                continue
            if isinstance(newest.value, Distribution):
                raise QueryError(
                    Problem(
                        place=f'condition "{self.display_name}"',
                        problem="its values are distributions, which do not compare with a number",
                        way_out="Add an aligner or reducer such as ALIGN_PERCENTILE_95",
                    )
                )
            labels, value = labels_of(item), float(newest.value)
            ahead = self._ahead(item, key_of(labels), width, now_ms)
            is_violating = self._compare(value) or (ahead is not None and self._compare(ahead))
            measured[key_of(labels)] = Measurement(labels=labels, value=value, is_violating=is_violating)
        return [*measured.values(), *self._missing(measured, now_ms)]

    def _ahead(self, item: TypedSeries, key: Key, width_ms: int, now_ms: int) -> float | None:
        """Where the series will be at the end of the horizon, None without a forecast or enough of the past."""
        if not self.horizon_ms:
            return None
        self._trends = {} if self._trends is None else self._trends
        trend = self._trends.setdefault(key, Trend(self.horizon_ms, width_ms))
        trend.extend((p.end_ms, float(p.value)) for p in item.points if not isinstance(p.value, Distribution))
        return trend.ahead(now_ms)

    def _compare(self, value: float) -> bool:
        limit = self.threshold or 0.0
        return value < limit if self.body.get("comparison") == "COMPARISON_LT" else value > limit

    def _missing(self, measured: Mapping[Key, Measurement], now_ms: int) -> list[Measurement]:
        gone = self._known.missing({key: item.labels for key, item in measured.items()}, now_ms)
        treat = str(self.body.get("evaluationMissingData") or "").removeprefix("EVALUATION_MISSING_DATA_")
        if treat not in {"ACTIVE", "INACTIVE"}:
            return []
        return [Measurement(labels=labels, value=None, is_violating=treat == "ACTIVE") for labels in gone]

    def is_met(self, violating: int, known: int) -> bool:
        """Return whether enough series violate, as the trigger says; one, by default."""
        return _is_triggered(self.body, violating, known)


@dataclass(slots=True)
class Absence:
    """A filter whose series stop; one that was never seen cannot stop."""

    name: str
    display_name: str
    body: Mapping[str, Any]
    duration_ms: int
    interval_ms: int = _INTERVAL_MS
    threshold: float | None = None
    closes_without_data: bool = False
    _known: _Known = field(default_factory=_Known)

    @classmethod
    def of(cls, name: str, display: str, body: Mapping[str, Any]) -> Absence:
        """Return the condition of a ``MetricAbsence``.

        Raises:
            QueryError: the filter or a duration cannot be used.
        """
        parsed_filter(str(body.get("filter") or ""))
        for step in _steps(body):
            period_ms(step)
        return cls(name, display, body, seconds_ms(body.get("duration")))

    def measure(
        self, now_ms: int, series: SeriesSource, typed: TimeSeriesSource, logs: LogSource | None = None
    ) -> Sequence[Measurement]:
        """Return whether each series that was seen has had data of late.

        Raises:
            QueryError: an aggregation does not fit the series.
        """
        del series, logs
        steps = _steps(self.body)
        width = max(period_ms(step) for step in steps)
        found = _chain(typed, str(self.body.get("filter") or ""), steps, now_ms - width, now_ms)
        present = {
            key_of(labels): labels
            for labels, item in ((labels_of(item), item) for item in found)
            if item.points and item.points[-1].end_ms > now_ms - width
        }
        gone = self._known.missing(present, now_ms)
        return [
            *(Measurement(labels=labels, value=None, is_violating=False) for labels in present.values()),
            *(Measurement(labels=labels, value=None, is_violating=True) for labels in gone),
        ]

    def is_met(self, violating: int, known: int) -> bool:
        """Return whether enough series are absent, as the trigger says; one, by default."""
        return _is_triggered(self.body, violating, known)
