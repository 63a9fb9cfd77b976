"""OTLP over HTTP to any receiver: OpenTelemetry's exporters for spans and metrics, log records for error reports."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ProtoResource
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.util.re import parse_env_headers

from obskit._version import __version__
from obskit.exporters.answers import RETRYABLE, retry_after_s, retry_info_s
from obskit.exporters.otlp_spans import SpanEncoder
from obskit.signals.delivery import ERRORS, METRICS, SPANS, Outcome, metric_spacing_s
from obskit.signals.pace import SpanBatch
from obskit.signals.resource import instance_id, with_instance
from obskit.signals.taps import point_count

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.config import Config
    from obskit.signals.reports import ErrorReport

__all__ = ["OtlpDestination", "create"]

_DEFAULT_ENDPOINT: Final = "http://localhost:4318"
_PATHS: Final = {SPANS: "v1/traces", METRICS: "v1/metrics", ERRORS: "v1/logs"}
_ENV_KIND: Final = {SPANS: "TRACES", METRICS: "METRICS", ERRORS: "LOGS"}
_DIVISIBLE: Final = frozenset({400, 413, 422})  # on account of what is in the batch, or of how much


_ANSWERS: Final[Mapping[str, Any]] = {
    SPANS: ExportTraceServiceResponse,
    METRICS: ExportMetricsServiceResponse,
    ERRORS: ExportLogsServiceResponse,
}
_REFUSED: Final = {SPANS: "rejected_spans", METRICS: "rejected_data_points", ERRORS: "rejected_log_records"}


class _Answered(Exception):
    """Ends a call of OpenTelemetry's exporter, which would otherwise sleep and retry on the export thread."""


