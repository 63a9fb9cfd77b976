"""Backends that are away, slow, full or particular: what was accepted is delivered, or counted to the last item."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from collector import HANG, RESET, Collector
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from google_faults import FaultyGoogle
from google_twin import GoogleTwin, Refusal
from sinks import SERVER, attributes
from wire import Service, environment, eventually, gunicorn, uvicorn

from obskit import catalog

Figure = Callable[[str], None]
DURATION = catalog.HTTP_SERVER_DURATION.name
NOBODY = "http://127.0.0.1:9"
MIB = 1024 * 1024
MOST_MIB = 64


def otlp(url: str, **settings: str) -> dict[str, str]:
    return environment(
        **{
            "OBSKIT_EXPORTERS": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OBSKIT_METRIC_EXPORT_INTERVAL": "0.5s",
            **settings,
        }
    )


def google_environment(google: GoogleTwin, **settings: str) -> dict[str, str]:
    return environment(
        **{
            "OBSKIT_EXPORTERS": "gcp",
            "OBSKIT_LOCAL_ENDPOINT": google.address,
            "GOOGLE_CLOUD_PROJECT": "p1",
            "OBSKIT_METRIC_EXPORT_INTERVAL": "5s",
            **settings,
        }
    )


def drive(service: Service, count: int) -> None:
    assert [service.request(f"/items/{number}")[0] for number in range(count)] == [200] * count


def end(service: Service) -> float:
    begun = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(20)
    return time.monotonic() - begun


def server_spans(collector: Collector) -> list:
    return [span for span in collector.spans if span.kind == SERVER]


def warnings_of(service: Service) -> list[str]:
    return [
        line["message"] for line in service.lines() if line.get("logger") == "obskit" and line["severity"] != "INFO"
    ]


def run(code: str, env: dict[str, str], *arguments: str) -> Any:
    """Run a script and return what it printed last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=env | {"OBSKIT_LOG_LEVEL": "error"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


# --------------------------------------------------------------------------- 3


def counts_at(google: GoogleTwin, name: str) -> Counter[str]:
    """Return the last sums of a metric's counts at Google, by process."""
    last: dict[tuple[str, str], int] = {}
    for series in google.series:
        if series.metric.type.endswith(name):
            value = series.points[0].value
            labels = str(sorted(series.metric.labels.items()))
            last[series.resource.labels["task_id"], labels] = value.distribution_value.count or value.int64_value
    sums: Counter[str] = Counter()
    for (task, _), count in last.items():
        sums[task] += count
    return sums


@pytest.mark.fault(3, "three workers on one GCE or GKE machine: no point rejected, sums right")
@pytest.mark.parametrize(
    ("platform", "seconds"),
    [
        ("gcp_kubernetes_engine", 0),
        pytest.param("gcp_kubernetes_engine", 12, marks=pytest.mark.slow),
        pytest.param("gcp_compute_engine", 12, marks=pytest.mark.slow),
    ],
)
def test_three_workers_on_one_machine(platform: str, seconds: int, figure: Figure) -> None:
    """A backend as strict as Cloud Monitoring (order, one point in 5 s) refuses no call of three workers."""
    machine = f"cloud.platform={platform},k8s.pod.name=pod,k8s.cluster.name=c,host.id=h,cloud.availability_zone=z"
    command = gunicorn("living:wsgi", "sync", "--workers", "3")
    with FaultyGoogle() as google:
        env = google_environment(google, OTEL_RESOURCE_ATTRIBUTES=machine)
        with Service(command, env) as service:
            total, deadline = 0, time.monotonic() + seconds
            while total < 30 or time.monotonic() < deadline:
                drive(service, 10)
                total += 10
            end(service)
            assert not google.refused, google.refused
            assert sum(counts_at(google, DURATION).values()) == total, service.printed
            assert len(google.spans) == total
            written = len(google.accepted["CreateTimeSeries"])
    figure(f"0 of {written} calls refused, {total} of {total} counted")


# --------------------------------------------------------------------------- 4


def busy(seconds: float) -> bytes:
    """Return a `google.rpc.Status` that asks for a pause."""
    info = RetryInfo()
    info.retry_delay.FromNanoseconds(int(seconds * 1e9))
    status = Status(code=8, message="busy")
    status.details.add().Pack(info)
    return status.SerializeToString()


OUTAGES: dict[str, Any] = {
    "429": (429, {}),
    "500": (500, {}),
    "502": (502, {}),
    "503": (503, {}),
    "504": (504, {}),
    "Retry-After": (429, {"Retry-After": "1"}),
    "RetryInfo": (429, {"Content-Type": "application/x-protobuf"}, busy(1.0)),
    "reset": RESET,
    "hang": HANG,
}


@pytest.mark.fault(4, "an outage of every kind, then recovery: delivered")
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind in {"503", "RetryInfo", "reset"} else pytest.mark.slow) for kind in OUTAGES],
)
def test_recovery_after_an_outage(kind: str, figure: Figure) -> None:
    """Three requests of each signal fail in one way, then the backend is back: everything arrives, once, in order."""
    failures: Counter[str] = Counter()
    at: dict[str, list[float]] = {}
    with Collector() as collector:

        def fault(path: str, body: bytes) -> Any:
            at.setdefault(path, []).append(time.monotonic())
            failures[path] += 1
            if failures[path] > (1 if kind == "hang" else 3):
                return None
            # Sentry without Retry-After means a minute.
            return (503, {}) if "envelope" in path and "429" in str(OUTAGES[kind]) else OUTAGES[kind]

        collector.fault = fault
        env = otlp(collector.url, OBSKIT_TRACE_EXPORT_INTERVAL="0.1s")
        env["OBSKIT_SENTRY_DSN"] = collector.url.replace("://", "://key@") + "/1"
        with Service(uvicorn("living:asgi"), env) as service:
            drive(service, 8)
            assert [service.request(f"/fail/{number}")[0] for number in range(2)] == [500, 500]
            assert eventually(lambda: len(server_spans(collector)) == 10 and len(collector.events) == 2, 60)
            assert eventually(lambda: collector.count(DURATION) == 10 and len(collector.records) == 2, 40)
            end(service)
        spans = server_spans(collector)
        assert len({span.span_id for span in spans}) == len(spans) == 10
        # In one batch the spans of errors, which have events, may stand before the plain ones.
        ends = [span.end_time_unix_nano for span in spans if not span.events]
        assert ends == sorted(ends)
        assert len(collector.records) == len(collector.events) == 2
        if kind in {"Retry-After", "RetryInfo"}:
            waits = [later - earlier for earlier, later in zip(at["/v1/traces"], at["/v1/traces"][1:4], strict=False)]
            assert all(wait >= 0.99 for wait in waits[:3]), waits
    if kind == "503":
        figure("10 of 10 after 429 to 504, resets and hangs")
    elif "R" in kind:
        figure("Retry-After and RetryInfo kept")


