"""The part of Go's templates that alerts' labels and annotations use: ``{{ $labels.job }} is at {{ $value }}``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

__all__ = ["expanded", "go_number"]

_ACTION: Final = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|\S+')


def expanded(text: str, labels: Mapping[str, str], value: float, external: Mapping[str, str]) -> str:
    """Return a template's text for one alert.

    Raises:
        ValueError: it uses something that is not supported; ``reason | way out``.
    """

    def replaced(match: re.Match[str]) -> str:
        result = _pipeline(match[1], labels, value, external)
        return go_number(result) if isinstance(result, float) else result

    return _ACTION.sub(replaced, text)


def _pipeline(text: str, labels: Mapping[str, str], value: float, external: Mapping[str, str]) -> str | float:
    result: str | float | None = None
    for stage in text.split("|"):
        words = _WORD.findall(stage)
        name, operands = words[0], [_operand(word, labels, value, external) for word in words[1:]]
        if result is not None:
            operands.append(result)
        function = _FUNCTIONS.get(name)
        if function is not None:
            result = function(*operands)
        elif operands:
            raise ValueError(_refused(name))
        else:
            result = _operand(name, labels, value, external)
    return "" if result is None else result


def _operand(word: str, labels: Mapping[str, str], value: float, external: Mapping[str, str]) -> str | float:
    if word[:1] in {'"', "`"}:
        return word[1:-1].replace('\\"', '"')
    if word in {"$value", ".Value"}:
        return value
    for prefix, found in (("$labels.", labels), (".Labels.", labels), ("$externalLabels.", external)):
        if word.startswith(prefix):
            return found.get(word.removeprefix(prefix), "")
    try:
        return float(word)
    except ValueError:
        raise ValueError(_refused(word)) from None


def _refused(word: str) -> str:
    return f"the template has {word!r}, which is not supported | Leave these annotations out of the expected ones"


def go_number(value: float) -> str:
    """Return a number as Go's ``%v`` writes it: the fewest digits, with an exponent below -4 and from 6 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not isinstance(exponent, int) or value == 0:
        return "-0" if sign else "0"
    power = len(digits) - 1 + exponent
    if -4 <= power < 6:
        return format(Decimal(repr(value)).normalize(), "f")
    first, *rest = digits
    fraction = "." + "".join(map(str, rest)) if rest else ""
    return f"{'-' if sign else ''}{first}{fraction}e{power:+03d}"


_LARGE: Final = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALL: Final = ("", "m", "u", "n", "p", "f", "a", "z", "y")


def _humanize(given: object) -> str:
    value = float(str(given))
    if value == 0 or math.isnan(value) or math.isinf(value):
        return f"{value:.4g}"
    place = 0
    if abs(value) >= 1:
        while abs(value) >= 1000 and place < len(_LARGE) - 1:
            value, place = value / 1000, place + 1
        return f"{value:.4g}{_LARGE[place]}"
    while abs(value) < 1 and place < len(_SMALL) - 1:
        value, place = value * 1000, place + 1
    return f"{value:.4g}{_SMALL[place]}"


def _humanize_duration(given: object) -> str:
    value = float(str(given))
    if math.isnan(value) or math.isinf(value):
        return f"{value:.4g}"
    if value == 0:
        return "0s"
    if abs(value) < 1:
        place = 0
        while abs(value) < 1 and place < len(_SMALL) - 1:
            value, place = value * 1000, place + 1
        return f"{value:.4g}{_SMALL[place]}s"
    sign, whole = ("-", int(-value)) if value < 0 else ("", int(value))
    seconds, minutes, hours, days = whole % 60, whole // 60 % 60, whole // 3600 % 24, whole // 86_400
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{value:.4g}s"


def _printf(pattern: object, *operands: object) -> str:
    return str(pattern).replace("%v", "%s") % tuple(
        go_number(each) if isinstance(each, float) and "%v" in str(pattern) else each for each in operands
    )


_FUNCTIONS: Final[Mapping[str, Callable[..., str]]] = {
    "humanize": _humanize,
    "humanizeDuration": _humanize_duration,
    "humanizePercentage": lambda given: f"{float(str(given)) * 100:.4g}%",
    "printf": _printf,
    "title": lambda given: str(given).title(),
    "toUpper": lambda given: str(given).upper(),
    "toLower": lambda given: str(given).lower(),
}
