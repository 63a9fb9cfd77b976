"""The console says what failed and nothing else."""

from __future__ import annotations

import io
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from telemetry import report, snapshot, spans

from obskit import catalog
from obskit.exporters.console import ConsoleDestination
from obskit.signals.delivery import Outcome


def failed_span(kind: SpanKind, why: str) -> Any:
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    span = provider.get_tracer("t").start_span("load the cart", kind=kind)
    span.set_status(Status(StatusCode.ERROR, why))
    span.end()
    return kept.get_finished_spans()[0]


def test_quiet_while_all_is_well() -> None:
    """Spans that went well and metrics print nothing, and count as delivered."""
    stream = io.StringIO()
    console = ConsoleDestination(stream)
    assert console.export_spans(spans(3), 1.0) == Outcome(delivered=3)
    assert console.export_metrics(snapshot(catalog.AI_COST), 1.0) == Outcome(delivered=1)
    assert stream.getvalue() == ""


def test_a_failed_step_is_one_line() -> None:
    """A failed inner span prints its name, duration, reason and trace; a request's own line is the log's."""
    stream = io.StringIO()
    console = ConsoleDestination(stream)
    console.export_spans([failed_span(SpanKind.INTERNAL, "no such cart"), failed_span(SpanKind.SERVER, "x")], 1.0)
    (line,) = stream.getvalue().splitlines()
    assert "load the cart" in line
    assert "no such cart" in line
    assert "trace=" in line


def test_an_error_is_one_line_whatever_it_says() -> None:
    """Newlines and control characters in a message cannot forge a second line or colour the terminal."""
    stream = io.StringIO()
    ConsoleDestination(stream).export_errors([report("bad\n\x1b[31mERROR forged")], 1.0)
    (line,) = stream.getvalue().splitlines()
    assert "\x1b" not in line
    assert "user=u-1" in line


def test_a_closed_terminal_is_a_counted_loss() -> None:
    """Writing to a stream that is gone loses the lines, says so, and raises nothing."""
    stream = io.StringIO()
    stream.close()
    outcome = ConsoleDestination(stream).export_errors([report()], 1.0)
    assert (outcome.lost, outcome.reason) == (1, "closed")


def test_a_reported_error_is_said_once() -> None:
    """The failed steps of a request whose error was reported add no lines of their own."""
    stream = io.StringIO()
    console = ConsoleDestination(stream)
    span = failed_span(SpanKind.INTERNAL, "boom")
    console.export_errors([report("boom", trace_id=f"{span.context.trace_id:032x}")], 1.0)
    console.export_spans([span], 1.0)
    assert stream.getvalue().count("\n") == 1
