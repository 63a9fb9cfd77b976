"""Cloud Run, front end and API: do requests fail or wait, and are the instances at their limits."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, Plot, Row, Scorecard
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, line, more_than, percent
from obskit.packs.ready._cloud_run_data import (
    CASES,
    CPU,
    INSTANCES,
    LATENCIES,
    MEMORY,
    PENDING,
    REQUESTS,
    SCENARIO,
    STARTS,
)
from obskit.queries import Query, growth, highest, latest, percentile, rate, share
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_BY: Final = "service_name"
_LEGEND: Final = "${labels.service_name}"
# Instances exist for worker pools too.
_OF_SERVICES: Final[Labels] = {"monitored_resource": "cloud_run_revision"}


def _limits(value: object) -> dict[str, float]:
    if isinstance(value, dict) and value:
        return {as_text(name): as_positive(limit) for name, limit in value.items()}
    raise ValueError(f'{value!r} names no service | Write {{"web": 10, "api": 20}}')


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        errors: share of requests that end in a 5xx. Source: 5 %, with a target of 1 %.
        latency: of the 95th percentile. Source: 2 s, with a warning at 1 s and a target of 0.5 s.
        max_instances: service → its configured maximum of instances: the front end's, the API's.
        memory: share of its memory that an instance may use.
    """

    noun: ClassVar[str] = "settings of pack cloud-run"

    errors: float = given(as_share, default=0.05)
    latency: DurationLike = given(as_duration, default=timedelta(seconds=2))
    max_instances: dict[str, float] = given(_limits, default_factory=lambda: {"web": 100.0, "api": 100.0})
    memory: float = given(as_share, default=0.9)


