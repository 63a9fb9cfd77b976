"""An in-memory twin of a destination that can be told to fail, and providers around a pipeline."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Self

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from obskit.config import Config
from obskit.signals.delivery import ERRORS, METRICS, SPANS, Outcome
from obskit.signals.lifecycle import Pipeline
from obskit.signals.resource import build_resource
from obskit.signals.taps import point_count


class Twin:
    """Keeps what it is sent; `trouble` is answered instead as long as it is set; `gate` holds every call up."""

    name = "twin"

    def __init__(self, handles: Sequence[str] = (SPANS, METRICS, ERRORS), metric_spacing_s: float = 0.0) -> None:
        self.metric_spacing_s = metric_spacing_s
        self.handles = frozenset(handles)
        self.trouble: Outcome | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.calls = 0
        self.spans: list[Any] = []
        self.errors: list[Any] = []
        self.snapshots: list[Any] = []
        self.threads: set[str] = set()
        self.is_closed = False

    def _answer(self, count: int) -> Outcome:
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        self.gate.wait(30)
        return self.trouble or Outcome(delivered=count)

    def export_spans(self, spans: Sequence[Any], timeout_s: float) -> Outcome:
        outcome = self._answer(len(spans))
        self.spans += spans[: outcome.delivered]
        return outcome

    def export_metrics(self, metrics: Any, timeout_s: float) -> Outcome:
        outcome = self._answer(point_count(metrics))
        if outcome.delivered:
            self.snapshots.append(metrics)
        return outcome

    def export_errors(self, reports: Sequence[Any], timeout_s: float) -> Outcome:
        outcome = self._answer(len(reports))
        self.errors += reports[: outcome.delivered]
        return outcome

    def close(self, timeout_s: float) -> None:
        self.is_closed = True

    def total(self, name: str) -> float:
        """Return the sum of a counter's points in the last snapshot."""
        return sum(
            point.value
            for resource in self.snapshots[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        )


class Bench:
    """A started pipeline with providers of its own, and its twin."""

    def __init__(self, *twins: Twin, start: bool = True, **settings: Any) -> None:
        self.twins = twins or (Twin(),)
        self.twin = self.twins[0]
        settings.setdefault("metric_export_interval", timedelta(hours=1))
        settings.setdefault("trace_export_interval", timedelta(hours=1))
        config = Config(service_name="bench", **settings)
        resource = build_resource(config, {})
        self.pipeline = Pipeline(config, resource, [lambda twin=twin: twin for twin in self.twins])
        self.tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.tracers.add_span_processor(self.pipeline.span_processor)
        self.meters = MeterProvider([self.pipeline.metric_reader], resource=resource, shutdown_on_exit=False)
        self.counter = self.meters.get_meter("bench").create_counter("bench.count")
        if start:
            self.pipeline.start()

    def spans(self, count: int, **attributes: Any) -> None:
        tracer = self.tracers.get_tracer("bench")
        for number in range(count):
            tracer.start_span(f"span {number}", attributes=attributes).end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for twin in self.twins:
            twin.gate.set()
        self.pipeline.shutdown(1.0)
