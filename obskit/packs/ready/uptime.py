"""Uptime and TLS: does the service answer from outside, in time, and for how long is its certificate good."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final
from urllib.parse import urlsplit

from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, Row, Scorecard, XyChart
from obskit.packs.cases import Case, Points
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alarm, alert, card, cards, chart, charts, warning
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import Query, google, highest, over_time
from obskit.queries.definitions import as_number, as_positive, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels, query
from obskit.resources import certificate_alert, http_check, uptime_alert

__all__ = ["PACK", "Settings"]

_PASSED: Final = google("monitoring.googleapis.com/uptime_check/check_passed")
_LATENCY: Final = google("monitoring.googleapis.com/uptime_check/request_latency")
_EXPIRY: Final = google("monitoring.googleapis.com/uptime_check/time_until_ssl_cert_expires")
_RESOURCE: Final = "uptime_url"
_CHECK: Final = "health"
_PLACE: Final = "checker_location"
_LEGEND: Final = "${labels.checker_location}"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        url: the page that is asked for, from several places of the world.
        period: how often: 1, 5, 10 or 15 minutes.
        locations: it is down when it fails from more places than so many.
        certificate_days: so many days must be left of the certificate. Source: 14 days.
        latency: how long the page may take, the slowest place counted.
    """

    noun: ClassVar[str] = "settings of pack uptime"

    url: str = given(as_text, default="https://www.example.com/health")
    period: DurationLike = given(as_duration, default=timedelta(minutes=1))
    locations: float = given(as_number, default=1)
    certificate_days: float = given(as_positive, default=14)
    latency: DurationLike = given(as_duration, default=timedelta(seconds=3))


