"""What a counter, or a series of deltas, gained in each alignment period."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from obskit.engine.distributions import difference, portion, total
from obskit.engine.series import Distribution, Point, TypedSeries

__all__ = ["Increment", "Value", "gained", "increments", "sum_of"]

Value = float | Distribution

# A point that covers more than this many periods is shared out among them; another belongs to the period of its end,
# so that the newest period, which has only just ended, is not short of what its last point will have covered.
_LONG: Final = 1.5


@dataclass(frozen=True, slots=True)
class Increment:
    """What a series gained: from one moment to another, in milliseconds since the epoch."""

    start_ms: int
    end_ms: int
    value: Value


def gained(item: TypedSeries, ends_ms: Sequence[int], width_ms: int) -> list[Value | None]:
    """Return the growth in each period, None where nothing is known.

    Resets add up. A period without a point has its share of the points around it, as the platform interpolates.

    Args:
        item: a ``CUMULATIVE`` or ``DELTA`` series; points before the first period tell where its counter stood.
        ends_ms: end of each period, ascending, `width_ms` apart.
        width_ms: of each period.
    """
    parts: list[list[Value]] = [[] for _ in ends_ms]
    if not ends_ms:
        return []
    begin = ends_ms[0] - width_ms
    for each in increments(item):
        if each.end_ms - each.start_ms <= width_ms * _LONG:
            place = -((begin - each.end_ms) // width_ms) - 1
            if 0 <= place < len(parts):
                parts[place].append(each.value)
            continue
        first = max(0, (each.start_ms - begin) // width_ms)
        last = min(len(parts) - 1, -((begin - each.end_ms) // width_ms) - 1)
        for place in range(first, last + 1):
            parts[place].append(_part(each, ends_ms[place] - width_ms, ends_ms[place], item.value_type))
    return [sum_of(part) if part else None for part in parts]


def increments(item: TypedSeries) -> Iterator[Increment]:
    """Yield what a ``CUMULATIVE`` or ``DELTA`` series gained with each of its points; resets add up."""
    if item.kind == "DELTA":
        for point in item.points:
            yield Increment(point.start_ms, point.end_ms, point.value)
        return
    previous: Point | None = None
    for point in item.points:
        if previous is not None and not _is_reset(point, previous):
            yield Increment(previous.end_ms, point.end_ms, _minus(point.value, previous.value))
        elif point.start_ms < point.end_ms:  # all of it since its start; a point without a start only tells the level
            start = point.start_ms if previous is None else max(point.start_ms, previous.end_ms)
            yield Increment(start, point.end_ms, point.value)
        elif previous is not None:
            yield Increment(previous.end_ms, point.end_ms, point.value)
        previous = point


def _is_reset(point: Point, previous: Point) -> bool:
    return point.start_ms > previous.start_ms or _count(point.value) < _count(previous.value)


def _count(value: Value) -> float:
    return value.count if isinstance(value, Distribution) else value


def _minus(later: Value, earlier: Value) -> Value:
    if isinstance(later, Distribution):
        return difference(later, earlier) if isinstance(earlier, Distribution) else later
    return later if isinstance(earlier, Distribution) else later - earlier


def _part(each: Increment, start_ms: int, end_ms: int, value_type: str) -> Value:
    length = each.end_ms - each.start_ms
    low = max(0, start_ms - each.start_ms) / length
    high = min(length, end_ms - each.start_ms) / length
    if isinstance(each.value, Distribution):
        return portion(each.value, low, high)
    if value_type == "INT64":
        return float(round(each.value * high) - round(each.value * low))
    return each.value * (high - low)


def sum_of(values: Sequence[Value]) -> Value:
    """Return the sum of numbers, or of distributions."""
    distributions = [value for value in values if isinstance(value, Distribution)]
    if distributions:
        return distributions[0] if len(values) == 1 else total(distributions)
    return math.fsum(value for value in values if not isinstance(value, Distribution))
