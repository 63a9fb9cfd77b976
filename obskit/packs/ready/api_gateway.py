"""API Gateway: do callers get answers, in time, and who answers wrongly, the gateway or the backend.

Its only metric counts requests. Latency, and who answered, are taken from its request log.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.dashboards import Dashboard, LogsPanel, Plot
from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.logs import log_distribution, log_metric
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, warning
from obskit.packs.scenarios import Bump, LogLine, Scenario, Signal
from obskit.queries import google, highest, increase, percentile, rate, ratio, share
from obskit.queries.definitions import as_number, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_REQUESTS: Final = google("apigateway.googleapis.com/proxy/request_count")
_RESOURCE: Final = "apigateway.googleapis.com/Gateway"
_LOG: Final = f'resource.type="{_RESOURCE}" AND logName:"apigateway.googleapis.com%2Frequests"'
_TIMED, _LATENCIES = log_distribution(
    "api-gateway-latency",
    of='REGEXP_EXTRACT(httpRequest.latency, "([0-9.]+)")',
    counts=f"{_LOG} AND httpRequest.latency:*",
    unit="s",
    resource=_RESOURCE,
    labels={"method": "EXTRACT(jsonPayload.apiMethod)"},
    description="How long requests through API Gateway took, the backend included.",
)
# Source: entries of its request log in public repositories: `via_upstream` is an answer of the backend; whatever else
# stands there is why the gateway answered itself.
_SELF_MADE, _REFUSED = log_metric(
    "api-gateway-refused",
    counts=f'{_LOG} AND jsonPayload.responseDetails:* AND jsonPayload.responseDetails!="via_upstream"',
    resource=_RESOURCE,
    labels={"reason": "EXTRACT(jsonPayload.responseDetails)"},
    description="Requests that API Gateway answered itself, by its reason.",
)
_BY: Final = "gateway_id"
_LEGEND: Final = "${labels.gateway_id}"
_METHOD: Final = "${labels.method}"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        gateway: only this one; every gateway by itself when empty.
        failed: share of the requests that may end in a 5xx. Source: error ratio 5 %.
        refused: share of the requests that may end in a 4xx.
        least_requests: so many requests in 5 minutes are too few to judge by.
        latency: how long one request in twenty may take. Source: p95 2 s.
    """

    noun: ClassVar[str] = "settings of pack api-gateway"

    gateway: str = given(as_text, default="")
    failed: float = given(as_share, default=0.05)
    refused: float = given(as_share, default=0.3)
    least_requests: float = given(as_number, default=50)
    latency: DurationLike = given(as_duration, default=timedelta(seconds=2))


