"""Google Cloud Error Reporting, through its own client; part of the destination `gcp`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from google.cloud.errorreporting_v1beta1 import (
    ErrorContext,
    HttpRequestContext,
    ReportedErrorEvent,
    ReportErrorEventRequest,
    ReportErrorsServiceClient,
    ServiceContext,
    SourceLocation,
)

from obskit.exporters.google_calls import Access, Calls
from obskit.signals.delivery import Outcome

if TYPE_CHECKING:
    from obskit.signals.reports import ErrorReport

__all__ = ["ErrorReporting", "event_of"]


class ErrorReporting:
    """Reports errors one call each, in order; the API has no batches.

    Args:
        access: how to reach the service, and the project.
    """

    def __init__(self, access: Access) -> None:
        self._project_name = f"projects/{access.project}"
        self._client: Any = access.client(ReportErrorsServiceClient)
        self._calls = Calls()

    def export(self, reports: Sequence[ErrorReport], timeout_s: float) -> Outcome:
        """Send the reports until one must wait; a refused one is lost and does not stop the others."""
        self._calls.begin(timeout_s)
        delivered = 0
        for report in reports:
            request = ReportErrorEventRequest(project_name=self._project_name, event=event_of(report))
            try:
                self._calls.run(self._client.report_error_event, request)
            except Exception:  # noqa: BLE001 - noted by the calls
                trouble = self._calls.trouble or Outcome()
                is_passing = trouble.retry_after_s is not None
                return Outcome(
                    delivered=delivered,
                    lost=0 if is_passing else 1,
                    reason=trouble.reason,
                    detail=trouble.detail,
                    retry_after_s=trouble.retry_after_s if is_passing else 0.0,
                )
            delivered += 1
        return Outcome(delivered=delivered)


def event_of(report: ErrorReport) -> ReportedErrorEvent:
    """Return the report as Error Reporting wants it.

    The service groups by the stack, so a report without one needs a location.
    """
    http, location = report.http or {}, report.location
    context = ErrorContext(user=report.user or "")
    if http:
        context.http_request = HttpRequestContext(
            method=http.get("method") or "",
            url=http.get("url") or "",
            user_agent=http.get("user_agent") or "",
            referrer=http.get("referrer") or "",
            response_status_code=int(http.get("status") or 0),
            remote_ip=http.get("remote_ip") or "",
        )
    if location is not None:
        file, line, function = location
        context.report_location = SourceLocation(file_path=file, line_number=line, function_name=function)
    return ReportedErrorEvent(
        event_time=datetime.fromtimestamp(report.time_ns / 1e9, UTC),
        service_context=ServiceContext(service=report.service, version=report.version or ""),
        message=report.stack_trace or report.message,
        context=context,
    )