class _Session(requests.Session):
    """Remembers how the last call went, and leaves retrying to the pipeline.

    Attributes:
        timeout_s: for the next call, in seconds.
        trouble: why the last call failed, None when it went well.
        answer: body of the last answer that was no failure, None when nothing was answered since `begin`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.timeout_s = 10.0
        self.trouble: Outcome | None = None
        self.answer: bytes | None = None

    def begin(self, timeout_s: float) -> None:
        """Forget the last call."""
        self.timeout_s, self.trouble, self.answer = timeout_s, None, None

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = min(self.timeout_s, kwargs.get("timeout") or self.timeout_s)
        try:
            response = super().request(*args, **kwargs)
        except requests.RequestException as error:
            self.trouble = Outcome(reason="unreachable", detail=_shown(error), retry_after_s=0.0)
            raise _Answered from error
        if response.status_code < 400:
            self.answer = response.content
            return response
        detail = f"HTTP {response.status_code} {response.reason or ''}".strip()
        if response.status_code in RETRYABLE:
            wait_s = max(retry_after_s(response.headers), retry_info_s(response.content))
            self.trouble = Outcome(reason=str(response.status_code), detail=detail, retry_after_s=wait_s)
        else:
            is_divisible = response.status_code in _DIVISIBLE
            self.trouble = Outcome(reason="rejected", detail=detail, is_divisible=is_divisible)
        raise _Answered


def _shown(error: Exception) -> str:
    # requests' text names the URL with its query, which may hold a key.
    return f"the receiver cannot be reached ({type(error).__name__})"


class OtlpDestination:
    """Delivers to an OTLP/HTTP receiver.

    The endpoint, headers, certificates, compression and timeouts of the standard environment
    (`OTEL_EXPORTER_OTLP_*`) hold; the setting `otlp_endpoint` replaces the base URL.

    Args:
        endpoint: base URL of the receiver, empty for the environment's.
        resource: what error reports are sent under; spans and metrics bring their own.
        metric_spacing_s: shortest time between two exports of metrics.
    """

    name = "otlp"
    handles = frozenset({SPANS, METRICS, ERRORS})

    def __init__(self, endpoint: str, resource: Resource, *, metric_spacing_s: float = 0.0) -> None:
        self.metric_spacing_s = metric_spacing_s
        self._resource = resource
        self._session = _Session()
        self._urls = {signal: _url(signal, endpoint) for signal in _PATHS}
        _quiet()
        self._spans = OTLPSpanExporter(endpoint=self._urls[SPANS], session=self._session)
        # The exporter's way to send bytes is not public; without it the exporter encodes too.
        self._post: Callable[[bytes], Any] | None = getattr(getattr(self._spans, "_client", None), "export", None)
        self._encoder = SpanEncoder()
        self._metrics = OTLPMetricExporter(endpoint=self._urls[METRICS], session=self._session)

    def export_spans(self, spans: Sequence[ReadableSpan], timeout_s: float) -> Outcome:
        """Send one request."""
        if isinstance(spans, SpanBatch) and self._post is not None:
            post, body = self._post, self._encoder.body(spans)
            return self._call(SPANS, lambda: post(body).success, len(spans), timeout_s)
        return self._call(SPANS, lambda: self._spans.export(spans) is SpanExportResult.SUCCESS, len(spans), timeout_s)

    def export_metrics(self, metrics: MetricsData, timeout_s: float) -> Outcome:
        """Send one request; all points are cumulative."""

        def send() -> bool:
            return self._metrics.export(metrics) is MetricExportResult.SUCCESS

        return self._call(METRICS, send, point_count(metrics), timeout_s)

    def export_errors(self, reports: Sequence[ErrorReport], timeout_s: float) -> Outcome:
        """Send one request of log records with the `exception.*` attributes."""
        body = _logs_request(reports, with_instance(self._resource, instance_id())).SerializeToString()
        headers = {**_headers(), "Content-Type": "application/x-protobuf", "User-Agent": f"obskit/{__version__}"}

        def send() -> bool:
            return self._session.post(self._urls[ERRORS], data=body, headers=headers).ok

        return self._call(ERRORS, send, len(reports), timeout_s)

    def close(self, timeout_s: float) -> None:
        """Close the connections."""
        self._session.close()

    def _call(self, signal: str, send: Callable[[], bool], count: int, timeout_s: float) -> Outcome:
        session = self._session
        session.begin(timeout_s)
        try:
            is_done = send()
        except _Answered:
            is_done = False
        if is_done:
            return _taken(signal, count, session.answer or b"")
        if session.trouble is None:
            detail = "the batch cannot be encoded" if session.answer is None else "the answer is not one of OTLP"
            return Outcome(lost=count, reason="rejected", detail=detail, is_divisible=session.answer is None)
        return session.trouble if session.trouble.retry_after_s is not None else replace(session.trouble, lost=count)


def _taken(signal: str, count: int, answer: bytes) -> Outcome:
    """Return what a receiver has taken; one that has refused some items says so in an answer of success."""
    try:
        partial = _ANSWERS[signal].FromString(answer).partial_success
    except DecodeError:  # an empty object in JSON, or a page of some proxy's
        return Outcome(delivered=count)
    refused = min(count, max(0, getattr(partial, _REFUSED[signal])))
    if not refused:
        return Outcome(delivered=count)
    return Outcome(delivered=count - refused, lost=refused, reason="rejected", detail=partial.error_message[:300])


def _url(signal: str, endpoint: str) -> str:
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{_ENV_KIND[signal]}_ENDPOINT")
    base = endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or _DEFAULT_ENDPOINT
    return own or f"{base.rstrip('/')}/{_PATHS[signal]}"


def _headers() -> Mapping[str, str]:
    text = os.environ.get("OTEL_EXPORTER_OTLP_LOGS_HEADERS") or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    return parse_env_headers(text, liberal=True)


def _quiet() -> None:
    # Their errors are told through the outcome; a line per attempt beside it would flood the app's log.
    for name in ("http", "common"):
        logging.getLogger(f"opentelemetry.exporter.otlp.proto.{name}").setLevel(logging.CRITICAL + 1)
    for name in ("opentelemetry.exporter.otlp.common", "opentelemetry.exporter.http.transport"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _logs_request(reports: Sequence[ErrorReport], resource: Resource) -> ExportLogsServiceRequest:
    records = [_record(report) for report in reports]
    scope = ScopeLogs(scope=InstrumentationScope(name="obskit", version=__version__), log_records=records)
    owner = ProtoResource(attributes=_pairs(resource.attributes))
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs(resource=owner, scope_logs=[scope])])


def _record(report: ErrorReport) -> LogRecord:
    http, location = report.http or {}, report.location
    attributes: dict[str, Any] = {
        "exception.type": report.type,
        "exception.message": report.message,
        "exception.stacktrace": report.stack_trace,
        "enduser.id": report.user,
        "http.request.method": http.get("method"),
        "url.full": http.get("url"),
        "http.response.status_code": http.get("status"),
        "user_agent.original": http.get("user_agent"),
        "client.address": http.get("remote_ip"),
        **dict(report.labels or {}),
    }
    if location is not None:
        file, line, function = location
        attributes |= {"code.file.path": file, "code.line.number": line, "code.function.name": function}
    return LogRecord(
        time_unix_nano=report.time_ns,
        observed_time_unix_nano=report.time_ns,
        severity_number=SeverityNumber.SEVERITY_NUMBER_ERROR,
        severity_text="ERROR",
        body=AnyValue(string_value=f"{report.type}: {report.message}" if report.type else report.message),
        attributes=_pairs({key: value for key, value in attributes.items() if value not in (None, "")}),
        trace_id=bytes.fromhex(report.trace_id or ""),
        span_id=bytes.fromhex(report.span_id or ""),
    )


def _pairs(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=str(value))


def create(config: Config, resource: Resource) -> OtlpDestination:
    """Make the destination of `exporters="otlp"`."""
    return OtlpDestination(config.otlp_endpoint, resource, metric_spacing_s=metric_spacing_s(config))
