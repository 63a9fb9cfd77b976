"""A request's span: a few fields while the request runs, the SDK's own span as soon as somebody wants more of it.

Nothing of OpenTelemetry's SDK runs on the way of a request that nobody touches: its ids are text, its `SpanContext` is
made when somebody asks for it, its attributes are put together on the export thread. The first call that changes the
span replaces it, behind the same object, by a span of the SDK with the same ids, which then has every rule of the SDK.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from random import Random
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind

from obskit._version import __version__
from obskit.signals.ended import EndedSpans, Record, own_context, record_of, scope
from obskit.signals.incoming import parent_context
from obskit.signals.sampling import SHARE
from obskit.signals.serving import METHODS, start_attributes

if TYPE_CHECKING:
    from obskit.signals.context import RequestState
    from obskit.signals.incoming import Caller
    from obskit.signals.sampling import Keeper, Policy
    from obskit.signals.shown import Shown

__all__ = ["RequestSpan", "RequestSpans", "handed_ids", "random_bits"]

_EMPTY: Final = Context()
_BYTES: Final = 800  # a record with short texts: 770, measured with tracemalloc on CPython 3.11

# A generator of its own: an app that seeds the global one would get the same ids in every worker.
_random: Final = Random()  # noqa: S311 - an id, not a secret
random_bits: Final = _random.getrandbits
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)

_handed: Final[ContextVar[tuple[int, int] | None]] = ContextVar("obskit_handed_ids", default=None)


handed_ids: Final = _handed.get
"""Return the trace id and the span id that the next span of the SDK is to have, if any."""


class RequestSpan(trace.Span):
    """The server span of one request, as the OpenTelemetry API and the SDK's exporters know it.

    Args:
        spans: of the process.
        state: of the request.
        parent: the caller's span, None where there is none.
        protocol: the version of HTTP, or ``websocket``.
    """

    # Of most requests nobody sets these.
    _kind_of_error = ""
    _more: Mapping[str, Any] | None = None
    _is_ended = False
    _own: SpanContext | None = None
    _live: Any = None

    def __init__(self, spans: RequestSpans, state: RequestState, parent: Caller | None, protocol: str) -> None:
        # Not the SDK's: its fields are properties here.
        self._spans = spans
        self._state = state
        self._caller = parent
        self._protocol = protocol

    @property
    def __class__(self) -> type:
        """The SDK's class of spans that can be read, for those who ask whether it is one; who does has imported it."""
        sdk = sys.modules.get("opentelemetry.sdk.trace")
        return getattr(sdk, "ReadableSpan", RequestSpan)

    @__class__.setter
    def __class__(self, kind: type) -> None:
        raise TypeError(f"a request's span cannot become a {kind.__name__}")

    # ------------------------------------------------------------------ who it is

    def get_span_context(self) -> SpanContext:
        """Return the ids of this span."""
        own = self._own
        if own is None:
            state = self._state
            own = self._own = own_context(state.trace_id, state.span_id, self._caller, is_sampled=state.sampled)
        return own

    def _parent_context(self) -> SpanContext | None:
        return None if self._caller is None else parent_context(self._caller)

    def is_recording(self) -> bool:
        """Return whether the request runs on."""
        return not self._is_ended if self._live is None else self._live.is_recording()

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has changed it."""
        return self._live is None

    # ------------------------------------------------------------------ the SDK's span in its place

    def full(self) -> Any:
        """Return the SDK's span that has taken, or takes now, this one's place; what has ended is read-only."""
        if self._live is None:
            if self._is_ended:
                return self._spans.ended.built(self._record(), self.resource)
            with self._spans.lock:
                if self._live is None:
                    self._live = self._spans.promoted(self)
        return self._live

    def _changed(self) -> Any:
        return trace.INVALID_SPAN if self._live is None and self._is_ended else self.full()

    def set_attribute(self, key: str, value: Any) -> None:
        """As the SDK's."""
        self._changed().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """As the SDK's."""
        self._changed().set_attributes(attributes)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """As the SDK's."""
        self._changed().add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        """As the SDK's."""
        self._changed().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """As the SDK's; the route's name does not replace it."""
        self._changed().update_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        """As the SDK's."""
        self._changed().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002 - the API's
    ) -> None:
        """As the SDK's."""
        self._changed().record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """End it before the request ends."""
        self._changed().end(end_time)

    # ------------------------------------------------------------------ reading, as of a `ReadableSpan`

    context = property(get_span_context)
    parent = property(_parent_context)
    name = property(lambda self: self.full().name)
    kind = property(lambda _: SpanKind.SERVER)
    start_time = property(lambda self: self.full().start_time)
    end_time = property(lambda self: self.full().end_time)
    status = property(lambda self: self.full().status)
    attributes = property(lambda self: self.full().attributes)
    events = property(lambda self: self.full().events)
    links = property(lambda self: self.full().links)
    resource = property(lambda self: self._spans.ended.resource())
    instrumentation_scope = property(lambda _: scope())
    instrumentation_info = property(lambda self: self.full().instrumentation_info)
    dropped_attributes = property(lambda self: self.full().dropped_attributes)
    dropped_events = property(lambda self: self.full().dropped_events)
    dropped_links = property(lambda self: self.full().dropped_links)

    def to_json(self, indent: int | None = 4) -> str:
        """As the SDK's."""
        return str(self.full().to_json(indent))

    # ------------------------------------------------------------------ the end

    def finish(self, kind: str, more: Mapping[str, Any] | None) -> None:
        """End it with its request, and hand it to the pipeline if it is to be kept.

        Args:
            kind: `error.type`, empty on success.
            more: further attributes, of the user and the session.
        """
        self._is_ended = True
        if kind:
            self._kind_of_error = kind
        if more is not None:
            self._more = more
        state = self._state
        if not state.sampled:
            share = self._spans.keeper.share(state.route, state.elapsed_s, is_error=bool(kind) and state.status >= 500)
            if not share:
                return
            state.sampled, self._own = True, None
            self._more = {**(more or {}), SHARE: share}
        size_bytes = _BYTES + len(state.path) + len(state.query) + len(state.user_agent)
        if more is not None:
            size_bytes += sum(len(str(value)) for value in more.values())
        record = record_of(state, self._caller, kind, self._protocol, self._more)
        self._spans.submit(record, size_bytes)

    def _record(self) -> Record:
        return record_of(self._state, self._caller, self._kind_of_error, self._protocol, self._more)