@pytest.mark.fault(4, "60 s of 503, then recovery: delivered, within a byte cap")
@pytest.mark.slow
def test_a_minute_of_503(figure: Figure) -> None:
    """A minute of 503 under steady traffic: afterwards every span has arrived, after a bounded number of attempts."""
    with Collector() as collector:
        collector.fault = lambda path, body: (503, {})
        env = otlp(collector.url, OBSKIT_TRACE_EXPORT_INTERVAL="0.5s", OBSKIT_METRIC_EXPORT_INTERVAL="5s")
        with Service(uvicorn("living:asgi"), env) as service:
            deadline, total = time.monotonic() + 60, 0
            while time.monotonic() < deadline:
                drive(service, 20)
                total += 20
                time.sleep(0.2)
            attempts = collector.paths.count("/v1/traces")
            collector.fault = lambda path, body: None
            assert eventually(lambda: len(server_spans(collector)) == total, 40), service.printed[-2000:]
            assert eventually(lambda: collector.count(DURATION) == total, 40)
            end(service)
        assert len(server_spans(collector)) == total
        assert attempts <= 16
    figure(f"{total} of {total} spans after 60 s of 503, {attempts} attempts in between")


# --------------------------------------------------------------------------- 5


@pytest.mark.fault(5, "the backend is down, 3,000 spans of 200 KB: at most 64 MiB more memory")
@pytest.mark.parametrize(
    "destinations", ["otlp", pytest.param("otlp,gcp", marks=pytest.mark.slow)], ids=lambda names: names
)
@pytest.mark.parametrize("trouble", ["refused", pytest.param("hang", marks=pytest.mark.slow)])
def test_memory_is_bounded(destinations: str, trouble: str, figure: Figure) -> None:
    """While nothing can be delivered, 600 MB of spans cost at most 64 MiB, whatever the number of destinations."""
    with Collector() as collector:
        collector.fault = lambda path, body: HANG
        url = collector.url if trouble == "hang" else NOBODY
        env = otlp(
            url,
            OBSKIT_EXPORTERS=destinations,
            OBSKIT_SENTRY_DSN=url.replace("://", "://key@") + "/1",
            OBSKIT_LOCAL_ENDPOINT="127.0.0.1:9",
            OBSKIT_TRACE_EXPORT_INTERVAL="0.2s",
            OBSKIT_FLUSH_TIMEOUT="1s",
        )
        with Service(uvicorn("living:asgi"), env) as service:
            service.request("/spans/5/200000")
            service.request("/fail/1")
            wanted = "will be" if trouble == "hang" else "tried again"
            eventually(lambda: wanted in service.printed, 8.0)  # every exporter is loaded by now
            before = json.loads(service.request("/spans/0/0")[1])["rss"]
            after = before
            for _ in range(30):
                after = max(after, json.loads(service.request("/spans/100/200000")[1])["rss"])
            grown = (after - before) / MIB
            assert grown <= MOST_MIB
            service.process.kill()
    figure(f"+{grown:.0f} MiB over {destinations}, {trouble}")


