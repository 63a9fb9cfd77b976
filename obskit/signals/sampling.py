"""Which requests' traces are exported: the service's own decision, whatever a stranger's header says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from obskit.config import Config

__all__ = ["SHARE", "Keeper", "Policy", "is_kept"]

SHARE: Final = "obskit.sample_ratio"
"""Attribute of a span of which not all its like are exported: each of them stands for 1 / this many."""

_MASK: Final = (1 << 64) - 1
_MOST_ROUTES: Final = 2000
_WINDOW_S: Final = 60.0


class Policy:
    """Decides once a request, by the trace's id, so that services with the same ratio keep the same traces.

    Args:
        ratio: share of traces that are exported, 0 to 1.
        trusts_incoming: whether the caller's sampled flag decides instead, where there is one.
    """

    def __init__(self, ratio: float, *, trusts_incoming: bool = False) -> None:
        self.ratio = ratio
        self.trusts_incoming = trusts_incoming
        self._bound = round(ratio * (1 << 64))

    def takes(self, trace_id: int) -> bool:
        """Return whether the trace of that id is exported."""
        return (trace_id & _MASK) < self._bound


class Keeper:
    """Decides at the end of an unsampled request whether it is exported all the same: when it failed or was slow.

    Of each route so many a minute are kept whole; of what comes then every second, of the next every fourth, and so
    on, so that a route that only fails costs little. Each kept one carries its share, so that counts stay right.

    Args:
        config: the settings in force.
        clock: monotonic seconds.
    """

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._slow_s = config.slow_request.total_seconds() or float("inf")
        self._most = config.kept_per_minute
        self._clock = clock
        self._lock = threading.RLock()
        self._began_at = clock()
        self._seen: dict[str, int] = {}

    def share(self, route: str, elapsed_s: float, *, is_error: bool) -> float:
        """Return the share of such requests that are kept, 0 when this one is not.

        Args:
            route: the route's template.
            elapsed_s: how long the request took, in seconds.
            is_error: whether the service failed.
        """
        if not is_error and elapsed_s < self._slow_s:
            return 0.0
        with self._lock:
            if self._clock() - self._began_at >= _WINDOW_S:
                self._began_at = self._clock()
                self._seen.clear()
            key = route if route in self._seen or len(self._seen) < _MOST_ROUTES else ""
            seen = self._seen[key] = self._seen.get(key, 0) + 1
        # Block number n holds most * 2**n requests, of which every 2**n-th is kept.
        power = ((seen - 1) // self._most + 1).bit_length() - 1
        step = 1 << power
        place = seen - self._most * (step - 1)
        return 1.0 / step if place % step == 0 else 0.0


def is_kept(attributes: Any) -> bool:
    """Return whether a span that was not sampled carries the mark that it is exported all the same."""
    return bool(attributes) and SHARE in attributes
