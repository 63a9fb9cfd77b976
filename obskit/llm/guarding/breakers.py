"""A circuit breaker: after too many failures no call is made, until a probe has shown that it works again."""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import Final

__all__ = ["Breaker", "Circuit"]

_REMEMBERED: Final = 20
_LONGEST_S: Final = 120.0


class Circuit(IntEnum):
    """The states, as the metric shows them."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Opens when half of the last calls, and at least `failures` of them, have failed. Not thread-safe.

    Args:
        failures: how many of the last 20 calls must have failed, at least 1.
        open_s: seconds until the first probe; doubles with each probe that fails, up to two minutes.
        probes: how many probes in a row must succeed before it closes.
    """

    def __init__(self, *, failures: int = 5, open_s: float = 10.0, probes: int = 2) -> None:
        self._failures, self._first_open_s, self._probes = failures, open_s, probes
        self._outcomes: deque[bool] = deque(maxlen=max(_REMEMBERED, failures))
        self._failed = 0
        self._open_s, self._opens_at = open_s, 0.0
        self._good_probes, self._is_probing = 0, False
        self.circuit = Circuit.CLOSED

    @property
    def has_failed(self) -> bool:
        """Whether one of the calls that it remembers has failed; successes need not be told while none has."""
        return self._failed > 0

    def refusal_s(self, now: float) -> float | None:
        """Return in how many seconds it is worth asking again, None where a call may be made now."""
        if self.circuit is Circuit.CLOSED:
            return None
        if now < self._opens_at:
            return self._opens_at - now
        return self._open_s if self._is_probing else None

    def begin(self) -> bool:
        """Tell that a call is being made; returns whether it is a probe."""
        if self.circuit is Circuit.CLOSED:
            return False
        self.circuit, self._is_probing = Circuit.HALF_OPEN, True
        return True

    def succeeded(self, *, is_probe: bool) -> None:
        """Tell that the provider has answered, be it with a refusal."""
        if is_probe:
            self._is_probing = False
            self._good_probes += 1
            if self._good_probes >= self._probes:
                self._close()
        elif self.circuit is Circuit.CLOSED:
            self._note(is_failure=False)

    def failed(self, now: float, *, is_probe: bool) -> None:
        """Tell that the provider has failed."""
        if is_probe:
            self._open_s = min(self._open_s * 2, _LONGEST_S)
            self._open(now)
        elif self.circuit is Circuit.CLOSED:
            self._note(is_failure=True)
            if self._failed >= self._failures and self._failed * 2 >= len(self._outcomes):
                self._open(now)

    def abandoned(self, *, is_probe: bool) -> None:
        """Tell that nobody knows how the call went."""
        if is_probe:
            self._is_probing = False

    def _note(self, *, is_failure: bool) -> None:
        if len(self._outcomes) == self._outcomes.maxlen:
            self._failed -= self._outcomes.popleft()
        self._outcomes.append(is_failure)
        self._failed += is_failure

    def _open(self, now: float) -> None:
        self.circuit, self._opens_at = Circuit.OPEN, now + self._open_s
        self._good_probes, self._is_probing = 0, False

    def _close(self) -> None:
        self.circuit, self._open_s, self._failed = Circuit.CLOSED, self._first_open_s, 0
        self._outcomes.clear()
