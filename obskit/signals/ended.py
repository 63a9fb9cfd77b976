"""The span of a request that has ended: a tuple of plain values while it waits, a `ReadableSpan` while it is exported.

What waits is what the garbage collector has to look at again and again while requests are served. A tuple of texts and
numbers it lets alone after the first look; the span, with its parts, is made when an exporter comes to it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from obskit._version import __version__
from obskit.signals.context import RequestState
from obskit.signals.incoming import parent_context, span_context
from obskit.signals.native import MODULE
from obskit.signals.sampling import SHARE
from obskit.signals.serving import end_attributes, start_attributes
from obskit.signals.shown import Shown, is_plain_path

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from obskit.signals.incoming import Caller

__all__ = [
    "KIND",
    "NO_STATES",
    "OF_KIND",
    "OWN",
    "RECORD",
    "RECORDS",
    "STATES",
    "EndedSpans",
    "Record",
    "new_context",
    "own_context",
    "record_of",
    "scope",
]

Record = Sequence[Any]
"""What is kept of a request's span, see `record_of`; or of a call's, which begins with what makes the span of it."""

RECORD: Final[Any] = tuple if MODULE is None else MODULE.Record
"""The compiled module's type of a request's record: it reads as a tuple does, and takes a fifth of the memory."""
RECORDS: Final = frozenset({tuple, RECORD})
"""The types that a record may have."""
STATES: Final = 5
"""Where a record has the caller's tracestate; its last place is for further attributes."""
OF_KIND: Final = slice(8, 15)
"""What all requests of one kind have alike: the argument of `EndedSpans.common`."""
OWN: Final = slice(15, 19)
"""What each request has of its own: the arguments of `EndedSpans.add_own`."""

_MOST_KNOWN: Final = 2000
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_RANDOM: Final = int(getattr(TraceFlags, "RANDOM_TRACE_ID", 0))
_SAMPLED_ROOT: Final = TraceFlags(TraceFlags.SAMPLED | _RANDOM)
_UNSAMPLED_ROOT: Final = TraceFlags(_RANDOM)
KIND: Final = SpanKind.SERVER
NO_STATES: Final = SpanContext(1, 1, is_remote=False).trace_state
_FAILED: Final = Status(StatusCode.ERROR)
_UNSET: Final = Status(StatusCode.UNSET)


@functools.cache
def scope() -> InstrumentationScope:
    """Return who makes the spans; OpenTelemetry's SDK is imported by now, or is here."""
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415 - see `signals.sdk`

    return InstrumentationScope("obskit", __version__)


def _checked(kind: type[SpanContext], values: tuple[Any, ...]) -> SpanContext:
    return kind(*values[:5])


# A context is a tuple whose constructor checks the ids, which have been checked by now; unless a later version is not.
_LIKE: Final = (1, 2, True, _SAMPLED, NO_STATES, True)
new_context: Final = tuple.__new__ if tuple(_checked(SpanContext, _LIKE)) == _LIKE else _checked


_OF_A_SAMPLE: Final = ("GET", "/a", 200, "", "http", "a", "1.1", "/a", "", "", "a", None)
_SAMPLES: Final = (
    ("1" * 32, "2" * 16, True, "", False, "", 1, 1.0, *_OF_A_SAMPLE),
    ("3" * 32, "4" * 16, False, "5" * 16, True, "", 2, 2.0, *_OF_A_SAMPLE),
)
"""Of which the compiled module must make what Python makes."""


def record_of(
    state: RequestState, caller: Caller | None, kind: str, protocol: str, more: Mapping[str, Any] | None
) -> Record:
    """Return what is kept of the span of a request that has ended.

    Args:
        state: of the request.
        caller: the span that it was sent from.
        kind: `error.type`, empty on success.
        protocol: the version of HTTP, or ``websocket``.
        more: further attributes.
    """
    parent_id, is_parent_sampled, states = "", False, ""
    if caller is not None:
        _, parent_id, is_parent_sampled, states = caller
    return (  # no object of its own for the caller, see above
        state.trace_id,
        state.span_id,
        state.sampled,
        parent_id,
        is_parent_sampled,
        states,
        state.start_ns,
        state.elapsed_s,
        state.method,
        state.route,
        state.status,
        kind,
        state.scheme,
        state.host,
        protocol,
        state.path,
        state.query,
        state.remote_ip,
        state.user_agent,
        more,
    )


def own_context(trace_id: str, span_id: str, caller: Caller | None, *, is_sampled: bool) -> SpanContext:
    """Return the context of a server span.

    Args:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        caller: the span that the request was sent from.
        is_sampled: whether it is exported.
    """
    if caller is None:
        flags = _SAMPLED_ROOT if is_sampled else _UNSAMPLED_ROOT
        return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)
    return span_context(caller, span_id, is_sampled=is_sampled, is_remote=False)


