"""Cloud Run, front end and API: do requests fail or wait, and are the instances at their limits."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, Plot, Threshold
from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, warning
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import Query, google, growth, highest, latest, percentile, rate, ratio, share
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_REQUESTS: Final = google("run.googleapis.com/request_count")
_LATENCIES: Final = google("run.googleapis.com/request_latencies")
_INSTANCES: Final = google("run.googleapis.com/container/instance_count")
_CPU: Final = google("run.googleapis.com/container/cpu/utilizations")
_MEMORY: Final = google("run.googleapis.com/container/memory/utilizations")
_STARTS: Final = google("run.googleapis.com/container/startup_latencies")
_PENDING: Final = google("run.googleapis.com/pending_queue/pending_requests")
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
    failing, slow, full, large = _failing(settings), _slow(settings), _full(settings), _large(settings)
    alerts = (failing, slow, full, large)
    errors, latency = _error_share(""), percentile(95, _LATENCIES, by=_BY, window="2m")
    every = rate(_REQUESTS, window="2m")
    lines = (slow, Threshold(value=1000, label="p95 warning"), Threshold(value=500, label="p95 target"))
    dashboard = Dashboard(
        id="cloud-run",
        display_name="Cloud Run",
        rows=(
            cards(
                card("Requests", every, unit="1/s"),
                card("p95, slowest service", highest(latency), unit="ms", limits=(slow, warning(1000))),
                card("Failed requests (5xx)", errors, unit=PERCENT, limits=(failing, warning(0.01))),
                card("Instances, share of the maximum", highest(_used(settings)), unit=PERCENT, limits=(warning(0.8),)),
                policies=alerts,
            ),
            charts(
                chart(
                    "Latency",
                    {
                        f"p{percent} {_LEGEND}": percentile(percent, _LATENCIES, by=_BY, window="2m")
                        for percent in (50, 95)
                    },
                    unit="ms",
                    limits=lines,
                ),
                chart(
                    "Failed requests (5xx)",
                    {_LEGEND: _error_share(_BY)},
                    unit=PERCENT,
                    limits=(failing, Threshold(value=0.01, label="target")),
                ),
            ),
            charts(
                chart(
                    "Requests by status",
                    {"${labels.service_name} ${labels.response_code_class}": _by_status()},
                    unit="1/s",
                    plot=Plot.STACKED_AREA,
                ),
                chart("Instances, share of the maximum", {_LEGEND: _used(settings)}, unit=PERCENT, limits=(full,)),
                chart("Requests that wait for an instance", {_LEGEND: latest(_PENDING, by=_BY)}, unit="1"),
            ),
            charts(
                chart("CPU of the busiest instances, p99", {_LEGEND: _p99(_CPU)}, unit=PERCENT),
                chart("Memory of the largest instances, p99", {_LEGEND: _p99(_MEMORY)}, unit=PERCENT, limits=(large,)),
                chart(
                    "Start of an instance, p95",
                    {_LEGEND: percentile(95, _STARTS, where=_OF_SERVICES, by=_BY, window="10m")},
                    unit="ms",
                ),
            ),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _error_share(by: str) -> Query:
    names = (by,) if by else ()
    failed = growth(_REQUESTS, where={"response_code_class": "5xx"}, by=names, window="2m")
    return share(failed, growth(_REQUESTS, by=names, window="2m"))


def _by_status() -> Query:
    return rate(_REQUESTS, by=(_BY, "response_code_class"), window="2m")


def _p99(metric: object) -> Query:
    return percentile(99, metric, where=_OF_SERVICES, by=_BY, window="5m")  # type: ignore[arg-type] # one of Google's


def _used(settings: Settings) -> Query:
    """Return each service's instances over its maximum; active and idle ones count alike."""
    each = [
        latest(_INSTANCES, where={**_OF_SERVICES, _BY: name}, by=_BY) / limit
        for name, limit in settings.max_instances.items()
    ]
    found = each[0]
    for other in each[1:]:
        found = found.otherwise(other)
    return found


def _failing(settings: Settings) -> AlertPolicy:
    failed = growth(_REQUESTS, where={"response_code_class": "5xx"}, by=_BY, window="2m")
    every = growth(_REQUESTS, by=_BY, window="2m")
    return alert(
        "cloud-run-errors",
        "Cloud Run: error spike",
        (ratio(failed, every) > settings.errors).when(every >= 10),
        to=(*settings.receivers.team, *settings.receivers.page),
        for_="2m",
        severity=Severity.CRITICAL,
        condition=f"5xx above {settings.errors * 100:g} %",
        means=f"More than {settings.errors * 100:g} % of a service's requests end in a 5xx, also those that never "
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
        percentile(95, _LATENCIES, by=_BY, window="2m") > limit,
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
        _p99(_MEMORY) > settings.memory,
        to=settings.receivers.mail,
        for_="10m",
        condition=f"above {settings.memory * 100:g} % of the limit",
        means=f"Instances use more than {settings.memory * 100:g} % of their memory. One that exceeds its limit is "
        "killed, and its requests fail.",
        looks=(
            "The *cloud-run* dashboard: does it grow from the start of each instance on? Then it is a leak.",
            "Files in `/tmp` and in other writable places are memory too.",
            "Relief: more memory, or fewer requests at once for each instance (`--concurrency`).",
        ),
    )


