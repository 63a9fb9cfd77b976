"""The life of a process: however it is started, forked, frozen and ended, what it has accepted arrives."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import peers
import pytest
from collector import Collector
from google_twin import GoogleTwin
from sinks import SERVER, Sinks
from wire import Service, environment, eventually, gunicorn, uvicorn

from obskit import catalog

Figure = Callable[[str], None]
DURATION = catalog.HTTP_SERVER_DURATION.name
UVICORN_WORKER = "uvicorn.workers.UvicornWorker"
SERVERS = {
    "uvicorn": uvicorn("living:asgi"),
    "uvicorn-no-lifespan": uvicorn("living:asgi", "--lifespan", "off"),
    "uvicorn-2": uvicorn("living:asgi", "--workers", "2"),
    "uvicorn-2-no-lifespan": uvicorn("living:asgi", "--workers", "2", "--lifespan", "off"),
    "gunicorn-sync": gunicorn("living:wsgi", "sync", "--workers", "2"),
    "gunicorn-gthread": gunicorn("living:wsgi", "gthread", "--threads", "4"),
    "gunicorn-gevent": gunicorn("living:wsgi", "gevent", "--workers", "2"),
    "gunicorn-uvicorn": gunicorn("living:asgi", UVICORN_WORKER, "--workers", "2"),
    "gunicorn-asgi": gunicorn("living:asgi", "asgi"),
    "preload-sync": gunicorn("living:wsgi", "sync", "--workers", "3", "--preload"),
    "preload-gthread": gunicorn("living:wsgi", "gthread", "--workers", "3", "--preload"),
    "preload-gevent": gunicorn("living:wsgi", "gevent", "--workers", "3", "--preload"),
    "preload-uvicorn": gunicorn("living:asgi", UVICORN_WORKER, "--workers", "3", "--preload"),
}
QUICK = ("uvicorn-no-lifespan", "uvicorn-2", "gunicorn-gthread", "gunicorn-uvicorn", "preload-sync")
REQUESTS = 10
FAILING = 2

peers.opentelemetry(1, "sigterm")
peers.opentelemetry(7, "preload")


def params(names: list[str], quick: tuple[str, ...] = QUICK) -> list:
    """Return the servers by name; all but a few are for `make faults` only."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


def otlp(collector: Collector, **settings: str) -> dict[str, str]:
    return environment(
        **{
            "OBSKIT_EXPORTERS": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OBSKIT_SENTRY_DSN": collector.url.replace("://", "://key@") + "/1",
            "OBSKIT_METRIC_EXPORT_INTERVAL": "0.5s",
            **settings,
        }
    )


def is_ready(pid: str) -> bool:
    """Return whether a worker of gunicorn has its own signal handlers; until then it loses what it is sent."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
    return bool(caught >> (signal.SIGABRT - 1) & 1) or not caught >> (signal.SIGHUP - 1) & 1


def drive(service: Service, ok: int = REQUESTS - FAILING, failing: int = FAILING) -> None:
    """Make requests, some of which fail."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    command = service.process.args
    count = int(command[command.index("--workers") + 1]) if "gunicorn" in command and "--workers" in command else 0

    def are_ready() -> bool:
        found = children.read_text().split()
        return len(found) >= count and all(map(is_ready, found))

    assert eventually(are_ready), service.printed
    assert [service.request(f"/items/{number}")[0] for number in range(ok)] == [200] * ok
    assert [service.request(f"/fail/{number}")[0] for number in range(failing)] == [500] * failing


def end(service: Service, how: signal.Signals) -> float:
    """End a server by a signal; return after how many seconds it was gone."""
    begun = time.monotonic()
    service.process.send_signal(how)
    service.process.wait(20)
    return time.monotonic() - begun


def server_spans(collector: Collector) -> list:
    return [span for span in collector.spans if span.kind == SERVER]


def run(code: str, env: dict[str, str], within_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=within_s, check=False
    )


# --------------------------------------------------------------------------- 1


@pytest.mark.fault(1, "a signal right after ten requests: all arrive, on every server")
@pytest.mark.parametrize(
    ("name", "how"),
    [
        pytest.param(name, how, marks=() if name in QUICK and how is signal.SIGTERM else pytest.mark.slow)
        for name in SERVERS
        for how in (signal.SIGTERM, signal.SIGINT)
        # Of itself uvicorn's worker for gunicorn does not end at SIGINT, and is killed half a minute later.
        if how is signal.SIGTERM or UVICORN_WORKER not in SERVERS[name]
    ],
)
def test_everything_arrives_after_a_signal(name: str, how: signal.Signals, figure: Figure) -> None:
    """SIGTERM or SIGINT right after ten requests, two of them failing: spans, counts, errors arrive within 8 s."""
    with Collector() as collector, Service(SERVERS[name], otlp(collector)) as service:
        drive(service)
        took_s = end(service, how)
        assert took_s < 8.0
        spans, count = server_spans(collector), collector.count(DURATION)
        assert (len(spans), count) == (REQUESTS, REQUESTS), service.printed
        assert len({span.span_id for span in spans}) == REQUESTS
        assert (len(collector.records), len(collector.events)) == (FAILING, FAILING), service.printed
        assert "did not deliver" not in service.printed
        # gunicorn's gevent worker prints one of its own when it is told to end at once.
        expected = service.printed.count("ValueError: failure") + service.printed.count("in handle_quit")
        assert service.printed.count("Traceback (most") == expected, service.printed
    figure("10 of 10 spans, counts and 2 of 2 errors" if how is signal.SIGTERM else "the same at SIGINT")


