"""The SDK's side of metrics: a reader that collects when it is asked to, and the provider of obskit's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from opentelemetry.sdk.resources import Resource

from obskit.signals.resource import instance_id, with_instance

__all__ = ["Provider", "Reader"]


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


class Provider(MeterProvider):
    """The SDK's provider, which in a forked child starts no threads to find out who that is."""

    def _handle_fork(self) -> None:
        """Renew the locks and the process's id.

        While the SDK waits for its threads gevent lets greenlets run, before its own hook has put the child in order.
        """
        self._lock = threading.Lock()
        self._meter_lock = threading.Lock()
        MeterProvider._all_metric_readers_lock = threading.Lock()  # noqa: SLF001 - the SDK's own does no other
        self._update_resource(with_instance(Resource({}), instance_id()))
