"""How much each logger may say: size of a line, lines in a period. What is dropped is counted, and told once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from obskit import catalog
from obskit.config import MAX_LINE_BYTES, Config
from obskit.signals.metrics import record

__all__ = ["Limits"]

_MOST_LOGGERS: Final = 2000
_LEAST_WAIT_S: Final = 0.01
_GRAVE: Final = frozenset({"ERROR", "CRITICAL", "ALERT", "EMERGENCY"})


class _Allowance:
    """Lines of one logger in the running period; errors have a second one of the same size."""

    __slots__ = ("begun_at", "dropped", "left", "logger", "most", "period_s")

    def __init__(self, logger: str, most: int, period_s: float) -> None:
        self.logger = logger
        self.most = most
        self.period_s = period_s
        self.begun_at = float("-inf")
        self.left = 0
        self.dropped = 0


class Limits:
    """Knows the largest line of each logger, and whether it may say one more.

    Args:
        config: the settings `log_max_bytes` and `log_rate_limits`.
        tell: says how many lines of which logger were dropped, and by which limit.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        config: Config,
        tell: Callable[[str, int, str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sizes = config.log_max_bytes
        self._rates = {name: (most, period.total_seconds()) for name, (most, period) in config.log_rate_limits.items()}
        self._tell = tell
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._allowances: dict[tuple[str, bool], _Allowance] = {}
        self._timer: threading.Timer | None = None

    def max_bytes(self, logger: str) -> int:
        """Return the most bytes that a line of that logger may have."""
        return self._sizes[_nearest(logger, self._sizes)] if self._sizes else MAX_LINE_BYTES

    def is_limited(self, logger: str) -> bool:
        """Return whether there is a limit to the number of that logger's lines."""
        return bool(self._rates) and _nearest(logger, self._rates) in self._rates

    def takes(self, logger: str, severity: str) -> bool:
        """Return whether the logger may say one more line, and count it as said or as dropped."""
        if not self.is_limited(logger):
            return True
        if self._pid != os.getpid():  # what was counted before a fork is the parent's
            self._begin()
        with self._lock:
            allowance = self._allowance(logger, is_grave=severity in _GRAVE)
            now = self._clock()
            if now - allowance.begun_at >= allowance.period_s:
                self._tell_of(allowance)
                allowance.begun_at, allowance.left = now, allowance.most
            allowance.left -= 1
            if allowance.left >= 0:
                return True
            allowance.dropped += 1
            self._tell_later(allowance.begun_at + allowance.period_s - now)
        record(catalog.TELEMETRY_LOST, 1, {"obskit.signal": "logs", "obskit.reason": "rate_limit"})
        return False

    def _allowance(self, logger: str, *, is_grave: bool) -> _Allowance:
        name = _nearest(logger, self._rates)
        owner = logger if name == "*" else name
        if (owner, is_grave) not in self._allowances and len(self._allowances) >= _MOST_LOGGERS:
            owner = "*"  # so many names are no names of modules
        most, period_s = self._rates[name]
        return self._allowances.setdefault((owner, is_grave), _Allowance(owner, most, period_s))

    # ------------------------------------------------------------------ telling

    def tell(self, *, is_last: bool = True) -> None:
        """Tell of what was dropped and not yet told.

        Args:
            is_last: whether to tell of periods too that are not over yet.
        """
        with self._lock:
            self._timer = None
            now = self._clock()
            for allowance in tuple(self._allowances.values()):
                left_s = allowance.begun_at + allowance.period_s - now
                if is_last or left_s <= 0:
                    self._tell_of(allowance)
                elif allowance.dropped:
                    self._tell_later(left_s)

    def _tell_of(self, allowance: _Allowance) -> None:
        count, allowance.dropped = allowance.dropped, 0
        if count:
            self._tell(allowance.logger, count, f"{allowance.most} in {allowance.period_s:g} s")

    def _tell_later(self, wait_s: float) -> None:
        """Tell at the end of the period even if that logger says nothing more."""
        if self._timer is not None:
            return
        self._timer = threading.Timer(max(wait_s, _LEAST_WAIT_S), self.tell, kwargs={"is_last": False})
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:  # the interpreter is ending; `tell` is called then
            self._timer = None


def _nearest(logger: str, table: Mapping[str, object]) -> str:
    """Return the logger's name in the table: its own, that of one above it, or ``*``."""
    name = logger
    while name:
        if name in table:
            return name
        name = name.rpartition(".")[0]
    return "*"