class EndedSpans:
    """Knows what the records leave out.

    Args:
        resource: returns the resource of this process.
        ratio: share of the requests that are sampled.
        shown: takes secrets out.
        is_native: whether the compiled module may make spans.
    """

    def __init__(
        self, resource: Callable[[], Resource], ratio: float, shown: Shown, *, is_native: bool = False
    ) -> None:
        self.resource = resource
        self._ratio = ratio
        self._shown = shown
        self._known: dict[Record, tuple[str, dict[str, Any], Status]] = {}
        self._make: type[ReadableSpan] | None = None
        self._scope: InstrumentationScope | None = None
        self._can_compile = is_native and MODULE is not None
        self._quick: Callable[[Record, Resource], ReadableSpan] | None = None

    def maker(self) -> Callable[[Record, Resource], ReadableSpan]:
        """Return what makes spans as `built` does, compiled where it can be."""
        if self._can_compile:
            self._can_compile = False  # asked once
            self._quick = self._compiled()
        return self._quick or self.built

    def _compiled(self) -> Callable[[Record, Resource], ReadableSpan] | None:
        """Return the compiled `built`, None where this SDK's spans are not a few fields in a dict."""
        make, marks = self._make or self._load(), [object() for _ in range(5)]
        own, parent, attributes, start, end = cast("list[Any]", marks)
        resource = self.resource()
        is_plain = make.__new__ is object.__new__ and new_context is tuple.__new__
        if MODULE is None or not is_plain or any("__slots__" in vars(each) for each in make.__mro__):
            return None
        try:
            like = make("", own, parent, resource, attributes, (), (), KIND, None, _UNSET, start, end, self._scope)
            found = [[name for name, value in vars(like).items() if value is mark] for mark in marks]
            if type(like) is not make or any(len(names) != 1 for names in found):
                return None
            builder = MODULE.Builder(
                slow=self.built,
                alike=self._alike,
                add_own=self.add_own,
                shown_agent=self._shown.agent,
                span_type=make,
                context_type=SpanContext,
                names=tuple(names[0] for names in found),
                flags=(_SAMPLED, _UNSAMPLED, _SAMPLED_ROOT, _UNSAMPLED_ROOT),
                no_states=NO_STATES,
            )
            for record in _SAMPLES:
                made, fields = builder.built(record, resource), vars(self.built(record, resource))
                if vars(made) != fields or any(getattr(made, name) != value for name, value in fields.items()):
                    return None  # its constructor does more than keep what it is given
        except Exception:  # noqa: BLE001 - nothing is lost: spans are made in Python, and what is wrong shows there
            return None
        return cast("Callable[[Record, Resource], ReadableSpan]", builder.built)

    def _alike(self, key: Record, resource: Resource) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what spans of one kind have alike, see `common`: their attributes, and their fields."""
        name, attributes, status = self.common(key)
        make = self._make or self._load()
        span = make(name, None, None, resource, None, (), (), KIND, None, status, 0, 0, self._scope)
        return attributes, dict(vars(span))

    def _load(self) -> type[ReadableSpan]:
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - takes long, and a request must not wait

        self._make, self._scope = ReadableSpan, scope()
        return ReadableSpan

    def built(self, record: Record, resource: Resource) -> ReadableSpan:
        """Return the span.

        Args:
            record: of the span.
            resource: of this process.
        """
        if record[0].__class__ is not str:  # of a call that the app made, see `signals.clientspans`
            made: ReadableSpan = record[0](record, resource)
            return made
        trace_id, span_id, is_sampled, parent_id, is_parent_sampled, states, start_ns, elapsed_s = record[:8]
        method, route, http_status, kind, scheme, host, protocol, path, query, remote_ip, agent, more = record[8:]
        key = (method, route, http_status, kind, scheme, host, protocol)
        name, common, status = self._known.get(key) or self.common(key)
        parent = None
        if parent_id and not states:  # as most are
            trace = int(trace_id, 16)
            flags = _SAMPLED if is_sampled else _UNSAMPLED
            own = new_context(SpanContext, (trace, int(span_id, 16), False, flags, NO_STATES, True))
            flags = _SAMPLED if is_parent_sampled else _UNSAMPLED
            parent = new_context(SpanContext, (trace, int(parent_id, 16), True, flags, NO_STATES, True))
        else:
            caller = (trace_id, parent_id, is_parent_sampled, states) if parent_id else None
            own = own_context(trace_id, span_id, caller, is_sampled=is_sampled)
            if caller is not None:
                parent = parent_context(caller)
        attributes = common.copy()
        self.add_own(attributes, path, query, remote_ip, agent)
        if more is not None:
            attributes.update(more)
        make = self._make or self._load()
        return make(
            name,
            own,
            parent,
            resource,
            attributes,
            (),
            (),
            KIND,
            None,
            status,
            start_ns,
            start_ns + int(elapsed_s * 1e9),
            self._scope,
        )

    def add_own(self, attributes: dict[str, Any], path: str, query: str, remote_ip: str, agent: str) -> None:
        """Add the attributes that differ between requests of one kind, without their secrets.

        Args:
            attributes: to add to.
            path: of the record.
            query: of the record.
            remote_ip: of the record.
            agent: of the record.
        """
        attributes["url.path"] = path if is_plain_path(path) is not None else self._shown.path(path.partition("?")[0])
        if query:
            attributes["url.query"] = self._shown.query(query)
        if remote_ip:
            attributes["client.address"] = remote_ip
        if agent:
            attributes["user_agent.original"] = self._shown.agent(agent)

    def common(self, key: Record) -> tuple[str, dict[str, Any], Status]:
        """Return what is the same for all requests of one kind: the name, attributes and the status.

        Args:
            key: the method, route, status, error, scheme, host and protocol, as in a record.
        """
        if (known := self._known.get(key)) is not None:
            return known
        method, route, status, kind, scheme, host, protocol = key
        state = RequestState(method, "", "", scheme)
        state.route, state.status, state.host = route, status, host
        attributes = start_attributes(state, protocol, self._shown)
        name = end_attributes(state, kind, attributes)
        del attributes["url.path"]  # each has its own
        if self._ratio < 1.0:
            attributes[SHARE] = self._ratio
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        known = self._known[key] = name, attributes, _FAILED if status >= 500 else _UNSET
        return known
