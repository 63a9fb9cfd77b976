"""What the backend is, how the services are, and how much is stored."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from obskit import __version__, catalog
from obskit.local.http.context import BackendContext, backend_of
from obskit.local.http.replies import JsonReply, Parameters
from obskit.local.http.ui.alerts import incidents_with_notifications
from obskit.local.http.ui.counting import counter_series
from obskit.local.http.ui.llm import llm_summary
from obskit.local.http.ui.services import service_rows

__all__ = ["info", "overview", "stats"]


def info(request: Request) -> Response:
    """Answer ``GET /api/info``."""
    backend = backend_of(request)
    is_fast = backend.clock.is_accelerated
    return JsonReply(
        {
            "project": backend.project,
            "now_ms": backend.clock.now_ms(),
            "clock": {"scale": backend.clock.scale if is_fast else 1.0, "state": "accelerated" if is_fast else "real"},
            "version": __version__,
            "grpc": backend.grpc_address,
            "http": backend.http_url,
        }
    )


def overview(request: Request) -> Response:
    """Answer ``GET /api/overview``."""
    backend = backend_of(request)
    end_ms = backend.clock.now_ms()
    start_ms = end_ms - Parameters.of(request).whole("window_s", 3600, low=1) * 1000
    total = llm_summary(backend.store.metrics, start_ms, end_ms)["total"]
    columns = ("input_tokens", "output_tokens", "cost_usd", "unpriced_calls")
    return JsonReply(
        {
            "services": [
                {**row, "version": _version(backend, row["name"])}
                for row in service_rows(backend.store.metrics, start_ms, end_ms)
            ],
            "counts": _counts(backend),
            "incidents": incidents_with_notifications(backend)[:20],
            "llm": {column: total[column] for column in columns},
        }
    )


def _version(backend: BackendContext, service: str) -> str:
    span = backend.store.traces.newest(service) or {}
    return str(span.get("attributes", {}).get("service.version") or "")


def _counts(backend: BackendContext) -> dict[str, int]:
    store = backend.store
    spans = store.traces.counts()
    return {
        "traces": spans["traces"],
        "spans": spans["spans"],
        "log_entries": store.logs.counts()["log_entries"],
        "errors": store.errors.counts()["error_groups"],
        "series": len(store.metrics),
        "dashboards": len(store.objects.list("dashboards")),
        "policies": len(store.objects.list("alertPolicies")),
        "open_incidents": len(store.incidents.list(state="open")),
    }


def stats(request: Request) -> Response:
    """Answer ``GET /api/stats``: exact counts of everything since the backend's start."""
    backend = backend_of(request)
    store = backend.store
    notifications = store.notifications.list(limit=1_000_000)
    by_delivery = {
        kind: sum(row["delivery"] == kind for row in notifications) for kind in ("delivered", "failed", "inbox")
    }
    answer: dict[str, Any] = {
        **store.traces.counts(),
        "server_spans_by_service": store.traces.server_spans_by_service(),
        **store.logs.counts(),
        "access_entries_by_service": store.logs.access_by_service(),
        **store.errors.counts(),
        "series": len(store.metrics),
        "dashboards": len(store.objects.list("dashboards")),
        "policies": len(store.objects.list("alertPolicies")),
        "incidents": store.incidents.list(),
        "notifications": by_delivery["delivered"],
        "notifications_failed": by_delivery["failed"],
        "notifications_inbox": len(notifications),
        "lost": _lost(backend),
    }
    return JsonReply(answer)


def _lost(backend: BackendContext) -> int:
    series = counter_series(backend.store.metrics, catalog.TELEMETRY_LOST, 0, backend.clock.now_ms())
    return round(sum(each.values[-1] for each in series))
