"""Spans of calls that the app makes: a few fields while the call runs, a span of the SDK as soon as somebody wants it.

As for requests (`signals.spans`): the span is current, its ids go out with the call and on log lines, and nothing of
OpenTelemetry's SDK runs. What it was is put into a tuple at its end, of which the export thread makes the span. With
another processor on the provider, with a share of the traces alone, or with limits of the SDK's own, each is the
SDK's from the beginning.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation import _SPAN_KEY

from obskit._version import __version__
from obskit.signals import traces
from obskit.signals.ended import NO_STATES, Record, new_context, scope
from obskit.signals.lanes import values_size
from obskit.signals.light import LightSpan, started_as
from obskit.signals.spans import random_bits

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from obskit.signals.ended import EndedSpans
    from obskit.signals.providers import OwnTracerProvider

__all__ = ["ClientSpan", "SdkSpan", "begin", "built_clean", "start"]

_BYTES: Final = 1024
_VALUE_BYTES: Final = 160
_RANDOM: Final = int(getattr(TraceFlags, "RANDOM_TRACE_ID", 0))
_ROOT: Final = TraceFlags(TraceFlags.SAMPLED | _RANDOM)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_bare: Final = object.__new__
_UNSET: Final = Status(StatusCode.UNSET)


class ClientSpan(LightSpan):
    """The span of one call; made by `start`.

    Attributes:
        trace_id, span_id: of the span.
        is_clean: whether it holds no secret, and nothing that no backend could read.
        own: its attributes, to be added to as by `put`; None from when a span of the SDK has taken its place.
    """

    _own: SpanContext | None = None
    _failure: str | None = None
    _end_ns = 0
    is_clean = False
    own: dict[str, Any] | None

    _spans: _ClientSpans
    _name: str
    _start_ns: int
    _parent: SpanContext | None
    trace_id: int
    span_id: int

    # ------------------------------------------------------------------ who it is

    def get_span_context(self) -> SpanContext:
        """Return the ids of this span."""
        own = self._own
        if own is None:
            own = self._own = _context_of(self.trace_id, self.span_id, self._parent)
        return own

    def _parent_context(self) -> SpanContext | None:
        return self._parent

    kind = property(lambda _: SpanKind.CLIENT)
    resource = property(lambda self: self._spans.ended.resource())

    def full(self) -> Any:
        """Return the SDK's span that has taken, or takes now, this one's place; what has ended is read-only."""
        if self._live is None:
            if self._is_ended:
                return _built(self._record(), self.resource)
            with self._spans.lock:
                if self._live is None:
                    self._live = self._spans.promoted(self)
                    self.own = None
        return self._live

    # ------------------------------------------------------------------ the way of every call

    def note(self, attributes: Mapping[str, Any]) -> None:
        """Put attributes on it: texts, numbers, and sequences of them."""
        self.is_clean = False
        self.put(attributes)

    def put(self, attributes: Mapping[str, Any]) -> None:
        """Put attributes on it that hold no secret and nothing unreadable: texts, numbers, and tuples of them."""
        if self._live is not None:
            self._live.set_attributes(attributes)
        elif self.own is not None and not self._is_ended:
            self.own.update(attributes)

    def fail(self, description: str) -> None:
        """Mark it as failed."""
        if self._live is not None:
            self._live.set_status(Status(StatusCode.ERROR, description))
        elif not self._is_ended:
            self._failure, self.is_clean = description, False

    def finish(self, end_ns: int) -> None:
        """End it, and hand it to the pipeline."""
        if self._live is not None:
            self._live.end(end_ns)
            return
        self._end_ns, self._is_ended = end_ns, True
        values = self.own
        size_bytes = _VALUE_BYTES * len(values or ()) if self.is_clean else values_size(values)
        make = built_clean if self.is_clean else _built
        ids = (self.trace_id, self.span_id, self._parent)
        record = (make, self._name, *ids, values, self._failure, self._start_ns, end_ns)
        self._spans.submit(record, _BYTES + size_bytes)

    def _record(self) -> Record:
        return (
            built_clean if self.is_clean else _built,
            self._name,
            self.trace_id,
            self.span_id,
            self._parent,
            self.own,
            self._failure,
            self._start_ns,
            self._end_ns,
        )


class SdkSpan:
    """A span of the SDK, as `ClientSpan` is used.

    Args:
        span: the SDK's.
    """

    __slots__ = ("is_clean", "live", "own", "span_id", "trace_id")

    def __init__(self, span: trace.Span) -> None:
        self.live, self.own, self.is_clean = span, None, False
        own = span.get_span_context()
        self.trace_id = own.trace_id if own.trace_flags.sampled else 0
        self.span_id = own.span_id

    def note(self, attributes: Mapping[str, Any]) -> None:
        """Put attributes on it."""
        self.live.set_attributes(attributes)

    put = note

    def fail(self, description: str) -> None:
        """Mark it as failed."""
        self.live.set_status(Status(StatusCode.ERROR, description))

    def add_event(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Put an event on it."""
        self.live.add_event(name, attributes)

    def finish(self, end_ns: int) -> None:
        """End it."""
        self.live.end(end_ns)