def _make(settings: Settings) -> Objects:
    failing, slow, full, large = alerts = (_failing(settings), _slow(settings), _full(settings), _large(settings))
    dashboard = Dashboard(
        id="cloud-run",
        display_name="Cloud Run",
        rows=(
            cards(*_numbers(settings, failing, slow, full), policies=alerts),
            _symptoms(failing, slow),
            *_causes(settings, full, large),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _numbers(settings: Settings, failing: AlertPolicy, slow: AlertPolicy, full: AlertPolicy) -> tuple[Scorecard, ...]:
    latency = percentile(95, LATENCIES, by=_BY, window="2m")
    return (
        card("Requests", rate(REQUESTS, window="2m"), unit="1/s"),
        card("p95, slowest service", highest(latency), unit="ms", limits=(slow, early(slow, 0.5))),
        card("Failed requests (5xx)", _error_share(""), unit=PERCENT, limits=(failing, early(failing, 0.2))),
        card(
            "Instances used",
            highest(_used(settings)),
            unit=PERCENT,
            limits=(early(full, 0.8),),
        ),
    )


def _symptoms(failing: AlertPolicy, slow: AlertPolicy) -> Row:
    return charts(
        chart(
            "Latency",
            {f"p{percent} {_LEGEND}": percentile(percent, LATENCIES, by=_BY, window="2m") for percent in (50, 95)},
            unit="ms",
            label="milliseconds",
            limits=(slow, line(slow, 0.5, "p95 warning"), line(slow, 0.25, "p95 target")),
        ),
        chart(
            "Failed requests (5xx)",
            {_LEGEND: _error_share(_BY)},
            unit=PERCENT,
            label="share of the requests",
            limits=(failing, line(failing, 0.2, "target")),
        ),
    )


def _causes(settings: Settings, full: AlertPolicy, large: AlertPolicy) -> tuple[Row, ...]:
    return (
        charts(
            chart(
                "Requests by status",
                {"${labels.service_name} ${labels.response_code_class}": _by_status()},
                unit="1/s",
                label="requests per second",
                plot=Plot.STACKED_AREA,
            ),
            chart(
                "Instances, share of the maximum",
                {_LEGEND: _used(settings)},
                unit=PERCENT,
                label="share of the maximum",
                limits=(full,),
            ),
            chart(
                "Requests that wait for an instance",
                {_LEGEND: latest(PENDING, by=_BY)},
                unit="1",
                label="requests",
            ),
        ),
        charts(
            chart("CPU of the busiest instances, p99", {_LEGEND: _p99(CPU)}, unit=PERCENT, label="share of the CPUs"),
            chart(
                "Memory of the largest instances, p99",
                {_LEGEND: _p99(MEMORY)},
                unit=PERCENT,
                label="share of the limit",
                limits=(large,),
            ),
            chart(
                "Start of an instance, p95",
                {_LEGEND: percentile(95, STARTS, where=_OF_SERVICES, by=_BY, window="10m")},
                unit="ms",
                label="milliseconds",
            ),
        ),
    )


def _error_share(by: str) -> Query:
    names = (by,) if by else ()
    failed = growth(REQUESTS, where={"response_code_class": "5xx"}, by=names, window="2m")
    return share(failed, growth(REQUESTS, by=names, window="2m"))


def _by_status() -> Query:
    return rate(REQUESTS, by=(_BY, "response_code_class"), window="2m")


def _p99(metric: object) -> Query:
    return percentile(99, metric, where=_OF_SERVICES, by=_BY, window="5m")  # type: ignore[arg-type] # one of Google's


def _used(settings: Settings) -> Query:
    """Return each service's instances over its maximum; active and idle ones count alike."""
    each = [
        latest(INSTANCES, where={**_OF_SERVICES, _BY: name}, by=_BY) / limit
        for name, limit in settings.max_instances.items()
    ]
    found = each[0]
    for other in each[1:]:
        found = found.otherwise(other)
    return found


def _failing(settings: Settings) -> AlertPolicy:
    failed = growth(REQUESTS, where={"response_code_class": "5xx"}, by=_BY, window="2m")
    every = growth(REQUESTS, by=_BY, window="2m")
    return alert(
        "cloud-run-errors",
        "Cloud Run: error spike",
        more_than(settings.errors, failed, of=every, least=10),
        to=(*settings.receivers.team, *settings.receivers.page),
        for_="2m",
        severity=Severity.CRITICAL,
        condition=f"5xx above {percent(settings.errors)}",
        means=f"More than {percent(settings.errors)} of a service's requests end in a 5xx, also those that never "
        "reach the app: no instance was free, it crashed, or ran out of time.",
        looks=(
            "*Error spike* of the app itself: open too? Then read its errors. If not, requests fail before the app.",
            "The *cloud-run* dashboard: instances at their maximum, memory at its limit, requests that wait?",
            "The newest revision: did it begin then? Send the traffic back to the one before.",
        ),
    )


def _slow(settings: Settings) -> AlertPolicy:
    limit = whole_seconds(settings.latency) * 1000
    return alert(
        "cloud-run-latency",
        "Cloud Run: high latency",
        percentile(95, LATENCIES, by=_BY, window="2m") > limit,
        to=settings.receivers.page,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"p95 above {shown_duration(settings.latency)}",
        means=f"One request in twenty took longer than {shown_duration(settings.latency)}, for five minutes on end, "
        "the time that it waited for an instance included. The target is 0.5 s.",
        looks=(
            "The *cloud-run* dashboard: do requests wait for an instance, and do instances start slowly?",
            "CPU at its limit: fewer requests at once for each instance (`--concurrency`), or more CPU.",
            "A slow trace: its longest span names the culprit, such as a database or an AI model.",
        ),
    )


def _full(settings: Settings) -> AlertPolicy:
    return alert(
        "cloud-run-max-instances",
        "Cloud Run: instances at their maximum",
        _used(settings) >= 1,
        to=settings.receivers.mail,
        for_="5m",
        condition="as many instances as are allowed",
        means="A service has as many instances as its configuration allows. More requests wait, then fail with 429.",
        looks=(
            "The *cloud-run* dashboard: more requests than usual, or the same that take longer?",
            "Slow requests hold instances: an open *High latency*? Go on with its runbook.",
            "Relief: a higher maximum (`--max-instances`), if the database has connections for all of them.",
        ),
    )


def _large(settings: Settings) -> AlertPolicy:
    return alert(
        "cloud-run-memory",
        "Cloud Run: memory",
        _p99(MEMORY) > settings.memory,
        to=settings.receivers.mail,
        for_="10m",
        condition=f"above {percent(settings.memory)} of the limit",
        means=f"Instances use more than {percent(settings.memory)} of their memory. One that exceeds its limit is "
        "killed, and its requests fail.",
        looks=(
            "The *cloud-run* dashboard: does it grow from the start of each instance on? Then it is a leak.",
            "Files in `/tmp` and in other writable places are memory too.",
            "Relief: more memory, or fewer requests at once for each instance (`--concurrency`).",
        ),
    )


PACK: Final = Pack(
    name="cloud-run",
    title="Cloud Run",
    summary="Errors, latency, instances and memory of Cloud Run services: front end and API.",
    needs=("run.googleapis.com",),
    logs='resource.type="cloud_run_revision" AND severity>=WARNING',
    settings=Settings,
    make=_make,
    scenario=SCENARIO,
    cases=CASES,
)
