"""Where a series will be: the least-squares line through its past, kept up to date point by point.

Cloud Monitoring's own forecasts also see what repeats every day or week; a straight line does not.
Source: "Create forecasted metric-value alerting policies": a forecast needs twice its window of past values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ["Trend"]


class Trend:
    """The line through the newest points of one series.

    Args:
        horizon_ms: how far ahead it is asked for; twice as much of the past is looked at.
        width_ms: least distance of two points.
    """

    def __init__(self, horizon_ms: int, width_ms: int) -> None:
        self._horizon_ms = horizon_ms
        self._width_ms = width_ms
        self._base_ms = 0
        self._points: deque[tuple[float, float]] = deque()
        self._sums = (0.0, 0.0, 0.0, 0.0)

    def extend(self, points: Iterable[tuple[int, float]]) -> None:
        """Take points, oldest first: milliseconds since the epoch, and the value. What is known already is skipped."""
        for at_ms, value in points:
            if not self._points:
                self._base_ms = at_ms
            at = (at_ms - self._base_ms) / 60_000
            if self._points and at - self._points[-1][0] < self._width_ms / 60_000:
                continue
            self._points.append((at, value))
            self._add(at, value, 1)
            while at - self._points[0][0] > 2 * self._horizon_ms / 60_000:
                self._add(*self._points.popleft(), -1)

    def _add(self, at: float, value: float, sign: int) -> None:
        times, values, products, squares = self._sums
        self._sums = (
            times + sign * at,
            values + sign * value,
            products + sign * at * value,
            squares + sign * at * at,
        )

    def ahead(self, now_ms: int) -> float | None:
        """Return the line's value at the horizon's end, None while there is too little of the past."""
        count = len(self._points)
        now = (now_ms - self._base_ms) / 60_000
        if count < 2 or now - self._points[0][0] < (2 * self._horizon_ms - self._width_ms) / 60_000:
            return None
        times, values, products, squares = self._sums
        spread = squares - times * times / count
        slope = (products - times * values / count) / spread if spread else 0.0
        return values / count + slope * (now + self._horizon_ms / 60_000 - times / count)
