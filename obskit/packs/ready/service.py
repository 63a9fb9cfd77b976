"""The app itself: what its callers feel, and how fast its error budget goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import error_spike, latency_p95
from obskit.alerts.policies import AlertPolicy
from obskit.catalog import HTTP_CLIENT_DURATION, HTTP_SERVER_DURATION, TELEMETRY_LOST
from obskit.dashboards import CollapsibleGroup, service
from obskit.packs.cases import Case, Sizes
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, chart, charts
from obskit.packs.scenarios import Bump, LogLine, Scenario, Signal
from obskit.queries.definitions import as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.resources import availability_burn_rates, latency_burn_rates
from obskit.resources.burn_rates import WORKBOOK
from obskit.resources.request_burn_rates import failed_share, slow_share

__all__ = ["PACK", "Settings"]


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        service: only this one; every service by itself when empty.
        latency: of the 95th percentile. Source: 2 s.
        errors: share of requests that end in a 5xx. Source: 5 %.
        available: the SLO: share of requests that must not fail.
        fast: the SLO: share of requests that must be answered within `fast_within`.
        fast_within: one of the bounds of the request histogram. Source: the target of 0.5 s.
        period: how long the error budgets must last.
    """

    noun: ClassVar[str] = "settings of pack service"

    service: str = given(as_text, default="")
    latency: DurationLike = given(as_duration, default=timedelta(seconds=2))
    errors: float = given(as_share, default=0.05)
    available: float = given(as_share, default=0.999)
    fast: float = given(as_share, default=0.95)
    fast_within: DurationLike = given(as_duration, default=timedelta(milliseconds=500))
    period: DurationLike = given(as_duration, default=timedelta(days=30))


def _make(settings: Settings) -> Objects:
    to, one = settings.receivers, settings.service or None
    slow = latency_p95(threshold=settings.latency, service=one, channels=to.page)
    failing = error_spike(threshold=settings.errors, service=one, channels=(*to.team, *to.page))
    budgets = (
        *availability_burn_rates(
            goal=settings.available, period=settings.period, service=one, page=to.page, ticket=to.team
        ),
        *latency_burn_rates(
            threshold=settings.fast_within,
            goal=settings.fast,
            period=settings.period,
            service=one,
            page=to.page,
            ticket=to.team,
        ),
    )
    dashboard = service(service=one, latency=slow, errors=failing, policies=budgets)
    dashboard = replace(dashboard, rows=(*dashboard.rows, _error_budgets(settings, budgets)))
    return Objects(dashboards=(dashboard,), alerts=(slow, failing, *budgets))


def _error_budgets(settings: Settings, policies: Sequence[AlertPolicy]) -> CollapsibleGroup:
    """What the burn-rate alerts compare: the share of each of their long windows, with their limits."""
    one, bound_s = settings.service or None, whole_seconds(settings.fast_within)
    windows = [rate.long for rate in WORKBOOK if as_duration(rate.long) < as_duration(settings.period)]
    failed, slow = policies[: len(windows)], policies[len(windows) :]
    row = charts(
        chart(
            "Failed requests, by the alerts' windows",
            {f"{shown_duration(window)} ${{labels.job}}": failed_share(window, service=one) for window in windows},
            unit=PERCENT,
            label="share of the requests",
            limits=failed,
        ),
        chart(
            f"Requests slower than {shown_duration(settings.fast_within)}, by the alerts' windows",
            {
                f"{shown_duration(window)} ${{labels.job}}": slow_share(window, bound_s=bound_s, service=one)
                for window in windows
            },
            unit=PERCENT,
            label="share of the requests",
            limits=slow,
        ),
    )
    return CollapsibleGroup(title="Error budgets", is_collapsed=True, rows=(row,))


_SERVICE: Final = {"service": "shop"}
_FINE: Final = {**_SERVICE, "http.response.status_code": "200"}
_FAILED: Final = {**_SERVICE, "http.response.status_code": "503"}
_BAD_DEPLOYMENT: Final = Bump(at=0.7, lasts=0.12, level=45)
_SLOW_DATABASE: Final = Bump(at=0.4, lasts=0.12, size=9)


def _route(route: str, a_second: float, median: float, *bumps: Bump) -> tuple[Signal, ...]:
    labels = {"http.route": route, "http.request.method": "GET"}
    return (
        Signal(
            metric=HTTP_SERVER_DURATION,
            level=a_second,
            median=median,
            labels={**_FINE, **labels},
            swing=0.3,
            noise=0.12,
            bumps=bumps,
        ),
        Signal(
            metric=HTTP_SERVER_DURATION,
            level=a_second * 0.003,
            median=median * 2,
            labels={**_FAILED, **labels},
            noise=0.4,
            bumps=(_BAD_DEPLOYMENT,),
        ),
    )


