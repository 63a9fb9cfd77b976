"""Counts of values by bucket: what every request adds its duration to."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol, cast

from obskit.signals.native import MODULE

__all__ = ["Buckets", "buckets"]

_MOST_PENDING: Final = 256


class Buckets(Protocol):
    """The figures of a histogram; values may be added by several threads at once, also in a signal's handler."""

    def add(self, value: float) -> bool:
        """Count a value; return whether so many have come that it is time to `settle`."""

    def settle(self) -> None:
        """Count what only waits by now; the caller sees to it that no other thread does."""

    def figures(self) -> tuple[Sequence[int], float, float, float]:
        """Return the counts by bucket, the sum, the least and the greatest value; of all that is settled."""


def buckets(bounds: tuple[float, ...], *, is_native: bool) -> Buckets:
    """Make an empty one, compiled if that may and can be.

    Args:
        bounds: the greatest value of each bucket but the last, ascending.
        is_native: whether the compiled module may do it.
    """
    return cast("Buckets", MODULE.Buckets(bounds)) if is_native and MODULE is not None else _Buckets(bounds)


class _Buckets:
    __slots__ = ("_bounds", "_counts", "_least", "_most", "_pending", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        # Appending is atomic, so that the threads of an app need no lock; who reads settles.
        self._pending: deque[float] = deque()
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._least, self._most = float("inf"), float("-inf")

    def add(self, value: float) -> bool:
        self._pending.append(value)
        return len(self._pending) > _MOST_PENDING

    def settle(self) -> None:
        take, counts, bounds = self._pending.popleft, self._counts, self._bounds
        if values := [take() for _ in range(len(self._pending))]:
            total = self._sum
            for value in values:
                counts[bisect_left(bounds, value)] += 1
                total += value
            self._sum = total
            self._least = min(self._least, *values)
            self._most = max(self._most, *values)

    def figures(self) -> tuple[Sequence[int], float, float, float]:
        return tuple(self._counts), self._sum, self._least, self._most