def _make(settings: Settings) -> Objects:
    where: Labels = {"gateway_id": settings.gateway} if settings.gateway else {}
    to = settings.receivers
    requests = increase(_REQUESTS, where=where, by=_BY, window="5m")
    failed = increase(_REQUESTS, where={**where, "response_code_class": "5xx"}, by=_BY, window="5m")
    refused = increase(_REQUESTS, where={**where, "response_code_class": "4xx"}, by=_BY, window="5m")
    p95 = percentile(95, _LATENCIES, where=where, by=_BY, window="2m")
    enough = requests >= settings.least_requests
    failing = alert(
        "api-gateway-errors",
        "API Gateway: errors",
        (ratio(failed, requests) > settings.failed).when(enough),
        to=to.page,
        for_="2m",
        severity=Severity.CRITICAL,
        condition=f"5xx above {settings.failed * 100:g} %",
        means=f"More than {settings.failed * 100:g} % of a gateway's requests end in a 5xx. Callers see errors.",
        looks=(
            (
                "The *api-gateway* dashboard, answered by the gateway itself: a rise there is a backend that cannot be "
                "reached; without one, the backend's own answers are wrong."
            ),
            "The backend's dashboard and error groups of these minutes; `jsonPayload.backendRequest` names it.",
            "The latest API config: `gcloud api-gateway gateways describe` says which one is served.",
        ),
    )
    denied = alert(
        "api-gateway-refused",
        "API Gateway: callers are refused",
        (ratio(refused, requests) > settings.refused).when(enough),
        to=to.team,
        for_="10m",
        condition=f"4xx above {settings.refused * 100:g} %",
        means=f"More than {settings.refused * 100:g} % of a gateway's requests end in a 4xx: keys or tokens are not "
        "valid, a quota is used up, or callers ask for what does not exist.",
        looks=(
            "The *api-gateway* dashboard, answered by the gateway itself, by reason: authentication, quota, no route.",
            "One caller or all? `jsonPayload.apiKey` and `jsonPayload.consumerNumber` in the request log.",
            "The latest API config: a path or a security definition that was changed.",
        ),
    )
    slow = alert(
        "api-gateway-slow",
        "API Gateway: slow",
        p95 > whole_seconds(settings.latency),
        to=to.team,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"p95 above {shown_duration(settings.latency)}",
        means=f"One request in twenty takes more than {shown_duration(settings.latency)}, the backend included.",
        looks=(
            "The *api-gateway* dashboard, p95 by method: one method, or all?",
            "The backend's own latency: if it is as before, the gateway or the network to it adds the time.",
            "Instances of the backend that start: a minimum of one takes the wait away.",
        ),
    )
    alerts = (failing, slow, denied)
    whole = increase(_REQUESTS, where=where, window="5m")
    dashboard = Dashboard(
        id="api-gateway",
        display_name="API Gateway",
        rows=(
            cards(
                card(
                    "Errors (5xx)",
                    share(increase(_REQUESTS, where={**where, "response_code_class": "5xx"}, window="5m"), whole),
                    unit=PERCENT,
                    limits=(failing, warning(0.01)),
                ),
                card("p95, slowest gateway", highest(p95), unit="s", limits=(slow, warning(1.0))),
                card(
                    "Refused (4xx)",
                    share(increase(_REQUESTS, where={**where, "response_code_class": "4xx"}, window="5m"), whole),
                    unit=PERCENT,
                    limits=(denied,),
                ),
                card("Requests", rate(_REQUESTS, where=where, window="5m"), unit="1/s"),
                policies=alerts,
            ),
            charts(
                chart(
                    "Latency",
                    {
                        f"p{percent} {_LEGEND}": percentile(percent, _LATENCIES, where=where, by=_BY, window="5m")
                        for percent in (50, 95, 99)
                    },
                    unit="s",
                    label="seconds",
                    limits=[slow],
                ),
                chart(
                    "Errors (5xx)",
                    {_LEGEND: share(failed, requests)},
                    unit=PERCENT,
                    label="share of the requests",
                    limits=[failing],
                ),
            ),
            charts(
                chart(
                    "Requests by status",
                    {
                        "${labels.response_code_class}": rate(
                            _REQUESTS, where=where, by="response_code_class", window="2m"
                        )
                    },
                    unit="1/s",
                    label="requests per second",
                    plot=Plot.STACKED_AREA,
                ),
                chart(
                    "Answered by the gateway itself",
                    {"${labels.reason}": increase(_REFUSED, where=where, by="reason", window="1m")},
                    unit="1",
                    label="requests per minute",
                    plot=Plot.STACKED_BAR,
                ),
                chart(
                    "p95 by method",
                    {_METHOD: percentile(95, _LATENCIES, where=where, by="method", window="5m")},
                    unit="s",
                    label="seconds",
                ),
            ),
            LogsPanel(
                title="Failed requests",
                filter=f"{_LOG} AND httpRequest.status>=500"
                + (f' AND resource.labels.gateway_id="{settings.gateway}"' if settings.gateway else ""),
                height=12,
            ),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts, resources=(_TIMED, _SELF_MADE))


_SHOP: Final = {"gateway_id": "shop", "location": "europe-west1", "resource_container": "gallery"}
_BROKEN: Final = Bump(at=0.7, lasts=0.08, level=120.0)
_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0)