@pytest.mark.fault(5, "errors with large local variables: at most 64 MiB more memory")
def test_reports_do_not_hold_variables(figure: Figure) -> None:
    """400 reported exceptions with 2 MB of local variables each do not keep them while Sentry is away."""
    env = otlp(NOBODY, OBSKIT_SENTRY_DSN="http://key@127.0.0.1:9/1", OBSKIT_FLUSH_TIMEOUT="1s")
    with Service(uvicorn("living:asgi"), env) as service:
        service.request("/errors/1/1000")
        eventually(lambda: "Sentry cannot be reached" in service.printed, 8.0)
        before = json.loads(service.request("/spans/0/0")[1])["rss"]
        after = max(json.loads(service.request("/errors/100/2000000")[1])["rss"] for _ in range(4))
        assert (after - before) / MIB <= MOST_MIB
        service.process.kill()
    figure(f"+{(after - before) / MIB:.0f} MiB for 800 MB of variables")


# --------------------------------------------------------------------------- 6

SILENCE = """
import json, sys, time
import obskit
handle = obskit.instrument(queue_bytes=4 * 1024 * 1024)
longest = 0.0
for number in range(5000):
    begun = time.perf_counter()
    with obskit.span("one", attributes={"payload": "x" * 1000}):
        pass
    longest = max(longest, time.perf_counter() - begun)
begun = time.monotonic()
is_flushed = handle.flush(2)
flush_s = time.monotonic() - begun
status = handle.status()
print("waiting", flush=True)
sys.stdin.readline()
is_delivered = handle.flush(20)
final = handle.status()
print(json.dumps({
    "is_flushed": is_flushed, "flush_s": flush_s, "longest_s": longest, "is_delivered": is_delivered,
    "queued": status.queued["spans"], "lost": status.lost["spans"], "sent": final.sent["spans"],
    "finally_lost": final.lost["spans"], "finally_queued": final.queued["spans"],
}))
"""


