"""The clock of this machine against those of the servers that telemetry goes to."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit

from obskit.doctor.findings import Finding, Kind, info, ok, warning

__all__ = ["Reading", "describe", "read", "reading_of"]

_HARMLESS_S: Final = 5.0
_TOLERABLE_S: Final = 60.0
_HALF_S: Final = 0.5  # a Date header has whole seconds, cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at a server's clock.

    Attributes:
        place: whose.
        skew_s: how many seconds this machine is ahead of it.
        error_s: by how much that may be wrong.
    """

    place: str
    skew_s: float
    error_s: float


def reading_of(date: str | None, begun: float, ended: float, *, place: str) -> Reading | None:
    """Return what a response's ``Date`` says, None where it has none.

    Args:
        date: the header.
        begun: this machine's time in seconds since the epoch, before the request.
        ended: the same after the response.
        place: whose header it is.
    """
    try:
        told = parsedate_to_datetime(date or "").timestamp() + _HALF_S
    except (ValueError, TypeError):
        return None
    return Reading(place=place, skew_s=(begun + ended) / 2 - told, error_s=(ended - begun) / 2 + _HALF_S)


def read(url: str, *, timeout_s: float) -> Reading | None:
    """Ask a receiver for its time, by a bare GET of its root; nothing is sent with it.

    Args:
        url: of the receiver; only scheme, host and port are used.
        timeout_s: longest time to wait.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    host = parts.netloc.rpartition("@")[2]
    begun = time.time()
    try:
        with urllib.request.urlopen(f"{parts.scheme}://{host}/", timeout=timeout_s) as response:  # noqa: S310 - see above
            date = response.headers.get("Date")
    except urllib.error.HTTPError as error:
        with error:  # any answer has a date
            date = error.headers.get("Date")
    except (OSError, ValueError, HTTPException):
        return None
    return reading_of(date, begun, time.time(), place=parts.hostname)


def describe(readings: Sequence[Reading | None]) -> list[Finding]:
    """Return what there is to say about the clock, by the farthest reading; nothing where nobody was asked."""
    known = [reading for reading in readings if reading is not None]
    if not readings:
        return []
    if not known:
        return [info(Kind.CLOCK, "skew", "not compared: no receiver has told its time")]
    worst = max(known, key=lambda reading: abs(reading.skew_s))
    off_s = abs(worst.skew_s)
    if off_s <= max(_HARMLESS_S, worst.error_s):
        return [ok(Kind.CLOCK, "skew", f"agrees with {worst.place} (within {max(1.0, worst.error_s):.0f} s)")]
    side = "ahead of" if worst.skew_s > 0 else "behind"
    text = f"this machine is {_length(off_s)} {side} {worst.place}"
    way_out = "Set the clock, or let NTP do so"
    if off_s <= _TOLERABLE_S:
        return [info(Kind.CLOCK, "skew", text, way_out)]
    consequence = "Google refuses points and tokens that are minutes off, and traces of several services do not line up"
    return [warning(Kind.CLOCK, "skew", f"{text}; {consequence}", way_out)]


def _length(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
