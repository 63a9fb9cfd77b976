"""Operators between numbers, and functions of one number, as Go computes them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

__all__ = ["CALENDAR", "COMPARISONS", "MATH", "OPERATORS", "text_of"]


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


def _modulo(a: float, b: float) -> float:
    try:
        return math.fmod(a, b)
    except ValueError:
        return math.nan


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        if a != 0:
            return math.nan
        return math.copysign(math.inf, a) if b % 2 == 1 else math.inf


OPERATORS: Final[dict[str, Callable[[Any, Any], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _modulo,
    "^": _power,
    "atan2": math.atan2,
}

COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def _safe(function: Callable[[float], float], *, at_pole: float = math.nan) -> Callable[[float], float]:
    """Answer where Python raises: infinity beyond the largest number, `at_pole` at a pole, NaN outside the domain."""

    def call(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return math.copysign(math.inf, value) if function is math.sinh else math.inf
        except ValueError:
            if function is math.atanh and abs(value) == 1:
                return math.copysign(math.inf, value)
            return at_pole if value == 0 else math.nan

    return call


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(function(value)) if math.isfinite(value) else value


def _sign(value: float) -> float:
    return value if value == 0 or math.isnan(value) else math.copysign(1.0, value)


_TRIGONOMETRY: Final = (
    *("sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
)

MATH: Final[dict[str, Callable[[float], float]]] = {
    "abs": abs,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "exp": _safe(math.exp),
    "sqrt": _safe(math.sqrt),
    "ln": _safe(math.log, at_pole=-math.inf),
    "log2": _safe(math.log2, at_pole=-math.inf),
    "log10": _safe(math.log10, at_pole=-math.inf),
    "sgn": _sign,
    "deg": math.degrees,
    "rad": math.radians,
    **{name: _safe(getattr(math, name)) for name in _TRIGONOMETRY},
}


def _days_in_month(moment: datetime) -> int:
    following = datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
    return (following - datetime(moment.year, moment.month, 1, tzinfo=UTC)).days


def _dated(part: Callable[[datetime], int]) -> Callable[[float], float]:
    def call(seconds: float) -> float:
        try:
            return float(part(datetime.fromtimestamp(int(seconds), UTC)))
        except (ValueError, OverflowError, OSError):  # NaN, or outside the years 1 to 9999
            return math.nan

    return call


CALENDAR: Final[dict[str, Callable[[float], float]]] = {
    "minute": _dated(lambda moment: moment.minute),
    "hour": _dated(lambda moment: moment.hour),
    "day_of_week": _dated(lambda moment: moment.isoweekday() % 7),
    "day_of_month": _dated(lambda moment: moment.day),
    "day_of_year": _dated(lambda moment: moment.timetuple().tm_yday),
    "days_in_month": _dated(_days_in_month),
    "month": _dated(lambda moment: moment.month),
    "year": _dated(lambda moment: moment.year),
}


def text_of(value: float) -> str:
    """Return a number as Go writes it with the fewest digits and no exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return format(Decimal(repr(float(value))), "f").removesuffix(".0")
