from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import obskit.clients
from obskit.clients import calls
from obskit.config import Config
from obskit.signals import metrics, traces
from obskit.signals.redaction import Redactor

sys.path.insert(0, str(Path(__file__).parent))

from echo_server import EchoServer


class Recorded:
    """The spans and the durations that calls have made."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    @property
    def spans(self) -> list[Any]:
        return list(self._exporter.get_finished_spans())

    @property
    def durations(self) -> list[Any]:
        """The points of `http.client.request.duration`, one per set of labels."""
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "http.client.request.duration"
            for point in metric.data.data_points
        ]

    def tracer(self) -> Any:
        return self.tracers.get_tracer("test")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    monkeypatch.setattr(traces, "_tracer", None)
    monkeypatch.setattr(metrics, "_provider", None)
    kept = Recorded()
    traces.use_provider(kept.tracers, Redactor())
    metrics.use_provider(kept.meters)
    obskit.clients.install(Config())
    yield kept
    obskit.clients.uninstall()
    calls.configure(Config())
    metrics.use_provider(NoOpMeterProvider())


@pytest.fixture
def server() -> Iterator[EchoServer]:
    with EchoServer() as running:
        yield running
