"""Real servers: everything arrives after SIGTERM, and an unreachable backend costs seconds and one line."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from collector import Collector
from google_twin import GoogleTwin
from processes import APPS, Server, environment, free_port, gunicorn, uvicorn

from obskit import catalog

REQUESTS = 10
SERVERS = {
    "uvicorn": lambda port: uvicorn(port, 1),
    "uvicorn-2": lambda port: uvicorn(port, 2),
    "gunicorn-sync": lambda port: gunicorn(port, "wsgi", "--workers", "2"),
    "gunicorn-gthread": lambda port: gunicorn(port, "wsgi", "--worker-class", "gthread", "--threads", "4"),
    "gunicorn-uvicorn": lambda port: gunicorn(port, "asgi", "--worker-class", "uvicorn.workers.UvicornWorker"),
    "gunicorn-preload": lambda port: gunicorn(port, "wsgi", "--workers", "3", "--preload"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_everything_arrives_after_sigterm(name: str) -> None:
    """SIGTERM right after ten requests: ten spans and ten counts arrive, and the server ends within 8 s."""
    port = free_port()
    with Collector() as collector, Server(SERVERS[name](port), port, environment(collector.url)) as server:
        server.wait_until_up()
        assert [server.get(f"/items/{number}") for number in range(REQUESTS)] == [200] * REQUESTS
        took_s, printed = server.end()
        assert took_s < 8.0
        assert len(collector.spans) == REQUESTS, printed
        assert collector.count("http.server.request.duration") == REQUESTS
        bounds = {tuple(point.explicit_bounds) for key, point in collector.points.items() if "server" in key[1]}
        assert bounds == {catalog.HTTP_SERVER_DURATION.buckets}
        assert "Traceback" not in printed


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn-sync"])
def test_an_unreachable_backend(name: str) -> None:
    """With nobody at the endpoint the server ends in the time set, and one line counts what was lost."""
    port = free_port()
    settings = environment("http://127.0.0.1:9", OBSKIT_FLUSH_TIMEOUT="2s")
    command = SERVERS[name](port) if name == "uvicorn" else gunicorn(port, "wsgi", "--workers", "1")
    with Server(command, port, settings) as server:
        server.wait_until_up()
        for number in range(REQUESTS):
            server.get(f"/items/{number}")
        took_s, printed = server.end()
    assert took_s < 4.0
    lines = [line for line in printed.splitlines() if "did not deliver" in line]
    assert len(lines) == 1, printed
    assert f"{REQUESTS} spans" in lines[0]


@pytest.mark.parametrize("ending", ["exit", "sigterm"])
def test_a_script_delivers_at_its_end(ending: str) -> None:
    """A script that ends by itself, or by SIGTERM, delivers its spans and leaves no traceback."""
    with Collector() as collector:
        command = [sys.executable, str(APPS / "script.py"), *([ending] if ending == "sigterm" else [])]
        done = subprocess.run(command, env=environment(collector.url), capture_output=True, timeout=30, check=False)
        assert done.returncode == (0 if ending == "exit" else -15), done.stderr.decode()
        assert len(collector.spans) == 10
        assert b"Traceback" not in done.stdout + done.stderr


def test_counters_before_a_preload_fork_count_once() -> None:
    """What was counted before the fork is exported by the parent alone, whatever the number of workers."""
    code = """
import os, time
import obskit
from obskit import catalog
from obskit.signals import metrics
handle = obskit.instrument()
for _ in range(100):
    metrics.record(catalog.HTTP_SERVER_DURATION, 0.1, {"http.route": "/"})
children = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        metrics.record(catalog.HTTP_SERVER_DURATION, 0.1, {"http.route": "/"})
        os._exit(0 if handle.flush(5) else 1)
    children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
assert handle.flush(5)
"""
    with Collector() as collector:
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(collector.url), capture_output=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        assert collector.count("http.server.request.duration") == 103
        assert len({instance for instance, _, _ in collector.points}) == 4
        assert time.monotonic() - begun < 15


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn-preload"])
def test_everything_arrives_at_google(name: str) -> None:
    """The same over gRPC to Google's APIs, also from workers that were forked from a loaded app."""
    port = free_port()
    with GoogleTwin() as google:
        env = environment("", OBSKIT_EXPORTERS="gcp", OBSKIT_LOCAL_ENDPOINT=google.address, GOOGLE_CLOUD_PROJECT="p1")
        with Server(SERVERS[name](port), port, env) as server:
            server.wait_until_up()
            assert [server.get(f"/items/{number}") for number in range(REQUESTS)] == [200] * REQUESTS
            took_s, printed = server.end()
        assert took_s < 8.0
        assert len(google.spans) == REQUESTS, printed
        last = {
            series.resource.labels["task_id"]: series.points[0].value.distribution_value.count
            for series in google.series
            if series.metric.type.endswith("http.server.request.duration")
        }
        assert sum(last.values()) == REQUESTS
        assert "Traceback" not in printed