@pytest.mark.fault(6, "5,000 spans into a backend that never answers: exact drops, honest flush, unchanged latency")
def test_a_backend_that_never_answers(figure: Figure) -> None:
    """Drops are counted to the span, flush keeps its 2 s and says False, and what was not dropped arrives in the end."""
    with Collector() as collector:
        is_silent = threading.Event()
        is_silent.set()
        collector.fault = lambda path, body: HANG if is_silent.is_set() else None
        with subprocess.Popen(
            [sys.executable, "-c", SILENCE],
            env=otlp(collector.url, OBSKIT_LOG_LEVEL="error"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == "waiting\n"
            is_silent.clear()
            collector.release.set()
            process.stdin.write("\n")
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
        assert not said["is_flushed"]
        assert said["flush_s"] < 3.0
        assert said["longest_s"] < 1.0
        assert said["lost"] + said["queued"] == 5000
        assert 0 < said["lost"] < 5000
        assert said["sent"] + said["finally_lost"] == 5000
        assert len({span.span_id for span in collector.spans}) == said["sent"]
        assert said["finally_queued"] == 0
        assert said["finally_lost"] == said["lost"]
    figure(
        f"{said['lost']} of 5000 dropped and counted, {said['sent']} delivered, flush(2) took {said['flush_s']:.1f} s"
    )


# --------------------------------------------------------------------------- 8

SERIES = """
import json, sys, time
import obskit
from opentelemetry import metrics
handle = obskit.instrument()
count = metrics.get_meter("s").create_counter("many")
for number in range(501):
    count.add(number + 1, {"n": str(number)})
first = handle.flush(15)
last = handle.flush(15)
status = handle.status()
print(json.dumps({"flushes": [first, last], "lost": status.lost_by_reason, "problems": [str(p) for p in status.problems]}))
"""


@pytest.mark.fault(8, "the second of three batches of 200 series is rejected")
@pytest.mark.parametrize("is_lasting", [False, True], ids=["once", "for good"])
def test_one_of_three_batches_is_rejected(figure: Figure, *, is_lasting: bool) -> None:
    """The other two batches are written; the rejected one is written when it is tried again, in order, or counted."""
    calls: list[int] = []
    code = grpc.StatusCode.INVALID_ARGUMENT if is_lasting else grpc.StatusCode.UNAVAILABLE

    def rule(method: str, request: Any) -> None:
        if method == "CreateTimeSeries":
            calls.append(len(request.time_series))
            names = {series.metric.labels["n"] for series in request.time_series}
            if "250" in names and (is_lasting or len(calls) == 2):
                raise Refusal(code, "not this one")

    with FaultyGoogle() as google:
        google.rule = rule
        said = run(SERIES, google_environment(google))
        assert calls[:3] == [200, 200, 101]
        assert not google.refused, google.refused
        many = [series for series in google.series if series.metric.type.endswith("/many")]
        written = {series.metric.labels["n"]: series.points[0].value.int64_value for series in many}
        expected = [n for n in range(501) if not is_lasting or not 200 <= n < 400]
        assert written == {str(n): n + 1 for n in expected}
        assert said["flushes"][0] is (not is_lasting)
        assert ("rejected" in str(said["lost"])) is is_lasting
    figure(f"{len(written)} of 501 written" + (", 200 counted as lost" if is_lasting else ""))


@pytest.mark.fault(8, "one bad value never costs a batch")
def test_a_bad_value_costs_nothing_else(figure: Figure) -> None:
    """Among 20 spans one has values that no protobuf can hold: all arrive everywhere, that one's values replaced."""
    code = """
import json
import obskit
from opentelemetry import metrics
handle = obskit.instrument()
for number in range(20):
    bad = {"text": "lone \\\\ud800 one", "big": 2**70} if number == 7 else {"text": "fine", "big": 1}
    with obskit.span("span \\\\udfff" if number == 7 else "span", attributes=bad):
        pass
metrics.get_meter("x").create_counter("odd").add(3, {"label": "lone \\\\ud800"})
metrics.get_meter("x").create_counter("even").add(4, {"label": "fine"})
obskit.report_error(ValueError("lone \\\\ud800 text"))
is_flushed = handle.flush(15)
status = handle.status()
print(json.dumps({"flushed": is_flushed, "mended": status.mended["spans"], "lost": sum(status.lost.values())}))
""".replace("\\\\", "\\")
    with FaultyGoogle() as google, Collector() as collector:
        env = google_environment(google) | {
            "OBSKIT_EXPORTERS": "otlp,gcp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OBSKIT_SENTRY_DSN": collector.url.replace("://", "://key@") + "/1",
        }
        said = run(code, env)
        assert said == {"flushed": True, "mended": 2, "lost": 0}
        assert len(collector.spans) == len(google.spans) == 20
        assert attributes(collector.spans[7]) == {"text": "lone ? one", "big": str(2**70)}
        assert collector.total("odd") == 3
        assert collector.total("even") == 4
        assert sum(counts_at(google, "/odd").values()) == 3
        assert len(collector.records) == len(collector.events) == len(google.events) == 1
    figure("20 of 20 spans, one of them mended")


@pytest.mark.fault(8, "one item that a backend refuses does not take its batch along")
def test_a_refused_item_is_lost_alone(figure: Figure) -> None:
    """A receiver that answers 400 to every batch with one span in it gets the other 49, and the loss is one."""
    code = """
import json
import obskit
handle = obskit.instrument()
for number in range(50):
    with obskit.span("poison" if number == 31 else "fine"):
        pass
handle.flush(15)
print(json.dumps(handle.status().lost["spans"]))
"""
    with Collector() as collector:
        collector.fault = lambda path, body: (400, {}) if b"poison" in body else None
        assert run(code, otlp(collector.url)) == 1
        assert len(collector.spans) == 49
    with FaultyGoogle() as google:

        def rule(method: str, request: Any) -> None:
            if "poison" in str(request):
                raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "poison")

        google.rule = rule
        assert run(code, google_environment(google)) == 1
        assert len(google.spans) == 49
    figure("49 of 50, 1 lost")


# --------------------------------------------------------------------------- 9


@pytest.mark.fault(9, "creating a metric descriptor is forbidden or over quota")
@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.PERMISSION_DENIED, pytest.param(grpc.StatusCode.RESOURCE_EXHAUSTED, marks=pytest.mark.slow)],
)
def test_a_forbidden_descriptor(code: grpc.StatusCode, figure: Figure) -> None:
    """The other metrics and all spans go on, one message names what is missing, and it is mended without a restart."""
    is_forbidden = True

    def rule(method: str, request: Any) -> None:
        if is_forbidden and method == "CreateMetricDescriptor" and "served" in request.metric_descriptor.type:
            raise Refusal(code, "monitoring.metricDescriptors.create: not this one")

    with FaultyGoogle() as google:
        google.rule = rule
        env = google_environment(google)
        with Service(uvicorn("living:asgi"), env) as service:
            drive(service, 10)
            assert eventually(lambda: sum(counts_at(google, DURATION).values()) == 10), service.printed
            assert eventually(lambda: len(google.requests["CreateMetricDescriptor"]) >= 4)
            assert not counts_at(google, "served")
            told = [text for text in warnings_of(service) if "metricDescriptors.create" in text]
            assert len(told) == 1, warnings_of(service)
            is_forbidden = False
            assert eventually(lambda: sum(counts_at(google, "served").values()) == 10), service.printed
            end(service)
            assert len(google.spans) == 10
    figure("others go on, 1 message")


