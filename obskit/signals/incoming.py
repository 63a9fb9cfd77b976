"""The caller's trace context: `traceparent` first, then `X-Cloud-Trace-Context`; whatever else comes is harmless."""

from __future__ import annotations

import re
import secrets
from typing import Final

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.span import TraceState

__all__ = ["parent_of"]

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_CLOUD: Final = re.compile(r"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]))?", re.ASCII)
_MOST_CHARS: Final = 512  # Source: W3C Trace Context, the least that a tracestate may be cut to


def parent_of(traceparent: str, tracestate: str, cloud_trace: str) -> NonRecordingSpan | None:
    """Return the caller's span, or None where the headers name none.

    Args:
        traceparent: the header, empty when absent.
        tracestate: the header, empty when absent.
        cloud_trace: the header `X-Cloud-Trace-Context`, empty when absent; its span id is decimal.
    """
    if traceparent and (context := _from_w3c(traceparent, tracestate)) is not None:
        return NonRecordingSpan(context)
    if cloud_trace and (context := _from_cloud(cloud_trace)) is not None:
        return NonRecordingSpan(context)
    return None


def _from_w3c(traceparent: str, tracestate: str) -> SpanContext | None:
    match = _TRACEPARENT.fullmatch(traceparent[:_MOST_CHARS].strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest):
        return None
    state = TraceState.from_header([tracestate]) if tracestate and len(tracestate) <= _MOST_CHARS else None
    context = SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16) & TraceFlags.SAMPLED),
        trace_state=state,
    )
    return context if context.is_valid else None


def _from_cloud(header: str) -> SpanContext | None:
    match = _CLOUD.fullmatch(header[:_MOST_CHARS].strip())
    if match is None:
        return None
    trace_id, span_id, options = match.groups()
    # Without a span the trace can still be joined; its parent is then one that nobody has seen.
    number = int(span_id or 0) or secrets.randbits(64)
    if number >= 1 << 64:
        return None
    context = SpanContext(
        trace_id=int(trace_id, 16),
        span_id=number,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if options == "1" else TraceFlags.DEFAULT),
    )
    return context if context.is_valid else None
