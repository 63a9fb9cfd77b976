"""Keeps everything in this process, for tests; see `obskit.testing`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from obskit.signals.delivery import ERRORS, METRICS, SPANS, Outcome
from obskit.signals.taps import point_count

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.config import Config
    from obskit.signals.reports import ErrorReport

__all__ = ["STORE", "MemoryDestination", "Store", "create"]


class Store:
    """What has been delivered in this process, oldest first, and the last snapshot of the metrics."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[ReadableSpan] = []
        self._errors: list[ErrorReport] = []
        self._metrics: MetricsData | None = None

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Finished spans in the order in which they ended."""
        with self._lock:
            return tuple(self._spans)

    @property
    def errors(self) -> tuple[ErrorReport, ...]:
        """Error reports in the order in which they were made."""
        with self._lock:
            return tuple(self._errors)

    @property
    def metrics(self) -> MetricsData | None:
        """The last snapshot; counters and histograms are totals since the process began."""
        with self._lock:
            return self._metrics

    def add(
        self,
        *,
        spans: Sequence[ReadableSpan] = (),
        errors: Sequence[ErrorReport] = (),
        metrics: MetricsData | None = None,
    ) -> None:
        """Append spans and errors; replace the snapshot of metrics."""
        with self._lock:
            self._spans.extend(spans)
            self._errors.extend(errors)
            self._metrics = self._metrics if metrics is None else metrics

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._spans.clear()
            self._errors.clear()
            self._metrics = None


STORE: Final = Store()
"""The process's own store; every memory exporter delivers here unless it is given another."""


class MemoryDestination:
    """Delivers into a `Store`, at once and without fail."""

    name = "memory"
    handles = frozenset({SPANS, METRICS, ERRORS})
    metric_spacing_s = 0.0

    def __init__(self, store: Store = STORE) -> None:
        self._store = store

    def export_spans(self, spans: Sequence[ReadableSpan], timeout_s: float) -> Outcome:
        """Keep the spans."""
        self._store.add(spans=spans)
        return Outcome(delivered=len(spans))

    def export_metrics(self, metrics: MetricsData, timeout_s: float) -> Outcome:
        """Keep the snapshot in place of the one before."""
        self._store.add(metrics=metrics)
        return Outcome(delivered=point_count(metrics))

    def export_errors(self, reports: Sequence[ErrorReport], timeout_s: float) -> Outcome:
        """Keep the reports."""
        self._store.add(errors=reports)
        return Outcome(delivered=len(reports))

    def close(self, timeout_s: float) -> None:
        """Do nothing; the store outlives the pipeline so that tests can read it."""


def create(config: Config, resource: Resource) -> MemoryDestination:
    """Make the destination of `exporters="memory"`."""
    return MemoryDestination()
