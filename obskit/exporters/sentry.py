"""Sentry, for errors only: a client of sentry-sdk made by hand, without integrations, so that nothing is patched.

The client prepares the event and this module sends it, on the export thread, so that the pipeline knows what
became of it. Local variables, headers, cookies and bodies are never sent.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

import sentry_sdk
import urllib3
from sentry_sdk.transport import Transport
from sentry_sdk.utils import BadDsn, filename_for_module, get_lines_from_file

from obskit._version import __version__
from obskit.errors import ConfigError, Problem
from obskit.exporters.answers import RETRYABLE, retry_after_s
from obskit.signals.delivery import ERRORS, Outcome
from obskit.signals.redaction import Redactor

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from sentry_sdk.envelope import Envelope
    from sentry_sdk.types import Event

    from obskit.config import Config
    from obskit.signals.raised import Frame, Raised
    from obskit.signals.reports import ErrorReport

__all__ = ["SentryDestination", "create"]

_RATE_LIMITED_S: Final = 60.0  # Source: Sentry's rules for SDKs, where a 429 comes without Retry-After


class _Post(Transport):
    """Sends an envelope at once and remembers how it went, where sentry-sdk's own would queue it."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        super().__init__(options)
        self.timeout_s = 10.0
        self.outcome = Outcome()
        self._pool = urllib3.PoolManager(num_pools=1, retries=False)

    def capture_envelope(self, envelope: Envelope) -> None:
        if self.parsed_dsn is None:
            return
        auth = self.parsed_dsn.to_auth(f"obskit/{__version__}")
        try:
            response = self._pool.request(
                "POST",
                auth.get_api_url(),
                body=envelope.serialize(),
                headers={"X-Sentry-Auth": auth.to_header(), "Content-Type": "application/x-sentry-envelope"},
                timeout=self.timeout_s,
            )
        except urllib3.exceptions.HTTPError as error:
            detail = f"Sentry cannot be reached ({type(error).__name__})"
            self.outcome = Outcome(reason="unreachable", detail=detail, retry_after_s=0.0)
            return
        self.outcome = _outcome(response.status, response.headers)

    def flush(self, timeout: float, callback: Any | None = None) -> None:
        """Do nothing: nothing waits here."""

    def kill(self) -> None:
        self._pool.clear()


def _outcome(status: int, headers: Mapping[str, str]) -> Outcome:
    if status < 400:
        return Outcome(delivered=1)
    detail = f"Sentry answered HTTP {status}"
    if status not in RETRYABLE:
        return Outcome(lost=1, reason="rejected", detail=detail)
    fallback_s = _RATE_LIMITED_S if status == 429 else 0.0
    wait_s = retry_after_s(headers, fallback_s=fallback_s)
    return Outcome(reason=str(status), detail=detail, retry_after_s=wait_s)


