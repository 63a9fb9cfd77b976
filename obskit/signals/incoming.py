"""The caller's trace context: `traceparent` first, then `X-Cloud-Trace-Context`; whatever else comes is harmless."""

from __future__ import annotations

import re
import secrets
from typing import Final

from opentelemetry.trace import SpanContext, TraceFlags
from opentelemetry.trace.span import TraceState

from obskit.signals.patterns import Pattern

__all__ = ["Caller", "caller_of", "parent_context", "span_context"]

_TRACEPARENT: Final = Pattern(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_USUAL: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0[0-9a-f]", re.ASCII).fullmatch
_CLOUD: Final = Pattern(r"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]))?", re.ASCII)
_MOST_CHARS: Final = 512  # Source: W3C Trace Context, the least that a tracestate may be cut to
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)

Caller = tuple[str, str, bool, str]
"""The span that a request was sent from: trace id and span id in hex digits, whether it is sampled, its tracestate.

No class of its own: the garbage collector lets a tuple of such values alone.
"""


def parent_context(caller: Caller) -> SpanContext:
    """Return the caller's span, as OpenTelemetry knows it."""
    return span_context(caller, caller[1], is_sampled=caller[2], is_remote=True)


def span_context(caller: Caller, span_id: str, *, is_sampled: bool, is_remote: bool) -> SpanContext:
    """Return the context of a span in the caller's trace.

    Args:
        caller: the caller's span.
        span_id: 16 hex digits.
        is_sampled: whether the span is exported.
        is_remote: whether it is the caller's own.
    """
    states, flags = caller[3], _SAMPLED if is_sampled else _UNSAMPLED
    if not states or len(states) > _MOST_CHARS:
        return SpanContext(int(caller[0], 16), int(span_id, 16), is_remote, flags)
    return SpanContext(int(caller[0], 16), int(span_id, 16), is_remote, flags, TraceState.from_header([states]))


def caller_of(traceparent: str, tracestate: str, cloud_trace: str) -> Caller | None:
    """Return the caller's span, or None where the headers name none.

    Args:
        traceparent: the header, empty when absent.
        tracestate: the header, empty when absent.
        cloud_trace: the header `X-Cloud-Trace-Context`, empty when absent; its span id is decimal.
    """
    caller = None
    if traceparent:
        match = _USUAL(traceparent)
        if match is None:
            caller = _unusual(traceparent, tracestate)
        else:
            trace_id, span_id = match.groups()
            if trace_id != _NO_TRACE and span_id != _NO_SPAN:
                return trace_id, span_id, traceparent[54] in "13579bdf", tracestate
    return _from_cloud(cloud_trace) if caller is None and cloud_trace else caller


def _unusual(traceparent: str, tracestate: str) -> Caller | None:
    match = _TRACEPARENT.fullmatch(traceparent[:_MOST_CHARS].strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return trace_id, span_id, bool(int(flags, 16) & TraceFlags.SAMPLED), tracestate


def _from_cloud(header: str) -> Caller | None:
    match = _CLOUD.fullmatch(header[:_MOST_CHARS].strip())
    if match is None:
        return None
    trace_id, span_id, options = match.groups()
    # Without a span the trace can still be joined; its parent is then one that nobody has seen.
    number = int(span_id or 0) or secrets.randbits(64) or 1
    if number >= 1 << 64 or trace_id == _NO_TRACE:
        return None
    return trace_id.lower(), f"{number:016x}", options == "1", ""
