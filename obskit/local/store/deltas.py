"""Delta points added up to cumulative ones, as a collector would do it."""

from __future__ import annotations

import threading

from obskit.engine.series import Distribution
from obskit.local.store.metrics import SeriesKey

__all__ = ["Deltas"]


class Deltas:
    """Running totals by series."""

    def __init__(self) -> None:
        self._totals: dict[SeriesKey, tuple[int, float | Distribution]] = {}
        self._lock = threading.Lock()

    def added(self, key: SeriesKey, start_ms: int, value: float | Distribution) -> tuple[int, float | Distribution]:
        """Return start and total of a series after a delta point."""
        with self._lock:
            first_ms, total = self._totals.get(key, (start_ms, None))
            if isinstance(value, Distribution) and isinstance(total, Distribution) and total.bounds == value.bounds:
                count = total.count + value.count
                mean = (total.mean * total.count + value.mean * value.count) / count if count else 0.0
                counts = tuple(a + b for a, b in zip(total.bucket_counts, value.bucket_counts, strict=True))
                total = Distribution(count, mean, value.bounds, counts)
            elif isinstance(value, Distribution) or total is None or isinstance(total, Distribution):
                total = value
            else:
                total += value
            self._totals[key] = (first_ms, total)
            return first_ms, total
