"""Where the pipeline taps OpenTelemetry's metrics: a reader, and the arithmetic of forked counters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from obskit.signals.forks import renew_locks

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource

    from obskit.signals.cells import Cells
    from obskit.signals.durations import Durations
    from obskit.signals.readers import Reader

__all__ = ["Baseline", "MetricTap", "baseline", "fingerprint", "point_count", "since", "with_resource"]


class MetricTap:
    """Reads the metrics when the pipeline asks, and never on its own. Temporality is cumulative throughout.

    The SDK's metrics take as long to import as all of obskit, so they are not before somebody has made an instrument,
    or there is a point to export.

    Attributes:
        kept: what is recorded beside the provider.

    Args:
        flush: delivers everything within that many seconds, and says whether it did.
    """

    def __init__(self, flush: Callable[[float | None], bool]) -> None:
        self.kept: list[Durations | Cells] = []
        self._flush = flush
        self._reader: Reader | None = None
        self._lock = threading.RLock()

    @property
    def reader(self) -> Reader:
        """The SDK's reader, to give to a meter provider."""
        with self._lock:
            if self._reader is None:
                from obskit.signals.readers import Reader  # noqa: PLC0415 - the SDK's metrics take long to import

                self._reader = Reader(self._flush)
            return self._reader

    def read(self, timeout_s: float = 5.0) -> MetricsData | None:
        """Return a snapshot of every metric, None where there is no point."""
        with self._lock:
            data = None if self._reader is None else self._reader.snapshot(timeout_s)
            for kept in self.kept:
                data = kept.added_to(data)
        return data if data is not None and point_count(data) else None

    def hold(self, timeout_s: float) -> bool:
        """Keep everybody from reading until `release`; return whether that is so."""
        return self._lock.acquire(timeout=timeout_s)

    def release(self) -> None:
        """Let others read again."""
        self._lock.release()

    def renew_after_fork(self) -> None:
        """Replace the locks on the way to this reader, whose owners may not exist in this process."""
        self._lock = threading.RLock()
        if self._reader is not None:
            renew_locks(self._reader)


def point_count(data: MetricsData) -> int:
    """Return how many points a snapshot holds."""
    return sum(
        len(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def fingerprint(data: MetricsData) -> tuple[object, ...]:
    """Return a value that is equal for two snapshots between which nothing was recorded."""
    return tuple(
        (scope.scope.name, metric.name, *(_figures(point) for point in metric.data.data_points))
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def _figures(point: Any) -> tuple[object, ...]:
    return (_key(point), getattr(point, "value", None), getattr(point, "count", None), getattr(point, "sum", None))


def _key(point: Any) -> tuple[object, ...]:
    return tuple(sorted((point.attributes or {}).items(), key=lambda item: item[0]))


def with_resource(data: MetricsData, resource_of: Callable[[Resource], Resource]) -> MetricsData:
    """Return the snapshot with each resource replaced."""
    parts = [replace(part, resource=resource_of(part.resource)) for part in data.resource_metrics]
    return replace(data, resource_metrics=parts)


Baseline = Mapping[tuple[object, ...], Any]


def baseline(data: MetricsData | None) -> Baseline:
    """Return the cumulative points of a snapshot by series, for `since`."""
    if data is None:
        return {}
    return {
        (scope.scope.name, metric.name, _key(point)): point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if _is_cumulative(metric.data)
    }


def _is_cumulative(data: Any) -> bool:
    return bool(getattr(data, "is_monotonic", hasattr(data, "aggregation_temporality")))


def since(data: MetricsData, before: Baseline, start_ns: int) -> MetricsData:
    """Return what was recorded after a fork: cumulative points less those that the parent had, from `start_ns` on.

    A forked process inherits its parent's counters. Were they exported again under the child's own instance id,
    a counter at 100 before three forks would add up to 400.

    Args:
        data: a snapshot of the child.
        before: the parent's points at the fork, from `baseline`.
        start_ns: the fork's time in nanoseconds since the epoch.
    """
    if not before:
        return data
    return replace(
        data,
        resource_metrics=[
            replace(
                part,
                scope_metrics=[
                    replace(scope, metrics=_metrics_since(scope.scope.name, scope.metrics, before, start_ns))
                    for scope in part.scope_metrics
                ],
            )
            for part in data.resource_metrics
        ],
    )


def _metrics_since(scope: str, metrics: Sequence[Any], before: Baseline, start_ns: int) -> list[Any]:
    kept = []
    for metric in metrics:
        points = []
        for point in metric.data.data_points:
            old = before.get((scope, metric.name, _key(point)))
            new = point if old is None else _difference(point, old, start_ns)
            if new is not None:
                points.append(new)
        if points:
            kept.append(replace(metric, data=replace(metric.data, data_points=points)))
    return kept


def _difference(point: Any, old: Any, start_ns: int) -> Any:
    if hasattr(point, "value"):
        if point.value == old.value:
            return None
        return replace(point, value=point.value - old.value, start_time_unix_nano=start_ns)
    if hasattr(point, "explicit_bounds"):
        if point.count == old.count:
            return None
        return replace(
            point,
            count=point.count - old.count,
            sum=point.sum - old.sum,
            bucket_counts=[new - was for new, was in zip(point.bucket_counts, old.bucket_counts, strict=True)],
            start_time_unix_nano=start_ns,
        )
    # Exponential histograms, which obskit never makes, may have been rescaled in between and go out whole.
    return point if getattr(point, "count", None) != getattr(old, "count", None) else None
