"""A clock that a test moves."""

from __future__ import annotations

__all__ = ["FixedClock"]


class FixedClock:
    """A clock that stands still until it is told to go on.

    Args:
        start_s: seconds since the epoch; 2026-01-01T00:00:00Z by default.
    """

    def __init__(self, start_s: float = 1_767_225_600.0) -> None:
        self._now_ns = int(start_s * 1e9)

    def time_ns(self) -> int:
        """Return the time in nanoseconds since the epoch."""
        return self._now_ns

    def time(self) -> float:
        """Return the time in seconds since the epoch."""
        return self._now_ns / 1e9

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ns += int(seconds * 1e9)
