"""The SDK's reader of metrics, which collects when it is asked to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.metrics.export import MetricReader, MetricsData

__all__ = ["Reader"]


class Reader(MetricReader):
    """Collects when it is asked for a snapshot, and never on its own.

    Args:
        flush: delivers everything within that many seconds, and says whether it did.
    """

    def __init__(self, flush: Callable[[float | None], bool]) -> None:
        super().__init__()
        self._flush = flush
        self._received: list[MetricsData] = []

    def snapshot(self, timeout_s: float) -> MetricsData | None:
        """Return every metric of the provider; None where no provider has this reader, or nothing was recorded."""
        if not getattr(self, "_collect", None):
            return None  # without a provider there is nothing to read, and nothing is wrong
        self._received.clear()
        self.collect(timeout_millis=timeout_s * 1000)
        return self._received.pop() if self._received else None

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        self._received.append(metrics_data)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Deliver what waits within the time given."""
        return self._flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Deliver what waits; the provider that this reader was given to is about to end."""
        self._flush(timeout_millis / 1000)