# --------------------------------------------------------------------------- 16

STEPPING = """
import json, sys, time
offset_ns, real_ns, real_s = 0, time.time_ns, time.time
time.time_ns = lambda: real_ns() + offset_ns
time.time = lambda: real_s() + offset_ns / 1e9
import obskit
from opentelemetry import metrics
handle = obskit.instrument()
count = metrics.get_meter("s").create_counter("steps")
flushed = []
for step in json.loads(sys.argv[1]):
    with obskit.span("across"):
        with obskit.span("within"):
            count.add(1)
        offset_ns += int(step * 3600e9)
    flushed.append(handle.flush(10))
print(json.dumps(flushed))
"""


@pytest.mark.fault(16, "the clock steps one hour back or forth")
@pytest.mark.parametrize("steps", [[-1, -1, 1], [1, -1, -1]], ids=["back first", "forth first"])
def test_the_clock_steps(steps: list[int], figure: Figure) -> None:
    """No span has a negative duration, a metric's points stay in order, and a receiver's trouble is retried boundedly."""
    with Collector() as collector:
        failures: Counter[str] = Counter()

        def fault(path: str, body: bytes) -> Any:
            failures[path] += 1
            return (503, {}) if failures[path] <= 3 else None

        collector.fault = fault
        assert run(STEPPING, otlp(collector.url, OBSKIT_METRIC_EXPORT_INTERVAL="0.1s"), json.dumps(steps)) == [True] * 3
        assert len(collector.spans) == 6
        assert all(span.end_time_unix_nano >= span.start_time_unix_nano for span in collector.spans)
        assert failures["/v1/traces"] <= 3 + 3
        (points,) = collector.history("steps").values()
        times = [point.time_unix_nano for point in points]
        assert times == sorted(times)
        assert all(point.start_time_unix_nano <= point.time_unix_nano for point in points)
        assert points[-1].as_int == 3
    figure("no negative duration, points in order")


