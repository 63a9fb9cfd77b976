"""A service outside Google (Heroku, Render, DigitalOcean, one's own machine): does it still report?"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity, latency_p95
from obskit.alerts.policies import AlertPolicy
from obskit.catalog import HTTP_CLIENT_DURATION, HTTP_SERVER_DURATION, TELEMETRY_LOST
from obskit.dashboards import Dashboard, Plot, Row, Scorecard
from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, line, only
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import Query, growth, highest, matches, percentile, rate, share
from obskit.queries.definitions import as_positive, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration
from obskit.queries.promql import LabelList, Labels, query, select

__all__ = ["PACK", "Settings"]

_LEGEND: Final = "${labels.job}"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        service: only this one; every service by itself when empty.
        silence: for so long may a service send nothing at all; less than a day.
        lost: so many spans, points or log lines may be lost in five minutes.
    """

    noun: ClassVar[str] = "settings of pack outside-google"

    service: str = given(as_text, default="")
    silence: DurationLike = given(as_duration, default=timedelta(minutes=10))
    lost: float = given(as_positive, default=100)


def _make(settings: Settings) -> Objects:
    lossy = _lossy(settings)
    alerts = (_silent(settings), lossy)
    dashboard = Dashboard(
        id="outside-google",
        display_name="Services outside Google",
        rows=(
            cards(*_numbers(settings), policies=alerts),
            _symptoms(settings),
            *_causes(settings, lossy),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _where(settings: Settings) -> Labels:
    return only("service", settings.service)


def _silent(settings: Settings) -> AlertPolicy:
    where = _where(settings)
    span = shown_duration(settings.silence)
    return alert(
        "outside-silent",
        "A service is silent",
        _present(where, "1d").excluding(_present(where, settings.silence)),
        to=settings.receivers.page,
        for_="5m",
        severity=Severity.CRITICAL,
        condition=f"nothing came for {span}",
        means=f"A service outside Google has sent no metrics for {span}, and did so within the last day. Either it is "
        "gone, or it cannot reach Google. No other alert can tell, since all of them need its data.",
        looks=(
            "Ask for its address yourself. Does it answer, then only its telemetry is lost; if not, it is down.",
            "The host's own status and log: a restart loop, no memory, a machine put to sleep for want of visitors.",
            "`obskit doctor` there: the service account's key in its variable, its permissions, the way to Google.",
        ),
    )


def _lossy(settings: Settings) -> AlertPolicy:
    return alert(
        "outside-telemetry-lost",
        "Telemetry is lost",
        growth(TELEMETRY_LOST, where=_where(settings), by=("service", "obskit.signal", "obskit.reason"), window="5m")
        > settings.lost,
        to=settings.receivers.team,
        for_="10m",
        condition=f"more than {settings.lost:g} items in 5 min",
        means="A service drops telemetry instead of delivering it: Google refuses it, or the line is too slow. Charts "
        "and alerts see less than there is.",
        looks=(
            "The label `obskit_reason`: `rejected` is a permission or a quota, `timeout` and `queue_full` the line.",
            "The service's own log: it says once a minute what is refused, and with which answer.",
            "Do all services lose telemetry? Then look at Google's status page and at the project's quotas.",
        ),
    )


def _numbers(settings: Settings) -> tuple[Scorecard, ...]:
    where = _where(settings)
    p95 = percentile(95, HTTP_SERVER_DURATION, where=where, by="service", window="2m")
    return (
        card("Requests", rate(HTTP_SERVER_DURATION, where=where, window="2m"), unit="1/s"),
        card("p95, slowest service", highest(p95), unit="s"),
        card("Failed requests (5xx)", _failed(where), unit=PERCENT),
        card("Processes", _processes(where), unit="1"),
    )


def _symptoms(settings: Settings) -> Row:
    slow = latency_p95()  # which pack service has, for services everywhere
    where = _where(settings)
    p95 = percentile(95, HTTP_SERVER_DURATION, where=where, by="service", window="2m")
    return charts(
        chart(
            "Latency, p95",
            {_LEGEND: p95},
            unit="s",
            label="seconds",
            limits=(line(slow, 1, "alert of the service"), line(slow, 0.25, "target")),
        ),
        chart(
            "Failed requests (5xx)", {_LEGEND: _failed(where, "service")}, unit=PERCENT, label="share of the requests"
        ),
    )


def _causes(settings: Settings, lossy: AlertPolicy) -> tuple[Row, ...]:
    where = _where(settings)
    return (
        charts(
            chart("Processes that report", {_LEGEND: _processes(where, "service")}, unit="1", label="processes"),
            chart(
                "Calls of others, p95",
                {
                    "${labels.server_address}": percentile(
                        95, HTTP_CLIENT_DURATION, where=where, by="server.address", window="5m"
                    )
                },
                unit="s",
                label="seconds",
            ),
            chart(
                "Telemetry lost",
                {
                    "${labels.obskit_signal} ${labels.obskit_reason}": growth(
                        TELEMETRY_LOST, where=where, by=("obskit.signal", "obskit.reason"), window="5m"
                    )
                },
                unit="1",
                label="items in 5 min",
                limits=(lossy,),
                plot=Plot.STACKED_BAR,
            ),
        ),
    )


def _present(where: Labels, window: DurationLike) -> Query:
    """Return a series for each service that had a point in the window."""
    found = select(HTTP_SERVER_DURATION, where=where, window=window)
    return query("max by (", LabelList(("service",)), ") (present_over_time(", found, "))")


def _processes(where: Labels, *by: str) -> Query:
    found = select(HTTP_SERVER_DURATION, where=where, window="5m")
    each = LabelList(("service", "instance"))
    inner = query("max by (", each, ") (present_over_time(", found, "))")
    return query("sum by (", LabelList(by), ") (", inner, ")") if by else query("sum(", inner, ")")


def _failed(where: Labels, *by: str) -> Query:
    wrong: Labels = {**where, "http.response.status_code": matches("5..")}
    return share(
        growth(HTTP_SERVER_DURATION, where=wrong, by=by, window="2m"),
        growth(HTTP_SERVER_DURATION, where=where, by=by, window="2m"),
    )


_SHOP: Final = {"service": "shop-heroku", "instance": "web.1", "http.response.status_code": "200"}
_OTHER: Final = {"service": "shop-render", "instance": "srv-1", "http.response.status_code": "200"}
_LOST: Final = {"service": "shop-heroku", "obskit.signal": "spans", "obskit.reason": "timeout"}


def _process(labels: dict[str, str], instance: str) -> Signal:
    return Signal(
        metric=HTTP_SERVER_DURATION, level=3, labels={**labels, "instance": instance}, median=0.16, swing=0.2, noise=0.1
    )


PACK: Final = Pack(
    name="outside-google",
    title="A service outside Google",
    summary="Whether services on Heroku, Render, DigitalOcean or elsewhere still report, and what is lost on the way.",
    needs=("obskit",),
    logs="severity>=WARNING AND jsonPayload.service:*",
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="The line to Google is slow for an hour: spans are lost, while the service itself is well.",
        signals=(
            _process(_SHOP, "web.1"),
            _process(_SHOP, "web.2"),
            _process(_OTHER, "srv-1"),
            Signal(
                metric=HTTP_SERVER_DURATION,
                level=0.01,
                labels={**_SHOP, "http.response.status_code": "500"},
                median=0.4,
                noise=0.5,
            ),
            Signal(
                metric=HTTP_CLIENT_DURATION,
                level=2,
                labels={"service": "shop-heroku", "server.address": "api.stripe.com"},
                median=0.3,
            ),
            Signal(
                metric=TELEMETRY_LOST, level=0.001, labels=_LOST, noise=0.4, bumps=(Bump(at=0.6, lasts=0.2, level=900),)
            ),
        ),
    ),
    cases=(
        Case(
            alert="outside-silent",
            says="a service stops; another goes on",
            given=(
                Sizes(HTTP_SERVER_DURATION, {0.1: "0+10x30"}, _SHOP),
                Sizes(HTTP_SERVER_DURATION, {0.1: "0+10x90"}, _OTHER),
            ),
            opens="45m",
            within="2m",
            labels={"job": "shop-heroku"},
            tells={"pagerduty": 1},
        ),
        Case(
            alert="outside-silent",
            says="a restart of eight minutes",
            given=Sizes(HTTP_SERVER_DURATION, {0.1: "0+10x30 _x8 0+10x30"}, _SHOP),
        ),
        Case(
            alert="outside-silent",
            says="a service that nobody calls still reports",
            given=Sizes(HTTP_SERVER_DURATION, {0.1: "10x90"}, _SHOP),
        ),
        Case(
            alert="outside-telemetry-lost",
            says="fifty spans a minute are lost",
            given=Points(TELEMETRY_LOST, "0+50x60", _LOST),
            open_at=("30m",),
            tells={"slack": 1},
        ),
        Case(
            alert="outside-telemetry-lost",
            says="a burst at a restart",
            given=Points(TELEMETRY_LOST, "0x10 400x50", _LOST),
        ),
    ),
)
