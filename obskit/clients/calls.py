"""One outgoing HTTP request: its span, its trace headers, its duration. The same for every library."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from obskit import catalog
from obskit.config import Config
from obskit.signals.metrics import record
from obskit.signals.redaction import Redactor
from obskit.signals.traces import tracer

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.util.types import AttributeValue

__all__ = ["HEADERS", "HttpCall", "begin", "configure", "is_suppressed", "may_receive_trace", "trace_headers"]

HEADERS: Final = ("traceparent", "tracestate")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
_PORTS: Final = {"http": 80, "https": 443}
_SUPPRESSED: Final = (
    otel_context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001 - OpenTelemetry's own packages import these two
    otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY,  # noqa: SLF001
    "suppress_instrumentation",
)

_hosts: tuple[str, ...] = ()
_redactor = Redactor()


def configure(config: Config) -> None:
    """Take the settings that calls depend on: the hosts that may get trace headers, and what is secret."""
    global _hosts, _redactor
    _hosts = tuple(host.lower() for host in config.propagate_hosts)
    _redactor = Redactor(config.redact_keys)


def is_suppressed() -> bool:
    """Return whether the calling code has asked not to be traced, as the export thread does."""
    context = otel_context.get_current()
    return any(context.get(key) for key in _SUPPRESSED)


def may_receive_trace(host: str) -> bool:
    """Return whether the settings allow that host to see trace headers."""
    return not _hosts or any(fnmatchcase(host.lower(), pattern) for pattern in _hosts)


@functools.cache
def _propagator() -> TextMapPropagator:
    from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - with the first call of the process

    return tracecontext.TraceContextTextMapPropagator()


def trace_headers(span: Span, host: str) -> Mapping[str, str]:
    """Return the headers that carry the span to the host: `traceparent` and `tracestate`, never baggage."""
    carrier: dict[str, str] = {}
    if may_receive_trace(host):
        _propagator().inject(carrier, context=set_span_in_context(span))
    return carrier


class HttpCall:
    """An outgoing request between `begin` and `end`.

    Attributes:
        headers: to be sent with it, and with no other.
    """

    __slots__ = ("_attributes", "_begun", "_is_ended", "_span", "headers")

    def __init__(self, method: str, url: str) -> None:
        parts = urlsplit(url)
        host, port = parts.hostname or "", _port(parts)
        known = method.upper() if method.upper() in _METHODS else "_OTHER"
        self._attributes: dict[str, str | int | bool] = {"http.request.method": known, "server.address": host}
        if port:
            self._attributes["server.port"] = port
        on_span: dict[str, AttributeValue] = {**self._attributes, "url.full": _redactor.url(url)}
        if known == "_OTHER":
            on_span["http.request.method_original"] = method[:64]
        self._begun = time.perf_counter()
        self._is_ended = False
        self._span = tracer().start_span(
            known if known != "_OTHER" else "HTTP", kind=SpanKind.CLIENT, attributes=on_span
        )
        self.headers = trace_headers(self._span, host)

    def end(self, *, status: int | None = None, error: BaseException | None = None) -> None:
        """End the span and record the duration; the second call does nothing.

        Args:
            status: the response's, None when none came.
            error: what the library raised instead.
        """
        if self._is_ended:
            return
        self._is_ended = True
        attributes = self._attributes
        if status is not None:
            attributes["http.response.status_code"] = status
            self._span.set_attribute("http.response.status_code", status)
        if error is not None or (status is not None and status >= 400):
            kind = str(status) if error is None else type(error).__qualname__
            attributes["error.type"] = kind
            self._span.set_attribute("error.type", kind)
            description = None if error is None else _redactor.text(str(error))[:500]
            self._span.set_status(Status(StatusCode.ERROR, description))
        self._span.end()
        record(catalog.HTTP_CLIENT_DURATION, time.perf_counter() - self._begun, attributes)


def _port(parts: Any) -> int | None:
    try:
        return parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # the library will refuse such a URL itself
        return None


def begin(method: str, url: str) -> HttpCall | None:
    """Begin a call, or return None where nothing is to be recorded."""
    return None if is_suppressed() else HttpCall(method, url)
