"""What a service level indicator counts: how many events of a slot of time were good, and how many there were.

Source: the messages ``ServiceLevelIndicator``, ``RequestBasedSli`` and ``WindowsBasedSli`` of the Monitoring API v3.
An event belongs to the slot in which the point that tells of it ends; a window without data is no event.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.engine.basic_indicators import explicit
from obskit.engine.conditions import UnsupportedError, seconds_ms
from obskit.engine.distributions import count_within
from obskit.engine.increments import increments
from obskit.engine.series import Distribution, TypedSeries
from obskit.errors import Problem
from obskit.queries import filters
from obskit.queries.filters import Filter

__all__ = ["Counts", "Fetch", "Indicator", "indicator_of"]

Fetch = Callable[[Filter, int, int], Sequence[TypedSeries]]
"""Filter, begin, end → series with their points of ``begin < end <= end``, and the point before where there is one."""

Counts = dict[int, tuple[float, float]]
"""Slot → how many events were good, and how many there were."""

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
_RATIO_FIELDS: Final = ("goodServiceFilter", "badServiceFilter", "totalServiceFilter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """An indicator that can be worked out.

    Attributes:
        slot_ms: length of a slot: a minute, or the window of an indicator that is based on windows.
        filters: of all series that it looks at.
        count: finds the events of the slots whose end is in ``begin < end <= end``, both on the slots' grid.
    """

    slot_ms: int
    filters: tuple[Filter, ...]
    count: Callable[[Fetch, int, int], Counts]


def indicator_of(objective: Mapping[str, Any], service: Mapping[str, Any] | None = None) -> Indicator:
    """Return the indicator of an SLO.

    Args:
        objective: in the REST API's JSON.
        service: the SLO's service, which a basic indicator needs.

    Raises:
        UnsupportedError: it cannot be worked out; the message has the reason.
        QueryError: a filter does not parse.
    """
    place = f'SLO "{objective.get("displayName") or str(objective.get("name") or "").rpartition("/")[2]}"'
    inner = objective.get("serviceLevelIndicator") or {}
    if "basicSli" in inner:
        return _requests(explicit(inner["basicSli"], service or {}, place), place, _MINUTE_MS)
    if "requestBased" in inner:
        return _requests(inner["requestBased"], place, _MINUTE_MS)
    if "windowsBased" in inner:
        return _windows(inner["windowsBased"], service or {}, place)
    raise unsupported(place, "it has no indicator that is known here", "Use requestBased, windowsBased or basicSli")


def unsupported(place: str, problem: str, way_out: str) -> UnsupportedError:
    """Return the refusal of an SLO."""
    return UnsupportedError(Problem(place=place, problem=problem, way_out=way_out))


# ------------------------------------------------------------------ requests


def _requests(body: Mapping[str, Any], place: str, slot_ms: int) -> Indicator:
    if "goodTotalRatio" in body:
        return _ratio(body["goodTotalRatio"], place, slot_ms)
    if "distributionCut" in body:
        return _cut(body["distributionCut"], slot_ms)
    raise unsupported(place, "it counts no requests", "Give goodTotalRatio or distributionCut")


def _ratio(body: Mapping[str, Any], place: str, slot_ms: int) -> Indicator:
    parsed = [filters.parse(str(body[name])) if body.get(name) else None for name in _RATIO_FIELDS]
    if sum(each is not None for each in parsed) != 2:
        problem = "a ratio has exactly two of goodServiceFilter, badServiceFilter and totalServiceFilter"
        raise unsupported(place, problem, "Leave out the third, which follows from the others")
    good, bad, total = parsed

    def count(fetch: Fetch, begin_ms: int, end_ms: int) -> Counts:
        known = [
            None if each is None else _growth(fetch(each, begin_ms, end_ms), begin_ms, slot_ms, _number)
            for each in (good, bad, total)
        ]
        return {slot: _good_of_total(known, slot) for slot in {slot for found in known if found for slot in found}}

    return Indicator(slot_ms=slot_ms, filters=tuple(each for each in parsed if each), count=count)


def _good_of_total(known: Sequence[Mapping[int, float] | None], slot: int) -> tuple[float, float]:
    good, bad, total = (None if found is None else found.get(slot, 0.0) for found in known)
    if total is None:
        return (good or 0.0), (good or 0.0) + (bad or 0.0)
    return (max(0.0, total - bad) if bad is not None else min(good or 0.0, total)), total


def _cut(body: Mapping[str, Any], slot_ms: int) -> Indicator:
    parsed, (low, high) = filters.parse(str(body.get("distributionFilter") or "")), _range(body)

    def count(fetch: Fetch, begin_ms: int, end_ms: int) -> Counts:
        series = fetch(parsed, begin_ms, end_ms)
        good = _growth(series, begin_ms, slot_ms, lambda value: _within(value, low, high))
        total = _growth(series, begin_ms, slot_ms, _count)
        return {slot: (good.get(slot, 0.0), many) for slot, many in total.items()}

    return Indicator(slot_ms=slot_ms, filters=(parsed,), count=count)


def _growth(
    series: Sequence[TypedSeries], begin_ms: int, slot_ms: int, amount: Callable[[float | Distribution], float]
) -> dict[int, float]:
    """What series gained after `begin_ms`, slot by slot."""
    found: defaultdict[int, float] = defaultdict(float)
    for item in series:
        for each in increments(item):
            if each.end_ms > begin_ms:
                found[_slot(each.end_ms, slot_ms)] += amount(each.value)
    return found


def _slot(end_ms: int, slot_ms: int) -> int:
    """The slot that a moment is in; slot n ends at ``n * slot_ms``, and that end belongs to it."""
    return -(-end_ms // slot_ms)


def _number(value: float | Distribution) -> float:
    return 0.0 if isinstance(value, Distribution) else float(value)


def _count(value: float | Distribution) -> float:
    return float(value.count) if isinstance(value, Distribution) else 0.0


def _within(value: float | Distribution, low: float, high: float) -> float:
    return count_within(value, low, high) if isinstance(value, Distribution) else 0.0


def _range(body: Mapping[str, Any]) -> tuple[float, float]:
    """A range whose bounds may be infinite; one that is not given is no bound."""
    bounds = body.get("range") or {}
    return float(bounds.get("min", -math.inf)), float(bounds.get("max", math.inf))


# ------------------------------------------------------------------ windows


def _windows(body: Mapping[str, Any], service: Mapping[str, Any], place: str) -> Indicator:
    width = seconds_ms(body.get("windowPeriod"), _MINUTE_MS)
    if width < _MINUTE_MS or _DAY_MS % width:
        raise unsupported(place, "its windowPeriod is not a fraction of a day", 'Write for example "300s"')
    if body.get("goodBadMetricFilter"):
        return _over_values(str(body["goodBadMetricFilter"]), width, _any_true)
    if threshold := body.get("goodTotalRatioThreshold"):
        basic = threshold.get("basicSliPerformance")
        inner = explicit(basic, service, place) if basic is not None else threshold.get("performance") or {}
        return _good_enough(_requests(inner, place, width), float(threshold.get("threshold") or 0.0))
    for name, across in (("metricMeanInRange", _mean), ("metricSumInRange", math.fsum)):
        if metric := body.get(name):
            return _over_values(str(metric.get("timeSeries") or ""), width, _in_range(across, _range(metric)))
    raise unsupported(place, "it does not say which windows are good", "Give one of the four criteria")


def _good_enough(requests: Indicator, threshold: float) -> Indicator:
    """A window is good when so large a share of its requests was."""

    def count(fetch: Fetch, begin_ms: int, end_ms: int) -> Counts:
        found = requests.count(fetch, begin_ms, end_ms)
        # The share, not threshold * total: 55 of 100 are 0.55, and 0.55 * 100 is more than 55.
        return {slot: (float(good / total >= threshold), 1.0) for slot, (good, total) in found.items() if total > 0}

    return Indicator(slot_ms=requests.slot_ms, filters=requests.filters, count=count)


def _over_values(text: str, width: int, is_good: Callable[[Sequence[Sequence[float]]], bool]) -> Indicator:
    """A window is good when the values of its series, one list for each, are."""
    parsed = filters.parse(text)

    def count(fetch: Fetch, begin_ms: int, end_ms: int) -> Counts:
        windows: defaultdict[int, list[Sequence[float]]] = defaultdict(list)
        for item in fetch(parsed, begin_ms, end_ms):
            for slot, values in _slices(item, begin_ms, width):
                windows[slot].append(values)
        return {slot: (float(is_good(streams)), 1.0) for slot, streams in windows.items()}

    return Indicator(slot_ms=width, filters=(parsed,), count=count)


def _slices(item: TypedSeries, begin_ms: int, width: int) -> Iterator[tuple[int, Sequence[float]]]:
    times = [point.end_ms for point in item.points]
    low = bisect_right(times, begin_ms)
    while low < len(times):
        slot = _slot(times[low], width)
        high = bisect_right(times, slot * width)
        yield slot, [_number(point.value) for point in item.points[low:high]]
        low = high


def _any_true(streams: Sequence[Sequence[float]]) -> bool:
    return any(any(values) for values in streams)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _in_range(
    across: Callable[[Sequence[float]], float], bounds: tuple[float, float]
) -> Callable[[Sequence[Sequence[float]]], bool]:
    return lambda streams: bounds[0] <= across([_mean(values) for values in streams]) <= bounds[1]
