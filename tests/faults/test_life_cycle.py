"""The life of a process: however it is started, forked, frozen and ended, what it has accepted arrives."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import life_peers  # noqa: F401 - registers what other tools come to
import pytest
from collector import Collector
from google_twin import GoogleTwin
from sinks import SERVER, Sinks, attributes
from wire import APPS, Service, environment, eventually, gunicorn, uvicorn

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
        # gunicorn's gevent worker prints one of its own when it is told to end at once, and Python one when a second
        # signal comes while asyncio closes its loop: the pipe that wakes the loop is closed before its handlers go.
        own = ("in handle_quit", "write to the signal wakeup fd")
        expected = sum(service.printed.count(text) for text in ("ValueError: failure", *own))
        assert service.printed.count("Traceback (most") == expected, service.printed
    figure("10 of 10 spans, counts and 2 of 2 errors" if how is signal.SIGTERM else "the same at SIGINT")


@pytest.mark.fault(1, "the same at Google's APIs, Sentry and OTLP at once")
@pytest.mark.parametrize("name", params(["uvicorn-no-lifespan", "preload-sync", "uvicorn-2"], ("uvicorn-no-lifespan",)))
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
@pytest.mark.parametrize("name", params(list(SERVERS), ("uvicorn",)))
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
        assert took_s < 8.0, service.printed
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


# --------------------------------------------------------------------------- 7


@pytest.mark.fault(7, "a counter at 100 before --preload forks three workers: 100 + requests")
@pytest.mark.parametrize("name", params(["preload-sync", "preload-gthread", "preload-gevent", "preload-uvicorn"]))
def test_counters_before_a_preload_fork_count_once(name: str, figure: Figure) -> None:
    """What was counted before the fork is exported by the parent alone, at OTLP and at Google."""
    with Sinks() as sinks:
        env = sinks.environment(LIVING_BEFORE="100", OBSKIT_METRIC_EXPORT_INTERVAL="0.5s")
        with Service(SERVERS[name], env) as service:
            drive(service)
            end(service, signal.SIGTERM)
        total = sinks.collector.total("living.served")
        assert total == 100 + REQUESTS - FAILING, service.printed
        assert sinks.collector.count(DURATION) == google_count(sinks.google) == REQUESTS
        at_google = {
            series.resource.labels["task_id"]: series.points[0].value.int64_value
            for series in sinks.google.series
            if series.metric.type.endswith("living.served")
        }
        assert sum(at_google.values()) == total
    figure(f"{total:.0f}")


# --------------------------------------------------------------------------- 10


@pytest.mark.fault(10, "frozen 100 ms after a response, thawed later, then ended")
@pytest.mark.parametrize(
    "frozen_s", [1.0, pytest.param(12.0, marks=pytest.mark.slow)], ids=["for a second", "longer than any deadline"]
)
def test_a_frozen_process_delivers_when_it_is_thawed(frozen_s: float, figure: Figure) -> None:
    """SIGSTOP right after the last response, SIGCONT later, then SIGTERM: everything arrives."""
    env = {"OBSKIT_TRACE_EXPORT_INTERVAL": "2s"}
    with Collector() as collector, Service(SERVERS["uvicorn"], otlp(collector, **env)) as service:
        drive(service)
        time.sleep(0.1)
        service.process.send_signal(signal.SIGSTOP)
        time.sleep(frozen_s)
        service.process.send_signal(signal.SIGCONT)
        end(service, signal.SIGTERM)
        assert len(server_spans(collector)) == collector.count(DURATION) == REQUESTS, service.printed
        assert len(collector.events) == FAILING
    figure("10 of 10")


@pytest.mark.fault(10, "frozen in the middle of the last flush, for longer than it may take")
@pytest.mark.slow
def test_a_process_that_is_frozen_while_it_ends_delivers(figure: Figure) -> None:
    """A freeze of 9 s in the last flush, while the backend answers 503, does not use up the flush's 6 s."""
    env = {"OBSKIT_TRACE_EXPORT_INTERVAL": "1h", "OBSKIT_METRIC_EXPORT_INTERVAL": "1h", "OBSKIT_SENTRY_DSN": ""}
    with Collector() as collector, Service(SERVERS["uvicorn"], otlp(collector, **env)) as service:
        drive(service, REQUESTS, 0)
        assert not collector.paths
        collector.fault = lambda path, body: (503, {})
        service.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: collector.paths)
        service.process.send_signal(signal.SIGSTOP)
        time.sleep(9.0)
        collector.fault = lambda path, body: None
        service.process.send_signal(signal.SIGCONT)
        service.process.wait(20)
        assert len(server_spans(collector)) == collector.count(DURATION) == REQUESTS, service.printed
    figure("10 of 10 when frozen in the last flush")


# --------------------------------------------------------------------------- 11


