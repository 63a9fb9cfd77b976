"""Counters and histograms kept in cells of obskit's own: what a call adds to them costs an append.

The SDK takes ten times as long for one point as a cell, and a call of a model has ten. What comes out at an export is
the same: cumulative points with the SDK's bounds, counts, sums, least and most, and exemplars. Where the app has a
meter provider of its own, or somebody else reads obskit's, points are recorded there too, as they come.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from obskit import catalog
from obskit.signals import metrics
from obskit.signals.ended import scope

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource

    from obskit.catalog import Metric

__all__ = ["Cells", "Seen", "begin", "current"]

_MOST_PENDING: Final = 128
_INFINITE: Final = float("inf")

Seen = tuple[int, int, int]
"""What an exemplar tells beside its value: the time in nanoseconds, the span's id and the trace's."""


class _Cell:
    """One series.

    Args:
        metric: of the catalog.
        labels: of the series, within their caps.
    """

    __slots__ = ("labels", "metric", "start_ns")

    def __init__(self, metric: Metric, labels: Mapping[str, Any]) -> None:
        self.metric = metric
        self.labels = labels
        self.start_ns = time.time_ns()

    def add(self, value: float, seen: Seen | None) -> None:
        """Record a value; one that is no number, or negative, is passed over.

        Args:
            value: in the metric's unit.
            seen: the span that it belongs to, None where that is not exported.
        """
        self.add_all((value,), (seen,))

    def add_all(self, values: Sequence[float], seen: Sequence[Seen | None]) -> None:
        """Record several values, as `add` does.

        Args:
            values: at least one, in the metric's unit.
            seen: the span of each.
        """
        raise NotImplementedError

    def point(self, now_ns: int) -> Any:
        """Return the series' cumulative point, None when nothing was recorded."""
        raise NotImplementedError


def _good(values: Sequence[float], seen: Sequence[Seen | None]) -> tuple[Sequence[float], Sequence[Seen | None]]:
    """Return the values that are numbers and not negative, and what was seen of each."""
    pairs = [pair for pair in zip(values, seen, strict=True) if 0 <= pair[0] < _INFINITE]
    return [value for value, _ in pairs], [each for _, each in pairs]


class _Counter(_Cell):
    __slots__ = ("_seen", "_total")

    def __init__(self, metric: Metric, labels: Mapping[str, Any]) -> None:
        super().__init__(metric, labels)
        self._total: float | None = None
        self._seen: tuple[float, Any] | None = None

    def add_all(self, values: Sequence[float], seen: Sequence[Seen | None]) -> None:
        total = sum(values, self._total or 0)
        if min(values) < 0 or not total < _INFINITE:  # the sum tells also whether one is no number
            values, seen = _good(values, seen)
            if not values:
                return
            total = sum(values, self._total or 0)
        self._total = total
        last = seen[-1]
        if last is not None:
            self._seen = (values[-1], last)
        elif any(seen):
            self._seen = [pair for pair in zip(values, seen, strict=True) if pair[1] is not None][-1]

    def point(self, now_ns: int) -> Any:
        if self._total is None:
            return None
        from obskit.signals import points  # noqa: PLC0415 - the SDK's metrics take long to import

        return points.number_point(
            dict(self.labels),
            times_ns=(self.start_ns, max(now_ns, self.start_ns)),
            value=self._total,
            exemplars=() if self._seen is None else ((self._seen[0], *self._seen[1]),),
        )


class _Histogram(_Cell):
    __slots__ = ("_bounds", "_buckets", "_least", "_most", "_seen", "_sum")

    def __init__(self, metric: Metric, labels: Mapping[str, Any]) -> None:
        super().__init__(metric, labels)
        self._bounds = metric.buckets or ()
        self._buckets = [0] * (len(self._bounds) + 1)
        self._sum: float = 0
        self._least, self._most = _INFINITE, -_INFINITE
        self._seen: dict[int, tuple[float, Any]] = {}

    def add_all(self, values: Sequence[float], seen: Sequence[Seen | None]) -> None:
        total = sum(values, self._sum)
        ordered = sorted(values)
        if ordered[0] < 0 or not total < _INFINITE:
            values, seen = _good(values, seen)
            if not values:
                return
            total, ordered = sum(values, self._sum), sorted(values)
        self._sum = total
        self._least, self._most = min(self._least, ordered[0]), max(self._most, ordered[-1])
        self._spread(ordered, values, seen)

    def _spread(self, ordered: Sequence[float], values: Sequence[float], seen: Sequence[Seen | None]) -> None:
        """Count the values by bucket, a bucket at a time; the last one of its greatest value is its exemplar."""
        bounds, left = self._bounds, 0
        place = bisect_left(bounds, ordered[0])
        while left < len(ordered):
            right = bisect_right(ordered, bounds[place], left) if place < len(bounds) else len(ordered)
            if right > left:
                self._buckets[place] += right - left
                value = ordered[right - 1]
                each = seen[len(values) - 1 - values[::-1].index(value)]
                if each is not None:
                    self._seen[place] = (value, each)
                elif any(seen):
                    of_place = set(ordered[left:right])
                    pairs = [pair for pair in zip(values, seen, strict=True) if pair[1] and pair[0] in of_place]
                    if pairs:
                        self._seen[place] = pairs[-1]
            left, place = right, place + 1

    def point(self, now_ns: int) -> Any:
        if self._most < 0:
            return None
        from obskit.signals import points  # noqa: PLC0415 - the SDK's metrics take long to import

        return points.histogram_point(
            dict(self.labels),
            times_ns=(self.start_ns, max(now_ns, self.start_ns)),
            buckets=self._buckets,
            bounds=self._bounds,
            figures=(self._sum, self._least, self._most),
            exemplars=[(value, *seen) for _, (value, seen) in sorted(self._seen.items())],
        )


