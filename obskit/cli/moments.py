"""Moments as options of commands."""

from __future__ import annotations

from datetime import datetime

from obskit.errors import ConfigError, Problem

__all__ = ["until_s"]


def until_s(given: str) -> float:
    """Return what ``--until`` says, in seconds since the epoch.

    Raises:
        ConfigError: it is no time, or names no time zone.
    """
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as error:
        raise _wrong(f"{given!r} is no time", "Write for example 2026-11-01T00:00Z") from error
    if moment.tzinfo is None:
        raise _wrong(f"{given!r} names no time zone", f"Write for example {given}Z")
    return moment.timestamp()


def _wrong(problem: str, way_out: str) -> ConfigError:
    return ConfigError(Problem(place="--until", problem=problem, way_out=way_out))
