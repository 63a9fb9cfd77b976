"""Faults on demand: what the fake Gemini is told to do wrong, and the errors that it answers with."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

__all__ = ["FaultSwitch", "Faults", "error_body"]

_STATUS_NAMES: Final = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong from now on.

    Attributes:
        status: HTTP status that refused calls get; 0 refuses none.
        share: share of the calls that are refused, 0 to 1; spread evenly, not by chance.
        count: how many calls are refused at most; None means no end.
        retry_after_s: the delay in seconds that a 429 asks for in its RetryInfo.
        quota: ``minute`` or ``day``: which quota a 429 names.
        latency_s: seconds that every call takes before it is answered.
        chunk_latency_s: seconds between two chunks of a stream.
        token_multiplier: every token count is multiplied by it.
        model: the only model whose calls are refused; empty means all of them, and then, with a status of 5xx, the API
            does not even say which models it has.
    """

    status: int = 0
    share: float = 1.0
    count: int | None = None
    retry_after_s: float = 34.07
    quota: str = "minute"
    latency_s: float = 0.0
    chunk_latency_s: float = 0.0
    token_multiplier: int = 1
    model: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Faults:
        """Return the faults that a control request describes.

        Raises:
            ValueError: a name is unknown or a value out of range.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown fault {min(unknown)!r}")
        faults = cls(**values)
        if not 0 <= faults.share <= 1 or faults.token_multiplier < 1 or faults.latency_s < 0:
            raise ValueError("share must be between 0 and 1, token_multiplier at least 1, latency_s at least 0")
        return faults


class FaultSwitch:
    """Holds the faults in force and decides, call by call, which one is refused."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults = Faults()
        self._owed = 0.0
        self._refused = 0

    @property
    def faults(self) -> Faults:
        """The faults in force."""
        return self._faults

    def set(self, faults: Faults) -> None:
        """Put other faults in force; counting begins anew."""
        with self._lock:
            self._faults, self._owed, self._refused = faults, 0.0, 0

    @property
    def is_down(self) -> bool:
        """Whether the API as a whole fails, and not only the calls of one model."""
        return self._faults.status >= 500 and not self._faults.model

    def refuse(self, model: str = "") -> int:
        """Return the status that the next call, of that model, is refused with, or 0."""
        with self._lock:
            faults = self._faults
            if not faults.status or (faults.count is not None and self._refused >= faults.count):
                return 0
            if faults.model and faults.model != model:
                return 0
            self._owed += faults.share
            if self._owed < 1.0 - 1e-9:
                return 0
            self._owed -= 1.0
            self._refused += 1
            return faults.status


def error_body(status: int, model: str, faults: Faults) -> dict[str, Any]:
    """Return Google's error envelope; a 429 carries QuotaFailure and RetryInfo."""
    error: dict[str, Any] = {
        "code": status,
        "message": f"The fake Gemini was told to answer {status}.",
        "status": _STATUS_NAMES.get(status, "UNKNOWN"),
    }
    if status == 429:
        period = "PerDay" if faults.quota == "day" else "PerMinute"
        error["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [
                    {
                        "quotaMetric": "generativelanguage.googleapis.com/generate_content_paid_tier_requests",
                        "quotaId": f"GenerateRequests{period}PerProjectPerModel-PaidTier",
                        "quotaDimensions": {"location": "global", "model": model},
                        "quotaValue": "500",
                    }
                ],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{faults.retry_after_s:g}s"},
        ]
    return {"error": error}
