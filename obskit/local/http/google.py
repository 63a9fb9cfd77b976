"""The REST paths of Google's APIs that the UI, curl and Google's REST transports use.

Dashboards are carried as JSON, so that fields that this version knows nothing of come back as they were sent.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from obskit.engine.align import aggregate, period_ms
from obskit.engine.selectors import parsed_filter
from obskit.local.http.context import backend_of
from obskit.local.http.objects import OBJECT_SERVICES, refused
from obskit.local.http.replies import ApiError, JsonReply, Parameters, body_of
from obskit.local.http.timeseries import aggregation_of, interval_of, series_json
from obskit.local.ingest.entries import write_entries
from obskit.local.rpc.calls import carry_out
from obskit.local.rpc.failure import Refused
from obskit.local.rpc.rules import dashboard_faults

__all__ = ["GOOGLE_SERVICES", "google_routes"]

_Handler = Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]
_REACH_MS: Final = 600_000  # a counter's growth needs the point before the interval


# --------------------------------------------------------------------------- dashboards


_DASHBOARDS: Final = "/google.monitoring.dashboard.v1.DashboardsService/"


def _counted(method: str, handler: Callable[[Request, dict[str, Any]], Response]) -> Callable[..., Awaitable[Response]]:
    """Return a handler of dashboards under the same faults as the gRPC methods."""

    async def serve(request: Request) -> Response:
        body = await body_of(request) if request.method in {"POST", "PATCH"} else {}
        replies: list[Response] = []

        def call() -> Mapping[str, Any]:
            replies.append(handler(request, body))
            return {}

        try:
            await run_in_threadpool(carry_out, backend_of(request).store, _DASHBOARDS + method, call)
        except Refused as error:
            raise refused(error) from error
        return replies[0]

    return serve


def _list_dashboards(request: Request, _body: dict[str, Any]) -> Response:
    parent = f"projects/{request.path_params['project']}"
    found = backend_of(request).store.objects.list("dashboards", parent=parent)
    page, token = _page(found, Parameters.of(request))
    return JsonReply({"dashboards": page, **({"nextPageToken": token} if token else {})})


def _page(found: Sequence[Any], asked: Parameters) -> tuple[Sequence[Any], str]:
    raw = asked.text("pageToken")
    if raw and not raw.isdecimal():
        raise ApiError(400, f"pageToken {raw!r} is not one that this backend gave")
    start = int(raw or 0)
    size = asked.whole("pageSize", 1000, low=0, high=1000) or 1000
    end = start + size
    return found[start:end], str(end) if end < len(found) else ""


def _get_dashboard(request: Request, _body: dict[str, Any]) -> Response:
    return JsonReply(_existing(request, "dashboards"))


def _existing(request: Request, collection: str) -> dict[str, Any]:
    name = f"projects/{request.path_params['project']}/{collection}/{request.path_params['id']}"
    found: dict[str, Any] | None = backend_of(request).store.objects.get(name)
    if found is None:
        raise ApiError(404, f"{name} does not exist")
    return found


def _create_dashboard(request: Request, body: dict[str, Any]) -> Response:
    _checked_dashboard(body)
    if body.get("etag"):
        raise ApiError(400, "etag must not be set on a new dashboard")
    project = request.path_params["project"]
    name = body.get("name") or f"projects/{project}/dashboards/{uuid.uuid4()}"
    if not name.startswith(f"projects/{project}/dashboards/"):
        raise ApiError(400, f"name {name!r} is not projects/{project}/dashboards/ID")
    objects = backend_of(request).store.objects
    if objects.get(name) is not None:
        raise ApiError(409, f"{name} exists already", name="ALREADY_EXISTS")
    return _kept_dashboard(request, {**body, "name": name})


def _update_dashboard(request: Request, body: dict[str, Any]) -> Response:
    _checked_dashboard(body)
    current = _existing(request, "dashboards")
    if body.get("etag") and body["etag"] != current.get("etag"):
        raise ApiError(409, "the dashboard was changed since this etag was read")
    return _kept_dashboard(request, {**body, "name": current["name"]})


def _checked_dashboard(body: dict[str, Any]) -> None:
    faults = dashboard_faults(body)
    if faults:
        raise ApiError(400, " ".join(faults))


def _kept_dashboard(request: Request, document: dict[str, Any]) -> Response:
    kept = {**document, "etag": secrets.token_hex(16)}
    if not Parameters.of(request).flag("validateOnly"):
        backend_of(request).store.objects.put(kept)
    return JsonReply(kept)


def _delete_dashboard(request: Request, _body: dict[str, Any]) -> Response:
    backend_of(request).store.objects.delete(_existing(request, "dashboards")["name"])
    return JsonReply({})


# --------------------------------------------------------------------------- time series


def _list_time_series(request: Request) -> Response:
    backend, asked, params = backend_of(request), Parameters.of(request), request.query_params
    start_ms, end_ms = interval_of(params, now_ms=backend.clock.now_ms())
    first = aggregation_of(params)
    second = aggregation_of(params, "secondaryAggregation")
    reach_ms = _REACH_MS + 2 * period_ms(first) if first else 0
    found = backend.store.series.list_series(parsed_filter(asked.text("filter")), start_ms - reach_ms, end_ms)
    for aggregation in (first, second):
        if aggregation:
            found = aggregate(found, aggregation, start_ms, end_ms)
    page, token = _page(found, asked)
    series = series_json(page, is_header_only=asked.text("view") == "HEADERS")
    return JsonReply({"timeSeries": series, "unit": "", **({"nextPageToken": token} if token else {})})


# --------------------------------------------------------------------------- log entries


async def _write_entries(request: Request) -> Response:
    body = await body_of(request)
    entries = body.get("entries")
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ApiError(400, "entries must be a list of log entries")
    for name, kind in (("logName", str), ("resource", Mapping), ("labels", Mapping)):
        if name in body and not isinstance(body[name], kind):
            raise ApiError(400, f"{name} has the wrong type")
    if not body.get("dryRun"):
        await run_in_threadpool(
            write_entries,
            backend_of(request).store,
            entries,
            log_name=body.get("logName", ""),
            resource=body.get("resource"),
            labels=body.get("labels"),
        )
    return JsonReply({})


async def _list_entries(request: Request) -> Response:
    body = await body_of(request)
    size = body.get("pageSize") or 50
    if not isinstance(size, int) or not 0 < size <= 1000:
        raise ApiError(400, "pageSize must be 1 to 1000")
    found = await run_in_threadpool(
        backend_of(request).store.logs.entries,
        filter=str(body.get("filter") or ""),
        limit=size,
        newest_first=str(body.get("orderBy") or "") == "timestamp desc",
    )
    return JsonReply({"entries": found})


# --------------------------------------------------------------------------- the table

GOOGLE_SERVICES: Final[dict[tuple[str, str], _Handler]] = {
    ("GET", "/v1/projects/{project}/dashboards"): _counted("ListDashboards", _list_dashboards),
    ("POST", "/v1/projects/{project}/dashboards"): _counted("CreateDashboard", _create_dashboard),
    ("GET", "/v1/projects/{project}/dashboards/{id}"): _counted("GetDashboard", _get_dashboard),
    ("PATCH", "/v1/projects/{project}/dashboards/{id}"): _counted("UpdateDashboard", _update_dashboard),
    ("DELETE", "/v1/projects/{project}/dashboards/{id}"): _counted("DeleteDashboard", _delete_dashboard),
    **OBJECT_SERVICES,
    ("GET", "/v3/projects/{project}/timeSeries"): _list_time_series,
    ("POST", "/v2/entries:write"): _write_entries,
    ("POST", "/v2/entries:list"): _list_entries,
}


def google_routes() -> list[Route]:
    """Return the routes of the table."""
    return [Route(path, handler, methods=[method]) for (method, path), handler in GOOGLE_SERVICES.items()]
