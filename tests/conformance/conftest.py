from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from opentelemetry import trace
from opentelemetry.metrics import _internal as metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once
from seen import Seen
from shops import SHOPS, Shop

import obskit
from obskit.exporters.memory import STORE
from obskit.signals import providers, stdlib_logs


@pytest.fixture(params=list(SHOPS))
def shop(request: pytest.FixtureRequest) -> Shop:
    return SHOPS[request.param]()


@pytest.fixture
def no_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which nobody has set OpenTelemetry up, until the end of the test."""
    for module, name in ((trace, "_TRACER_PROVIDER"), (metrics, "_METER_PROVIDER")):
        monkeypatch.setattr(module, name, None)
        monkeypatch.setattr(module, f"{name}_SET_ONCE", Once())
    monkeypatch.setattr(providers, "_global_tracers", [])
    monkeypatch.setattr(providers, "_global_meters", [])


@pytest.fixture
def own(no_providers: None) -> Iterator[Callable[..., Seen]]:
    """Instrument an app in a process with obskit's own providers."""
    STORE.clear()
    yield from _instrumenting(lambda: STORE.spans, lambda: STORE.metrics)
    STORE.clear()


@pytest.fixture
def apps(no_providers: None) -> Iterator[Callable[..., Seen]]:
    """Instrument an app in a process with providers of the app's own."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    yield from _instrumenting(exporter.get_finished_spans, reader.get_metrics_data)
    meters.shutdown()
    tracers.shutdown()


def _instrumenting(spans: Callable[[], Any], points: Callable[[], Any]) -> Iterator[Callable[..., Seen]]:
    handles = []

    def start(app: Any = None, **settings: Any) -> Seen:
        handle = obskit.instrument(
            app, **{"service_name": "shop", "exporters": "memory", "access_log": False} | settings
        )
        handles.append(handle)
        return Seen(handle, spans, points)

    yield start
    for handle in handles:
        handle.shutdown(5)
    stdlib_logs.uninstall()


@pytest.fixture(params=["own", "apps"])
def instrument(request: pytest.FixtureRequest) -> Callable[..., Seen]:
    """Instrument an app: once with obskit's providers, once with some of the app's own."""
    found: Callable[..., Seen] = request.getfixturevalue(request.param)
    return found