class _SharedCounter(_Counter):
    """A counter that other readers of obskit's meter provider see too: it is recorded there as well."""

    __slots__ = ()

    def add_all(self, values: Sequence[float], seen: Sequence[Seen | None]) -> None:
        super().add_all(values, seen)
        for value in values:
            metrics.record(self.metric, value, self.labels)


class _SharedHistogram(_Histogram):
    """A histogram that other readers of obskit's meter provider see too."""

    __slots__ = ()

    def add_all(self, values: Sequence[float], seen: Sequence[Seen | None]) -> None:
        super().add_all(values, seen)
        for value in values:
            metrics.record(self.metric, value, self.labels)


class _SdkCell(_Cell):
    """A series that is recorded through the app's own meter provider alone."""

    __slots__ = ()

    def add_all(self, values: Sequence[float], seen: Sequence[Seen | None]) -> None:  # noqa: ARG002 - the SDK looks itself
        for value in values:
            metrics.record(self.metric, value, self.labels)

    def point(self, now_ns: int) -> Any:  # noqa: ARG002 - it is the app's provider that has it
        return None


_SHARED: Final[Mapping[type[_Cell], type[_Cell]]] = {_Counter: _SharedCounter, _Histogram: _SharedHistogram}


class Cells:
    """All series of this process that are kept here.

    Args:
        resource: returns the resource to export them under.
        is_own: whether they are kept here; else the app's meter provider keeps them.

    Attributes:
        sets: what others keep of the cells that belong together, by a key of theirs.
    """

    def __init__(self, resource: Callable[[], Resource] | None = None, *, is_own: bool) -> None:
        self._resource = resource
        self._is_own = is_own
        self._is_shared = False
        self.sets: dict[Any, Any] = {}
        self._cells: dict[tuple[Any, ...], _Cell] = {}
        # Appending is atomic, so that the threads of an app need no lock; who reads folds.
        self._pending: deque[tuple[Callable[[Sequence[Any]], None], Any]] = deque()
        self._lock = threading.RLock()
        _all.add(self)

    def later(self, add: Callable[[Sequence[Any]], None], recorded: Any) -> None:
        """Have `add` called before the cells are next read; at once, where others are to see it now.

        Args:
            add: adds to cells what was recorded; called with all that was recorded for it meanwhile.
            recorded: one of them.
        """
        pending = self._pending
        if self._is_shared or not self._is_own:
            add((recorded,))
            return
        pending.append((add, recorded))
        if len(pending) > _MOST_PENDING:
            self._fold()

    def _fold(self) -> None:
        pending, found = self._pending, defaultdict(list)  # type: tuple[Any, dict[Any, list[Any]]]
        with self._lock:
            for add, recorded in [pending.popleft() for _ in range(len(pending))]:  # nobody else takes from it
                found[add].append(recorded)
            for add, its in found.items():
                try:
                    add(its)
                except Exception as error:  # noqa: BLE001 - what others have recorded must not suffer from it
                    metrics.say_once(f"points were not recorded: {type(error).__name__}: {error}")

    def cell(self, metric: Metric, labels: Mapping[str, Any]) -> _Cell:
        """Return the cell of these labels, or that of ``other`` where a label has too many values.

        Args:
            metric: a counter or a histogram of the catalog.
            labels: of the series.
        """
        if not self._is_own:
            return _SdkCell(metric, labels)
        admitted = metrics.admit(metric, labels)
        key = (metric.name, *sorted(admitted.items()))
        with self._lock:
            found = self._cells.get(key)
            if found is None:
                kind: type[_Cell] = _Counter if metric.kind is catalog.Kind.COUNTER else _Histogram
                found = self._cells[key] = (_SHARED[kind] if self._is_shared else kind)(metric, admitted)
            return found

    def share(self) -> None:
        """Record through the meter provider too from here on: somebody else reads it now, in a way of their own."""
        self._fold()
        with self._lock:
            self._is_shared = True
            for cell in self._cells.values():  # those who record have them at hand
                cell.__class__ = _SHARED.get(type(cell), type(cell))

    def added_to(self, data: MetricsData | None) -> MetricsData | None:
        """Return the snapshot with the points of all series in it, in the place of the provider's own."""
        self._fold()
        now_ns = time.time_ns()
        found: dict[str, tuple[Metric, list[Any]]] = {}
        with self._lock:
            for cell in self._cells.values():
                point = cell.point(now_ns)
                if point is not None:
                    found.setdefault(cell.metric.name, (cell.metric, []))[1].append(point)
        if not found or self._resource is None:
            return data
        from obskit.signals import points  # noqa: PLC0415 - the SDK's metrics take long to import

        for metric, its_points in found.values():
            make = points.counter if metric.kind is catalog.Kind.COUNTER else points.histogram
            data = points.joined(data, make(metric, its_points), scope(), self._resource)
        return data

    def renew(self) -> None:
        """Replace the lock after a fork."""
        self._lock = threading.RLock()


_all: Final[weakref.WeakSet[Cells]] = weakref.WeakSet()
_current = Cells(is_own=False)


def current() -> Cells:
    """Return the cells in force."""
    return _current


def begin(resource: Callable[[], Resource] | None = None, *, is_own: bool = False) -> Cells:
    """Return new cells, in which is recorded from here on until another meter provider is used.

    Args:
        resource: returns the resource to export them under.
        is_own: whether they are kept here; else the meter provider keeps them.
    """
    global _current
    _current = Cells(resource, is_own=is_own)
    return _current


metrics.when_replaced(begin)


def _renew_all() -> None:
    for cells in tuple(_all):
        cells.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
