"""A request's span: a few fields while the request runs, the SDK's own span as soon as somebody wants more of it.

Nothing of OpenTelemetry's SDK runs on the way of a request that nobody touches: its ids are text, its `SpanContext` is
made when somebody asks for it, its attributes are put together on the export thread. The first call that changes the
span replaces it, behind the same object, by a span of the SDK with the same ids, which then has every rule of the SDK.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind

from obskit._version import __version__
from obskit.signals.ended import EndedSpans, Record, own_context, record_of
from obskit.signals.incoming import parent_context
from obskit.signals.light import LightSpan, handed_ids, started_as
from obskit.signals.native import MODULE
from obskit.signals.sampling import SHARE
from obskit.signals.serving import METHODS, start_attributes

if TYPE_CHECKING:
    from obskit.signals.context import RequestState
    from obskit.signals.incoming import Caller
    from obskit.signals.sampling import Keeper, Policy
    from obskit.signals.shown import Shown

__all__ = ["REQUEST_SPANS", "NativeSpan", "RequestSpan", "RequestSpans", "handed_ids", "random_bits"]

_BYTES: Final = 800  # a record with short texts: 770, measured with tracemalloc on CPython 3.11

# A generator of its own: an app that seeds the global one would get the same ids in every worker.
_random: Final = Random()  # noqa: S311 - an id, not a secret
random_bits: Final = _random.getrandbits
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


class RequestSpan(LightSpan):
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
    _own: SpanContext | None = None

    def __init__(self, spans: RequestSpans, state: RequestState, parent: Caller | None, protocol: str) -> None:
        # Not the SDK's: its fields are properties here.
        self._spans = spans
        self._state = state
        self._caller = parent
        self._protocol = protocol

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

    kind = property(lambda _: SpanKind.SERVER)
    resource = property(lambda self: self._spans.ended.resource())

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


# What reads the span most is in the compiled module's fields, the rest of it in Python's.
NativeSpan: Final = None if MODULE is None else type("NativeSpan", (MODULE.Span, RequestSpan), {})
"""The span of a request that the compiled module serves; None without it."""
REQUEST_SPANS: Final = frozenset({RequestSpan, NativeSpan})


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
        state = span._state  # noqa: SLF001 - of this module
        if self._tracer is None:
            self._tracer = self.provider.get_tracer("obskit", __version__)
        return started_as(
            self._tracer,
            span,
            state.method if state.method in METHODS else "HTTP",
            kind=SpanKind.SERVER,
            attributes=start_attributes(state, span._protocol, self._shown),  # noqa: SLF001
            start_ns=state.start_ns,
        )
