"""From which instant to which a day and a month last in a time zone, through changes of its clocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from obskit.errors import ConfigError, Problem

__all__ = ["Windows", "windows_at", "zone_named"]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The day and the month that an instant lies in; each begins with its start and ends before its end.

    Attributes:
        day_start_ms: milliseconds since the epoch; so are the others.
        day_end_ms: when the next day begins.
        month_start_ms: when the month began.
        month_end_ms: when the next month begins.
    """

    day_start_ms: int
    day_end_ms: int
    month_start_ms: int
    month_end_ms: int

    def holds(self, now_ms: int) -> bool:
        """Return whether the instant lies in this day, and so in this month."""
        return self.day_start_ms <= now_ms < self.day_end_ms


def zone_named(zone: str | tzinfo) -> tzinfo:
    """Return the time zone of that name.

    Args:
        zone: a name of the IANA database such as ``Europe/Berlin``, ``UTC``, or a `tzinfo`.

    Raises:
        ConfigError: the database, which is the system's or the package `tzdata`, has no such zone.
    """
    if isinstance(zone, tzinfo):
        return zone
    if zone == "UTC":
        return UTC
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        problem = Problem(
            place=f"Budgets(zone={zone!r})",
            problem="there is no time zone of that name",
            way_out='Use a name such as "Europe/Berlin", or install the package tzdata where the system has no zones',
        )
        raise ConfigError(problem) from error


def windows_at(now_ms: int, zone: tzinfo) -> Windows:
    """Return the day and the month of an instant.

    A day lasts 23 or 25 hours where the clocks change; where they skip midnight itself, it begins with the skip.

    Args:
        now_ms: milliseconds since the epoch.
        zone: where midnight is.
    """
    today = datetime.fromtimestamp(now_ms // 1000, zone).date()
    first = today.replace(day=1)
    next_month = (first + 31 * _DAY).replace(day=1)
    return Windows(
        day_start_ms=_start_ms(today, zone),
        day_end_ms=_start_ms(today + _DAY, zone),
        month_start_ms=_start_ms(first, zone),
        month_end_ms=_start_ms(next_month, zone),
    )


def _start_ms(day: date, zone: tzinfo) -> int:
    """Return the first instant of a day: of two midnights the earlier one, of a skipped one where the skip is."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone, fold=0)
    return int(midnight.timestamp()) * 1000
