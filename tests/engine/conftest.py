"""Made-up series of many shapes, and a real Prometheus that holds the same ones."""

from __future__ import annotations

import json
import math
import random
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from array import array

import pytest

from obskit.engine.series import MemorySource, Series

BEGIN_MS = 1_700_000_000_000
LENGTH_S = 5_400


def build(name, labels, points):
    """Return a series of (seconds since the beginning, value) pairs."""
    points = list(points)
    return Series(
        {"__name__": name, **labels},
        array("q", [BEGIN_MS + round(at * 1000) for at, _ in points]),
        array("d", [value for _, value in points]),
    )


def counter(chance, *, step, per_step, resets=(), gaps=()):
    """Yield a counter that grows unevenly, restarts at times and is not scraped at others."""
    total = chance.uniform(0, 3)
    for at in range(0, LENGTH_S, step):
        total += chance.expovariate(1 / per_step)
        if any(reset <= at < reset + step for reset in resets):
            total = chance.uniform(0, per_step)
        if not any(low <= at < high for low, high in gaps):
            yield at + chance.choice([0, 0, 0, 0.004, 0.25]), round(total, 3)


def gauge(chance, *, step, gaps=(), centre=0.0):
    value = centre
    for at in range(0, LENGTH_S, step):
        value += chance.gauss(0, 1)
        if not any(low <= at < high for low, high in gaps):
            yield at, round(value, 4)


def histogram(chance, labels, bounds, *, step, rate, resets=()):
    counts, total, columns = [0.0] * (len(bounds) + 1), 0.0, []
    for at in range(0, LENGTH_S, step):
        if any(reset <= at < reset + step for reset in resets):
            counts, total = [0.0] * (len(bounds) + 1), 0.0
        for _ in range(int(chance.expovariate(1 / rate)) if rate else 0):
            value = chance.lognormvariate(-1, 1)
            counts[next((i for i, bound in enumerate(bounds) if value <= bound), len(bounds))] += 1
            total += value
        columns.append((at, [sum(counts[: i + 1]) for i in range(len(counts))], round(total, 6)))
    for i, bound in enumerate([*bounds, math.inf]):
        le = "+Inf" if bound == math.inf else f"{bound:g}"
        yield build("latency_seconds_bucket", {**labels, "le": le}, [(at, row[i]) for at, row, _ in columns])
    yield build("latency_seconds_count", labels, [(at, row[-1]) for at, row, _ in columns])
    yield build("latency_seconds_sum", labels, [(at, total) for at, _, total in columns])


