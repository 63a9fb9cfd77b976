from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import obskit.clients
import obskit.clients.grpc
from obskit.clients import calls
from obskit.config import Config

sys.path.insert(0, str(Path(__file__).parent))

from servers import EchoServer


class Recorded:
    """The spans and the durations that calls have made."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.durations: list[tuple[float, dict[str, Any]]] = []
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def tracer(self) -> Any:
        return self.provider.get_tracer("test")

    def record(self, metric: Any, value: float, attributes: Any) -> None:
        self.durations.append((value, dict(attributes)))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    kept = Recorded()
    monkeypatch.setattr(calls, "tracer", kept.tracer)
    monkeypatch.setattr(calls, "record", kept.record)
    monkeypatch.setattr(obskit.clients.grpc, "tracer", kept.tracer)
    obskit.clients.install(Config())
    yield kept
    obskit.clients.uninstall()
    calls.configure(Config())


@pytest.fixture
def server() -> Iterator[EchoServer]:
    with EchoServer() as running:
        yield running
