"""The span of a request that has ended: a tuple of plain values while it waits, a `ReadableSpan` when it is exported.

What waits is what the garbage collector has to look at again and again while requests are served. A tuple of texts and
numbers it lets alone after the first look, and a span that makes its parts when they are asked for is one object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from obskit._version import __version__
from obskit.signals.context import RequestState
from obskit.signals.incoming import parent_context, span_context
from obskit.signals.sampling import SHARE
from obskit.signals.serving import end_attributes, start_attributes
from obskit.signals.shown import Shown, is_plain_path

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from obskit.signals.incoming import Caller

__all__ = ["SCOPE", "EndedSpan", "EndedSpans", "Record", "own_context", "record_of"]

Record = tuple[Any, ...]
"""What is kept of a span: see `record_of`."""

SCOPE: Final = InstrumentationScope("obskit", __version__)
_MOST_KNOWN: Final = 2000
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_RANDOM: Final = int(getattr(TraceFlags, "RANDOM_TRACE_ID", 0))
_SAMPLED_ROOT: Final = TraceFlags(TraceFlags.SAMPLED | _RANDOM)
_UNSAMPLED_ROOT: Final = TraceFlags(_RANDOM)
_FAILED: Final = Status(StatusCode.ERROR)
_UNSET: Final = Status(StatusCode.UNSET)


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


class EndedSpan(ReadableSpan):
    """The server span of a request that has ended.

    Args:
        spans: of the process.
        record: from `record_of`.
    """

    _kind = SpanKind.SERVER
    _attributes = None  # what the SDK asks for dropped ones
    _events = ()
    _links = ()
    _instrumentation_info = None
    _instrumentation_scope = SCOPE

    def __init__(self, spans: EndedSpans, record: Record) -> None:
        # Not the SDK's, whose fields are made here when they are asked for.
        self._spans = spans
        self._record = record
        self._name, self._common = spans.common(record)

    def get_span_context(self) -> SpanContext:
        """Return the ids of this span."""
        trace_id, span_id, is_sampled, parent_id, _, states = self._record[:6]
        if parent_id and not states:  # as most are
            return SpanContext(int(trace_id, 16), int(span_id, 16), False, _SAMPLED if is_sampled else _UNSAMPLED)
        caller = (trace_id, parent_id, False, states) if parent_id else None
        return own_context(trace_id, span_id, caller, is_sampled=is_sampled)

    def _caller_context(self) -> SpanContext | None:
        trace_id, _, _, parent_id, is_sampled, states = self._record[:6]
        if not parent_id:
            return None
        if states:
            return parent_context((trace_id, parent_id, is_sampled, states))
        return SpanContext(int(trace_id, 16), int(parent_id, 16), True, _SAMPLED if is_sampled else _UNSAMPLED)

    def _ended_at(self) -> int:
        start_ns, elapsed_s = self._record[6:8]
        return int(start_ns + int(elapsed_s * 1e9))

    def _all_attributes(self) -> dict[str, Any]:
        return self._spans.attributes(self._record, self._common)

    context = property(get_span_context)
    parent = property(_caller_context)
    start_time = property(lambda self: self._record[6])
    end_time = property(_ended_at)
    status = property(lambda self: _FAILED if self._record[10] >= 500 else _UNSET)
    attributes = property(_all_attributes)
    resource = property(lambda self: self._spans.resource())

    def to_json(self, indent: int | None = 4) -> str:
        """As the SDK's."""
        whole = ReadableSpan(
            self.name,
            self.context,
            self.parent,
            self.resource,
            self.attributes,
            kind=SpanKind.SERVER,
            status=self.status,
            start_time=self.start_time,
            end_time=self.end_time,
            instrumentation_scope=SCOPE,
        )
        return str(whole.to_json(indent))


class EndedSpans:
    """Knows what the records leave out.

    Args:
        resource: returns the resource of this process.
        ratio: share of the requests that are sampled.
        shown: takes secrets out.
    """

    def __init__(self, resource: Callable[[], Resource], ratio: float, shown: Shown) -> None:
        self.resource = resource
        self._ratio = ratio
        self._shown = shown
        self._known: dict[Record, tuple[str, dict[str, Any]]] = {}

    def common(self, record: Record) -> tuple[str, dict[str, Any]]:
        """Return the name, and the attributes that are the same for all requests of that kind."""
        key = record[8:15]
        known = self._known.get(key)
        return self._learn(key) if known is None else known

    def attributes(self, record: Record, common: dict[str, Any]) -> dict[str, Any]:
        """Return all attributes.

        Args:
            record: of the span.
            common: those that are the same for all requests of that kind.
        """
        path, query, remote_ip, agent, more = record[15:]
        attributes = common.copy()
        attributes["url.path"] = path if is_plain_path(path) is not None else self._shown.path(path.partition("?")[0])
        if query:
            attributes["url.query"] = self._shown.query(query)
        if remote_ip:
            attributes["client.address"] = remote_ip
        if agent:
            attributes["user_agent.original"] = self._shown.agent(agent)
        if self._ratio < 1.0:
            attributes[SHARE] = self._ratio
        if more is not None:
            attributes.update(more)
        return attributes

    def _learn(self, key: Record) -> tuple[str, dict[str, Any]]:
        method, route, status, kind, scheme, host, protocol = key
        state = RequestState(method, "", "", scheme)
        state.route, state.status, state.host = route, status, host
        attributes = start_attributes(state, protocol, self._shown)
        name = end_attributes(state, kind, attributes)
        del attributes["url.path"]
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[key] = name, attributes
        return name, attributes