def made_up():
    chance = random.Random(7)
    series = []
    for job, path, code, options in [
        ("chat", "/a", "200", {"step": 15, "per_step": 4}),
        ("chat", "/a", "500", {"step": 15, "per_step": 0.3, "resets": (700, 3100)}),
        ("chat", "/b", "200", {"step": 30, "per_step": 9, "resets": (2000,), "gaps": ((1000, 1700), (4000, 4200))}),
        ("shop", "/a", "200", {"step": 10, "per_step": 100}),
        ("shop", "/b", "404", {"step": 60, "per_step": 1, "gaps": ((0, 2400),)}),
        ("shop", "/b", "200", {"step": 15, "per_step": 2, "gaps": ((3000, 9000),)}),
    ]:
        labels = {"job": job, "path": path, "code": code}
        series.append(build("requests_total", labels, counter(chance, **options)))
    for room, options in [
        ("kitchen", {"step": 15, "centre": 20.0}),
        ("cellar", {"step": 60, "centre": -3.0}),
        ("attic", {"step": 30, "gaps": ((1200, 2700),), "centre": 0.0}),
        ("shed", {"step": 300}),
    ]:
        series.append(build("temperature", {"room": room, "floor": str(len(room))}, gauge(chance, **options)))
    bounds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]
    series += histogram(chance, {"path": "/a", "job": "chat"}, bounds, step=15, rate=5)
    series += histogram(chance, {"path": "/b", "job": "chat"}, bounds, step=30, rate=2, resets=(2500,))
    series += histogram(chance, {"path": "/idle", "job": "shop"}, bounds, step=30, rate=0)
    every_minute = range(0, LENGTH_S, 60)
    series += [
        # A histogram without its last bucket, one that falls, and one whose bounds are all below zero.
        build("odd_bucket", {"kind": "open", "le": "1"}, [(at, at) for at in every_minute]),
        build("odd_bucket", {"kind": "open", "le": "2"}, [(at, 2 * at) for at in every_minute]),
        build("odd_bucket", {"kind": "falling", "le": "1"}, [(at, 9) for at in every_minute]),
        build("odd_bucket", {"kind": "falling", "le": "2"}, [(at, 4) for at in every_minute]),
        build("odd_bucket", {"kind": "falling", "le": "+Inf"}, [(at, 12) for at in every_minute]),
        build("odd_bucket", {"kind": "negative", "le": "-5"}, [(at, 3) for at in every_minute]),
        build("odd_bucket", {"kind": "negative", "le": "0"}, [(at, 5) for at in every_minute]),
        build("odd_bucket", {"kind": "negative", "le": "+Inf"}, [(at, 6) for at in every_minute]),
        build("odd_bucket", {"kind": "twice", "le": "1"}, [(at, 3) for at in every_minute]),
        build("odd_bucket", {"kind": "twice", "le": "1.0"}, [(at, 3) for at in every_minute]),
        build("odd_bucket", {"kind": "twice", "le": "+Inf"}, [(at, 8) for at in every_minute]),
        build("odd_bucket", {"kind": "words", "le": "many"}, [(at, 3) for at in every_minute]),
        build("odd_bucket", {"kind": "lone", "le": "+Inf"}, [(at, 3) for at in every_minute]),
        build("build_info", {"job": "chat", "version": "1.2", "region": "eu"}, [(at, 1) for at in every_minute]),
        build("build_info", {"job": "shop", "version": "0.9", "region": "us"}, [(at, 1) for at in every_minute]),
        build("limit", {"job": "chat"}, [(at, 5) for at in every_minute]),
        build("limit", {"job": "shop"}, [(at, 0) for at in every_minute]),
        build("steady", {"a": "1"}, [(at, 42) for at in every_minute]),
        build("single", {"a": "1"}, [(2400, 7)]),
        build("special", {"kind": "nan"}, [(at, math.nan if at % 120 else at) for at in every_minute]),
        build("special", {"kind": "inf"}, [(at, math.inf if at % 240 else at) for at in every_minute]),
        build("special", {"kind": "both"}, [(at, -math.inf if at % 180 else math.inf) for at in every_minute]),
        build("special", {"kind": "zero"}, [(at, 0) for at in every_minute]),
        build("special", {"kind": "small"}, [(at, at * 1e-12) for at in every_minute]),
        build("special", {"kind": "large"}, [(at, at * 1e17 + 1e300) for at in every_minute]),
        build("moment", {"which": "leap"}, [(at, 1_709_164_800 + at * 400) for at in every_minute]),
        build("moment", {"which": "long"}, [(at, at * 1e5) for at in every_minute]),
        build("moment", {"which": "early"}, [(at, -at * 1e4 - 0.5) for at in every_minute]),
        # Apart from one another in time only, and with the same labels but for their names.
        build("first_half", {"a": "1"}, [(at, at) for at in every_minute if at < 2000]),
        build("second_half", {"a": "1"}, [(at, at) for at in every_minute if at > 3000]),
    ]
    return series


class Prometheus:
    """The HTTP API of a running Prometheus."""

    def __init__(self, url):
        self.url = url

    def ask(self, path, **parameters):
        """Return the result; raise ValueError with Prometheus' own words where it refuses."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]) from None


def exposition(series):
    """Return series in OpenMetrics' text format, metric by metric."""
    lines = []
    for item in sorted(series, key=lambda item: item.labels["__name__"]):
        labels = ",".join(f'{name}="{value}"' for name, value in item.labels.items() if name != "__name__")
        for at, value in zip(item.times_ms, item.values, strict=True):
            lines.append(f"{item.labels['__name__']}{{{labels}}} {value!r} {at / 1000:.3f}")
    return "\n".join([*lines, "# EOF", ""])


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="session")
def recorded():
    return MemorySource(made_up())


@pytest.fixture(scope="session")
def prometheus(recorded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "all.om").write_text(exposition(recorded.series))
    (folder / "empty.yml").write_text("")
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "all.om", folder / "data"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    port = free_port()
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'empty.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process, folder / "log")
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def wait_until_ready(url, process, log):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"Prometheus did not start:\n{log.read_text()}")
