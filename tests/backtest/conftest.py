"""Three days of a service with incidents at known times: in a folder of the local backend, and in a real Prometheus."""

from __future__ import annotations

import contextlib
import math
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from obskit.catalog import HTTP_SERVER_DURATION, Route, promql_name
from obskit.engine.series import Distribution
from obskit.local.store import Descriptor, SeriesKey, Store

BEGIN_S = 1_760_000_400
DAYS = 3
STEP_S = 30
# Share of failed requests: begin and end in hours, and the share.
SPELLS = ((10, 10.5, 0.2), (30, 31, 0.12), (50, 50.25, 0.07), (55, 56, 0.03))
DEFINITIONS = """\
from obskit.alerts import error_spike, latency_p95, token_spike

spike = error_spike(service="chat")
slow = latency_p95(service="chat")
tokens = token_spike()
"""


def counts():
    """Yield seconds since the epoch, and how many requests went well and how many failed so far."""
    fine = failed = 0.0
    for index in range(DAYS * 86_400 // STEP_S):
        hours = index * STEP_S / 3600
        share = next((share for low, high, share in SPELLS if low <= hours < high), 0.01)
        requests = 60 + 20 * math.sin(hours / 24 * 2 * math.pi)
        fine, failed = fine + round(requests * (1 - share)), failed + round(requests * share)
        yield BEGIN_S + index * STEP_S, fine, failed


ROWS = list(counts())
END_S = ROWS[-1][0]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """What a local backend with `--data` leaves behind."""
    path = tmp_path_factory.mktemp("data")
    store = Store(path=path, project="p")
    described = Descriptor(
        type="workload.googleapis.com/http.server.request.duration", kind="CUMULATIVE", value_type="DISTRIBUTION"
    )
    for place, status in ((1, "200"), (2, "503")):
        key = SeriesKey(
            described.type,
            (("http_response_status_code", status),),
            "generic_task",
            (("job", "chat"), ("task_id", "1")),
        )
        points = [
            (BEGIN_S * 1000 - 30_000, row[0] * 1000, Distribution(int(row[place]), 0.3, (1.0,), (int(row[place]), 0)))
            for row in ROWS
        ]
        store.metrics.put(key, described, points)
    store.close()
    return path


@pytest.fixture(scope="session")
def definitions(tmp_path_factory):
    """A user's folder with three policies."""
    path = tmp_path_factory.mktemp("project") / "alerts"
    path.mkdir()
    (path / "service.py").write_text(DEFINITIONS)
    return path


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory):
    """The address of a real Prometheus with the same series."""
    path = tmp_path_factory.mktemp("prometheus")
    name = promql_name(HTTP_SERVER_DURATION.metric_type(Route.GCP)) + "_count"
    lines = []
    for place, status in ((1, "200"), (2, "503")):
        labels = f'{{http_response_status_code="{status}",job="chat",monitored_resource="generic_task",project_id="p",task_id="1"}}'
        lines += [f"{name}{labels} {row[place]} {row[0]}" for row in ROWS]
    (path / "all.om").write_text("\n".join([*lines, "# EOF", ""]))
    (path / "empty.yml").write_text("")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", path / "all.om", path / "data"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with running(path, port) as process:
        wait_until_ready(f"http://127.0.0.1:{port}", process, path / "log")
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def running(path: Path, port: int):
    command = [
        "prometheus",
        f"--config.file={path / 'empty.yml'}",
        f"--storage.tsdb.path={path / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.terminate()


def wait_until_ready(url, process, log):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=5):
            return
        time.sleep(0.05)
    pytest.fail(f"Prometheus did not start:\n{log.read_text()}")