_BOUNDS: Final = (100.0, 500.0, 1000.0, 2000.0, 5000.0)
_CPU_BOUNDS: Final = tuple(step / 20 for step in range(1, 21))


def _of(name: str, **labels: str) -> dict[str, str]:
    return {"service_name": name, "revision_name": f"{name}-00042", "location": "europe-west1", **labels}


def _service(name: str, a_second: float, median_ms: float, instances: float) -> tuple[Signal, ...]:
    rush = Bump(at=0.55, lasts=0.25, level=3.4, size=2.2)
    fine, failed = (
        _of(name, response_code="200", response_code_class="2xx"),
        _of(name, response_code="503", response_code_class="5xx"),
    )
    kind = "cloud_run_revision"
    return (
        Signal(metric=_REQUESTS, level=a_second, labels=fine, noise=0.1, bumps=(rush,)),
        Signal(
            metric=_REQUESTS,
            level=a_second * 0.002,
            labels=failed,
            noise=0.4,
            bumps=(Bump(at=0.66, lasts=0.12, level=110),),
        ),
        Signal(metric=_LATENCIES, level=a_second, labels=fine, median=median_ms, bumps=(rush,)),
        Signal(
            metric=_INSTANCES,
            level=instances,
            labels=_of(name, state="active"),
            resource_type=kind,
            noise=0,
            bumps=(rush,),
        ),
        Signal(
            metric=_CPU,
            level=instances / 60,
            labels=_of(name),
            resource_type=kind,
            median=0.3,
            spread=1.12,
            bumps=(Bump(at=0.55, lasts=0.25, size=2.2),),
        ),
        Signal(metric=_MEMORY, level=instances / 60, labels=_of(name), resource_type=kind, median=0.45, spread=1.15),
        Signal(metric=_STARTS, level=0.02, labels=_of(name), resource_type=kind, median=900, bumps=(rush,)),
        Signal(metric=_PENDING, level=0.3, labels=_of(name), noise=0.9, bumps=(Bump(at=0.64, lasts=0.16, level=40),)),
    )


_API: Final = _of("api")
_FINE: Final = _of("api", response_code="200", response_code_class="2xx")
_FAILED: Final = _of("api", response_code="503", response_code_class="5xx")
_ACTIVE: Final = _of("api", state="active")
_IDLE: Final = _of("api", state="idle")
_KIND: Final = "cloud_run_revision"

_CASES: Final = (
    Case(
        alert="cloud-run-errors",
        says="one request in ten fails",
        given=(Points(_REQUESTS, "90x30", _FINE), Points(_REQUESTS, "_x10 10x20", _FAILED)),
        opens="12m",
        within="1m",
        labels={"service_name": "api"},
        tells={"slack": 1, "pagerduty": 1},
    ),
    Case(
        alert="cloud-run-errors",
        says="the only request of a minute fails",
        given=(Points(_REQUESTS, "2x30", _FINE), Points(_REQUESTS, "_x10 1 _x10 1", _FAILED)),
    ),
    Case(
        alert="cloud-run-latency",
        says="one request in ten takes 4 s for ten minutes",
        given=Sizes(_LATENCIES, {300: "90x40", 4000: "0x9 10x9 0x20"}, _FINE, bounds=_BOUNDS),
        opens="15m",
        closes="21m",
        within="2m",
        tells={"pagerduty": 1},
    ),
    Case(
        alert="cloud-run-latency",
        says="for two minutes",
        given=Sizes(_LATENCIES, {300: "90x40", 4000: "0x9 10x1 0x20"}, _FINE, bounds=_BOUNDS),
    ),
    Case(
        alert="cloud-run-max-instances",
        says="all hundred are there, some of them idle",
        given=(
            Points(_INSTANCES, "40x9 90x20", _ACTIVE, resource_type=_KIND),
            Points(_INSTANCES, "5x9 10x20", _IDLE, resource_type=_KIND),
        ),
        opens="15m",
        within="1m",
        labels={"service_name": "api"},
        tells={"email": 1},
    ),
    Case(
        alert="cloud-run-max-instances",
        says="all but one, for long",
        given=Points(_INSTANCES, "99x30", _ACTIVE, resource_type=_KIND),
    ),
    Case(
        alert="cloud-run-memory",
        says="a leak",
        given=Sizes(_MEMORY, {0.5: "10x9 0x30", 0.97: "0x9 10x30"}, _API, bounds=_CPU_BOUNDS, resource_type=_KIND),
        open_at=("30m",),
        silent_at=("10m",),
        tells={"email": 1},
    ),
    Case(
        alert="cloud-run-memory",
        says="most of it, for long",
        given=Sizes(_MEMORY, {0.84: "10x40"}, _API, bounds=_CPU_BOUNDS, resource_type=_KIND),
    ),
)

PACK: Final = Pack(
    name="cloud-run",
    title="Cloud Run",
    summary="Errors, latency, instances and memory of Cloud Run services: front end and API.",
    needs=("run.googleapis.com",),
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="A rush of visitors: the API's instances reach their maximum, requests wait, and some fail.",
        signals=(*_service("web", 20, 60, 9), *_service("api", 35, 180, 29.4)),
    ),
    cases=_CASES,
)
