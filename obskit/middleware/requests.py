"""One request, one server span, one record of its duration, one log line, and a report of an unhandled error.

The same for every protocol: a protocol's file says when a request begins and how it ended.
"""

from __future__ import annotations

import logging
import re
import time
from asyncio import CancelledError
from collections.abc import Callable
from contextvars import Token
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from obskit import catalog
from obskit.config import Config
from obskit.signals import context, logs
from obskit.signals.context import RequestState
from obskit.signals.incoming import parent_of
from obskit.signals.metrics import record
from obskit.signals.redaction import Redactor
from obskit.signals.reports import report_unhandled
from obskit.signals.requestlines import RequestLines
from obskit.signals.traces import error_type, fail, tracer

if TYPE_CHECKING:
    from opentelemetry.context import Context

__all__ = ["ENDED_BY_CLIENT", "Entered", "Observer"]

_log = logging.getLogger("obskit")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_WHO: Final = (("user_id", "user.id"), ("session_id", "session.id"), ("user_tier", "user.tier"))
ENDED_BY_CLIENT: Final = 499
"""Status of a request whose client left before there was a response. Source: nginx, which made it a convention."""
_MOST_CHARS: Final = 512
_MOST_URL_CHARS: Final = 2048
_EMPTY: Final = otel_context.Context()


class Entered(NamedTuple):
    """What must be undone when a request's code has run."""

    request: Token[RequestState | None]
    trace: Token[Context]


