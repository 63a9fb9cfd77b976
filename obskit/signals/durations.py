"""The histogram of request durations, kept in cells of its own: recording one is an append.

The SDK's histogram costs the request as much as its span. What comes out at an export is the same: cumulative points
with the SDK's bounds, counts, sum, least, most, and an exemplar per bucket.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from obskit import catalog
from obskit.signals.buckets import buckets
from obskit.signals.ended import scope
from obskit.signals.metrics import admit, record

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import HistogramDataPoint, MetricsData
    from opentelemetry.sdk.resources import Resource

    from obskit.signals.context import RequestState

__all__ = ["Cell", "Durations", "SdkCell"]

_METRIC: Final = catalog.HTTP_SERVER_DURATION
_BOUNDS: Final = tuple(_METRIC.buckets or ())


class Cell:
    """One series.

    Args:
        labels: of the series.
        is_native: whether the compiled module may count.
    """

    __slots__ = ("_exemplars", "_lock", "buckets", "labels", "last", "start_ns")

    def __init__(self, labels: Mapping[str, Any], *, is_native: bool = False) -> None:
        self.labels = labels
        self.start_ns = time.time_ns()
        self.buckets = buckets(_BOUNDS, is_native=is_native)
        self.last: RequestState | None = None
        self._lock = threading.RLock()
        self._exemplars: dict[int, tuple[float, int, str, str]] = {}

    def record(self, state: RequestState) -> None:
        """Record the duration of a request that has ended."""
        is_full = self.buckets.add(state.elapsed_s)
        self.last = state
        if is_full:
            self.fold()

    def fold(self) -> None:
        """Count what has been recorded, and keep the last request's trace as an exemplar."""
        with self._lock:
            self.buckets.settle()
            last, self.last = self.last, None
            if last is not None and last.sampled and last.trace_id:
                at_ns = last.start_ns + int(last.elapsed_s * 1e9)
                seen = (last.elapsed_s, at_ns, last.span_id, last.trace_id)
                self._exemplars[bisect_left(_BOUNDS, last.elapsed_s)] = seen

    def point(self, now_ns: int) -> HistogramDataPoint | None:
        """Return the series' cumulative point, None when nothing was recorded."""
        self.fold()
        with self._lock:
            counts, *figures = self.buckets.figures()
            if not any(counts):
                return None
            from obskit.signals import points  # noqa: PLC0415 - the SDK's metrics take long to import

            return points.histogram_point(
                dict(self.labels),
                times_ns=(self.start_ns, max(now_ns, self.start_ns)),
                buckets=counts,
                bounds=_BOUNDS,
                figures=(figures[0], figures[1], figures[2]),
                exemplars=(
                    (value, at_ns, int(span_id, 16), int(trace_id, 16))
                    for value, at_ns, span_id, trace_id in self._exemplars.values()
                ),
            )

    def renew(self) -> None:
        """Replace the lock, whose owner may not exist in this process."""
        self._lock = threading.RLock()


class SharedCell(Cell):
    """One series that other readers of obskit's meter provider see too: it is recorded there as well."""

    __slots__ = ()

    def record(self, state: RequestState) -> None:
        """Record the duration of a request that has ended."""
        super().record(state)
        record(_METRIC, state.elapsed_s, self.labels)


class SdkCell:
    """One series that is recorded through the app's own meter provider.

    Args:
        labels: of the series.
    """

    __slots__ = ("labels",)

    def __init__(self, labels: Mapping[str, Any]) -> None:
        self.labels = labels

    def record(self, state: RequestState) -> None:
        """Record the duration of a request that has ended."""
        record(_METRIC, state.elapsed_s, self.labels)


class Durations:
    """All series of this process.

    Args:
        resource: returns the resource to export them under.
        is_own: whether they are kept here; else the app's meter provider keeps them.
        is_native: whether the compiled module may count.
    """

    def __init__(self, resource: Callable[[], Resource], *, is_own: bool, is_native: bool = False) -> None:
        self._resource = resource
        self._is_own = is_own
        self._is_native = is_native
        self._cells: dict[tuple[Any, ...], Any] = {}
        self._lock = threading.RLock()
        self._kind = Cell
        _all.add(self)

    def share(self) -> None:
        """Record through the meter provider too from here on: somebody else reads it now, in a way of their own."""
        with self._lock:
            self._kind = SharedCell
            for cell in self._cells.values():  # those who record have them at hand
                cell.__class__ = SharedCell

    def cell(self, labels: Mapping[str, Any]) -> Cell | SdkCell:
        """Return the cell of these labels, or that of ``other`` where a label has too many values."""
        if not self._is_own:
            return SdkCell(labels)
        admitted = admit(_METRIC, labels)
        key = tuple(sorted(admitted.items()))
        with self._lock:
            found = self._cells.get(key)
            if found is None:
                found = self._cells[key] = self._kind(admitted, is_native=self._is_native)
            return found

    def added_to(self, data: MetricsData | None) -> MetricsData | None:
        """Return the snapshot with the points of all series in it, in the place of the provider's own."""
        with self._lock:
            cells = list(self._cells.values())
        now_ns = time.time_ns()
        points = [point for cell in cells if (point := cell.point(now_ns)) is not None]
        if not points:
            return data
        from obskit.signals.points import histogram, joined  # noqa: PLC0415 - the SDK's metrics take long to import

        return joined(data, histogram(_METRIC, points), scope(), self._resource)

    def renew(self) -> None:
        """Replace the locks after a fork."""
        self._lock = threading.RLock()
        for cell in self._cells.values():
            cell.renew()


_all: Final[weakref.WeakSet[Durations]] = weakref.WeakSet()


def _renew_all() -> None:
    for durations in tuple(_all):
        durations.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
