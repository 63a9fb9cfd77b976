"""Durations as people write them, and as Google's JSON and PromQL spell them."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Final

from obskit.config import parse_duration

__all__ = ["DurationLike", "as_duration", "json_duration", "promql_duration", "shown_duration", "whole_seconds"]

DurationLike = timedelta | str | int | float
"""A timedelta, a text such as ``"90s"``, ``"5m"`` or ``"1h30m"``, or a number of seconds."""

_NONE: Final = timedelta(0)
_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def as_duration(value: object) -> timedelta:
    """Return the timedelta that the user wrote.

    Raises:
        ValueError: it is not a duration, or it is negative.
    """
    if isinstance(value, timedelta) and value >= _NONE:
        return value
    try:
        found = parse_duration(value)
    except (ValueError, TypeError, KeyError):
        raise ValueError(f'{value!r} is not a duration | Write for example "90s", "5m" or "1h30m"') from None
    if found < _NONE:
        raise ValueError(f'{value!r} is negative | Write for example "5m"')
    return found


def whole_seconds(value: DurationLike) -> float:
    """Return a duration in seconds."""
    return as_duration(value).total_seconds()


def json_duration(value: DurationLike) -> str:
    """Return a duration as Google's JSON spells it: ``"300s"``."""
    return f"{whole_seconds(value):g}s" if whole_seconds(value) < 1_000_000 else f"{int(whole_seconds(value))}s"


def promql_duration(value: DurationLike) -> str:
    """Return a duration in PromQL's spelling, in the largest unit that divides it: ``"7d"``, ``"90s"``."""
    return _spelled(as_duration(value))


@lru_cache(maxsize=256)
def _spelled(duration: timedelta) -> str:
    milliseconds = round(duration.total_seconds() * 1000)
    if milliseconds == 0:
        return "0s"
    unit, factor = next(((unit, factor) for unit, factor in _UNITS if milliseconds % factor == 0), ("ms", 1))
    return f"{milliseconds // factor}{unit}"


def shown_duration(value: DurationLike) -> str:
    """Return a duration for a sentence: ``5 min``, ``2 h``, ``45 s``; as it was written if it is none."""
    try:
        text = promql_duration(value)
    except ValueError:
        return str(value)
    number = text.rstrip("dhms")
    unit = text.removeprefix(number)
    return f"{number} {'min' if unit == 'm' else unit}"
