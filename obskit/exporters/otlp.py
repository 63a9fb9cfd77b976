"""OTLP over HTTP to any receiver: OpenTelemetry's exporters for spans and metrics, log records for error reports."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ProtoResource
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.util.re import parse_env_headers

from obskit._version import __version__
from obskit.signals.delivery import ERRORS, METRICS, SPANS, Outcome, metric_spacing_s
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
_RETRYABLE: Final = frozenset({408, 429, 500, 502, 503, 504})


class _Answered(Exception):
    """Ends a call of OpenTelemetry's exporter, which would otherwise sleep and retry on the export thread."""


class _Session(requests.Session):
    """Remembers how the last call went, and leaves retrying to the pipeline.

    Attributes:
        timeout_s: for the next call, in seconds.
        trouble: why the last call failed, None when it went well.
        is_called: whether anything was sent since `begin`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.timeout_s = 10.0
        self.trouble: Outcome | None = None
        self.is_called = False

    def begin(self, timeout_s: float) -> None:
        """Forget the last call."""
        self.timeout_s, self.trouble, self.is_called = timeout_s, None, False

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = min(self.timeout_s, kwargs.get("timeout") or self.timeout_s)
        self.is_called = True
        try:
            response = super().request(*args, **kwargs)
        except requests.RequestException as error:
            self.trouble = Outcome(reason="unreachable", detail=_shown(error), retry_after_s=0.0)
            raise _Answered from error
        if response.status_code < 400:
            return response
        is_passing = response.status_code in _RETRYABLE
        wait_s = _retry_after_s(response.headers.get("Retry-After")) if is_passing else None
        self.trouble = Outcome(
            reason=str(response.status_code),
            detail=f"HTTP {response.status_code} {response.reason or ''}".strip(),
            retry_after_s=wait_s,
        )
        raise _Answered


def _shown(error: Exception) -> str:
    # requests' text names the URL with its query, which may hold a key.
    return f"the receiver cannot be reached ({type(error).__name__})"


def _retry_after_s(header: str | None) -> float:
    if not header:
        return 0.0
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max(0.0, (at - datetime.now(at.tzinfo or UTC)).total_seconds())


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
        self._metrics = OTLPMetricExporter(endpoint=self._urls[METRICS], session=self._session)

    def export_spans(self, spans: Sequence[ReadableSpan], timeout_s: float) -> Outcome:
        """Send one request."""
        return self._call(lambda: self._spans.export(spans) is SpanExportResult.SUCCESS, len(spans), timeout_s)

    def export_metrics(self, metrics: MetricsData, timeout_s: float) -> Outcome:
        """Send one request; all points are cumulative."""
        points = point_count(metrics)
        return self._call(lambda: self._metrics.export(metrics) is MetricExportResult.SUCCESS, points, timeout_s)

    def export_errors(self, reports: Sequence[ErrorReport], timeout_s: float) -> Outcome:
        """Send one request of log records with the `exception.*` attributes."""
        body = _logs_request(reports, with_instance(self._resource, instance_id())).SerializeToString()
        headers = {**_headers(), "Content-Type": "application/x-protobuf", "User-Agent": f"obskit/{__version__}"}
        return self._call(
            lambda: self._session.post(self._urls[ERRORS], data=body, headers=headers).ok, len(reports), timeout_s
        )

    def close(self, timeout_s: float) -> None:
        """Close the connections."""
        self._session.close()

    def _call(self, send: Any, count: int, timeout_s: float) -> Outcome:
        session = self._session
        session.begin(timeout_s)
        try:
            is_done = send()
        except _Answered:
            is_done = False
        if is_done:
            return Outcome(delivered=count)
        if session.trouble is None:
            detail = "the answer is not one of OTLP" if session.is_called else "the batch cannot be encoded"
            return Outcome(lost=count, reason="rejected", detail=detail)
        if session.trouble.retry_after_s is None:
            return Outcome(lost=count, reason="rejected", detail=session.trouble.detail)
        return session.trouble


def _url(signal: str, endpoint: str) -> str:
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{_ENV_KIND[signal]}_ENDPOINT")
    base = endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or _DEFAULT_ENDPOINT
    return own or f"{base.rstrip('/')}/{_PATHS[signal]}"


def _headers() -> Mapping[str, str]:
    text = os.environ.get("OTEL_EXPORTER_OTLP_LOGS_HEADERS") or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    return parse_env_headers(text, liberal=True)


def _quiet() -> None:
    # Their errors are told through the outcome; a line per attempt beside it would flood the app's log.
    for name in ("opentelemetry.exporter.otlp.proto.http", "opentelemetry.exporter.otlp.common"):
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