@pytest.mark.fault(11, "kill -9 and restart, twenty times")
@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_and_restarts(times: int, figure: Figure) -> None:
    """After each kill -9 a new instance begins at a new start time; within one nothing decreases, the sum is right."""
    with Collector() as collector:
        seen = 0
        for _ in range(times):
            with Service(SERVERS["uvicorn"], otlp(collector)) as service:
                drive(service, 5, 0)
                seen += 5
                assert eventually(lambda: collector.count(DURATION) >= seen), service.printed
                service.process.kill()
                service.process.wait(10)
        history = collector.history(DURATION)
        assert len(history) == times
        assert collector.count(DURATION) == collector.total("living.served") == seen
        firsts = []
        for points in history.values():
            assert len({point.start_time_unix_nano for point in points}) == 1
            assert [point.count for point in points] == sorted(point.count for point in points)
            assert all(point.start_time_unix_nano < point.time_unix_nano for point in points)
            firsts.append(points[0].start_time_unix_nano)
        assert firsts == sorted(set(firsts))
    figure(f"{times} starts, {len(history)} instances, {seen} of {seen} counted")


# --------------------------------------------------------------------------- 12

FORKING = """
import os, signal, sys, time
import obskit
from opentelemetry import metrics

handle = obskit.instrument()
count = metrics.get_meter("forking").create_counter("forking.count")
failed, slowest = 0, 0.0
for number in range(int(sys.argv[1])):
    for _ in range(5):
        with obskit.span("parent"):
            count.add(1)
    pid = os.fork()
    if pid == 0:
        begun = time.monotonic()
        with obskit.span("child"):
            count.add(1)
        is_delivered = handle.flush(5)
        os._exit(0 if is_delivered and time.monotonic() - begun < 5 else 1)
    failed += os.waitpid(pid, 0)[1] != 0
print(failed)
sys.exit(0 if handle.flush(10) else 2)
"""


