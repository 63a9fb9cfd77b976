"""The external Application Load Balancer: what users get from it, and whether it or its backends are to blame."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, Plot, Row, Scorecard
from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, line, more_than, only, percent
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import Query, google, growth, highest, percentile, rate, share
from obskit.queries.definitions import as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_REQUESTS: Final = google("loadbalancing.googleapis.com/https/request_count")
_LATENCIES: Final = google("loadbalancing.googleapis.com/https/total_latencies")
_BACKEND: Final = google("loadbalancing.googleapis.com/https/backend_latencies")
_BYTES: Final = google("loadbalancing.googleapis.com/https/response_bytes_count")
_BY: Final = "url_map_name"
_LEGEND: Final = "${labels.url_map_name}"
# The class is a number here, not "5xx".
_FAILED: Final[Labels] = {"response_code_class": "500"}


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        url_map: only this load balancer; every one by itself when empty.
        errors: share of requests that end in a 5xx. Source: 5 %, with a target of 1 %.
        latency: of the 95th percentile. Source: 2 s, with a warning at 1 s and a target of 0.5 s.
    """

    noun: ClassVar[str] = "settings of pack cloud-load-balancing"

    url_map: str = given(as_text, default="")
    errors: float = given(as_share, default=0.05)
    latency: DurationLike = given(as_duration, default=timedelta(seconds=2))


