"""API Gateway's metrics, made-up data of them for the dashboard, and what the alerts are tested by."""

from __future__ import annotations

from typing import Final

from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.logs import log_distribution, log_metric
from obskit.packs.scenarios import Bump, LogLine, Scenario, Signal
from obskit.queries import google

__all__ = ["CASES", "LATENCIES", "LOG", "REFUSED", "REQUESTS", "SCENARIO", "SELF_MADE", "TIMED"]

REQUESTS: Final = google("apigateway.googleapis.com/proxy/request_count")
_RESOURCE: Final = "apigateway.googleapis.com/Gateway"
LOG: Final = f'resource.type="{_RESOURCE}" AND logName:"apigateway.googleapis.com%2Frequests"'
TIMED, LATENCIES = log_distribution(
    "api-gateway-latency",
    of='REGEXP_EXTRACT(httpRequest.latency, "([0-9.]+)")',
    counts=f"{LOG} AND httpRequest.latency:*",
    unit="s",
    resource=_RESOURCE,
    labels={"method": "EXTRACT(jsonPayload.apiMethod)"},
    description="How long requests through API Gateway took, the backend included.",
)
# Source: entries of its request log in public repositories: `via_upstream` is an answer of the backend; whatever else
# stands there is why the gateway answered itself.
SELF_MADE, REFUSED = log_metric(
    "api-gateway-refused",
    counts=f'{LOG} AND jsonPayload.responseDetails:* AND jsonPayload.responseDetails!="via_upstream"',
    resource=_RESOURCE,
    labels={"reason": "EXTRACT(jsonPayload.responseDetails)"},
    description="Requests that API Gateway answered itself, by its reason.",
)


_SHOP: Final = {"gateway_id": "shop", "location": "europe-west1", "resource_container": "gallery"}
_BROKEN: Final = Bump(at=0.7, lasts=0.08, level=120.0)
_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0)


def _answers(values: str, status: str) -> Points:
    return Points(REQUESTS, values, {**_SHOP, "api_config": "shop-v7", "response_code_class": status})


def _requests(status: str, level: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    labels = {**_SHOP, "api_config": "shop-v7", "response_code_class": status}
    return Signal(metric=REQUESTS, level=level, labels=labels, swing=0.3, bumps=bumps)


def _latency(method: str, level: float, median: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    return Signal(
        metric=LATENCIES,
        level=level,
        labels={**_SHOP, "method": method},
        median=median,
        spread=1.9,
        bumps=bumps,
        resource_type=_RESOURCE,
    )


def _reason(reason: str, level: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    labels = {**_SHOP, "reason": reason}
    return Signal(metric=REFUSED, level=level, labels=labels, noise=0.5, bumps=bumps, resource_type=_RESOURCE)


SCENARIO: Final = Scenario(
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
)

CASES: Final = (
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
        given=Sizes(LATENCIES, {0.2: "60x10 30x40", 2.4: "0x10 30x40"}, _SHOP, _BOUNDS, _RESOURCE),
        opens="16m",
        within="2m",
    ),
    Case(
        alert="api-gateway-slow",
        says="three slow minutes",
        given=Sizes(LATENCIES, {0.2: "60x40", 2.4: "0x10 30x2 0x30"}, _SHOP, _BOUNDS, _RESOURCE),
    ),
)