@pytest.mark.fault(12, "a fork during an export, 200 times: every child exports within 5 s")
@pytest.mark.parametrize("times", [10, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("route", ["otlp", "gcp"])
def test_forks_during_exports(route: str, times: int, figure: Figure) -> None:
    """The parent exports all the time to a slow backend; every child's span and count arrive, and all the parent's."""
    with Sinks() as sinks:

        def slowly(*_: object) -> None:
            time.sleep(0.02)

        sinks.collector.fault = sinks.google.rule = slowly
        settings = {"OBSKIT_TRACE_EXPORT_INTERVAL": "0.01s", "OBSKIT_METRIC_EXPORT_INTERVAL": "0.05s"}
        env = sinks.environment(**settings) | {"OBSKIT_EXPORTERS": route, "OBSKIT_SENTRY_DSN": ""}
        command = [sys.executable, "-c", FORKING, str(times)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=110, check=False)
        assert (done.stdout.splitlines()[-1:], done.returncode) == (["0"], 0), done.stderr[-2000:]
        names = Counter(
            [span.name for span in sinks.collector.spans] + [span.display_name.value for span in sinks.google.spans]
        )
        assert names == {"child": times, "parent": 5 * times}
        assert "Traceback" not in done.stderr
    figure(f"{times} of {times} over {route}")


# The module takes long, and the fork comes in the middle of it: the pipe says when it has begun.
SLOW_MODULE = "import os, time\nos.write(int(os.environ['PIPE']), b'1')\ntime.sleep(0.5)\nvalue = 1\n"
FORKING_AT_IMPORT = """
import importlib, os, sys, threading
begun, into = os.pipe()
os.environ["PIPE"] = str(into)
from obskit.signals import imports
imports._FORK_WAIT_S = float(sys.argv[1])
thread = threading.Thread(target=imports.import_aside, args=("slow_module",))
thread.start()
os.read(begun, 1)
child = os.fork()
if not child:
    os._exit(0 if importlib.import_module("slow_module").value == 1 else 1)
thread.join()
assert sys.modules["slow_module"].value == 1
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.fault(12, "a fork while obskit imports what takes long: the child can import it too")
@pytest.mark.parametrize("wait_s", [10.0, 0.05])
def test_a_fork_in_the_middle_of_an_import(wait_s: float, tmp_path: Path) -> None:
    """The lock of a module that another thread imports would stay locked in the child, which would wait for ever.

    Nor does it where the fork cannot wait for so long.
    """
    (tmp_path / "slow_module.py").write_text(SLOW_MODULE)
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", FORKING_AT_IMPORT, str(wait_s)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------- 13


@pytest.mark.fault(13, "no credentials and no metadata server")
@pytest.mark.parametrize("name", params(["uvicorn", "gunicorn-sync"], ("uvicorn",)))
def test_no_credentials(name: str, tmp_path: Path, figure: Figure) -> None:
    """Without credentials, project and metadata server the app serves within 3 s and each process warns once."""
    env = environment(
        OBSKIT_EXPORTERS="gcp",
        CLOUDSDK_CONFIG=str(tmp_path),
        GCE_METADATA_HOST="127.0.0.1:9",
        GCE_METADATA_IP="127.0.0.1:9",
    )
    begun = time.monotonic()
    with Service(SERVERS[name], env) as service:
        assert service.request("/items/1")[0] == 200
        took_s = time.monotonic() - begun
        assert eventually(lambda: "no Google credentials" in service.printed)
        drive(service)
        end(service, signal.SIGTERM)
        lines = service.lines()
    warnings = [line for line in lines if line.get("logger") == "obskit" and line["severity"] != "INFO"]
    told = [line for line in warnings if "did not deliver" not in line["message"]]
    assert len(told) == (2 if name == "gunicorn-sync" else 1), warnings
    assert "application-default login" in told[0]["message"]
    figure(f"served after {took_s:.1f} s, 1 warning")


@pytest.mark.fault(13, "an optional dependency that is broken")
def test_a_broken_dependency(tmp_path: Path) -> None:
    """With a Sentry client that cannot be imported the app serves, one warning says so, and OTLP gets everything."""
    (tmp_path / "sentry_sdk.py").write_text("raise ImportError('broken on purpose')")
    with Collector() as collector:
        env = otlp(collector, PYTHONPATH=f"{APPS}{os.pathsep}{tmp_path}")
        with Service(SERVERS["uvicorn"], env) as service:
            drive(service)
            end(service, signal.SIGTERM)
            assert service.printed.count("broken on purpose") == 1, service.printed
        assert len(server_spans(collector)) == collector.count(DURATION) == REQUESTS


# --------------------------------------------------------------------------- 14


@pytest.mark.fault(14, "gunicorn kills a worker that hangs")
@pytest.mark.parametrize(
    ("target", "worker"), [("living:wsgi", "sync"), pytest.param("living:asgi", UVICORN_WORKER, marks=pytest.mark.slow)]
)
def test_a_worker_that_is_killed_on_timeout(target: str, worker: str, figure: Figure) -> None:
    """The request at which a worker hung arrives as a failed span, and so does everything before it."""
    command = gunicorn(target, worker, "--timeout", "2")
    with Collector() as collector, Service(command, otlp(collector)) as service:
        drive(service)
        with contextlib.suppress(OSError, HTTPException):  # sync workers answer 500 where they can
            service.request("/block/30")
        assert eventually(lambda: len(server_spans(collector)) == REQUESTS + 1), service.printed
        last = server_spans(collector)[-1]
        assert last.status.code == last.status.STATUS_CODE_ERROR
        assert attributes(last)["error.type"] == "SystemExit"
    figure("the span is an error")


# --------------------------------------------------------------------------- 15

ENDINGS = {
    "returns": "",
    "sys.exit": "import sys; sys.exit(3)",
    "raises": "raise SystemExit('the end')",
    "a thread goes on": "threading.Thread(target=lambda: (time.sleep(0.3), step())).start()",
    "a daemon thread goes on": "threading.Thread(target=forever, daemon=True).start(); time.sleep(0.05)",
    "a pool": "ThreadPoolExecutor(4).submit(lambda: (time.sleep(0.2), step()))",
    "asyncio": "asyncio.run(asyncio.sleep(0.01))",
    "at exit": "atexit.register(step)",
    "forked workers": "p = multiprocessing.get_context('fork').Process(target=step); p.start(); p.join()",
    "SIGTERM": "os.kill(os.getpid(), 15); time.sleep(9)",
    "SIGINT": "os.kill(os.getpid(), 2); time.sleep(9)",
}
MORE = {"a thread goes on", "a pool", "at exit", "forked workers"}
SCRIPT = """
import asyncio, atexit, multiprocessing, os, threading, time
from concurrent.futures import ThreadPoolExecutor
import obskit
def step():
    with obskit.span("step"):
        pass
def forever():
    while True:
        obskit.get_logger("x").info("on and on")
        time.sleep(0.001)
{before}
obskit.instrument()
for _ in range(10):
    step()
try:
    {ending}
except KeyboardInterrupt:
    pass
"""


@pytest.mark.fault(15, "scripts, threads, interpreter exit: all delivered, no traceback")
@pytest.mark.parametrize("how", params(list(ENDINGS), ("returns", "a pool", "forked workers", "SIGTERM")))
def test_scripts_end_without_a_word(how: str, figure: Figure) -> None:
    """However a script ends, its spans arrive, also those of threads that outlive the main one, without a traceback."""
    with Collector() as collector:
        env = otlp(collector) | {"OBSKIT_TRACE_EXPORT_INTERVAL": "1h"}
        done = run(SCRIPT.format(before="", ending=ENDINGS[how] or "pass"), env)
        assert len(collector.spans) == 10 + (how in MORE), done.stderr
        assert "Traceback" not in done.stderr + done.stdout
        assert "Exception ignored" not in done.stderr + done.stdout
    figure(f"{len(ENDINGS)} ways to end")