# --------------------------------------------------------------------------- the spool


def kept_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


@pytest.mark.fault(2, "what cannot be delivered at the end waits on disk for the next start")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_spool_survives_a_restart(workers: int, tmp_path: Path, figure: Figure) -> None:
    """SIGTERM in an outage puts spans, points and errors on disk; after a restart each arrives once, and none is left."""
    folder = tmp_path / "spool"
    command = uvicorn("living:asgi", "--workers", str(workers))
    settings = {"OBSKIT_SPOOL_DIRECTORY": str(folder), "OBSKIT_FLUSH_TIMEOUT": "2s"}
    with Collector() as collector:
        collector.fault = lambda path, body: (503, {})
        with Service(command, otlp(collector.url, **settings)) as service:
            drive(service, 8)
            assert [service.request(f"/fail/{number}")[0] for number in range(2)] == [500, 500]
            assert end(service) < 8.0
            assert "did not deliver" not in service.printed, service.printed
            assert sum(int(found) for found in re.findall(r"obskit keeps (\d+) spans?", service.printed)) == 10
        assert kept_in(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept_in(folder)} == {0o600}
        collector.fault = lambda path, body: None
        with Service(command, otlp(collector.url, **settings)) as service:
            assert eventually(lambda: not kept_in(folder), 20), service.printed
            end(service)
        ids = [span.span_id for span in server_spans(collector)]
        assert len(ids) == len(set(ids)) == 10
        assert len(collector.records) == 2
        assert collector.count(DURATION) == 10
    figure("with a spool 10 of 10 after the next start")


SPOOLING = """
import os, sys, time
import obskit
handle = obskit.instrument(flush_timeout="0.1s", queue_bytes=400_000)
number = 0
while True:
    for _ in range(30):
        with obskit.span("one", attributes={"number": number, "payload": "x" * 3000}):
            number += 1
    handle.flush(0.1)
"""


@pytest.mark.fault(4, "memory is full: the disk takes what comes; kill -9 in the middle of a write delivers no rubbish")
@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_while_spooling(times: int, tmp_path: Path, figure: Figure) -> None:
    """Two processes fill the folder and are killed again and again: what is delivered later is whole, and only once."""
    folder = tmp_path / "spool"
    env = otlp(NOBODY, OBSKIT_SPOOL_DIRECTORY=str(folder), OBSKIT_TRACE_EXPORT_INTERVAL="0.01s")
    for number in range(times):
        pair = [subprocess.Popen([sys.executable, "-c", SPOOLING], env=env, stdout=subprocess.DEVNULL) for _ in "ab"]
        had = len(kept_in(folder))
        assert eventually(lambda had=had: len(kept_in(folder)) > had + 1)
        time.sleep(0.01 * (number % 7))
        for process in pair:
            process.kill()
            process.wait()
    (folder / "otlp-spans-9-00000000000000000001-1-abcdef01.spool").write_bytes(b"obskit1 00000000 5\nhello")
    (folder / "otlp-spans-9-00000000000000000002-1-abcdef02.spool.part").write_bytes(b"obskit1 00")
    expected = sum(int(path.name.split("-")[2]) for path in kept_in(folder)) - 9
    with Collector() as collector:
        env = otlp(collector.url, OBSKIT_SPOOL_DIRECTORY=str(folder))
        with Service(uvicorn("living:asgi", "--workers", "2"), env) as service:
            assert eventually(lambda: not kept_in(folder), 60), service.printed[-2000:]
            end(service)
            assert "Traceback" not in service.printed
        spans = [span for span in collector.spans if span.name == "one"]
        assert len(spans) == expected
        assert len({span.span_id for span in spans}) == expected
        assert all(len(attributes(span)["payload"]) == 3000 for span in spans)
    figure(f"{expected} spooled spans delivered once after {2 * times} kills")
