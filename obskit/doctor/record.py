"""The test record: one span, one metric point, one error and one log line that belong together."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from obskit import catalog
from obskit._version import __version__
from obskit.config import Config
from obskit.signals import logs
from obskit.signals.delivery import ERRORS, METRICS, SPANS
from obskit.signals.lifecycle import Pipeline
from obskit.signals.reports import ErrorReport, Location

__all__ = ["TestRecord", "log_line", "submit"]

_NAME: Final = "obskit doctor"
_ERROR_TEXT: Final = "obskit doctor: a test of error reporting; nothing is wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRecord:
    """What tells the record from others.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        instance_id: of the resource that the metric point came from.
        mark: the user of the error report.
    """

    __test__ = False  # not one of pytest's

    trace_id: str
    span_id: str
    instance_id: str
    mark: str


def submit(pipeline: Pipeline, config: Config, resource: Resource) -> tuple[TestRecord, frozenset[str]]:
    """Put a test record into a pipeline, as an app would.

    Returns:
        The record, and the signals that could be put in: without OpenTelemetry's SDK there is no span and no point.
    """
    tracers = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(pipeline.span_processor)
    meters = MeterProvider([pipeline.metric_reader], resource=resource, shutdown_on_exit=False)
    span = tracers.get_tracer("obskit", __version__).start_span(_NAME)
    context, mark = span.get_span_context(), f"obskit-doctor-{secrets.token_hex(4)}"
    record = TestRecord(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        instance_id=str(resource.attributes.get("service.instance.id", "")),
        mark=mark,
    )
    # Of a counter that every service has, and nothing: no sum, no chart and no alert is changed by it.
    metric = catalog.TELEMETRY_LOST
    counter = meters.get_meter("obskit", __version__).create_counter(metric.name, metric.unit, metric.help)
    counter.add(0, {"obskit.signal": METRICS, "obskit.reason": "doctor"})
    pipeline.submit_error(_report(config, record, is_traced=span.is_recording()))
    is_real = span.is_recording()
    span.end()
    return record, frozenset({SPANS, METRICS, ERRORS} if is_real else {ERRORS})


def _report(config: Config, record: TestRecord, *, is_traced: bool) -> ErrorReport:
    return ErrorReport(
        time_ns=time.time_ns(),
        service=config.service_name,
        version=config.service_version,
        type="ObskitDoctor",
        message=_ERROR_TEXT,
        user=record.mark,
        trace_id=record.trace_id if is_traced else "",
        span_id=record.span_id if is_traced else "",
        location=Location("obskit/doctor/record.py", 1, "doctor"),
        labels={"obskit.doctor": "true"},
    )


def log_line(record: TestRecord) -> str:
    """Return a log line of the record as the app's own would be written, without its end."""
    context = trace.SpanContext(
        trace_id=int(record.trace_id, 16),
        span_id=int(record.span_id, 16),
        is_remote=False,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    with trace.use_span(trace.NonRecordingSpan(context)):
        return logs.render(logs.Record(severity="INFO", message="obskit doctor: a test of logging", fields={}))


def is_json(line: str) -> bool:
    """Return whether a line is a JSON object, as Cloud Logging wants it."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