class SentryDestination:
    """Delivers error reports, one event each.

    Args:
        config: the settings in force; `sentry_dsn` says where to.
        takes_errors: False where the app's own Sentry client already reports them.

    Raises:
        ConfigError: the DSN is not one.
    """

    name = "sentry"
    metric_spacing_s = 0.0

    def __init__(self, config: Config, *, takes_errors: bool = True) -> None:
        self.handles = frozenset({ERRORS} if takes_errors else ())
        self._config = config
        self._redactor = Redactor(config.redact_keys)
        try:
            self._post = _Post({"dsn": config.sentry_dsn})
            self._client = sentry_sdk.Client(
                dsn=config.sentry_dsn,
                transport=self._post,
                default_integrations=False,
                auto_enabling_integrations=False,
                include_local_variables=False,
                send_client_reports=False,
                auto_session_tracking=False,
                enable_backpressure_handling=False,
                max_request_body_size="never",
                spotlight=False,
                release=config.service_version,  # were it None, the client would ask git, in a process of its own
                environment=config.environment or None,
            )
        except BadDsn as error:
            raise ConfigError(
                Problem(
                    place="setting 'sentry_dsn'",
                    problem=f"is not a DSN: {error}",
                    way_out="Copy it from Sentry: Settings, Projects, Client Keys",
                )
            ) from error

    def export_errors(self, reports: Sequence[ErrorReport], timeout_s: float) -> Outcome:
        """Send the reports in order, until one must wait."""
        post = self._post
        delivered = 0
        for report in reports:
            # An event that the client discards was the wish of whoever configured it; it is not lost.
            post.outcome, post.timeout_s = Outcome(delivered=1), timeout_s
            self._client.capture_event(cast("Event", self._event(report)))
            if not post.outcome.delivered:
                rest_waits = 0.0 if post.outcome.retry_after_s is None else post.outcome.retry_after_s
                return Outcome(
                    delivered=delivered,
                    lost=post.outcome.lost,
                    reason=post.outcome.reason,
                    detail=post.outcome.detail,
                    retry_after_s=rest_waits,
                )
            delivered += 1
        return Outcome(delivered=delivered)

    def export_spans(self, spans: Sequence[ReadableSpan], timeout_s: float) -> Outcome:
        """Take none; never called, as `handles` says."""
        return Outcome(delivered=len(spans))

    def export_metrics(self, metrics: MetricsData, timeout_s: float) -> Outcome:
        """Take none; never called, as `handles` says."""
        return Outcome()

    def close(self, timeout_s: float) -> None:
        """Close the connections."""
        self._client.close(timeout=0)

    def _event(self, report: ErrorReport) -> dict[str, Any]:
        event: dict[str, Any] = {
            "event_id": _event_id(report),
            "timestamp": datetime.fromtimestamp(report.time_ns / 1e9, UTC).isoformat(),
            "level": "error",
            "platform": "python",
            "logger": "obskit",
            "server_name": report.service,
            "release": report.version or None,
            "tags": {"service": report.service, **{key: str(value) for key, value in (report.labels or {}).items()}},
            **self._what(report),
        }
        if report.user:
            event["user"] = {"id": report.user}
        if report.trace_id and report.span_id:
            event["contexts"] = {"trace": {"trace_id": report.trace_id, "span_id": report.span_id}}
        if http := report.http:
            agent = {"User-Agent": http["user_agent"]} if http.get("user_agent") else {}
            event["request"] = {"method": http.get("method"), "url": http.get("url"), "headers": agent}
        return {key: value for key, value in event.items() if value is not None}

    def _what(self, report: ErrorReport) -> dict[str, Any]:
        if not report.raised:
            return {"message": report.message}
        # Sentry wants the first cause first.
        values = [self._value(place, raised) for place, raised in enumerate(report.raised)]
        return {"exception": {"values": values[::-1]}}

    def _value(self, place: int, raised: Raised) -> dict[str, Any]:
        mechanism: dict[str, Any] = {"type": "generic", "handled": True, "exception_id": place}
        if raised.source:
            mechanism |= {"type": "chained", "source": raised.source, "parent_id": raised.parent}
        if raised.is_group:
            mechanism["is_exception_group"] = True
        value: dict[str, Any] = {
            "mechanism": mechanism,
            "type": raised.type,
            "module": None if raised.module == "builtins" else raised.module,
            "value": raised.text,
        }
        if raised.frames:
            value["stacktrace"] = {"frames": [self._frame(frame) for frame in raised.frames]}
        return value

    def _frame(self, frame: Frame) -> dict[str, Any]:
        before, line, after = get_lines_from_file(frame.file, frame.line - 1)
        return {
            "filename": filename_for_module(frame.module, frame.file),
            "abs_path": os.path.abspath(frame.file),  # noqa: PTH100 - a name such as <string> stays text
            "function": frame.function,
            "module": frame.module,
            "lineno": frame.line,
            "pre_context": [self._redactor.text(str(text)) for text in before],
            "context_line": None if line is None else self._redactor.text(str(line)),
            "post_context": [self._redactor.text(str(text)) for text in after],
        }


def _event_id(report: ErrorReport) -> str:
    """Return an id that is the same when a report is sent again, so that Sentry keeps one of the two."""
    text = f"{report.time_ns} {report.trace_id} {report.span_id} {report.type} {report.message}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def create(config: Config, resource: Resource) -> SentryDestination:
    """Make the destination that `sentry_dsn` adds beside any other.

    Where the app has started sentry-sdk itself for the same DSN, that one reports the errors, and this one none.
    """
    own = sentry_sdk.get_client()
    return SentryDestination(config, takes_errors=not (own.is_active() and own.dsn == config.sentry_dsn))
