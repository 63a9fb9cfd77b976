"""Errors that are worth a person's look, each reported once."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final, NamedTuple

from opentelemetry import trace

from obskit.config import Config
from obskit.signals.context import RequestState, bound, current_request
from obskit.signals.lines import described, plain
from obskit.signals.raised import Raised, detached
from obskit.signals.redaction import Redactor

__all__ = ["ErrorReport", "Location", "configure", "report_error", "report_unhandled", "set_sink"]

_log = logging.getLogger("obskit")
_MOST_CHARS: Final = 8_000
_STACK_CHARS: Final = 64_000
_MARK: Final = "__obskit_reported__"


class Location(NamedTuple):
    """Where an error was raised, or reported from."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    """One error with all that is known about the moment; its texts are redacted already.

    Attributes:
        time_ns: nanoseconds since the epoch.
        service: the service's name.
        version: the service's version, empty when unknown.
        type: the exception's class, empty for a report that is only a message.
        message: the exception's text, or the report's.
        stack_trace: as `traceback.format_exception` writes it, empty when there is no exception.
        http: the request: method, url, user_agent, referrer, status, remote_ip; None outside a request.
        user: an id, empty when unknown.
        trace_id: 32 hex digits, empty outside a trace.
        span_id: 16 hex digits, empty outside a trace.
        location: where it was raised, or reported from.
        labels: what else was bound.
        raised: the exception and its causes without their variables, for Sentry; empty unless it is wanted.
    """

    time_ns: int
    type: str
    message: str
    service: str = ""
    version: str = ""
    stack_trace: str = ""
    http: Mapping[str, Any] | None = None
    user: str = ""
    trace_id: str = ""
    span_id: str = ""
    location: Location | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    raised: tuple[Raised, ...] = ()


_config = Config()
_redactor = Redactor()
_sink: Callable[[ErrorReport], None] | None = None


def configure(config: Config, redactor: Redactor) -> None:
    """Take the settings that reports depend on."""
    global _config, _redactor
    _config, _redactor = config, redactor


def set_sink(sink: Callable[[ErrorReport], None] | None) -> None:
    """Say who takes the reports; with None they go nowhere."""
    global _sink
    _sink = sink


def report_error(
    error: BaseException | None = None, *, message: str | None = None, user: str | None = None, **context: object
) -> None:
    """Report an error to Error Reporting and Sentry, with the request, the user and the trace. Never raises.

    An exception is reported once: one that has been reported, and then leaves the app, is not reported again.

    Args:
        error: the exception; by default the one that is being handled, if any.
        message: says what went wrong, for a report without an exception or in place of the exception's text.
        user: an id; by default what is bound as ``user_id``.
        context: more to show with the report.
    """
    error = error if error is not None else sys.exception()
    frame = sys._getframe(1)  # noqa: SLF001 - what logging itself uses
    _report(error, state=current_request(), message=message, user=user, context=context, frame=frame)


def report_unhandled(error: BaseException, state: RequestState | None) -> None:
    """Report an exception that has left the app. Never raises."""
    _report(error, state=state, message=None, user=None, context={}, frame=None)


def _report(
    error: BaseException | None,
    *,
    state: RequestState | None,
    message: str | None,
    user: str | None,
    context: Mapping[str, object],
    frame: FrameType | None,
) -> None:
    try:
        if error is not None and not _mark(error):
            return
        if state is not None and error is not None and error is state.error:
            state.is_error_reported = True
        if _sink is not None:
            _sink(_made(error, state, message=message, user=user, context=context, frame=frame))
    except Exception as problem:  # noqa: BLE001 - telemetry must not break the app
        _log.warning("obskit: an error was not reported: %s: %s", type(problem).__name__, problem)
    except BaseException:  # a server that ends at once raises SystemExit in the middle of it; there is a next time
        _unmark(error, state)
        raise


def _mark(error: BaseException) -> bool:
    """Return whether this is the first report of the exception; one that cannot carry the mark always is."""
    if getattr(error, _MARK, False):
        return False
    try:
        setattr(error, _MARK, True)
    except Exception:  # noqa: BLE001 - a class of the app that forbids new attributes
        return True
    return True


def _unmark(error: BaseException | None, state: RequestState | None) -> None:
    if state is not None:
        state.is_error_reported = False
    if error is not None and hasattr(error, _MARK):
        delattr(error, _MARK)


def _made(
    error: BaseException | None,
    state: RequestState | None,
    *,
    message: str | None,
    user: str | None,
    context: Mapping[str, object],
    frame: FrameType | None,
) -> ErrorReport:
    fields = {**bound(), **(state.bound if state is not None else {}), **context}
    who = user if user is not None else fields.get("user_id")
    labels = {key: value for key, value in fields.items() if key != "user_id" and value is not None}
    span = trace.get_current_span().get_span_context()
    text = message if message is not None else described(error) if error is not None else "an error"
    return ErrorReport(
        time_ns=time.time_ns(),
        type=type(error).__qualname__ if error is not None else "",
        message=_clean(text, _MOST_CHARS),
        service=_config.service_name,
        version=_config.service_version,
        stack_trace=_stack(error) if error is not None else "",
        http=_http(state) if state is not None else None,
        user=_clean(described(who), 200) if who is not None else "",
        trace_id=state.trace_id if state is not None else (f"{span.trace_id:032x}" if span.is_valid else ""),
        span_id=state.span_id if state is not None else (f"{span.span_id:016x}" if span.is_valid else ""),
        location=_location(error, frame),
        labels={key: _clean(described(_redactor.value(key, value)), 500) for key, value in labels.items()},
        raised=detached(error, _said) if error is not None and _config.sentry_dsn else (),
    )


def _said(error: BaseException) -> str:
    return _clean(described(error), _MOST_CHARS)


def _clean(text: str, most: int) -> str:
    return _redactor.text(plain(text))[:most]


def _stack(error: BaseException) -> str:
    text = "".join(traceback.format_exception(error))
    if len(text) > _STACK_CHARS:
        text = f"{text[: _STACK_CHARS // 2]}\n…\n{text[-_STACK_CHARS // 2 :]}"
    return _redactor.text(plain(text))


def _http(state: RequestState) -> dict[str, Any]:
    return {
        "method": state.method,
        "url": _redactor.url(plain(state.url))[:2000],
        "user_agent": _clean(state.user_agent, 500),
        "referrer": _redactor.url(plain(state.referrer))[:500],
        "status": state.status or (500 if state.error is not None else 0),
        "remote_ip": state.remote_ip,
    }


def _location(error: BaseException | None, frame: FrameType | None) -> Location | None:
    at = error.__traceback__ if error is not None else None
    if at is not None:
        while at.tb_next is not None:
            at = at.tb_next
        return Location(at.tb_frame.f_code.co_filename, at.tb_lineno, at.tb_frame.f_code.co_qualname)
    if frame is not None:
        return Location(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
    return None
