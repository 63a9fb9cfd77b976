"""When a provider's day ends."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["PACIFIC", "as_date", "next_reset"]

PACIFIC: Final = "America/Los_Angeles"
"""Source: "Requests per day (RPD) quotas reset at midnight Pacific time", rate limits of the Gemini API."""

_PACIFIC_STANDARD: Final = timezone(timedelta(hours=-8))


def next_reset(now: float, zone: str = PACIFIC) -> float:
    """Return the epoch seconds of the next midnight in a zone.

    Args:
        now: seconds since the epoch.
        zone: of the IANA database; where that is not installed, Pacific standard time takes its place.
    """
    where = _zone(zone)
    today = datetime.fromtimestamp(now, where).date()
    return datetime.combine(today + timedelta(days=1), time(), where).timestamp()


def as_date(at: float) -> datetime:
    """Return epoch seconds as a date in UTC."""
    return datetime.fromtimestamp(at, UTC)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:  # slim images have no time zones
        return _PACIFIC_STANDARD
