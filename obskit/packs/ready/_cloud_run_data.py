"""Cloud Run's metrics, made-up data of them for the dashboard, and what the alerts are tested by."""

from __future__ import annotations

from typing import Final

from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import google

__all__ = ["CASES", "CPU", "INSTANCES", "LATENCIES", "MEMORY", "PENDING", "REQUESTS", "SCENARIO", "STARTS"]

REQUESTS: Final = google("run.googleapis.com/request_count")
LATENCIES: Final = google("run.googleapis.com/request_latencies")
INSTANCES: Final = google("run.googleapis.com/container/instance_count")
CPU: Final = google("run.googleapis.com/container/cpu/utilizations")
MEMORY: Final = google("run.googleapis.com/container/memory/utilizations")
STARTS: Final = google("run.googleapis.com/container/startup_latencies")
PENDING: Final = google("run.googleapis.com/pending_queue/pending_requests")


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
        Signal(metric=REQUESTS, level=a_second, labels=fine, noise=0.1, bumps=(rush,)),
        Signal(
            metric=REQUESTS,
            level=a_second * 0.002,
            labels=failed,
            noise=0.4,
            bumps=(Bump(at=0.66, lasts=0.12, level=110),),
        ),
        Signal(metric=LATENCIES, level=a_second, labels=fine, median=median_ms, bumps=(rush,)),
        Signal(
            metric=INSTANCES,
            level=instances,
            labels=_of(name, state="active"),
            resource_type=kind,
            noise=0,
            bumps=(rush,),
        ),
        Signal(
            metric=CPU,
            level=instances / 60,
            labels=_of(name),
            resource_type=kind,
            median=0.3,
            spread=1.12,
            bumps=(Bump(at=0.55, lasts=0.25, size=2.2),),
        ),
        Signal(metric=MEMORY, level=instances / 60, labels=_of(name), resource_type=kind, median=0.45, spread=1.15),
        Signal(metric=STARTS, level=0.02, labels=_of(name), resource_type=kind, median=900, bumps=(rush,)),
        Signal(metric=PENDING, level=0.3, labels=_of(name), noise=0.9, bumps=(Bump(at=0.64, lasts=0.16, level=40),)),
    )


_API: Final = _of("api")
_FINE: Final = _of("api", response_code="200", response_code_class="2xx")
_FAILED: Final = _of("api", response_code="503", response_code_class="5xx")
_ACTIVE: Final = _of("api", state="active")
_IDLE: Final = _of("api", state="idle")
_KIND: Final = "cloud_run_revision"


SCENARIO: Final = Scenario(
    says="A rush of visitors: the API's instances reach their maximum, requests wait, and some fail.",
    signals=(*_service("web", 20, 60, 9), *_service("api", 35, 180, 29.4)),
)

CASES: Final = (
    Case(
        alert="cloud-run-errors",
        says="one request in ten fails",
        given=(Points(REQUESTS, "90x30", _FINE), Points(REQUESTS, "_x10 10x20", _FAILED)),
        opens="12m",
        within="1m",
        labels={"service_name": "api"},
        tells={"slack": 1, "pagerduty": 1},
    ),
    Case(
        alert="cloud-run-errors",
        says="the only request of a minute fails",
        given=(Points(REQUESTS, "2x30", _FINE), Points(REQUESTS, "_x10 1 _x10 1", _FAILED)),
    ),
    Case(
        alert="cloud-run-latency",
        says="one request in ten takes 4 s for ten minutes",
        given=Sizes(LATENCIES, {300: "90x40", 4000: "0x9 10x9 0x20"}, _FINE, bounds=_BOUNDS),
        opens="15m",
        closes="21m",
        within="2m",
        tells={"pagerduty": 1},
    ),
    Case(
        alert="cloud-run-latency",
        says="for two minutes",
        given=Sizes(LATENCIES, {300: "90x40", 4000: "0x9 10x1 0x20"}, _FINE, bounds=_BOUNDS),
    ),
    Case(
        alert="cloud-run-max-instances",
        says="all hundred are there, some of them idle",
        given=(
            Points(INSTANCES, "40x9 90x20", _ACTIVE, resource_type=_KIND),
            Points(INSTANCES, "5x9 10x20", _IDLE, resource_type=_KIND),
        ),
        opens="15m",
        within="1m",
        labels={"service_name": "api"},
        tells={"email": 1},
    ),
    Case(
        alert="cloud-run-max-instances",
        says="all but one, for long",
        given=Points(INSTANCES, "99x30", _ACTIVE, resource_type=_KIND),
    ),
    Case(
        alert="cloud-run-memory",
        says="a leak",
        given=Sizes(MEMORY, {0.5: "10x9 0x30", 0.97: "0x9 10x30"}, _API, bounds=_CPU_BOUNDS, resource_type=_KIND),
        open_at=("30m",),
        silent_at=("10m",),
        tells={"email": 1},
    ),
    Case(
        alert="cloud-run-memory",
        says="most of it, for long",
        given=Sizes(MEMORY, {0.84: "10x40"}, _API, bounds=_CPU_BOUNDS, resource_type=_KIND),
    ),
)
