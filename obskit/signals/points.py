"""Metrics in the SDK's form, made of what obskit has counted itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as SdkMetric

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from obskit.catalog import Metric

__all__ = ["Seen", "counter", "histogram", "histogram_point", "joined", "number_point"]

Seen = tuple[float, int, int, int]
"""An exemplar: the value, when it was recorded in nanoseconds, the span's id and the trace's."""


def histogram_point(
    labels: Mapping[str, Any],
    *,
    times_ns: tuple[int, int],
    buckets: Sequence[int],
    bounds: Sequence[float],
    figures: tuple[float, float, float],
    exemplars: Iterable[Seen],
) -> HistogramDataPoint:
    """Return one cumulative point.

    Args:
        labels: of the series.
        times_ns: since when it counts, and when it was read.
        buckets: how many values fell into each, one more than there are bounds.
        bounds: of the buckets.
        figures: the sum, the least and the greatest value.
        exemplars: see `Seen`.
    """
    total, least, most = figures
    return HistogramDataPoint(
        attributes=labels,
        start_time_unix_nano=times_ns[0],
        time_unix_nano=times_ns[1],
        count=sum(buckets),
        sum=total,
        bucket_counts=tuple(buckets),
        explicit_bounds=bounds,
        min=least,
        max=most,
        exemplars=_exemplars(exemplars),
    )


def number_point(
    labels: Mapping[str, Any], *, times_ns: tuple[int, int], value: float, exemplars: Iterable[Seen]
) -> NumberDataPoint:
    """Return one cumulative point of a counter; the arguments are those of `histogram_point`."""
    return NumberDataPoint(
        attributes=labels,
        start_time_unix_nano=times_ns[0],
        time_unix_nano=times_ns[1],
        value=value,
        exemplars=_exemplars(exemplars),
    )


def _exemplars(seen: Iterable[Seen]) -> list[Exemplar]:
    return [Exemplar({}, value, at_ns, span_id, trace_id) for value, at_ns, span_id, trace_id in seen]


def histogram(metric: Metric, points: Sequence[HistogramDataPoint]) -> SdkMetric:
    """Return a metric of the catalog with these points."""
    data = Histogram(data_points=points, aggregation_temporality=AggregationTemporality.CUMULATIVE)
    return SdkMetric(name=metric.name, description=metric.help, unit=metric.unit, data=data)


def counter(metric: Metric, points: Sequence[NumberDataPoint]) -> SdkMetric:
    """Return a metric of the catalog with these points."""
    data = Sum(data_points=points, aggregation_temporality=AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return SdkMetric(name=metric.name, description=metric.help, unit=metric.unit, data=data)


def joined(
    data: MetricsData | None, metric: SdkMetric, scope: InstrumentationScope, resource: Callable[[], Resource]
) -> MetricsData:
    """Return the snapshot with the metric among those of its scope, where it replaces one of that name.

    Args:
        data: the snapshot.
        metric: what to add.
        scope: that it belongs to; the name decides.
        resource: of this process, where the snapshot has none.
    """
    parts = list(data.resource_metrics) if data is not None else []
    for place, part in enumerate(parts):
        for number, found in enumerate(part.scope_metrics):
            if found.scope.name == scope.name:
                scopes = list(part.scope_metrics)
                others = [each for each in found.metrics if each.name != metric.name]
                scopes[number] = ScopeMetrics(found.scope, [metric, *others], found.schema_url)
                parts[place] = ResourceMetrics(part.resource, scopes, part.schema_url)
                return MetricsData(parts)
    own = ScopeMetrics(scope, [metric], "")
    if parts:
        parts[0] = ResourceMetrics(parts[0].resource, [*parts[0].scope_metrics, own], parts[0].schema_url)
    else:
        parts = [ResourceMetrics(resource(), [own], "")]
    return MetricsData(parts)