def _context_of(trace_id: int, span_id: int, parent: SpanContext | None) -> SpanContext:
    if parent is None:
        return new_context(SpanContext, (trace_id, span_id, False, _ROOT, NO_STATES, True))
    flags = TraceFlags(TraceFlags.SAMPLED | (int(parent.trace_flags) & _RANDOM))
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags, trace_state=parent.trace_state)


def _built(record: Record, resource: Resource) -> ReadableSpan:
    """Return the span of a call that has ended."""
    values = {key: tuple(value) if value.__class__ is list else value for key, value in record[5].items()}
    return built_clean((*record[:5], values, *record[6:]), resource)


def built_clean(record: Record, resource: Resource) -> ReadableSpan:
    """Return the span of a call that has ended, and that holds no secret and nothing that no backend could read."""
    make, made_by = _sdk()
    _, name, trace_id, span_id, parent, attributes, failure, start_ns, end_ns = record
    return make(
        name,
        _context_of(trace_id, span_id, parent),
        parent,
        resource,
        attributes,
        (),
        (),
        SpanKind.CLIENT,
        None,
        _UNSET if failure is None else Status(StatusCode.ERROR, failure),
        start_ns,
        end_ns,
        made_by,
    )


@functools.cache
def _sdk() -> tuple[type[ReadableSpan], InstrumentationScope]:
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - on the export thread, see `signals.sdk`

    return ReadableSpan, scope()


class _ClientSpans:
    """What spans of calls have in common.

    Args:
        provider: obskit's own.
        ended: knows the resource.
        submit: takes the record of each span, and about how many bytes it keeps alive; must not block.
    """

    def __init__(self, provider: OwnTracerProvider, ended: EndedSpans, submit: Callable[[Record, int], None]) -> None:
        self.provider = provider
        self.ended = ended
        self.submit = submit
        self.lock = threading.RLock()
        self.takes_all = provider.policy.ratio >= 1.0 and not any(
            name.startswith("OTEL_") and name.endswith("_LIMIT") for name in os.environ
        )

    def promoted(self, span: ClientSpan) -> Any:
        """Return a running span of the SDK with the ids of this one."""
        made = self.provider.get_tracer("obskit", __version__)
        values, start_ns = span.own or {}, span._start_ns  # noqa: SLF001 - of this module
        return started_as(made, span, span._name, kind=SpanKind.CLIENT, attributes=values, start_ns=start_ns)  # noqa: SLF001


_spans: _ClientSpans | None = None


def begin(provider: OwnTracerProvider, ended: EndedSpans, submit: Callable[[Record, int], None]) -> None:
    """Make spans of calls for this provider from here on, see `_ClientSpans`."""
    global _spans
    _spans = _ClientSpans(provider, ended, submit)


def start(
    name: str,
    attributes: dict[str, Any],
    start_ns: int,
    around: Context,
    is_clean: bool = False,  # noqa: FBT001, FBT002 - a name costs more than all the rest of the call
) -> ClientSpan | SdkSpan:
    """Return the running span of a call.

    Args:
        name: of the span.
        attributes: of the span; not to be used by the caller any more.
        start_ns: when the call began, in nanoseconds since the epoch.
        around: the current context, where its parent is.
        is_clean: whether the attributes hold no secret, and nothing that no backend could read.
    """
    spans = _spans
    if spans is not None and spans.takes_all and spans.provider.is_plain and traces.is_used(spans.provider):
        outer: Any = around.get(_SPAN_KEY)
        parent = None if outer is None else outer.get_span_context()
        if parent is None or (parent.is_valid and not parent.is_remote and parent.trace_flags.sampled):
            span: ClientSpan = _bare(ClientSpan)  # its class's fields are properties here, and calling it takes long
            span._spans, span._name, span.own, span.is_clean = spans, name, attributes, is_clean  # noqa: SLF001
            span._start_ns, span._parent = start_ns, parent  # noqa: SLF001 - of this module
            span.trace_id = (random_bits(128) or 1) if parent is None else parent.trace_id
            span.span_id = random_bits(64) or 1
            return span
    return SdkSpan(traces.tracer().start_span(name, kind=SpanKind.CLIENT, attributes=attributes, start_time=start_ns))
