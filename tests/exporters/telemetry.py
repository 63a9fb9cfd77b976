"""Spans, snapshots and reports to send, made by the real SDK."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from obskit import catalog
from obskit.config import Config
from obskit.signals.reports import ErrorReport
from obskit.signals.resource import build_resource

CONFIG = Config(service_name="shop", service_version="7", environment="test", project="p1")


def resource(environ: dict[str, str] | None = None) -> Resource:
    return build_resource(CONFIG, environ or {})


def spans(count: int = 1, *, owner: Resource | None = None, **attributes: Any) -> list[ReadableSpan]:
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=owner or resource(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for number in range(count):
        provider.get_tracer("t").start_span(f"span {number}", attributes=attributes).end()
    return list(kept.get_finished_spans())


def snapshot(
    *metrics: catalog.Metric, series: int = 1, owner: Resource | None = None, name: str | None = None
) -> MetricsData:
    """Return one point for each of `series` values of each metric's first label (or of `n`)."""
    reader = InMemoryMetricReader()
    views = [
        View(instrument_name=metric.name, aggregation=ExplicitBucketHistogramAggregation(boundaries=metric.buckets))
        for metric in metrics
        if metric.buckets
    ]
    provider = MeterProvider([reader], resource=owner or resource(), shutdown_on_exit=False, views=views)
    meter = provider.get_meter("t")
    for metric in metrics:
        label = metric.labels[0].name if metric.labels else "n"
        for number in range(series):
            value = 1 if metric.is_int else 0.5
            if metric.kind is catalog.Kind.HISTOGRAM:
                meter.create_histogram(metric.name, unit=metric.unit).record(value, {label: str(number)})
            else:
                meter.create_counter(metric.name, unit=metric.unit).add(value, {label: str(number)})
    data = reader.get_metrics_data()
    assert data is not None
    return data


def report(message: str = "boom", **changes: Any) -> ErrorReport:
    values: dict[str, Any] = {
        "time_ns": 1_700_000_000_000_000_000,
        "service": "shop",
        "version": "7",
        "type": "ValueError",
        "message": message,
        "stack_trace": f'Traceback (most recent call last):\n  File "a.py", line 3, in f\nValueError: {message}\n',
        "http": {"method": "GET", "url": "/items/3", "user_agent": "curl", "status": 500, "remote_ip": "10.0.0.1"},
        "user": "u-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        **changes,
    }
    return ErrorReport(**values)