_SCENARIO: Final = Scenario(
    says="The database is slow for three quarters of an hour; later a bad deployment fails one request in eight.",
    signals=(
        *_route("/items/{item_id}", 9, 0.12, _SLOW_DATABASE),
        *_route("/search", 4, 0.25, _SLOW_DATABASE),
        *_route("/checkout", 1.5, 0.3),
        Signal(
            metric=HTTP_CLIENT_DURATION,
            level=8,
            median=0.05,
            labels={**_SERVICE, "server.address": "stock.internal", "http.response.status_code": "200"},
            bumps=(_SLOW_DATABASE,),
        ),
        Signal(
            metric=HTTP_CLIENT_DURATION,
            level=0.01,
            median=5,
            labels={**_SERVICE, "server.address": "stock.internal", "error.type": "TimeoutError"},
            noise=0.5,
            bumps=(Bump(at=0.42, lasts=0.08, level=40),),
        ),
        Signal(
            metric=TELEMETRY_LOST,
            level=0.0005,
            labels={**_SERVICE, "obskit.signal": "spans", "obskit.reason": "queue_full"},
            bumps=(Bump(at=0.7, lasts=0.03, level=500),),
        ),
    ),
    logs=(
        LogLine(
            entry={
                "severity": "ERROR",
                "jsonPayload": {"message": "KeyError: 'currency'", "service": "shop", "endpoint": "/checkout"},
            },
            at=(0.71, 0.73, 0.76, 0.78, 0.8),
        ),
    ),
)


def _burning(window: str, failing: float, *, says: str, fires: bool) -> Case:
    every, steps = ("1m", 480) if window == "1h" else ("5m", 96)
    given = tuple(
        Sizes(HTTP_SERVER_DURATION, {0.1: f"0+{count}x{steps}"}, labels)
        for labels, count in ((_FINE, 1000 - failing), (_FAILED, failing))
    )
    at = ("7h",) if fires else ()
    return Case(alert=f"availability-burn-{window}", says=says, given=given, every=every, open_at=at)


def _slow(window: str, percent: int, *, fires: bool) -> Case:
    every, steps = ("1m", 480) if window == "1h" else ("5m", 96)
    counts = {0.3: f"0+{100 - percent}x{steps}", 0.7: f"0+{percent}x{steps}"}
    return Case(
        alert=f"latency-burn-{window}",
        says=f"{percent} % take longer than half a second",
        given=Sizes(HTTP_SERVER_DURATION, counts, _SERVICE),
        every=every,
        open_at=("7h",) if fires else (),
    )


_CASES: Final = (
    Case(
        alert="latency-p95",
        says="one request in ten is slow for 8 minutes",
        given=Sizes(HTTP_SERVER_DURATION, {0.3: "0+60x20 1254+54x16 2124+60x20", 4: "0x20 6+6x16 102x20"}, _SERVICE),
        every="30s",
        opens="16m30s",
        closes="20m",
        labels=_SERVICE,
        tells={"pagerduty": 1},
    ),
    Case(
        alert="latency-p95",
        says="a slow spell of two minutes",
        given=Sizes(HTTP_SERVER_DURATION, {0.3: "0+60x20 1254+54x4 1476+60x20", 4: "0x20 6+6x4 30x20"}, _SERVICE),
        every="30s",
    ),
    Case(
        alert="error-spike",
        says="one request in ten fails, from the first of the errors on",
        given=(
            Sizes(HTTP_SERVER_DURATION, {0.3: "0+54x60"}, _FINE),
            Sizes(HTTP_SERVER_DURATION, {0.3: "_x20 6+6x20"}, _FAILED),
        ),
        every="30s",
        opens="12m30s",
        closes="21m30s",
        labels=_SERVICE,
        tells={"slack": 1, "pagerduty": 1},
    ),
    Case(
        alert="error-spike",
        says="the one failed request of a quiet night",
        given=(
            Sizes(HTTP_SERVER_DURATION, {0.3: "5x60"}, _FINE),
            Sizes(HTTP_SERVER_DURATION, {0.3: "_x20 1x40"}, _FAILED),
        ),
        every="30s",
    ),
    _burning("1h", 20, says="2 % fail", fires=True),
    _burning("1h", 12, says="1.2 % fail, which six hours tell of", fires=False),
    _burning("6h", 10, says="1 % fail", fires=True),
    _burning("6h", 5, says="0.5 % fail, which a day tells of", fires=False),
    _burning("1d", 5, says="0.5 % fail", fires=True),
    _burning("1d", 2, says="0.2 % fail, which three days tell of", fires=False),
    _burning("3d", 2, says="0.2 % fail", fires=True),
    _burning("3d", 0.5, says="0.05 % fail, half of what the promise allows", fires=False),
    _slow("1h", 80, fires=True),
    _slow("1h", 60, fires=False),
    _slow("6h", 40, fires=True),
    _slow("6h", 25, fires=False),
    _slow("1d", 20, fires=True),
    _slow("1d", 12, fires=False),
    _slow("3d", 8, fires=True),
    _slow("3d", 4, fires=False),
)

PACK: Final = Pack(
    name="service",
    title="A web service",
    summary="Latency, errors and error budgets of the apps that obskit instruments.",
    needs=("obskit",),
    logs="severity>=WARNING AND jsonPayload.service:*",
    settings=Settings,
    make=_make,
    scenario=_SCENARIO,
    cases=_CASES,
)
