"""One request, one server span, one record of its duration, one log line, and a report of an unhandled error.

The same for every protocol: a protocol's file says when a request begins and how it ended.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from contextvars import Token
from time import perf_counter, time_ns
from typing import Any, Final, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanKind, Status, StatusCode

from obskit.config import Config
from obskit.signals import context, logs, loops
from obskit.signals.context import RequestState, bound_around, reset_request, set_request
from obskit.signals.durations import Durations
from obskit.signals.incoming import Caller, caller_of, parent_context
from obskit.signals.redaction import Redactor
from obskit.signals.reports import report_unhandled
from obskit.signals.requestlines import RequestLines
from obskit.signals.sampling import SHARE, Keeper
from obskit.signals.serving import METHODS, end_attributes, start_attributes
from obskit.signals.shown import Shown
from obskit.signals.spans import REQUEST_SPANS, RequestSpan, RequestSpans, random_bits
from obskit.signals.traces import SUPPRESSING, error_type, fail, tracer

__all__ = ["CURRENT", "ENDED_BY_CLIENT", "SPAN_KEY", "THICK_S", "Entered", "Observer", "attach", "get_current", "leave"]

_log = logging.getLogger("obskit")
_WHO: Final = (("user_id", "user.id"), ("session_id", "session.id"), ("user_tier", "user.tier"))
ENDED_BY_CLIENT: Final = 499
"""Status of a request whose client left before there was a response. Source: nginx, which made it a convention."""
_MOST_CHARS: Final = 512
_MOST_SERIES: Final = 5000
THICK_S: Final = 0.001
_EMPTY: Final = Context()
SPAN_KEY: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, _EMPTY)))
_runtime: Any = otel_context._RUNTIME_CONTEXT  # noqa: SLF001 - the public functions cost ten times what they do
CURRENT: Final[Any] = getattr(_runtime, "_current_context", _runtime)
get_current: Final = getattr(CURRENT, "get", _runtime.get_current)
reset: Final = getattr(CURRENT, "reset", _runtime.detach)
attach: Final = getattr(CURRENT, "set", _runtime.attach)

Entered = tuple[Token[RequestState | None], Token[Context]]
"""What must be undone when a request's code has run."""


def leave(entered: Entered) -> None:
    """Undo `Observer.begin` for the code that runs on in this context."""
    state, current = entered
    try:
        reset_request(state)
        reset(current)
    except ValueError:  # the running context is another one by now, see `context.leave`
        context.leave(current)


