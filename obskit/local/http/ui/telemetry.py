"""Traces, logs and errors: lists and single ones."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from obskit.local.http.context import backend_of
from obskit.local.http.replies import ApiError, JsonReply, Parameters

__all__ = ["error_group", "error_groups", "error_panel", "logs", "trace", "traces"]


def traces(request: Request) -> Response:
    """Answer ``GET /api/traces``."""
    asked = Parameters.of(request)
    found = backend_of(request).store.traces.list(
        service=asked.text("service"),
        query=asked.text("q"),
        min_ms=asked.number("min_ms", 0.0),
        errors_only=asked.flag("errors"),
        start_ms=asked.optional_ms("start_ms"),
        end_ms=asked.optional_ms("end_ms"),
        before=asked.optional_ms("before"),
        limit=asked.whole("limit", 50, low=1, high=500),
    )
    return JsonReply(found)


def trace(request: Request) -> Response:
    """Answer ``GET /api/traces/{id}``."""
    store, trace_id = backend_of(request).store, request.path_params["id"].lower()
    spans = store.traces.get(trace_id)
    logs_of_trace = store.logs.list(trace_id=trace_id, limit=1000)["entries"]
    if not spans and not logs_of_trace:
        raise ApiError(404, f"no trace {trace_id!r}")
    return JsonReply({"trace_id": trace_id, "spans": spans, "logs": logs_of_trace[::-1]})


def logs(request: Request) -> Response:
    """Answer ``GET /api/logs``."""
    asked = Parameters.of(request)
    found = backend_of(request).store.logs.list(
        query=asked.text("q"),
        filter=asked.text("filter"),
        severity=asked.text("severity"),
        service=asked.text("service"),
        trace_id=asked.text("trace_id"),
        start_ms=asked.optional_ms("start_ms"),
        end_ms=asked.optional_ms("end_ms"),
        before=asked.optional_ms("before"),
        limit=asked.whole("limit", 100, low=1, high=1000),
    )
    return JsonReply(found)


def error_groups(request: Request) -> Response:
    """Answer ``GET /api/errors``."""
    return JsonReply({"groups": backend_of(request).store.errors.groups()})


def error_panel(request: Request) -> Response:
    """Answer ``GET /api/errors-panel?start_ms=…&end_ms=…[&service=…][&version=…]``, both of which may be repeated."""
    asked = Parameters.of(request)
    groups = backend_of(request).store.errors.within(
        asked.whole("start_ms", 0),
        asked.whole("end_ms", 2**53),
        services=request.query_params.getlist("service"),
        versions=request.query_params.getlist("version"),
    )
    return JsonReply({"groups": groups})


def error_group(request: Request) -> Response:
    """Answer ``GET /api/errors/{id}``."""
    errors, group_id = backend_of(request).store.errors, request.path_params["id"]
    group = errors.group(group_id)
    if group is None:
        raise ApiError(404, f"no error group {group_id!r}")
    return JsonReply({"group": group, "events": errors.events(group_id)})