def _answers(values: str, status: str) -> Points:
    return Points(_REQUESTS, values, {**_SHOP, "api_config": "shop-v7", "response_code_class": status})


def _requests(status: str, level: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    labels = {**_SHOP, "api_config": "shop-v7", "response_code_class": status}
    return Signal(metric=_REQUESTS, level=level, labels=labels, swing=0.3, bumps=bumps)


def _latency(method: str, level: float, median: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    return Signal(
        metric=_LATENCIES,
        level=level,
        labels={**_SHOP, "method": method},
        median=median,
        spread=1.9,
        bumps=bumps,
        resource_type=_RESOURCE,
    )


def _reason(reason: str, level: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    labels = {**_SHOP, "reason": reason}
    return Signal(metric=_REFUSED, level=level, labels=labels, noise=0.5, bumps=bumps, resource_type=_RESOURCE)


PACK: Final = Pack(
    name="api-gateway",
    title="API Gateway",
    summary="Errors, latency and refused callers of API Gateway; latency is taken from its log, as there is no metric.",
    needs=("apigateway.googleapis.com", "logging.googleapis.com"),
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="A deployment of the backend fails: for half an hour the gateway cannot reach it.",
        signals=(
            _requests("2xx", 22.0, (Bump(at=0.7, lasts=0.08, level=0.7),)),
            _requests("4xx", 0.9),
            _requests("5xx", 0.05, (_BROKEN,)),
            _latency("shop.ListOrders", 14.0, 0.14, (Bump(at=0.7, lasts=0.08, size=6.0),)),
            _latency("shop.CreateOrder", 8.0, 0.31, (Bump(at=0.7, lasts=0.08, size=8.0),)),
            _reason("jwt_authn_access_denied", 0.3),
            _reason("upstream_reset_before_response_started", 0.02, (Bump(at=0.7, lasts=0.08, level=250.0),)),
        ),
        logs=(
            LogLine(
                entry={
                    "logName": "projects/gallery/logs/apigateway.googleapis.com%2Frequests",
                    "severity": "WARNING",
                    "resource": {"type": _RESOURCE, "labels": _SHOP},
                    "httpRequest": {
                        "requestMethod": "POST",
                        "requestUrl": "/orders",
                        "status": 503,
                        "latency": "2.402s",
                    },
                    "jsonPayload": {
                        "apiMethod": "shop.CreateOrder",
                        "responseDetails": "upstream_reset_before_response_started",
                    },
                },
                at=(0.71, 0.72, 0.73, 0.75, 0.76),
            ),
        ),
    ),
    cases=(
        Case(
            alert="api-gateway-errors",
            says="one request in five fails",
            given=(_answers("60x10 48x30", "2xx"), _answers("0x10 12x30", "5xx")),
            opens="14m",
            within="2m",
            labels={"gateway_id": "shop"},
            tells={"pagerduty": 1},
        ),
        Case(
            alert="api-gateway-errors",
            says="the only request of a quiet night fails",
            given=(_answers("0x40", "2xx"), _answers("0x10 1 0x30", "5xx")),
        ),
        Case(
            alert="api-gateway-refused",
            says="the callers' tokens have expired",
            given=(_answers("60x10 20x40", "2xx"), _answers("2x10 40x40", "4xx")),
            opens="23m",
            within="2m",
        ),
        Case(
            alert="api-gateway-refused",
            says="one request in ten asks for what does not exist",
            given=(_answers("60x40", "2xx"), _answers("6x40", "4xx")),
        ),
        Case(
            alert="api-gateway-slow",
            says="requests take two to three seconds",
            given=Sizes(_LATENCIES, {0.2: "60x10 30x40", 2.4: "0x10 30x40"}, _SHOP, _BOUNDS, _RESOURCE),
            opens="16m",
            within="2m",
        ),
        Case(
            alert="api-gateway-slow",
            says="three slow minutes",
            given=Sizes(_LATENCIES, {0.2: "60x40", 2.4: "0x10 30x2 0x30"}, _SHOP, _BOUNDS, _RESOURCE),
        ),
    ),
)