class Observer:
    """Observes the requests of all apps in this process.

    Args:
        config: the settings in force.
        redactor: knows what is secret.
        flush: delivers what waits; called when a server shuts down.
    """

    def __init__(self, config: Config, redactor: Redactor, flush: Callable[[], object]) -> None:
        self.flush = flush
        self._redactor = redactor
        self._lines = RequestLines(config, redactor) if config.access_log else None
        self._excluded = _any_of(config.excluded_urls)
        self._has_failed = False

    def is_excluded(self, path: str) -> bool:
        """Return whether requests to that path are not to be recorded at all."""
        return self._excluded is not None and self._excluded.search(path) is not None

    # ------------------------------------------------------------------ begin

    def begin(
        self,
        state: RequestState,
        *,
        traceparent: str = "",
        tracestate: str = "",
        cloud_trace: str = "",
        protocol: str = "",
        is_left_to_others: bool = False,
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
            state.start_ns, state.begun = time.time_ns(), time.perf_counter()
            state.user_agent = state.user_agent[:_MOST_CHARS]
            around = otel_context.get_current()
            if is_left_to_others:
                self.adopt(state)
                return Entered(context.enter(state), otel_context.attach(around))
            parent = parent_of(traceparent, tracestate, cloud_trace)
            span = tracer().start_span(
                state.method if state.method in _METHODS else "HTTP",
                context=_EMPTY if parent is None else trace.set_span_in_context(parent, _EMPTY),
                kind=SpanKind.SERVER,
                attributes=self._attributes(state, protocol),
                start_time=state.start_ns,
            )
            state.span = span
            self._note(state, span.get_span_context())
            return Entered(context.enter(state), otel_context.attach(trace.set_span_in_context(span, around)))
        except Exception as error:  # noqa: BLE001 - the app must be served whatever goes wrong here
            self._failed("begin", error)
            return None

    @staticmethod
    def _note(state: RequestState, span: trace.SpanContext) -> None:
        if span.is_valid:
            state.trace_id, state.span_id = f"{span.trace_id:032x}", f"{span.span_id:016x}"
            state.sampled = span.trace_flags.sampled

    def adopt(self, state: RequestState) -> None:
        """Take the ids of the span that another instrumentation has made current, if there is one by now."""
        if not state.trace_id:
            self._note(state, trace.get_current_span().get_span_context())

    def _attributes(self, state: RequestState, protocol: str) -> dict[str, Any]:
        method = state.method
        attributes: dict[str, Any] = {
            "http.request.method": method if method in _METHODS else "_OTHER",
            "url.scheme": state.scheme,
            "url.path": self._redactor.url(state.path.partition("?")[0])[:_MOST_URL_CHARS],
        }
        if state.query:
            attributes["url.query"] = self._redactor.query(state.query)[:_MOST_URL_CHARS]
        if state.host:
            name, colon, port = state.host.rpartition(":")
            has_port = bool(colon) and port.isdigit()
            attributes["server.address"] = (name if has_port else state.host)[:_MOST_CHARS]
            if has_port:
                attributes["server.port"] = int(port[:5])
        if state.remote_ip:
            attributes["client.address"] = state.remote_ip
        if state.user_agent:
            attributes["user_agent.original"] = self._redactor.text(state.user_agent)
        if protocol == "websocket":
            attributes["network.protocol.name"] = protocol
        elif protocol:
            attributes["network.protocol.version"] = protocol
        if method not in _METHODS:
            attributes["http.request.method_original"] = method[:64]
        return attributes

    def leave(self, entered: Entered) -> None:
        """Undo `begin` for the code that runs on in this context."""
        context.leave(entered.request)
        context.leave(entered.trace)

    # ------------------------------------------------------------------ end

    def body_sent(self, state: RequestState) -> None:
        """Note that the response is complete; a server error waits for `finish`, which may know the exception."""
        if state.elapsed_s < 0:
            state.elapsed_s = time.perf_counter() - state.begun
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
                state.is_error_reported = True
                report_unhandled(state.error, state)
        except Exception as problem:  # noqa: BLE001 - the app's response must go out whatever goes wrong here
            self._failed("end", problem)
        finally:
            state.release()

    @staticmethod
    def _is_failure(state: RequestState, error: BaseException) -> bool:
        if isinstance(error, CancelledError):
            state.is_disconnected = True
        if isinstance(error, CancelledError | GeneratorExit):
            return False
        has_left = type(error).__name__ in {"ClientDisconnect", "ClientDisconnected", "WebSocketDisconnect"}
        if has_left or (state.is_disconnected and isinstance(error, OSError)):
            state.is_disconnected = True
            return False
        return True

    def _end(self, state: RequestState) -> None:
        is_websocket = state.scheme in {"ws", "wss"}
        is_complete = state.status != 0 and (is_websocket or state.elapsed_s >= 0)
        elapsed_s = state.elapsed_s if state.elapsed_s >= 0 else time.perf_counter() - state.begun
        state.elapsed_s = elapsed_s
        kind = ""
        if state.error is not None:
            kind = error_type(state.error)
            state.status = state.status or 500
        elif state.is_disconnected:
            kind = "client_disconnected"
            state.status = state.status or ENDED_BY_CLIENT
        elif not is_complete:
            kind = "incomplete_response"
            state.status = state.status or 500
        elif state.status >= 500:
            kind = str(state.status)
        if not is_websocket:
            self._record(state, elapsed_s, kind)
        if state.span is not None:
            self._end_span(state.span, state, elapsed_s, kind)
        if self._lines is not None:
            logs.OUTPUT.write(self._lines.line(state, kind))

    @staticmethod
    def _record(state: RequestState, elapsed_s: float, kind: str) -> None:
        labels: dict[str, str | int | bool] = {
            "http.request.method": state.method if state.method in _METHODS else "_OTHER",
            "url.scheme": state.scheme,
            "http.response.status_code": state.status,
        }
        if route := state.route:
            labels["http.route"] = route
        if kind:
            labels["error.type"] = kind
        record(catalog.HTTP_SERVER_DURATION, elapsed_s, labels)

    def _end_span(self, span: trace.Span, state: RequestState, elapsed_s: float, kind: str) -> None:
        if span.is_recording():
            method = state.method if state.method in _METHODS else "HTTP"
            attributes: dict[str, Any] = {"http.response.status_code": state.status}
            if route := state.route:
                attributes["http.route"] = route
                span.update_name(f"{method} {route}")
            if kind:
                attributes["error.type"] = kind
            bound = context.bound()
            for key, name in _WHO:
                if (value := bound.get(key, state.bound.get(key))) is not None:
                    attributes[name] = str(logs.safe(key, value))
            span.set_attributes(attributes)
            if state.error is not None:
                fail(span, state.error)
            elif state.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
        span.end(state.start_ns + int(elapsed_s * 1e9))

    def _failed(self, where: str, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            _log.warning("obskit could not %s the record of a request: %s: %s", where, type(error).__name__, error)


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
