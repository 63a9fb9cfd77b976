"""The local backend's clock: real time, or time that starts in the past and runs fast until it has caught up."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["Clock"]

_TRACES_KEPT: Final = 100_000
_FAR_MS: Final = 10 * 365 * 86_400_000


@dataclass(frozen=True, slots=True)
class _Leg:
    """A stretch of real time at one speed: when it begins on both clocks, in milliseconds, and how fast it is."""

    real_ms: int
    backend_ms: float
    scale: float


class Clock:
    """Maps real time to the backend's time.

    From `begin_ms` (real) on, the backend's time runs `scale` times as fast as real time; it starts so far in the
    past that it meets real time exactly at `end_ms` (real), and is real time from there on. Before `begin_ms` it is
    shifted by the same distance as at `begin_ms`. `pace` changes the speed on the way, and with it when they meet.

    Args:
        scale: how many seconds of the backend pass in a real one, while it is fast.
        begin_ms: real milliseconds since the epoch at which the fast part begins.
        end_ms: real milliseconds at which it ends; the same as `begin_ms` for no fast part at all.
        read_ms: the real clock, in milliseconds since the epoch.
    """

    def __init__(
        self,
        *,
        scale: float = 1.0,
        begin_ms: int = 0,
        end_ms: int = 0,
        read_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        if scale < 1.0 or end_ms < begin_ms:
            raise ValueError("scale is at least 1, and the end is not before the begin")
        self.scale = scale
        self._legs: tuple[_Leg, ...] = (_Leg(begin_ms, end_ms - (end_ms - begin_ms) * scale, scale),)
        self._read_ms = read_ms
        self._shifts: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def catching_up(
        cls, *, simulated_s: float, real_s: float, read_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> Self:
        """Return a clock that passes `simulated_s` in the next `real_s` seconds, and is real time from then on."""
        begin_ms = read_ms()
        return cls(
            scale=max(1.0, simulated_s / real_s),
            begin_ms=begin_ms,
            end_ms=begin_ms + round(real_s * 1000),
            read_ms=read_ms,
        )

    @classmethod
    def waiting(
        cls, *, simulated_s: float, real_s: float, read_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> Self:
        """Return a clock like `catching_up` whose fast part begins when `begin` is called; till then it is behind."""
        begin_ms = read_ms() + _FAR_MS
        return cls(
            scale=max(1.0, simulated_s / real_s),
            begin_ms=begin_ms,
            end_ms=begin_ms + round(real_s * 1000),
            read_ms=read_ms,
        )

    def begin(self) -> None:
        """Begin the fast part of a `waiting` clock now."""
        first, now_ms = self._legs[0], self._read_ms()
        self._legs = (_Leg(now_ms, now_ms + first.backend_ms - first.real_ms, first.scale),)

    def pace(self, scale: float) -> None:
        """Go at another speed from now on, until the present is reached.

        Args:
            scale: how many seconds of the backend pass in a real one, above 1.

        Raises:
            ValueError: it would never catch up.
        """
        if not scale > 1.0:
            raise ValueError(f"at a scale of {scale:g} the clock would never catch up")
        now_ms = self._read_ms()
        self._legs = (*self._legs, _Leg(now_ms, self.to_backend_ms(now_ms), scale))
        self.scale = scale

    @property
    def behind_s(self) -> float:
        """How many seconds the backend's time is behind the present."""
        now_ms = self._read_ms()
        return (now_ms - self.to_backend_ms(now_ms)) / 1000

    @property
    def is_accelerated(self) -> bool:
        """Whether the backend's time runs faster than real time now, or waits to do so."""
        return self.scale > 1.0 and self.behind_s > 0

    def now_ms(self) -> int:
        """Return the backend's time in milliseconds since the epoch."""
        return self.to_backend_ms(self._read_ms())

    def to_backend_ms(self, real_ms: int) -> int:
        """Return the backend's time of a real moment, both in milliseconds since the epoch."""
        if self.scale == 1.0:
            return real_ms
        legs = self._legs
        leg = next((leg for leg in reversed(legs) if real_ms >= leg.real_ms), legs[0])
        since_ms = real_ms - leg.real_ms
        return min(real_ms, round(leg.backend_ms + since_ms * (leg.scale if since_ms > 0 else 1.0)))

    def to_backend_ns(self, real_ns: int) -> int:
        """Return the backend's time of a real moment, both in nanoseconds since the epoch."""
        if self.scale == 1.0:
            return real_ns
        real_ms, rest = divmod(real_ns, 1_000_000)
        return self.to_backend_ms(real_ms) * 1_000_000 + rest

    def trace_shift_ns(self, trace_id: str, start_ns: int) -> int:
        """Return by how much all moments of a trace are moved.

        One distance for the whole trace, so that its spans keep their durations and stay inside each other; it is
        that of the first moment of the trace that was asked for.
        """
        if self.scale == 1.0:
            return 0
        with self._lock:
            shift = self._shifts.get(trace_id)
            if shift is None:
                shift = self.to_backend_ns(start_ns) - start_ns
                self._shifts[trace_id] = shift
                if len(self._shifts) > _TRACES_KEPT:
                    self._shifts.popitem(last=False)
        return shift
