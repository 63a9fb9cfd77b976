"""The services that were seen in a window, with their requests, errors and latencies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from obskit import catalog
from obskit.engine.series import Series
from obskit.local.http.ui.counting import counter_series, increase_by, increase_in_bins, quantile

__all__ = ["service_rows"]

SPARKLINE_BINS: Final = 30
_STATUS: Final = catalog.promql_label("http.response.status_code")
_QUANTILES: Final = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def service_rows(source: Any, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
    """Return one row for each service that answered HTTP requests in the window, busiest first.

    Args:
        source: the metric store.
        start_ms: begin of the window.
        end_ms: end of the window.
    """
    metric = catalog.HTTP_SERVER_DURATION
    counts = counter_series(source, metric, start_ms, end_ms, suffix="_count")
    buckets = counter_series(source, metric, start_ms, end_ms, suffix="_bucket")
    requests = increase_by(counts, _job, start_ms, end_ms)
    errors = increase_by([each for each in counts if _is_error(each.labels)], _job, start_ms, end_ms)
    by_bound = increase_by(buckets, lambda labels: (_job(labels), _bound(labels)), start_ms, end_ms)
    histograms: dict[str, dict[float, float]] = defaultdict(dict)
    for (job, bound), count in by_bound.items():
        histograms[job][bound] = count
    rows = [
        {
            "name": job,
            "version": "",
            "requests": round(count),
            "error_ratio": errors.get(job, 0.0) / count,
            **_latencies(histograms[job]),
            "last_seen_ms": _last_seen(counts, job),
            "sparkline": increase_in_bins(
                [each for each in counts if _job(each.labels) == job], start_ms, end_ms, SPARKLINE_BINS
            ),
        }
        for job, count in requests.items()
        if count
    ]
    return sorted(rows, key=lambda row: (-row["requests"], row["name"]))


def _job(labels: Mapping[str, str]) -> str:
    return labels.get("job") or labels.get("service_name") or labels.get("task_id") or "unknown"


def _bound(labels: Mapping[str, str]) -> float:
    return float(labels.get("le", "inf"))


def _is_error(labels: Mapping[str, str]) -> bool:
    return labels.get(_STATUS, "").startswith("5")


def _latencies(histogram: Mapping[float, float]) -> dict[str, float | None]:
    filled = _cumulative(histogram)
    found = {name: quantile(share, filled) for name, share in _QUANTILES.items()}
    return {name: None if seconds is None else seconds * 1000 for name, seconds in found.items()}


def _cumulative(histogram: Mapping[float, float]) -> dict[float, float]:
    """Return the histogram with bounds that grew by nothing left out and counts that never fall."""
    filled: dict[float, float] = {}
    running = 0.0
    for bound in sorted(histogram):
        running = max(running, histogram[bound])
        filled[bound] = running
    return filled


def _last_seen(counts: Sequence[Series], job: str) -> int | None:
    times = [each.times_ms[-1] for each in counts if _job(each.labels) == job and len(each.times_ms)]
    return max(times, default=None)
