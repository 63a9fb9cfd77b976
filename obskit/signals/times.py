"""Time that stands still while the process does: what a frozen process must not lose to the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

__all__ = ["AwakeClock"]

_SLACK_S: Final = 2.0  # a busy machine lets a thread wait this long without being frozen


class AwakeClock:
    """Tells the seconds for which the process was awake.

    The system's monotonic clock goes on while a process is stopped (SIGSTOP) or has no CPU (Cloud Run between two
    requests). Who waits says afterwards how long it should have taken at most; the rest is taken off.

    Attributes:
        monotonic: the seconds that go on all the time.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = clock
        self._asleep_s = 0.0

    def __call__(self) -> float:
        """Return the seconds awake since some moment."""
        return self.monotonic() - self._asleep_s

    def woke(self, since: float, at_most_s: float) -> float:
        """Take off what a wait took beyond its measure.

        Args:
            since: a reading from before the wait.
            at_most_s: how long the wait could take, in seconds.

        Returns:
            For how many seconds the process was frozen, 0 when it was not.
        """
        frozen_s = self() - since - at_most_s - _SLACK_S
        if frozen_s <= 0.0:
            return 0.0
        self._asleep_s += frozen_s
        return frozen_s