class Observer:
    """Observes the requests of all apps in this process.

    Args:
        config: the settings in force.
        redactor: knows what is secret.
        flush: delivers what waits; called when a server shuts down.
        durations: where each request's duration is recorded.
        keeper: decides at the end which unsampled requests are exported.
        spans: makes the server spans; None where the app's own provider does.
    """

    def __init__(
        self,
        config: Config,
        redactor: Redactor,
        flush: Callable[[], object],
        durations: Durations,
        keeper: Keeper,
        spans: RequestSpans | None,
    ) -> None:
        self.flush = flush
        self.excluded = _any_of(config.excluded_urls)
        self.is_native = config.native
        self._shown = Shown(redactor)
        self.lines = RequestLines(config, redactor) if config.access_log else None
        self._durations = durations
        self._keeper = keeper
        self.spans = spans
        self._provider: Any = spans.provider if spans is not None else None
        self.takes_all = config.sample_ratio >= 1.0 and not config.trust_incoming_sampling
        self._trusts_incoming = config.trust_incoming_sampling
        self.series: dict[tuple[str, str, int, str, str], Any] = {}
        self._has_failed = False
        self._last_ended = 0.0

    def is_excluded(self, path: str) -> bool:
        """Return whether requests to that path are not to be recorded at all."""
        return self.excluded is not None and self.excluded.search(path) is not None

    # ------------------------------------------------------------------ begin

    def begin(
        self,
        state: RequestState,
        traceparent: str = "",
        tracestate: str = "",
        cloud_trace: str = "",
        protocol: str = "",
        is_left_to_others: bool = False,  # noqa: FBT001, FBT002 - by place, on the way of every request
    ) -> Entered | None:
        """Begin a request: its span is current from here on. Returns None where that failed; the app goes on.

        Args:
            state: what the protocol knows of the request.
            traceparent: the header, empty when absent.
            tracestate: the header, empty when absent.
            cloud_trace: the header `X-Cloud-Trace-Context`, empty when absent.
            protocol: the version of HTTP, e.g. ``1.1``, or ``websocket``.
            is_left_to_others: whether another instrumentation makes the server span.
        """
        try:
            state.start_ns, state.begun = time_ns(), perf_counter()
            if len(state.user_agent) > _MOST_CHARS:
                state.user_agent = state.user_agent[:_MOST_CHARS]
            around = get_current()
            if around and any(around.get(key) for key in SUPPRESSING):
                return None
            if is_left_to_others:
                self.adopt(state)
                return set_request(state), attach(around)
            caller = caller_of(traceparent, tracestate, cloud_trace) if traceparent or cloud_trace else None
            outer = _outer(around) if around else None
            if self.spans is None or not self._provider.is_plain or outer is not None:
                span: trace.Span = self._sdk_span(state, caller, protocol, outer)
            else:
                state.span_id = (random_bits(64) or 1).to_bytes(8, "big").hex()  # half of what a format costs
                state.trace_id = (random_bits(128) or 1).to_bytes(16, "big").hex() if caller is None else caller[0]
                state.sampled = self.takes_all or self._is_taken(state, caller)
                span = RequestSpan(self.spans, state, caller, protocol)
            state.span = span
            entered = Context(around) if around else Context()
            dict.__setitem__(entered, SPAN_KEY, span)
            return set_request(state), attach(entered)
        except Exception as error:  # noqa: BLE001 - the app must be served whatever goes wrong here
            self._failed("begin", error)
            return None

    def _is_taken(self, state: RequestState, caller: Caller | None) -> bool:
        if caller is not None and self._trusts_incoming:
            return caller[2]
        return self.spans is not None and self.spans.sampler.takes(int(state.trace_id, 16))

    def _sdk_span(
        self, state: RequestState, caller: Caller | None, protocol: str, outer: trace.Span | None
    ) -> trace.Span:
        parent = NonRecordingSpan(parent_context(caller)) if outer is None and caller is not None else outer
        # Where the app around this one has a server span, this is not another one.
        is_inside = getattr(outer, "kind", None) is SpanKind.SERVER
        span = tracer().start_span(
            state.method if state.method in METHODS else "HTTP",
            context=_EMPTY if parent is None else trace.set_span_in_context(parent, _EMPTY),
            kind=SpanKind.INTERNAL if is_inside else SpanKind.SERVER,
            attributes=start_attributes(state, protocol, self._shown),
            start_time=state.start_ns,
        )
        self._note(state, span.get_span_context())
        return span

    @staticmethod
    def _note(state: RequestState, span: trace.SpanContext) -> None:
        if span.is_valid:
            state.trace_id, state.span_id = f"{span.trace_id:032x}", f"{span.span_id:016x}"
            state.sampled = span.trace_flags.sampled

    def adopt(self, state: RequestState) -> None:
        """Take the ids of the span that another instrumentation has made current, if there is one by now."""
        if not state.trace_id:
            self._note(state, trace.get_current_span().get_span_context())

    # ------------------------------------------------------------------ end

    def body_sent(self, state: RequestState) -> None:
        """Note that the response is complete; a server error waits for `finish`, which may know the exception."""
        if state.elapsed_s < 0:
            state.elapsed_s = perf_counter() - state.begun
            if state.status < 500:
                self.finish(state)

    def finish(self, state: RequestState, error: BaseException | None = None) -> None:
        """End the request: span, duration, log line, report. The second call only reports an error that came late.

        Args:
            state: of the request.
            error: the exception that left the app, if one did.
        """
        try:
            if error is not None and self._is_failure(state, error):
                state.error = error
            if not state.is_finished:
                state.is_finished = True
                self._end(state)
            if state.error is not None and not state.is_error_reported:
                report_unhandled(state.error, state)
        except Exception as problem:  # noqa: BLE001 - the app's response must go out whatever goes wrong here
            self._failed("end", problem)
        finally:
            state.release()

    @staticmethod
    def _is_failure(state: RequestState, error: BaseException) -> bool:
        if loops.is_cancelled(error):
            state.is_disconnected = True
            return False
        if isinstance(error, GeneratorExit):
            return False
        has_left = type(error).__name__ in {"ClientDisconnect", "ClientDisconnected", "WebSocketDisconnect"}
        if has_left or (state.is_disconnected and isinstance(error, OSError)):
            state.is_disconnected = True
            return False
        return True

    def _end(self, state: RequestState) -> None:
        is_complete = state.elapsed_s >= 0
        if not is_complete:
            state.elapsed_s = perf_counter() - state.begun
            is_complete = state.method == "HEAD" and state.status > 0
        is_websocket = state.scheme in {"ws", "wss"}
        if state.error is None and not state.is_disconnected and is_complete and 0 < state.status < 500:
            kind = ""
        else:
            kind = self._kind(state, is_complete=is_complete or is_websocket)
        method, route, status = state.method, state._route or state.route, state.status  # noqa: SLF001 - saves a call
        series = self.series.get((method, route, status, kind, state.scheme))
        if series is None:
            series = self._new_series(state, kind)
        if not is_websocket:
            series.cell.record(state)
        around = context.bound_to(state) if state.bound else bound_around()
        span: Any = state.span
        if type(span) in REQUEST_SPANS and span._live is None and state.error is None:  # noqa: SLF001 - nobody touched it
            span.finish(kind, _who(around) if around else None)
        elif span is not None:
            try:
                self._end_span(span, state, kind, around)
            finally:  # a server that ends at once raises SystemExit in the middle of anything
                span.end(state.start_ns + int(state.elapsed_s * 1e9))
        if self.lines is None:
            return
        line = self.lines.line(state, kind, around, series.head, series.http)
        # A write costs what a tenth of the request does, and half of it where it wakes a reader. Lines that come thick
        # and fast share it; a request by itself is not answered before its line is out.
        ended, self._last_ended = self._last_ended, state.begun + state.elapsed_s
        if self._last_ended - ended < THICK_S and (loop := loops.running_loop()) is not None:
            logs.OUTPUT.gather(line, loop, self._last_ended)
        else:
            logs.OUTPUT.write(line)

    @staticmethod
    def _kind(state: RequestState, *, is_complete: bool) -> str:
        """Return `error.type`, empty on success, and give a request that has no status one."""
        kind = ""
        if state.error is not None:
            kind = error_type(state.error)
            state.status = state.status or 500
        elif state.is_disconnected:
            kind = "client_disconnected"
            state.status = state.status or ENDED_BY_CLIENT
            for tell in state.on_leaving or ():
                tell()
        elif not is_complete or not state.status:
            kind = "incomplete_response"
            state.status = state.status or 500
        elif state.status >= 500:
            kind = str(state.status)
        return kind

    def _new_series(self, state: RequestState, kind: str) -> _Series:
        labels: dict[str, str | int | bool] = {
            "http.request.method": state.method if state.method in METHODS else "_OTHER",
            "url.scheme": state.scheme,
            "http.response.status_code": state.status,
        }
        if state.route:
            labels["http.route"] = state.route
        if kind:
            labels["error.type"] = kind
        head, http = self.lines.parts(state, kind) if self.lines is not None else ("", "")
        series = _Series(self._durations.cell(labels), head, http)
        if len(self.series) < _MOST_SERIES and state.method in METHODS:
            self.series[state.method, state.route, state.status, kind, state.scheme] = series
        return series

    def _end_span(self, span: trace.Span, state: RequestState, kind: str, around: Mapping[str, object]) -> None:
        if span.is_recording():
            attributes: dict[str, Any] = (_who(around) if around else None) or {}
            name = end_attributes(state, kind, attributes)
            failed = state.status >= 500
            if not state.sampled and (share := self._keeper.share(state.route, state.elapsed_s, is_error=failed)):
                attributes[SHARE], state.sampled = share, True
            if getattr(span, "name", "HTTP") in {"HTTP", state.method}:  # else the app has given it another one
                span.update_name(name)
            span.set_attributes(attributes)
            if state.error is not None:
                fail(span, state.error)
            elif failed:
                span.set_status(Status(StatusCode.ERROR))

    def _failed(self, where: str, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            _log.warning("obskit could not %s the record of a request: %s: %s", where, type(error).__name__, error)


class _Series(NamedTuple):
    """What all requests of one route, method and outcome share."""

    cell: Any
    head: str
    http: str


def _outer(around: Context) -> trace.Span | None:
    """Return the span that the app runs in, if it is one of this process that has not ended."""
    span = around.get(SPAN_KEY)
    return span if isinstance(span, trace.Span) and span.is_recording() else None


def _who(around: Mapping[str, object]) -> dict[str, Any] | None:
    found = {}
    for key, name in _WHO:
        if (value := around.get(key)) is not None:
            found[name] = str(logs.safe(key, value))
    return found or None


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    usable = []
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            _log.warning("excluded_urls: %r is not a regular expression (%s) and was left out", pattern, error)
        else:
            usable.append(f"(?:{pattern})")
    return re.compile("|".join(usable)) if usable else None