class RequestSpans:
    """Makes the server spans of this process.

    Args:
        provider: obskit's own; its tracer makes the spans that take another one's place.
        ended: knows the spans that have ended.
        submit: takes the record of each span that is to be kept, and about how many bytes it keeps alive; must not
            block.
        sampler: decides which are exported.
        keeper: decides at the end which of the others are.
        shown: takes secrets out.
    """

    def __init__(
        self,
        provider: Any,
        ended: EndedSpans,
        submit: Callable[[Record, int], None],
        sampler: Policy,
        keeper: Keeper,
        shown: Shown,
    ) -> None:
        self.provider = provider
        self.ended = ended
        self.submit = submit
        self.sampler = sampler
        self.keeper = keeper
        self.lock = threading.RLock()
        self._shown = shown
        self._tracer: trace.Tracer | None = None

    def promoted(self, span: RequestSpan) -> Any:
        """Return a running span of the SDK with the ids of this one."""
        state, parent = span._state, span.parent  # noqa: SLF001 - of this module
        context = _EMPTY if parent is None else trace.set_span_in_context(trace.NonRecordingSpan(parent), _EMPTY)
        own = span.get_span_context()
        if self._tracer is None:
            self._tracer = self.provider.get_tracer("obskit", __version__)
        token = _handed.set((own.trace_id, own.span_id))
        try:
            return self._tracer.start_span(
                state.method if state.method in METHODS else "HTTP",
                context=context,
                kind=SpanKind.SERVER,
                attributes=start_attributes(state, span._protocol, self._shown),  # noqa: SLF001
                start_time=state.start_ns,
            )
        finally:
            _handed.reset(token)
