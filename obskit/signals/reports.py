"""Errors that are worth a person's look, each reported once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["ErrorReport", "Location"]


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
        exception: the exception itself, for Sentry; None unless a destination wants it.
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
    exception: BaseException | None = None
