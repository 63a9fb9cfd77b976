"""An error report, and how it is made of a moment; imported with the first error of the process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any, Final, NamedTuple

from opentelemetry import trace

from obskit.config import Config
from obskit.signals.context import RequestState, bound
from obskit.signals.lines import described, plain
from obskit.signals.raised import Raised, detached
from obskit.signals.redaction import Redactor

__all__ = ["ErrorReport", "Location", "made"]

_MOST_CHARS: Final = 8_000
_STACK_CHARS: Final = 64_000


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


def made(
    error: BaseException | None,
    state: RequestState | None,
    config: Config,
    redactor: Redactor,
    *,
    message: str | None,
    user: str | None,
    context: Mapping[str, object],
    frame: FrameType | None,
) -> ErrorReport:
    """Return a report of this moment.

    Args:
        error: the exception, if there is one.
        state: of the request, if there is one.
        config: the settings in force.
        redactor: knows what is secret.
        message: in place of the exception's text.
        user: in place of what is bound.
        context: more to show.
        frame: the code that reports it.
    """
    fields = {**bound(), **(state.bound if state is not None else {}), **context}
    who = user if user is not None else fields.get("user_id")
    labels = {key: value for key, value in fields.items() if key != "user_id" and value is not None}
    span = trace.get_current_span().get_span_context()
    text = message if message is not None else described(error) if error is not None else "an error"
    return ErrorReport(
        time_ns=time.time_ns(),
        type=type(error).__qualname__ if error is not None else "",
        message=_clean(redactor, text, _MOST_CHARS),
        service=config.service_name,
        version=config.service_version,
        stack_trace=_stack(redactor, error) if error is not None else "",
        http=_http(redactor, state) if state is not None else None,
        user=_clean(redactor, described(who), 200) if who is not None else "",
        trace_id=state.trace_id if state is not None else (f"{span.trace_id:032x}" if span.is_valid else ""),
        span_id=state.span_id if state is not None else (f"{span.span_id:016x}" if span.is_valid else ""),
        location=_location(error, frame),
        labels={key: _clean(redactor, described(redactor.value(key, value)), 500) for key, value in labels.items()},
        raised=detached(error, partial(_said, redactor)) if error is not None and config.sentry_dsn else (),
    )


def _said(redactor: Redactor, error: BaseException) -> str:
    return _clean(redactor, described(error), _MOST_CHARS)


def _clean(redactor: Redactor, text: str, most: int) -> str:
    return redactor.text(plain(text))[:most]


def _stack(redactor: Redactor, error: BaseException) -> str:
    text = "".join(traceback.format_exception(error))
    if len(text) > _STACK_CHARS:
        text = f"{text[: _STACK_CHARS // 2]}\n…\n{text[-_STACK_CHARS // 2 :]}"
    return redactor.text(plain(text))


def _http(redactor: Redactor, state: RequestState) -> dict[str, Any]:
    return {
        "method": state.method,
        "url": redactor.url(plain(state.url))[:2000],
        "user_agent": _clean(redactor, state.user_agent, 500),
        "referrer": redactor.url(plain(state.referrer))[:500],
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
