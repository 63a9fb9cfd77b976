"""Turns what a person wrote into the value of a setting; what cannot be used raises with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from obskit.errors import nearest

__all__ = [
    "EXPORTERS",
    "LEAST_LINE_BYTES",
    "MAX_LINE_BYTES",
    "exporters",
    "flag",
    "max_bytes",
    "one_of",
    "parse_duration",
    "positive",
    "prices",
    "rates",
    "share",
    "text",
    "words",
]

MAX_LINE_BYTES: Final = 256 * 1024
"""Largest log entry that Cloud Logging takes. Source: Cloud Logging's quotas, "Size of a LogEntry"."""
LEAST_LINE_BYTES: Final = 2048
"""A line of fewer bytes would have no room for what obskit itself says."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART: Final = r"(\d+(?:\.\d+)?)(ms|[smhdw])"


def parse_duration(value: object) -> timedelta:
    """Return a timedelta from ``"5m"``, ``"1h30m"``, ``"250ms"``, a number of seconds, or a timedelta.

    Raises:
        ValueError: the text is not a duration.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    return _parsed_duration(str(value).strip())


@lru_cache(maxsize=256)
def _parsed_duration(given: str) -> timedelta:
    if re.fullmatch(r"\d+(\.\d+)?", given):
        return timedelta(seconds=float(given))
    if not re.fullmatch(rf"({_PART})+", given):
        raise ValueError(f'{given!r} is not a duration, write for example "90s", "5m" or "1h30m"')
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, given)))


def text(value: object) -> str:
    """Return it as text."""
    return str(value)


def flag(value: object) -> bool:
    """Return a switch, from ``true``, ``yes``, ``on``, ``1`` or their opposites.

    Raises:
        ValueError: it is none of them.
    """
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError(f"{value!r} is not true or false")


def words(value: object) -> tuple[str, ...]:
    """Return words, from a list or from text with commas.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(value, str):
        return tuple(word for word in (part.strip() for part in value.split(",")) if word)
    if not isinstance(value, Sequence):
        raise TypeError(f"{value!r} is not a list of words")
    return tuple(str(word) for word in value)


def share(value: object) -> float:
    """Return a number between 0 and 1.

    Raises:
        ValueError: it is none.
    """
    number = float(str(value))
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{value!r} is not between 0 and 1")
    return number


def positive(value: object) -> int:
    """Return a whole number above 0.

    Raises:
        ValueError: it is none.
    """
    number = int(str(value))
    if number <= 0:
        raise ValueError(f"{value!r} is not a positive whole number")
    return number


def whole(value: object) -> int:
    """Return a whole number, 0 or above.

    Raises:
        ValueError: it is none.
    """
    number = int(str(value))
    if number < 0:
        raise ValueError(f"{value!r} is below 0")
    return number


def one_of(*choices: str) -> Callable[[object], str]:
    """Return a parser that takes these words only, however they are capitalised."""

    def parse(value: object) -> str:
        text = str(value).strip().lower()
        if text not in choices:
            raise ValueError(f"{value!r} is not one of {', '.join(choices)}")
        return text

    return parse


def _by_logger(value: object, parse: Callable[[str], Any]) -> Mapping[str, Any]:
    """Return a table by logger from a table, from ``"httpx=10/s,*=500/s"``, or from one value for all loggers."""
    if not isinstance(value, Mapping):
        pairs = [word.rpartition("=") for word in (words(value) if isinstance(value, str) else (str(value),))]
        value = {name.strip() or "*": text for name, _, text in pairs}
    return {str(name): parse(str(text).strip()) for name, text in value.items()}


def max_bytes(value: object) -> Mapping[str, int]:
    """Return the largest line in bytes by logger.

    Raises:
        ValueError: one is out of its range.
    """
    return {"*": MAX_LINE_BYTES, **_by_logger(value, _line_bytes)}


def _line_bytes(text: str) -> int:
    number = int(text)
    if not LEAST_LINE_BYTES <= number <= MAX_LINE_BYTES:
        raise ValueError(f"{text} is not between {LEAST_LINE_BYTES} and {MAX_LINE_BYTES} bytes")
    return number


def rates(value: object) -> Mapping[str, tuple[int, timedelta]]:
    """Return by logger how many lines in which period.

    Raises:
        ValueError: one is no rate.
    """
    return _by_logger(value, _rate)


def _rate(text: str) -> tuple[int, timedelta]:
    count, slash, period = text.partition("/")
    if not (slash and count.strip().isdigit()):
        raise ValueError(f'{text!r} is not a rate, write for example "100/s" or "600/10m"')
    of = parse_duration(period if period[:1].isdigit() else f"1{period}")
    if of <= timedelta(0):
        raise ValueError(f"{text!r} has no period")
    return int(count), of


_TOKEN_KINDS: Final = ("input", "output", "cached", "cache_write", "thinking", "tool_use")


def prices(value: object) -> Mapping[str, Mapping[str, float]]:
    """Return prices by model: USD per million tokens by kind, USD per unit of anything else, discounts.

    Raises:
        TypeError: it is no table, or a price is no number.
        ValueError: a row is empty, or a number is negative.
    """
    if not isinstance(value, Mapping):
        raise TypeError("prices are a table: model = {input = USD per million tokens, output = …, images = USD each}")
    table: dict[str, Mapping[str, float]] = {}
    for model, row in value.items():
        if not isinstance(row, Mapping) or not row:
            raise ValueError(f"price of {model!r} must have some of {', '.join(_TOKEN_KINDS)}, a unit")
        for kind in row:
            if kind not in _TOKEN_KINDS and (meant := nearest(str(kind), _TOKEN_KINDS, likeness=0.8)):
                raise ValueError(f"price of {model!r} has no column {kind!r}: {meant!r} is meant")
        table[str(model)] = {str(kind): float(price) for kind, price in row.items()}
        if min(table[str(model)].values()) < 0 or not 0 <= table[str(model)].get("discount", 0) <= 1:
            raise ValueError(f"price of {model!r} has a negative number, or a discount that is not between 0 and 1")
    return table


EXPORTERS: Final = ("auto", "gcp", "otlp", "console", "memory", "none")


def exporters(value: object) -> tuple[str, ...]:
    """Return the names of destinations.

    Raises:
        ValueError: one is unknown, or there is none.
    """
    names = tuple(word.lower() for word in words(value))
    unknown = [name for name in names if name not in EXPORTERS]
    if unknown or not names:
        raise ValueError(f"{', '.join(unknown) or 'an empty list'} is not among {', '.join(EXPORTERS)}")
    return names
