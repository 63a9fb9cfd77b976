"""What a guard raises instead of making a call."""

from __future__ import annotations

from datetime import datetime

from obskit.errors import Problem, ProblemsError

__all__ = ["CircuitOpenError", "DailyQuotaError", "DeadlineError", "GuardError", "StoreDownError"]


class GuardError(ProblemsError):
    """A call was not made, or given up.

    Attributes:
        reason: ``deadline``, ``circuit_open``, ``daily_quota`` or ``store_down``.
        retry_after_s: in how many seconds it is worth another try, as far as known; for a `Retry-After` of one's own.
    """

    reason = "guard"

    def __init__(self, problem: Problem, *, retry_after_s: float = 0.0) -> None:
        super().__init__(problem)
        self.retry_after_s = max(0.0, retry_after_s)


class DeadlineError(GuardError, TimeoutError):
    """The call would not have ended before its deadline, or has not."""

    reason = "deadline"


class DailyQuotaError(GuardError):
    """The day's quota is used up: no call goes through before `resets_at`."""

    reason = "daily_quota"

    def __init__(self, problem: Problem, *, retry_after_s: float, resets_at: datetime) -> None:
        super().__init__(problem, retry_after_s=retry_after_s)
        self.resets_at = resets_at


class CircuitOpenError(GuardError):
    """The provider has failed too often just now; a probe goes out in `retry_after_s` seconds."""

    reason = "circuit_open"


class StoreDownError(GuardError):
    """The shared store does not answer, and the guard was told to make no calls without it."""

    reason = "store_down"
