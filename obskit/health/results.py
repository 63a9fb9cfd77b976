"""What a check has found, and all checks together."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

__all__ = ["Report", "Result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one run of a check has found.

    Attributes:
        name: of the check.
        is_healthy: whether it passed.
        is_required: whether the service is not ready without it.
        duration_s: how long the run took, in seconds; up to the timeout.
        reason: why it failed, without the exception's message, which may hold a secret; empty when it passed.
        at_s: when it ended, in monotonic seconds.
    """

    name: str
    is_healthy: bool
    is_required: bool = True
    duration_s: float = 0.0
    reason: str = ""
    at_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return what the endpoint's details show."""
        found: dict[str, Any] = {
            "status": "ok" if self.is_healthy else "failed",
            "required": self.is_required,
            "duration_ms": round(self.duration_s * 1000, 1),
            "age_s": round(max(0.0, time.monotonic() - self.at_s), 1),
        }
        return found if self.is_healthy else {**found, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The results of all checks.

    Attributes:
        results: in the order in which the checks were added.
    """

    results: tuple[Result, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether every required check passed."""
        return all(result.is_healthy for result in self.results if result.is_required)

    @property
    def status(self) -> str:
        """``ok``; ``degraded`` where only checks that are not required fail; ``unavailable``."""
        if not self.is_ready:
            return "unavailable"
        return "ok" if all(result.is_healthy for result in self.results) else "degraded"

    def body(self, *, details: bool) -> bytes:
        """Return the endpoint's JSON."""
        document: dict[str, Any] = {"status": self.status}
        if details:
            document["checks"] = {result.name: result.to_dict() for result in self.results}
        return json.dumps(document).encode()