def _make(settings: Settings) -> Objects:
    failing, slow = alerts = (_failing(settings), _slow(settings))
    dashboard = Dashboard(
        id="cloud-load-balancing",
        display_name="Load balancing",
        rows=(
            cards(*_numbers(settings, failing, slow), policies=alerts),
            _symptoms(settings, failing, slow),
            *_causes(settings, slow),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _where(settings: Settings) -> Labels:
    return only(_BY, settings.url_map)


def _failed(settings: Settings) -> Query:
    return growth(_REQUESTS, where={**_where(settings), **_FAILED}, by=_BY, window="2m")


def _every(settings: Settings) -> Query:
    return growth(_REQUESTS, where=_where(settings), by=_BY, window="2m")


def _p95(settings: Settings) -> Query:
    return percentile(95, _LATENCIES, where=_where(settings), by=_BY, window="2m")


def _failing(settings: Settings) -> AlertPolicy:
    return alert(
        "load-balancer-errors",
        "Load balancer: error spike",
        more_than(settings.errors, _failed(settings), of=_every(settings), least=10),
        to=(*settings.receivers.team, *settings.receivers.page),
        for_="2m",
        severity=Severity.CRITICAL,
        condition=f"5xx above {percent(settings.errors)}",
        means=f"More than {percent(settings.errors)} of what users ask the load balancer for ends in a 5xx.",
        looks=(
            "Its log's `statusDetails`: `response_sent_by_backend` is the app, anything else the way to it.",
            "The *cloud-load-balancing* dashboard: all backends or one, since when?",
            "Certificates, health checks and the newest deployment of the backend that fails.",
        ),
    )


def _slow(settings: Settings) -> AlertPolicy:
    return alert(
        "load-balancer-latency",
        "Load balancer: high latency",
        _p95(settings) > whole_seconds(settings.latency) * 1000,
        to=settings.receivers.page,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"p95 above {shown_duration(settings.latency)}",
        means=f"One request in twenty took longer than {shown_duration(settings.latency)}, seen from the load "
        "balancer, the network to the user included. The target is 0.5 s.",
        looks=(
            "The *cloud-load-balancing* dashboard: is the backend's part of it? If so, go to the service's dashboard.",
            "If not: larger responses than usual, or users far away whom a CDN would serve?",
            "What changed: a deployment, a new region, caching switched off.",
        ),
    )


def _numbers(settings: Settings, failing: AlertPolicy, slow: AlertPolicy) -> tuple[Scorecard, ...]:
    where = _where(settings)
    return (
        card("Requests", rate(_REQUESTS, where=where, window="2m"), unit="1/s"),
        card("p95, slowest", highest(_p95(settings)), unit="ms", limits=(slow, early(slow, 0.5))),
        card(
            "Failed requests (5xx)",
            share(
                growth(_REQUESTS, where={**where, **_FAILED}, window="2m"),
                growth(_REQUESTS, where=where, window="2m"),
            ),
            unit=PERCENT,
            limits=(failing, early(failing, 0.2)),
        ),
    )


def _symptoms(settings: Settings, failing: AlertPolicy, slow: AlertPolicy) -> Row:
    return charts(
        chart(
            "Latency, seen by users",
            {
                f"p{percent} {_LEGEND}": percentile(percent, _LATENCIES, where=_where(settings), by=_BY, window="2m")
                for percent in (50, 95)
            },
            unit="ms",
            label="milliseconds",
            limits=(slow, line(slow, 0.5, "p95 warning"), line(slow, 0.25, "p95 target")),
        ),
        chart(
            "Failed requests (5xx)",
            {_LEGEND: share(_failed(settings), _every(settings))},
            unit=PERCENT,
            label="share of the requests",
            limits=(failing, line(failing, 0.2, "target")),
        ),
    )


def _causes(settings: Settings, slow: AlertPolicy) -> tuple[Row, ...]:
    where = _where(settings)
    return (
        charts(
            chart(
                "Requests by status",
                {"${labels.response_code_class}": rate(_REQUESTS, where=where, by="response_code_class", window="2m")},
                unit="1/s",
                label="requests per second",
                plot=Plot.STACKED_AREA,
            ),
            chart(
                "Backends, p95",
                {
                    "${labels.backend_target_name}": percentile(
                        95, _BACKEND, where=where, by="backend_target_name", window="5m"
                    )
                },
                unit="ms",
                label="milliseconds",
                limits=(line(slow, 0.25, "p95 target"),),
            ),
            chart(
                "Bytes sent",
                {_LEGEND: rate(_BYTES, where=where, by=_BY, window="5m")},
                unit="By/s",
                label="bytes per second",
            ),
        ),
    )


_AT: Final = {"url_map_name": "shop", "backend_target_name": "shop-api", "protocol": "HTTP/2.0"}
_FINE: Final = {**_AT, "response_code": "200", "response_code_class": "200"}
_WRONG: Final = {**_AT, "response_code": "502", "response_code_class": "500"}
_BOUNDS: Final = (100.0, 500.0, 1000.0, 2000.0, 5000.0)
_SLOW: Final = Bump(at=0.5, lasts=0.15, size=7)


def _backend(name: str, a_second: float, median: float, *bumps: Bump) -> tuple[Signal, ...]:
    labels = {**_FINE, "backend_target_name": name}
    return (
        Signal(metric=_REQUESTS, level=a_second, labels=labels, swing=0.3, noise=0.08),
        Signal(metric=_LATENCIES, level=a_second, labels=labels, median=median * 1.4, bumps=bumps),
        Signal(metric=_BACKEND, level=a_second, labels=labels, median=median, bumps=bumps),
        Signal(metric=_BYTES, level=a_second * 18_000, labels=labels, noise=0.1),
    )


PACK: Final = Pack(
    name="cloud-load-balancing",
    title="Cloud Load Balancing",
    summary="Errors and latency of external Application Load Balancers, as their users see them.",
    needs=("loadbalancing.googleapis.com",),
    logs='resource.type="http_load_balancer" AND httpRequest.status>=500',
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="One of two backends becomes slow, and its requests then time out.",
        signals=(
            *_backend("shop-web", 30, 45),
            *_backend("shop-api", 22, 150, _SLOW),
            Signal(
                metric=_REQUESTS,
                level=0.04,
                labels=_WRONG,
                noise=0.5,
                bumps=(Bump(at=0.56, lasts=0.09, level=130),),
            ),
            Signal(
                metric=_REQUESTS,
                level=0.6,
                labels={**_AT, "response_code": "404", "response_code_class": "400"},
                noise=0.2,
            ),
        ),
    ),
    cases=(
        Case(
            alert="load-balancer-errors",
            says="one request in ten fails",
            given=(Points(_REQUESTS, "90x30", _FINE), Points(_REQUESTS, "_x10 10x20", _WRONG)),
            opens="12m",
            within="1m",
            labels={"url_map_name": "shop"},
            tells={"slack": 1, "pagerduty": 1},
        ),
        Case(
            alert="load-balancer-errors",
            says="the callers' own errors",
            given=(
                Points(_REQUESTS, "90x30", _FINE),
                Points(_REQUESTS, "90x30", {**_AT, "response_code_class": "400"}),
            ),
        ),
        Case(
            alert="load-balancer-errors",
            says="the one failed request of a quiet night",
            given=(Points(_REQUESTS, "1x30", _FINE), Points(_REQUESTS, "_x10 1", _WRONG)),
        ),
        Case(
            alert="load-balancer-latency",
            says="one request in ten takes 4 s for ten minutes",
            given=Sizes(_LATENCIES, {300: "90x40", 4000: "0x9 10x9 0x20"}, _FINE, bounds=_BOUNDS),
            opens="15m",
            closes="21m",
            within="2m",
            tells={"pagerduty": 1},
        ),
        Case(
            alert="load-balancer-latency",
            says="for two minutes",
            given=Sizes(_LATENCIES, {300: "90x40", 4000: "0x9 10x1 0x20"}, _FINE, bounds=_BOUNDS),
        ),
    ),
)