def _make(settings: Settings) -> Objects:
    check = http_check(_CHECK, url=settings.url, period=settings.period, display_name=settings.url[:512])
    # Cloud Monitoring gives a check its id only when it is made; charts therefore know it by its host.
    where: Labels = {"monitored_resource": _RESOURCE, "host": check.host}
    page = settings.receivers.page
    down = uptime_alert(check, id="uptime-down", locations=int(settings.locations), channels=page)
    slow = _slow(settings, where)
    ending = certificate_alert(check, id="uptime-certificate", days=settings.certificate_days, channels=page)
    is_tls = urlsplit(settings.url).scheme == "https"
    alerts = (down, slow, ending) if is_tls else (down, slow)
    dashboard = Dashboard(
        id="uptime",
        display_name="Uptime and TLS",
        rows=(
            cards(*_numbers(where, slow), *((_days_left(where, ending),) if is_tls else ()), policies=alerts),
            _symptoms(where, slow),
            charts(_failing(where, down), *((_certificate(where, check.host, ending),) if is_tls else ())),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts, resources=(check,))


def _slow(settings: Settings, where: Labels) -> AlertPolicy:
    typical = over_time(_LATENCY, "avg", where=where, window="10m") / 1000
    return alert(
        "uptime-slow",
        "Endpoint is slow",
        typical > whole_seconds(settings.latency),
        to=settings.receivers.team,
        for_="10m",
        condition=f"{shown_duration(settings.latency)} from everywhere",
        means=f"{settings.url} takes more than {shown_duration(settings.latency)} on average over all places. Users "
        "wait as long.",
        looks=(
            "The *uptime* dashboard: slow from everywhere (the service), or from one continent (the way to it)?",
            "The service's own latency: if that is as before, look at the load balancer, the DNS and TLS.",
            "Instances that start for each check: a minimum of one takes the wait away.",
        ),
    )


def _slowest(where: Labels) -> Query:
    return over_time(_LATENCY, "max", where=where, by=_PLACE, window="5m") / 1000


def _left(where: Labels) -> Query:
    return over_time(_EXPIRY, "min", where=where, window="1h")


def _numbers(where: Labels, slow: AlertPolicy) -> tuple[Scorecard, ...]:
    return (
        card(
            "Passed, last 5 min",
            over_time(_PASSED, "avg", where=where, window="5m"),
            unit=PERCENT,
            limits=(warning(0.95, is_below=True),),
        ),
        card("Passed, last 24 h", over_time(_PASSED, "avg", where=where, window="1d"), unit=PERCENT),
        card("Slowest place", highest(_slowest(where)), unit="s", limits=(slow,)),
    )


def _days_left(where: Labels, ending: AlertPolicy) -> Scorecard:
    return card("Certificate good for", _left(where), unit="d", limits=(alarm(ending),))


def _symptoms(where: Labels, slow: AlertPolicy) -> Row:
    passed = over_time(_PASSED, "avg", where=where, by=_PLACE, window="5m")
    return charts(
        chart("Passed, by place", {_LEGEND: passed}, unit=PERCENT, label="share of the checks"),
        chart("Time until answered, by place", {_LEGEND: _slowest(where)}, unit="s", label="seconds", limits=[slow]),
    )


def _failing(where: Labels, down: AlertPolicy) -> XyChart:
    lately = over_time(_PASSED, "avg", where=where, by=_PLACE, window="5m")
    failing = query("count(", lately < 0.5, ")").otherwise(0)
    return chart("Places that it fails from", {"places": failing}, unit="1", label="places", limits=[down])


def _certificate(where: Labels, host: str, ending: AlertPolicy) -> XyChart:
    return chart("Certificate", {host: _left(where)}, unit="d", label="days left", limits=[ending])


_HOST: Final = {"host": "www.example.com", "project_id": "gallery"}
_PLACES: Final = ("eur-belgium", "usa-iowa", "usa-virginia", "sa-brazil-sao_paulo", "apac-singapore")
_ID: Final = f"obskit:uptimeCheckConfigs/{_CHECK}"  # as the policies say it until the check exists


def _from(place: str) -> dict[str, str]:
    return {**_HOST, "check_id": _CHECK, "checker_location": place}


def _checks(values: str, *places: str) -> tuple[Points, ...]:
    return tuple(Points(_PASSED, values, {**_from(place), "check_id": _ID}, _RESOURCE) for place in places)


def _days(values: str) -> Points:
    return Points(_EXPIRY, values, {**_from("eur-belgium"), "check_id": _ID}, _RESOURCE)


_OUTAGE: Final = Bump(at=0.78, lasts=0.04, level=0.0)

PACK: Final = Pack(
    name="uptime",
    title="Uptime and TLS",
    summary="An uptime check on /health from all over the world, and the days left of its TLS certificate.",
    needs=("monitoring.googleapis.com",),
    logs='resource.type="uptime_url"',
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="A deployment takes the service down for a quarter of an hour; its certificate is due soon.",
        signals=(
            *(
                Signal(
                    metric=_PASSED, level=1, labels=_from(place), noise=0.0, bumps=(_OUTAGE,), resource_type=_RESOURCE
                )
                for place in _PLACES
            ),
            *(
                Signal(
                    metric=_LATENCY,
                    level=120.0 + 110 * place,
                    labels=_from(name),
                    noise=0.2,
                    bumps=(Bump(at=0.76, lasts=0.08, level=5.0),),
                    resource_type=_RESOURCE,
                )
                for place, name in enumerate(_PLACES)
            ),
            Signal(metric=_EXPIRY, level=17.2, labels=_from(_PLACES[0]), noise=0.0, resource_type=_RESOURCE),
        ),
    ),
    cases=(
        Case(
            alert="uptime-down",
            says="it fails from everywhere",
            given=_checks("1x10 0x20", "eur-belgium", "usa-iowa", "apac-singapore"),
            opens="12m",
            within="2m",
            labels={"host": "www.example.com"},
            tells={"pagerduty": 1},
        ),
        Case(
            alert="uptime-down",
            says="it fails from one place",
            given=(*_checks("1x30", "eur-belgium", "usa-iowa"), *_checks("1x10 0x20", "apac-singapore")),
        ),
        Case(
            alert="uptime-slow",
            says="every place waits four seconds",
            given=Points(_LATENCY, "300x10 4000x40", _from("eur-belgium"), _RESOURCE),
            opens="30m",
            within="3m",
        ),
        Case(
            alert="uptime-slow",
            says="one place of three waits four seconds",
            given=(
                Points(_LATENCY, "300x50", _from("eur-belgium"), _RESOURCE),
                Points(_LATENCY, "300x50", _from("usa-iowa"), _RESOURCE),
                Points(_LATENCY, "300x10 4000x40", _from("apac-singapore"), _RESOURCE),
            ),
        ),
        Case(
            alert="uptime-certificate",
            says="nobody renews it",
            given=_days("15-0.1x20"),
            opens="11h10m",
            within="1h",
            every="1h",
            tells={"pagerduty": 1},
        ),
        Case(
            alert="uptime-certificate",
            says="it is renewed with 15 days left",
            given=_days("16-0.1x10 90x10"),
            every="1h",
        ),
    ),
)
