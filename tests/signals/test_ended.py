"""Spans of ended requests."""

from __future__ import annotations

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext, TraceFlags

from obskit.signals import ended
from obskit.signals.context import RequestState
from obskit.signals.redaction import Redactor
from obskit.signals.shown import Shown


def test_contexts_are_as_their_constructor_makes_them() -> None:
    """Own and parent, by either way of making them."""
    state = RequestState("GET", "/a")
    state.trace_id, state.span_id, state.sampled, state.status, state.elapsed_s = "a" * 32, "b" * 16, True, 200, 0.5
    record = ended.record_of(state, ("a" * 32, "c" * 16, False, ""), "", "1.1", None)
    span = ended.EndedSpans(lambda: Resource({}), 1.0, Shown(Redactor(()))).built(record, Resource({}))
    own = SpanContext(int("a" * 32, 16), int("b" * 16, 16), is_remote=False, trace_flags=TraceFlags(1))
    parent = SpanContext(int("a" * 32, 16), int("c" * 16, 16), is_remote=True, trace_flags=TraceFlags(0))
    assert (tuple(span.context), tuple(span.parent)) == (tuple(own), tuple(parent))
    assert tuple(ended._checked(SpanContext, tuple(own))) == tuple(own)
    assert span.context.is_valid
