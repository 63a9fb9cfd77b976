"""How OpenTelemetry's SDK fares at the faults of the life cycle, against the same collector."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import peers
from collector import HANG, Collector
from wire import APPS, Service, environment

PACKAGES = (*peers.OPENTELEMETRY, "opentelemetry-exporter-otlp-proto-http", "uvicorn")


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
