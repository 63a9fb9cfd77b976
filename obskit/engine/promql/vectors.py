"""Instant vectors, and the functions and operators between them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from obskit.engine.promql.windows import quantile

__all__ = [
    "CALENDAR",
    "MATH",
    "OPERATORS",
    "Sample",
    "Vector",
    "aggregate",
    "histogram_quantile",
    "key_of",
    "without_name",
]


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of an instant vector."""

    labels: Mapping[str, str]
    value: float


Vector = list[Sample]


def without_name(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels without the metric's name."""
    return {name: value for name, value in labels.items() if name != "__name__"}


def key_of(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return labels as a key; an empty label is an absent one."""
    return tuple(sorted((name, value) for name, value in labels.items() if value))


# --------------------------------------------------------------------------- arithmetic


def _divide(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def _modulo(a: float, b: float) -> float:
    return math.fmod(a, b) if b and not math.isinf(a) and not math.isnan(a + b) else math.nan


def _power(a: float, b: float) -> float:
    try:
        found = math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        return math.inf if a == 0 else math.nan
    return found


OPERATORS: Final[dict[str, Callable[[float, float], float | bool]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": _modulo,
    "^": _power,
    "atan2": math.atan2,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}


def _safe(function: Callable[[float], float], *, at_zero: float = math.nan) -> Callable[[float], float]:
    def call(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return math.inf
        except ValueError:
            return at_zero if value == 0 else math.nan

    return call


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(function(value)) if math.isfinite(value) else value


def _sign(value: float) -> float:
    return value if value == 0 or math.isnan(value) else math.copysign(1.0, value)


MATH: Final[dict[str, Callable[[float], float]]] = {
    "abs": abs,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "exp": _safe(math.exp),
    "sqrt": _safe(math.sqrt),
    "ln": _safe(math.log, at_zero=-math.inf),
    "log2": _safe(math.log2, at_zero=-math.inf),
    "log10": _safe(math.log10, at_zero=-math.inf),
    "sgn": _sign,
    "deg": math.degrees,
    "rad": math.radians,
    **{
        name: _safe(getattr(math, name))
        for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh")
    },
}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _days_in_month(moment: datetime) -> int:
    following = datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
    return (following - datetime(moment.year, moment.month, 1, tzinfo=UTC)).days


CALENDAR: Final[dict[str, Callable[[float], float]]] = {
    "minute": lambda seconds: float(_moment(seconds).minute),
    "hour": lambda seconds: float(_moment(seconds).hour),
    "day_of_week": lambda seconds: float(_moment(seconds).isoweekday() % 7),
    "day_of_month": lambda seconds: float(_moment(seconds).day),
    "day_of_year": lambda seconds: float(_moment(seconds).timetuple().tm_yday),
    "days_in_month": lambda seconds: float(_days_in_month(_moment(seconds))),
    "month": lambda seconds: float(_moment(seconds).month),
    "year": lambda seconds: float(_moment(seconds).year),
}


# --------------------------------------------------------------------------- aggregation


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)


def _extreme(values: Sequence[float], *, is_max: bool) -> float:
    real = [value for value in values if not math.isnan(value)]
    return (max(real) if is_max else min(real)) if real else math.nan


_SIMPLE: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "min": lambda values: _extreme(values, is_max=False),
    "max": lambda values: _extreme(values, is_max=True),
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
    "stddev": lambda values: math.sqrt(_variance(values)),
    "stdvar": _variance,
}


def aggregate(
    op: str, vector: Vector, parameter: Any, grouping: Callable[[Mapping[str, str]], dict[str, str]]
) -> Vector:
    """Return an aggregation; `grouping` maps an element's labels to its group's."""
    groups: dict[tuple[tuple[str, str], ...], tuple[dict[str, str], Vector]] = {}
    for sample in vector:
        labels = grouping(sample.labels)
        groups.setdefault(key_of(labels), (labels, []))[1].append(sample)
    found: Vector = []
    for labels, members in groups.values():
        values = [sample.value for sample in members]
        if op in _SIMPLE:
            found.append(Sample(labels, _SIMPLE[op](values)))
        elif op == "quantile":
            found.append(Sample(labels, quantile(float(parameter), values)))
        elif op == "count_values":
            found += _counted(labels, values, str(parameter))
        else:
            found += _best(members, int(parameter), is_top=op == "topk")
    return found


def _counted(labels: Mapping[str, str], values: Iterable[float], name: str) -> Vector:
    counts: dict[str, int] = {}
    for value in values:
        text = f"{value:g}" if not float(value).is_integer() else str(int(value))
        counts[text] = counts.get(text, 0) + 1
    return [Sample({**labels, name: text}, float(count)) for text, count in counts.items()]


def _best(members: Vector, count: int, *, is_top: bool) -> Vector:
    if count < 1:
        return []

    def rank(sample: Sample) -> tuple[bool, float]:
        return math.isnan(sample.value), -sample.value if is_top else sample.value

    return sorted(members, key=rank)[:count]


# --------------------------------------------------------------------------- histograms


def histogram_quantile(share: float, vector: Vector) -> Vector:
    """Return quantiles of classic histograms; a histogram without observations gives no point, as at Google."""
    groups: dict[tuple[tuple[str, str], ...], tuple[dict[str, str], list[tuple[float, float]]]] = {}
    for sample in vector:
        bound = _bound(sample.labels.get("le", ""))
        if bound is None:
            continue
        labels = {name: value for name, value in sample.labels.items() if name not in {"le", "__name__"}}
        groups.setdefault(key_of(labels), (labels, []))[1].append((bound, sample.value))
    found = []
    for labels, buckets in groups.values():
        value = _bucket_quantile(share, sorted(buckets))
        if value is not None:
            found.append(Sample(labels, value))
    return found


def _bound(text: str) -> float | None:
    try:
        return float(re.sub(r"^\+?Inf$", "inf", text))
    except ValueError:
        return None


def _bucket_quantile(share: float, buckets: list[tuple[float, float]]) -> float | None:
    """Source: ``bucketQuantile`` of Prometheus 2.44, promql/quantile.go."""
    if math.isnan(share):
        return math.nan
    if share < 0:
        return -math.inf
    if share > 1:
        return math.inf
    merged = _monotonic(buckets)
    if len(merged) < 2 or not math.isinf(merged[-1][0]):
        return math.nan
    total = merged[-1][1]
    if total == 0 or math.isnan(total):
        return None
    rank = share * total
    index = next(i for i, (_, count) in enumerate(merged) if count >= rank or i == len(merged) - 1)
    if index == len(merged) - 1:
        return merged[-2][0]
    end, count = merged[index]
    if index == 0 and end <= 0:
        return end
    start = 0.0
    if index > 0:
        start = merged[index - 1][0]
        count -= merged[index - 1][1]
        rank -= merged[index - 1][1]
    return start + (end - start) * (rank / count) if count else start


def _monotonic(buckets: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    highest = -math.inf
    for bound, count in buckets:
        if merged and merged[-1][0] == bound:
            merged[-1] = (bound, merged[-1][1] + count)
        else:
            merged.append((bound, count))
    for index, (bound, count) in enumerate(merged):
        highest = max(highest, count)
        merged[index] = (bound, highest)
    return merged
