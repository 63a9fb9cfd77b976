"""What a provider's failure says: refused for a while, refused for the day, broken, or our own mistake."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

__all__ = ["Failure", "Verdict", "retry_after_s", "verdict_on"]

_LONGEST_PAUSE_S: Final = 3600.0
_BROKEN: Final = frozenset({408, 500, 502, 503, 504, 529})
# 529 is Anthropic's "overloaded".


class Failure(StrEnum):
    """Kinds of failure, by what helps against them."""

    MINUTE_QUOTA = "minute"
    """429 that passes."""
    DAILY_QUOTA = "day"
    """429 that stays until the quota's reset."""
    BROKEN = "broken"
    """5xx, or no connection: another try may succeed."""
    OTHER = "other"
    """What another try does not change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one failure says.

    Attributes:
        failure: its kind.
        status: the HTTP status, 0 where there was no answer.
        pause_s: how long the provider asks to wait, None where it does not say.
    """

    failure: Failure
    status: int = 0
    pause_s: float | None = None


def verdict_on(error: BaseException) -> Verdict:
    """Return what an exception of an SDK says. Knows google-genai, Google's API core, OpenAI, Anthropic and httpx."""
    status = _status(error)
    if status == 429:
        entries = list(_entries(error))
        pause_s = _pause_s(error, entries)
        if _is_daily(entries):
            return Verdict(failure=Failure.DAILY_QUOTA, status=status, pause_s=pause_s)
        if getattr(error, "code", None) == "insufficient_quota":  # OpenAI: the account has no money left
            return Verdict(failure=Failure.OTHER, status=status)
        return Verdict(failure=Failure.MINUTE_QUOTA, status=status, pause_s=pause_s)
    if status in _BROKEN or (not status and _is_connection(error)):
        return Verdict(failure=Failure.BROKEN, status=status, pause_s=_pause_s(error, list(_entries(error))))
    return Verdict(failure=Failure.OTHER, status=status)


def _status(error: BaseException) -> int:
    response = getattr(error, "response", None)
    for owner, name in ((error, "code"), (error, "status_code"), (response, "status_code"), (response, "status")):
        value = getattr(owner, name, None)
        if isinstance(value, int):
            return int(value)
    return 0


def _is_connection(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"TransportError", "APIConnectionError", "ClientConnectionError", "RequestException"})


def _entries(error: BaseException) -> Iterator[Any]:
    details = getattr(error, "details", None)
    if isinstance(details, Mapping):
        envelope = details.get("error", details)
        details = envelope.get("details") if isinstance(envelope, Mapping) else None
    if isinstance(details, list | tuple):
        yield from details


def _is_daily(entries: list[Any]) -> bool:
    for entry in entries:
        violations = entry.get("violations") if isinstance(entry, Mapping) else getattr(entry, "violations", None)
        for violation in violations or ():
            get = violation.get if isinstance(violation, Mapping) else lambda name, of=violation: getattr(of, name, "")
            if "perday" in f"{get('quotaId') or ''}{get('quota_id') or ''}".lower():
                return True
    return False


def _pause_s(error: BaseException, entries: list[Any]) -> float | None:
    asked = [pause for pause in map(_retry_info_s, entries) if pause is not None]
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is not None and hasattr(headers, "get"):
        asked += [pause for pause in (retry_after_s(headers),) if pause is not None]
    return min(max(asked), _LONGEST_PAUSE_S) if asked else None


def _retry_info_s(entry: Any) -> float | None:
    if isinstance(entry, Mapping):
        return _seconds(str(entry.get("retryDelay", "")).removesuffix("s"))
    delay = getattr(entry, "retry_delay", None)
    if delay is None:
        return None
    return _seconds(delay.seconds + getattr(delay, "nanos", 0) / 1e9)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the pause that `Retry-After` (seconds or a date) or `retry-after-ms` asks for, None without one.

    A date is held against the answer's own `Date`, so that neither clock needs to be right.
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = headers.get("Retry-After") or headers.get("retry-after")
    seconds = _seconds(asked)
    if seconds is not None or not asked:
        return seconds
    at = _date(asked)
    if at is None:
        return None
    answered = _date(headers.get("Date") or headers.get("date")) or datetime.now(UTC)
    return max(0.0, (at - answered).total_seconds())


def _date(text: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _seconds(value: Any) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
