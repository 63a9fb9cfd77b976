"""The services that were seen in a window, with their requests, errors and latencies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obskit import catalog
from obskit.engine.series import Distribution, TypedSeries
from obskit.local.http.ui.counting import LOOKBACK_MS, quantile
from obskit.queries import filters

__all__ = ["service_rows"]

SPARKLINE_BINS: Final = 30
_STATUS: Final = "http.response.status_code"
_QUANTILES: Final = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass(slots=True)
class _Totals:
    """What one service did in the window."""

    requests: int = 0
    errors: int = 0
    last_seen_ms: int = 0
    bins: list[float] = field(default_factory=lambda: [0.0] * SPARKLINE_BINS)
    counts_by_bound: dict[float, float] = field(default_factory=lambda: defaultdict(float))


def service_rows(source: Any, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
    """Return one row for each service that answered HTTP requests in the window, busiest first.

    Args:
        source: the metric store.
        start_ms: begin of the window.
        end_ms: end of the window.
    """
    services: dict[str, _Totals] = defaultdict(_Totals)
    for series in _histograms(source, start_ms, end_ms):
        _add(services[_job(series)], series, start_ms, end_ms)
    rows = [_row(name, totals) for name, totals in services.items() if totals.requests]
    return sorted(rows, key=lambda row: (-row["requests"], row["name"]))


def _row(name: str, totals: _Totals) -> dict[str, Any]:
    quantiles = {column: quantile(share, totals.counts_by_bound) for column, share in _QUANTILES.items()}
    return {
        "name": name,
        "requests": totals.requests,
        "error_ratio": totals.errors / totals.requests,
        **{column: None if seconds is None else seconds * 1000 for column, seconds in quantiles.items()},
        "last_seen_ms": totals.last_seen_ms,
        "sparkline": totals.bins,
    }


def _histograms(source: Any, start_ms: int, end_ms: int) -> Iterator[TypedSeries]:
    """Yield the request histograms, each from its last point before the window where it has one."""
    for route in catalog.Route:
        wanted = filters.parse(f"metric.type={filters.quote(catalog.HTTP_SERVER_DURATION.metric_type(route))}")
        found: Sequence[TypedSeries] = source.list_series(wanted, start_ms - LOOKBACK_MS, end_ms)
        older: dict[Any, TypedSeries] = {}
        if any(each.points[0].end_ms > start_ms > each.points[0].start_ms for each in found):
            older = {_identity(each): each for each in source.list_series(wanted, 0, start_ms)}
        for each in found:
            before = older.get(_identity(each)) if each.points[0].end_ms > start_ms else None
            yield each if before is None else _with_first(each, before)


def _identity(series: TypedSeries) -> Any:
    return frozenset(series.metric_labels.items()), series.resource_type, frozenset(series.resource_labels.items())


def _with_first(series: TypedSeries, before: TypedSeries) -> TypedSeries:
    return TypedSeries(
        metric_type=series.metric_type,
        metric_labels=series.metric_labels,
        resource_type=series.resource_type,
        resource_labels=series.resource_labels,
        kind=series.kind,
        value_type=series.value_type,
        points=[before.points[-1], *series.points],
        unit=series.unit,
    )


def _add(totals: _Totals, series: TypedSeries, start_ms: int, end_ms: int) -> None:
    labels = {catalog.prometheus_label(name): value for name, value in series.metric_labels.items()}
    is_error = labels.get(catalog.prometheus_label(_STATUS), "").startswith("5")
    previous = _NOTHING
    base = _NOTHING  # what the counts of the present run of the process began with
    for point in series.points:
        value = point.value
        if not isinstance(value, Distribution):
            continue
        if value.count < previous.count:  # the process began again
            _add_buckets(totals, base, previous)
            previous = base = _NOTHING
        if point.end_ms <= start_ms:
            previous = base = value
            continue
        grown = value.count - previous.count
        totals.requests += grown
        totals.errors += grown if is_error else 0
        totals.bins[_bin(point.end_ms, start_ms, end_ms)] += grown
        totals.last_seen_ms = max(totals.last_seen_ms, point.end_ms)
        previous = value
    _add_buckets(totals, base, previous)


_NOTHING: Final = Distribution(0, 0.0)


def _add_buckets(totals: _Totals, first: Distribution, last: Distribution) -> None:
    before = dict(_cumulative(first))
    for bound, count in _cumulative(last):
        totals.counts_by_bound[bound] += count - before.get(bound, 0)


def _cumulative(value: Distribution) -> Iterator[tuple[float, int]]:
    running = 0
    for bound, count in zip(value.bounds, value.bucket_counts, strict=False):
        running += count
        yield bound, running
    if value.bucket_counts:
        yield float("inf"), value.count


def _bin(time_ms: int, start_ms: int, end_ms: int) -> int:
    return min(SPARKLINE_BINS - 1, (time_ms - start_ms - 1) * SPARKLINE_BINS // max(1, end_ms - start_ms))


def _job(series: TypedSeries) -> str:
    labels: Mapping[str, str] = series.resource_labels
    return labels.get("job") or labels.get("service_name") or labels.get("task_id") or "unknown"