@pytest.mark.fault(1, "the same at Google's APIs, Sentry and OTLP at once")
@pytest.mark.parametrize("name", params(["uvicorn-no-lifespan", "preload-sync", "uvicorn-2"], ("preload-sync",)))
def test_every_destination_gets_everything(name: str) -> None:
    """With three kinds of destinations each of them gets all that it takes, from workers forked of a loaded app too."""
    with Sinks() as sinks, Service(SERVERS[name], sinks.environment()) as service:
        drive(service)
        assert end(service, signal.SIGTERM) < 8.0
        assert len(server_spans(sinks.collector)) == REQUESTS, service.printed
        assert len(sinks.google.spans) == len(sinks.collector.spans), service.printed
        assert google_count(sinks.google) == sinks.collector.count(DURATION) == REQUESTS
        assert len(sinks.google.events) == len(sinks.collector.records) == len(sinks.collector.events) == FAILING


def google_count(google: GoogleTwin) -> int:
    """Return the sum over processes and series of the last counts that Cloud Monitoring got."""
    last = {
        (series.resource.labels["task_id"], str(series.metric.labels)): series.points[0].value.distribution_value.count
        for series in google.series
        if series.metric.type.endswith(DURATION)
    }
    return sum(last.values())


@pytest.mark.fault(1, "workers that are recycled by --max-requests lose nothing")
@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        gunicorn("living:wsgi", "sync", "--workers", "2", "--max-requests", "10"),
        gunicorn("living:wsgi", "gthread", "--threads", "2", "--max-requests", "10"),
        gunicorn("living:asgi", UVICORN_WORKER, "--workers", "2", "--max-requests", "10"),
        gunicorn("living:wsgi", "sync", "--workers", "2", "--max-requests", "10", "--preload"),
        uvicorn("living:asgi", "--workers", "2", "--limit-max-requests", "10"),
    ],
    ids=["sync", "gthread", "uvicorn-worker", "preload", "uvicorn"],
)
def test_recycled_workers_lose_nothing(command: list[str], figure: Figure) -> None:
    """Of the answered requests over workers that end after ten each, every span and count arrives."""
    workers: Counter[int] = Counter()
    with Collector() as collector, Service(command, otlp(collector)) as service:
        deadline = time.monotonic() + 30
        while len(workers) < 5 and time.monotonic() < deadline:
            try:
                status, body = service.request("/items/1")
            except OSError:  # between two workers
                continue
            if status == 200:
                workers[json.loads(body)["pid"]] += 1
        drive(service)
        assert end(service, signal.SIGTERM) < 8.0
        answered = sum(workers.values()) + REQUESTS
        assert len(workers) >= 5, service.printed
        assert len(server_spans(collector)) == collector.count(DURATION) == answered, service.printed
    figure(f"{answered} of {answered} over recycled workers")


# --------------------------------------------------------------------------- 2


@pytest.mark.fault(2, "nobody at the endpoint: ends within 8 s, one line counts the loss")
@pytest.mark.parametrize("name", params(list(SERVERS), ("uvicorn", "gunicorn-gthread")))
def test_an_unreachable_backend_costs_seconds_and_a_line(name: str, figure: Figure) -> None:
    """With nobody at any endpoint a server ends within 8 s over all signals, and its lines count exactly what is lost."""
    nobody = "http://127.0.0.1:9"
    env = environment(
        OBSKIT_EXPORTERS="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=nobody,
        OBSKIT_SENTRY_DSN="http://key@127.0.0.1:9/1",
    )
    with Service(SERVERS[name], env) as service:
        drive(service)
        took_s = end(service, signal.SIGTERM)
        assert took_s < 8.0 + (1.0 if "preload" in name else 0.0), service.printed
        lost = losses(service.printed)
        assert lost["spans"] == REQUESTS, service.printed
        assert lost["errors"] == 2 * FAILING, service.printed  # to OTLP and to Sentry
        per_process = Counter(line["pid"] for line in loss_lines(service.printed))
        assert all(count == 1 for count in per_process.values()), service.printed
    figure(f"{took_s:.1f} s, 1 line a process, 10 spans and 4 errors counted")


def loss_lines(printed: str) -> list[dict]:
    """Return the lines about losses that processes printed at their end."""
    found = []
    for line in printed.splitlines():
        if "did not deliver" in line:
            record = json.loads(line) if line.startswith("{") else {"message": line}
            found.append({"text": record["message"], "pid": record.get("pid", len(found))})
    return found


def losses(printed: str) -> Counter[str]:
    """Return what all processes together said that they had lost."""
    counts: Counter[str] = Counter()
    for line in loss_lines(printed):
        said = line["text"].partition("did not deliver ")[2].partition(" (")[0]
        for part in said.split(", "):
            number, _, noun = part.partition(" ")
            counts[noun if noun.endswith("s") else f"{noun}s"] += int(number)
    return counts
