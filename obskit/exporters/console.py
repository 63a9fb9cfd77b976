"""For a developer at a terminal: what failed stands out, everything else is in the log lines.

The log already prints one line per request, so this destination repeats none of it. It writes one line to
standard error for each error report, and for each failed step of a request that has no report of its own,
such as an AI call whose error the app has handled.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TextIO

from opentelemetry.trace import SpanKind, StatusCode

from obskit.signals.delivery import ERRORS, METRICS, SPANS, Outcome
from obskit.signals.taps import point_count

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.config import Config
    from obskit.signals.reports import ErrorReport

__all__ = ["ConsoleDestination", "create"]

_MOST_CHARS: Final = 300
_MOST_TOLD: Final = 256
_MARK: Final = "✗"
_RED_MARK: Final = "\x1b[31m✗\x1b[0m"


class ConsoleDestination:
    """Writes failed inner spans and errors that are not in the log as one readable line each.

    Args:
        stream: where to write; standard error by default, looked up at each write.
    """

    name = "console"
    handles = frozenset({SPANS, METRICS, ERRORS})
    metric_spacing_s = 0.0

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._told: deque[str] = deque(maxlen=_MOST_TOLD)

    def export_spans(self, spans: Sequence[ReadableSpan], timeout_s: float) -> Outcome:
        """Write the failed steps. A whole request has its log line, and a reported error is one line already."""
        lines = [
            _span_line(span)
            for span in spans
            if span.status.status_code is StatusCode.ERROR
            and span.kind is not SpanKind.SERVER
            and _trace_id(span) not in self._told
        ]
        return self._write(lines, len(spans))

    def export_metrics(self, metrics: MetricsData, timeout_s: float) -> Outcome:
        """Write nothing: figures on a terminal are noise. `obskit run` shows them in a browser."""
        return Outcome(delivered=point_count(metrics))

    def export_errors(self, reports: Sequence[ErrorReport], timeout_s: float) -> Outcome:
        """Write one line per error; the log has the stack."""
        self._told.extend(report.trace_id for report in reports if report.trace_id)
        return self._write([_error_line(report) for report in reports], len(reports))

    def close(self, timeout_s: float) -> None:
        """Do nothing; the stream is not ours."""

    def _write(self, lines: Sequence[str], count: int) -> Outcome:
        stream = self._stream or sys.stderr
        if lines and stream is not None:
            try:
                mark = _RED_MARK if stream.isatty() else _MARK
                stream.write("".join(f"{mark} {line}\n" for line in lines))
                stream.flush()
            except (OSError, ValueError) as error:  # a closed terminal, or an interpreter that is ending
                return Outcome(lost=count, reason="closed", detail=f"the terminal is gone: {error}")
        return Outcome(delivered=count)


def _printable(text: object) -> str:
    shown = "".join(char if char.isprintable() else " " for char in str(text))
    return shown if len(shown) <= _MOST_CHARS else shown[: _MOST_CHARS - 1] + "…"


def _trace_id(span: ReadableSpan) -> str:
    return f"{span.context.trace_id:032x}" if span.context else ""


def _span_line(span: ReadableSpan) -> str:
    duration_ms = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
    why = span.status.description or (span.attributes or {}).get("error.type") or "failed"
    return f"{_printable(span.name)}  {duration_ms:.1f} ms  {_printable(why)}  trace={_trace_id(span)}"


def _error_line(report: ErrorReport) -> str:
    trace = f"  trace={report.trace_id}" if report.trace_id else ""
    user = f"  user={_printable(report.user)}" if report.user else ""
    kind = f"{_printable(report.type)}: " if report.type else ""
    return f"{kind}{_printable(report.message)}{user}{trace}"


def create(config: Config, resource: Resource) -> ConsoleDestination:
    """Make the destination of `exporters="console"`."""
    return ConsoleDestination()
