"""The REST forms of Google's object services: paths, queries and bodies become the requests of the gRPC methods.

Source: the `google.api.http` annotations of Monitoring v3, Logging v2 and Cloud Billing budgets v1.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from google.protobuf import json_format
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from obskit.local.http.context import backend_of
from obskit.local.http.replies import ApiError, JsonReply, Parameters, body_of
from obskit.local.rpc.calls import PERMISSIONS
from obskit.local.rpc.failure import Refused
from obskit.local.rpc.server import answer
from obskit.local.rpc.signatures import signatures

__all__ = ["OBJECT_SERVICES", "refused"]

_Handler = Callable[[Request], Awaitable[Response]]
_MONITORING: Final = "/google.monitoring.v3."
_STATUS: Final = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
# Query parameter → how the request's field of that name is set.
_TEXTS: Final = {
    "filter": "filter",
    "orderBy": "order_by",
    "pageToken": "page_token",
    "serviceId": "service_id",
    "serviceLevelObjectiveId": "service_level_objective_id",
}
_KNOWN: Final = frozenset({*_TEXTS, "pageSize", "updateMask", "force", "alt", "prettyPrint", "scope", "view"})


def refused(error: Refused) -> ApiError:
    """Return a refusal in the form of the REST APIs, with what it asks to wait."""
    wait = next((each.retry_delay.ToTimedelta().total_seconds() for each in error.details if _waits(each)), 0.0)
    return ApiError(_STATUS.get(error.code.name, 500), error.message, name=error.code.name, retry_after_s=wait)


def _waits(detail: Any) -> bool:
    return bool(detail.DESCRIPTOR.full_name == "google.rpc.RetryInfo")


def _transcoded(method: str, *, named: str = "", body: str = "") -> _Handler:
    """Return the REST handler of a method.

    Args:
        method: the RPC's full name.
        named: the field that the path is for; dots lead into messages.
        body: the field that the JSON body is for.
    """

    async def serve(request: Request) -> Response:
        signature = signatures().get(method)
        if signature is None:
            raise ApiError(501, f"The local backend does not implement {method}.", name="UNIMPLEMENTED")
        message = signature.read(b"")
        if body:
            _fill(getattr(message, body), await body_of(request))
        _ask(message, request)
        *path, last = named.split(".")
        holder = message
        for step in path:
            holder = getattr(holder, step)
        setattr(holder, last, _resource(request))
        try:
            found = await run_in_threadpool(answer, backend_of(request).store, method, message)
        except Refused as error:
            raise refused(error) from error
        return JsonReply({key: value for key, value in found.items() if value != "" or key != "nextPageToken"})

    return serve


def _fill(message: Any, body: dict[str, Any]) -> None:
    message.SetInParent()
    try:
        json_format.ParseDict(body, message)
    except json_format.ParseError as error:
        raise ApiError(400, f"Invalid JSON payload received. {error}") from error


def _ask(message: Any, request: Request) -> None:
    asked = Parameters.of(request)
    for name in request.query_params:
        if name not in _KNOWN:
            raise ApiError(400, f"Invalid JSON payload received. Unknown name {name!r}: Cannot bind query parameter.")
    for name, field in _TEXTS.items():
        if name in request.query_params:
            setattr(message, field, asked.text(name))
    if "pageSize" in request.query_params:
        message.page_size = asked.whole("pageSize", 0, low=0, high=10_000)
    if "force" in request.query_params:
        message.force = asked.flag("force")
    if mask := asked.text("updateMask"):
        try:
            message.update_mask.FromJsonString(mask)
        except ValueError as error:
            raise ApiError(
                400, f"updateMask={mask} is not valid: write fields as in JSON, userLabels. {error}"
            ) from error


def _resource(request: Request) -> str:
    """Return the resource name in a path: without the version, and for a list or create without the collection."""
    name = request.url.path.split("/", 2)[2]
    if "id" in request.path_params:
        head, _, _ = name.partition(f"/{request.path_params['id']}")
        return f"{head}/{request.path_params['id']}"
    return name.rpartition("/")[0]


async def _test_permissions(request: Request) -> Response:
    """Return those of the permissions that the caller has: all but those that a test denies."""
    asked = (await body_of(request)).get("permissions")
    if not isinstance(asked, list) or not all(isinstance(each, str) for each in asked) or len(asked) > 100:
        raise ApiError(400, "permissions must be a list of at most 100 texts")
    faults = backend_of(request).store.faults
    failure = faults.called("TestIamPermissions")
    if failure is not None:
        raise ApiError(_STATUS[failure.code], failure.message, name=failure.code)
    unknown = [each for each in asked if not re.fullmatch(r"[a-z]+\.[A-Za-z]+\.[a-z]+", each)]
    if unknown:
        raise ApiError(400, f"Permission {unknown[0]} is not valid for this resource.")
    known = {*PERMISSIONS, "secretmanager.versions.access"}
    granted = [each for each in asked if each in known and each not in faults.denied]
    return JsonReply({"permissions": granted} if granted else {})


def _routes(
    prefix: str, collection: str, service: str, noun: str, *, plural: str = "", field: str, parent: str, key: str = ""
) -> dict[tuple[str, str], _Handler]:
    """Return the five methods of a collection."""
    base, one = f"{prefix}/{collection}", f"{prefix}/{collection}/{{id:path}}"
    name = key or "name"
    verb = "PUT" if noun == "LogMetric" else "PATCH"
    return {
        ("GET", base): _transcoded(f"{service}List{plural or noun + 's'}", named=parent),
        ("POST", base): _transcoded(f"{service}Create{noun}", named=parent, body=field),
        ("GET", one): _transcoded(f"{service}Get{noun}", named=name),
        (verb, one): _transcoded(f"{service}Update{noun}", named=key or f"{field}.name", body=field),
        ("DELETE", one): _transcoded(f"{service}Delete{noun}", named=name),
    }


_PROJECT: Final = "/v3/projects/{project}"
_SERVICES: Final = f"{_MONITORING}ServiceMonitoringService/"
_METRICS: Final = f"{_MONITORING}MetricService/"

OBJECT_SERVICES: Final[dict[tuple[str, str], _Handler]] = {
    **_routes(
        _PROJECT,
        "alertPolicies",
        f"{_MONITORING}AlertPolicyService/",
        "AlertPolicy",
        plural="AlertPolicies",
        field="alert_policy",
        parent="name",
    ),
    **_routes(
        _PROJECT,
        "notificationChannels",
        f"{_MONITORING}NotificationChannelService/",
        "NotificationChannel",
        field="notification_channel",
        parent="name",
    ),
    **_routes(
        _PROJECT,
        "uptimeCheckConfigs",
        f"{_MONITORING}UptimeCheckService/",
        "UptimeCheckConfig",
        field="uptime_check_config",
        parent="parent",
    ),
    # The deeper path first: a service's own takes everything below it.
    ("GET", "/v3/workspaces/{project}/services/{service}/serviceLevelObjectives"): _transcoded(
        f"{_SERVICES}ListServiceLevelObjectives", named="parent"
    ),
    **_routes(
        f"{_PROJECT}/services/{{service}}",
        "serviceLevelObjectives",
        _SERVICES,
        "ServiceLevelObjective",
        field="service_level_objective",
        parent="parent",
    ),
    **_routes(_PROJECT, "services", _SERVICES, "Service", field="service", parent="parent"),
    **{
        route: handler
        for route, handler in _routes(
            _PROJECT, "snoozes", f"{_MONITORING}SnoozeService/", "Snooze", field="snooze", parent="parent"
        ).items()
        if route[0] != "DELETE"
    },
    ("GET", f"{_PROJECT}/metricDescriptors"): _transcoded(f"{_METRICS}ListMetricDescriptors", named="name"),
    ("POST", f"{_PROJECT}/metricDescriptors"): _transcoded(
        f"{_METRICS}CreateMetricDescriptor", named="name", body="metric_descriptor"
    ),
    ("GET", f"{_PROJECT}/metricDescriptors/{{id:path}}"): _transcoded(f"{_METRICS}GetMetricDescriptor", named="name"),
    ("DELETE", f"{_PROJECT}/metricDescriptors/{{id:path}}"): _transcoded(
        f"{_METRICS}DeleteMetricDescriptor", named="name"
    ),
    **_routes(
        "/v2/projects/{project}",
        "metrics",
        "/google.logging.v2.MetricsServiceV2/",
        "LogMetric",
        field="metric",
        parent="parent",
        key="metric_name",
    ),
    **_routes(
        "/v1/billingAccounts/{account}",
        "budgets",
        "/google.cloud.billing.budgets.v1.BudgetService/",
        "Budget",
        field="budget",
        parent="parent",
    ),
    ("POST", "/v3/projects/{project}:testIamPermissions"): _test_permissions,
    ("POST", "/v1/billingAccounts/{account}:testIamPermissions"): _test_permissions,
}
