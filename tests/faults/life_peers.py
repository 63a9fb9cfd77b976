"""How other SDKs and exporters fare at the faults of the life cycle, against the same backends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import grpc
import peers
from collector import HANG, Collector
from google_faults import FaultyGoogle
from google_twin import GoogleTwin, Refusal
from wire import APPS, Service, environment

PACKAGES = (*peers.OPENTELEMETRY, "opentelemetry-exporter-otlp-proto-http", "uvicorn")
SENTRY_PACKAGES = ("sentry-sdk", "fastapi", "uvicorn")
GOOGLE = ("opentelemetry-sdk", "opentelemetry-exporter-gcp-monitoring")


def _environment(collector: Collector | None) -> dict[str, str]:
    endpoint = collector.url if collector is not None else "http://127.0.0.1:9"
    return environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, PYTHONWARNINGS="ignore")


def _said(python: Path, fault: str, env: dict[str, str]) -> str:
    command = [str(python), str(APPS / "peer_life.py"), fault]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


@peers.peer(1, "OpenTelemetry", *PACKAGES)
def sigterm(python: Path) -> str:
    with Collector() as collector:
        command = [str(python), "-m", "uvicorn", "peer_life:app", "--no-access-log"]
        with Service(command, _environment(collector)) as service:
            for number in range(10):
                service.request(f"/items/{number}")
            service.process.send_signal(signal.SIGTERM)
            service.process.wait(60)
        return f"{len(collector.spans)} of 10 spans"


SENTRY = """
import sys, sentry_sdk
sentry_sdk.init(dsn=sys.argv[1], default_integrations=False)
for number in range(20):
    sentry_sdk.capture_exception(ValueError(f"error {number}"))
    sentry_sdk.flush(5)
sentry_sdk.capture_exception(ValueError("after the outage"))
sentry_sdk.flush(20)
"""


def _dsn(collector: Collector) -> str:
    return collector.url.replace("://", "://key@") + "/1"


@peers.peer(1, "Sentry", *SENTRY_PACKAGES)
def sentry_sigterm(python: Path) -> str:
    with Collector() as collector:
        command = [str(python), "-m", "uvicorn", "peer_sentry:app", "--no-access-log"]
        with Service(command, environment(PEER_DSN=_dsn(collector))) as service:
            for number in range(20):
                service.request(f"/boom/{number}")
            service.process.send_signal(signal.SIGTERM)
            service.process.wait(60)
        found = sum(b'"exception"' in body for body in collector._requests("envelope"))
        return f"{found} of 20 errors"


@peers.peer(4, "Sentry", *SENTRY_PACKAGES)
def sentry_outage(python: Path) -> str:
    with Collector() as collector:
        refused: list[str] = []

        def refuse(path: str, body: bytes) -> Any:
            if b'"exception"' not in body or len(refused) == 20:
                return None
            refused.append(path)
            return 503, {}

        collector.fault = refuse
        command = [str(python), "-c", SENTRY, _dsn(collector)]
        subprocess.run(command, env=environment(), capture_output=True, timeout=120, check=True)
        found = sum(b'"exception"' in body for body in collector._requests("envelope"))
        return f"{found} of {len(refused) + 1} errors, {len(refused)} of which met a 503"


@peers.peer(2, "OpenTelemetry", *PACKAGES)
def unreachable(python: Path) -> str:
    command = [str(python), str(APPS / "peer_life.py"), "unreachable"]
    with subprocess.Popen(command, env=_environment(None), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        begun = time.monotonic()
        out, err = process.communicate(timeout=120)
    counts = [line for line in (out + err).decode().splitlines() if "10" in line.split()]
    return f"ends after {time.monotonic() - begun:.1f} s, {len(counts)} lines that count the loss"


@peers.peer(3, "OpenTelemetry for Google", *GOOGLE)
def workers(python: Path) -> str:
    with FaultyGoogle() as google:
        command = [str(python), str(APPS / "peer_google.py"), "workers", google.address]
        running = [subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL) for _ in range(3)]
        assert [process.wait(90) for process in running] == [0, 0, 0]
        sent = len(google.requests["CreateTimeSeries"])
        return f"{sent - len(google.accepted.get('CreateTimeSeries', []))} of {sent} points of three workers rejected"


@peers.peer(4, "OpenTelemetry", *PACKAGES)
def recovery(python: Path) -> str:
    arrived = []
    for fault in ("one 500", "15 s of 503"):
        with Collector() as collector:
            until = time.monotonic() + 15

            def refuse(path: str, body: bytes, fault: str = fault, until: float = until) -> Any:
                if fault == "one 500":
                    return (500, {}) if len(collector.paths) <= 1 else None
                return (503, {}) if time.monotonic() < until else None

            collector.fault = refuse
            _said(python, "recovery", _environment(collector))
            arrived.append(f"{len(collector.spans)} of 10 spans after {fault}")
    return ", ".join(arrived)


@peers.peer(8, "OpenTelemetry for Google", *GOOGLE)
def batches(python: Path) -> str:
    with GoogleTwin() as google:
        asked = []

        def rule(method: str, request: Any) -> None:
            if method == "CreateTimeSeries":
                asked.append(len(request.time_series))
                if len(asked) == 2:
                    raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "one of them is not valid")

        google.rule = rule
        command = [str(python), str(APPS / "peer_google.py"), "batches", google.address]
        subprocess.run(command, env=environment(), capture_output=True, timeout=90, check=True)
        return f"{len(google.series)} of 501 series written"


@peers.peer(5, "OpenTelemetry", *PACKAGES)
def outage(python: Path) -> str:
    return _said(python, "outage", _environment(None))


@peers.peer(6, "OpenTelemetry", *PACKAGES)
def silence(python: Path) -> str:
    with Collector() as collector:
        collector.fault = lambda path, body: HANG
        return _said(python, "silence", _environment(collector))


@peers.peer(7, "OpenTelemetry", *PACKAGES)
def preload(python: Path) -> str:
    with Collector() as collector:
        _said(python, "preload", _environment(collector) | {"OTEL_RESOURCE_ATTRIBUTES": f"host.id={os.getpid()}"})
        last = sum(
            point.as_int
            for request in collector._requests("/v1/metrics")
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "peer.count"
            for point in metric.sum.data_points
        )
        return f"{last} in the backend, where 103 were counted"
