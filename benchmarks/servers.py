"""Under a real server: throughput, latency at a tenth of capacity, memory, streams, and Google's clients loading.

FastAPI under uvicorn (uvloop, httptools), Flask under gunicorn (gthread, one thread), one worker each, access logs off.
All servers stay up while rounds alternate over them; a figure beside bare's is the median of ratios within rounds.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apps
import drivers
import load
from variants import HERE, ROOT, VARIANTS, environment

WRK = shutil.which("wrk") or ""
CONNECTIONS = 50
LEAST_SETS = 4
"""Of servers: two bare apps side by side differ by up to a tenth for as long as they live."""
SETS_OF_OURS = 15
"""The same of bare and obskit alone: theirs is the ratio that is held to a target, to a tenth of that difference."""
TURNS_OF_OURS = 4
"""So often obskit's throughput is asked for in each: from second to second a machine's speed changes by a tenth."""
LATENCIES_OF_OURS = 9
"""So many of them are asked for their latency as well: a p99 of one is the machine's as often as its own."""
_OURS = ("bare", "obskit")


class Server:
    """One variant under its server.

    Attributes:
        port: where it listens.
        pid: of its one worker.
        rss_start_mib: the worker's resident memory after a few requests.
    """

    def __init__(self, framework: str, variant: str, sink: str, *, venv: str = "", **more: str) -> None:
        python = environment(venv or VARIANTS[variant].environment)
        self.port = free_port()
        server = {
            "fastapi": f"uvicorn serve:app --port {self.port} --loop uvloop --http httptools --no-access-log",
            "flask": f"gunicorn serve:app -b 127.0.0.1:{self.port} -k gthread --threads 1 --keep-alive 60",
        }[framework]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [str(python), "-m", *server.split(), "--log-level", "warning"],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=tempfile.gettempdir(),
            env=drivers.environ(sink, is_periodic=True, BENCH_FRAMEWORK=framework, BENCH_VARIANT=variant, **more),
        )
        # A container's runtime reads the output; a pipe that nobody reads would stop the app.
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()
        try:
            self._await()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
        self.pid = int(children[0]) if framework == "flask" else pid
        self.load("closed", 0.05, 1)
        self.rss_start_mib = self.rss_mib()

    def _drain(self) -> None:
        assert self._process.stdout is not None
        while os.read(self._process.stdout.fileno(), 1 << 16):
            pass

    def _await(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.sendall(b"GET /items/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    if b" 200 " in connection.recv(999):
                        return
            except OSError:
                time.sleep(0.02)
        self._errors.seek(0)
        last = [line for line in self._errors.read().splitlines() if line.strip()][-1:]
        raise RuntimeError(last[0].strip() if last else "it does not answer")

    def rss_mib(self) -> float:
        """Return the resident memory of the worker."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def capacity(self, seconds: float) -> float:
        """Return how many requests a second it answers to `CONNECTIONS` that ask again as soon as they are answered.

        Asked by wrk where it is installed: with two processors that share a core, what asks is not to slow the server.

        Raises:
            RuntimeError: a request failed.
        """
        if not WRK:
            return float(self.load("closed", seconds, CONNECTIONS)["rps"])
        with tempfile.NamedTemporaryFile() as requests:
            requests.write(b"".join(load.request(f"/items/{number}") for number in range(997)))
            requests.flush()
            command = [WRK, "-t1", f"-c{CONNECTIONS}", f"-d{math.ceil(seconds)}s", "-s", str(HERE / "wrk.lua")]
            done = subprocess.run(
                [*command, f"http://127.0.0.1:{self.port}"],
                env={**os.environ, "BENCH_REQUESTS": requests.name},
                check=False,
                capture_output=True,
                text=True,
                timeout=300,
            )
        rate = re.search(r"Requests/sec: +([\d.]+)", done.stdout)
        if done.returncode or rate is None or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            raise RuntimeError((done.stderr or done.stdout).strip().splitlines()[-1])
        return float(rate[1])

    def load(self, *arguments: object) -> dict[str, Any]:
        """Make load; see `load.py`.

        Raises:
            RuntimeError: a request failed.
        """
        command = [sys.executable, str(HERE / "load.py"), str(self.port), *map(str, arguments)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return json.loads(done.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)
        self._errors.close()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def quantile_ms(samples: Sequence[Sequence[float]], share: float) -> float:
    """Return a quantile of latencies, in milliseconds."""
    latencies = sorted(latency for _, latency in samples)
    return latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000


# --------------------------------------------------------------------------- throughput, latency, memory


@dataclass
class _Seen:
    """What was seen of one variant, over all rounds."""

    rps: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    p99_times: list[float] = field(default_factory=list)
    rss_start_mib: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)


def measure(framework: str, variants: list[str], sink: str, *, rounds: int, seconds: float) -> dict[str, Any]:
    """Return by variant throughput, latency and memory, or why there are none.

    Each round of throughput has servers of its own, as a process may be lucky with its place in memory. The last ones
    are of bare and obskit alone.
    """
    names = ["bare", *(variant for variant in variants if variant != "bare")]
    seen: dict[str, _Seen] = defaultdict(_Seen)
    failed: dict[str, dict[str, str]] = {}
    rates: list[float] = []
    of_all = max(rounds, LEAST_SETS)
    sets = max(of_all, SETS_OF_OURS if "obskit" in names else 0)
    for number in range(sets):
        with ExitStack() as stack:
            running: dict[str, Server] = {}
            for variant in names:
                if variant in failed or (number >= of_all and variant not in _OURS):
                    continue
                try:
                    running[variant] = stack.enter_context(Server(framework, variant, sink))
                    running[variant].capacity(1)
                except (RuntimeError, OSError) as error:
                    running.pop(variant, None)
                    failed[variant] = {"failed": str(error)}
            _throughput(running, seen, seconds, number)
            rates.append(statistics.median(seen["bare"].rps) / 10)
            if number < max(rounds, LATENCIES_OF_OURS if "obskit" in names else 0):
                asked = running if number < rounds else {name: running[name] for name in _OURS if name in running}
                _latency(asked, seen, 2 * seconds, rates[0], number)
            for variant, server in running.items():
                seen[variant].rss_start_mib.append(server.rss_start_mib)
                seen[variant].rss_mib.append(server.rss_mib())
        print(f"{framework}: {number + 1} of {sets} sets of servers", file=sys.stderr, flush=True)
    return {variant: _medians(seen[variant], rates[0]) for variant in names if variant not in failed} | failed


def _throughput(servers: dict[str, Server], seen: dict[str, _Seen], seconds: float, seed: int) -> None:
    before = servers["bare"].capacity(seconds)
    seen["bare"].rps.append(before)
    for variant in _shuffled(servers, seed):  # each between two rounds of bare, as the machine's speed changes
        shares = []
        for _ in range(TURNS_OF_OURS if variant in _OURS else 1):
            rate = servers[variant].capacity(seconds)
            after = servers["bare"].capacity(seconds)
            seen["bare"].rps.append(after)
            seen[variant].rps.append(rate)
            shares.append(rate / ((before + after) / 2))
            before = after
        seen[variant].shares.append(statistics.mean(shares))


def _latency(servers: dict[str, Server], seen: dict[str, _Seen], seconds: float, rate: float, seed: int) -> None:
    for variant in ["bare", *_shuffled(servers, seed)]:
        samples = servers[variant].load("paced", seconds, CONNECTIONS, rate)["samples"]
        samples = samples[len(samples) // 10 :]
        p99 = quantile_ms(samples, 0.99)
        seen[variant].p50_ms.append(quantile_ms(samples, 0.5))
        seen[variant].p99_ms.append(p99)
        seen[variant].p99_times.append(p99 / seen["bare"].p99_ms[-1])


def _shuffled(servers: dict[str, Server], seed: int) -> list[str]:
    order = [variant for variant in servers if variant != "bare"]
    random.Random(seed).shuffle(order)
    return order


def _medians(seen: _Seen, rate: float) -> dict[str, Any]:
    return {
        "rps": round(statistics.median(seen.rps)),
        "throughput_ratio": round(statistics.median(seen.shares or [1.0]), 3),
        "throughput_quartiles": [round(each, 3) for each in statistics.quantiles(seen.shares or [1.0, 1.0], n=4)[::2]],
        "rounds": len(seen.shares),
        "asked_by": "wrk" if WRK else "load.py (install wrk: it takes less of the processors)",
        "p50_ms": round(statistics.median(seen.p50_ms), 2),
        "p99_ms": round(statistics.median(seen.p99_ms), 2),
        "p99_ratio": round(statistics.median(seen.p99_times), 2),
        "latency_rps": round(rate),
        "rss_start_mib": round(statistics.median(seen.rss_start_mib), 1),
        "rss_mib": round(statistics.median(seen.rss_mib), 1),
    }


# --------------------------------------------------------------------------- streams


def streams(framework: str, sink: str, *, rounds: int) -> dict[str, Any]:
    """Return how fast a streamed response of 1 GiB in chunks of 64 KiB is, bare and under obskit; a pair a round.

    Every second round has servers of its own, as a process may be lucky with its place in memory.
    """
    speeds: dict[str, list[float]] = {"bare": [], "obskit": []}
    for begin in range(0, rounds, 2):
        with ExitStack() as stack:
            pair = {variant: stack.enter_context(Server(framework, variant, sink)) for variant in speeds}
            for server in pair.values():
                server.load("stream", apps.STREAM_BYTES)
            for number in range(begin, min(begin + 2, rounds)):
                for variant in sorted(pair, reverse=bool(number % 2)):
                    speeds[variant].append(pair[variant].load("stream", apps.STREAM_BYTES)["mib_per_s"])
    ratios = [own / bare for bare, own in zip(speeds["bare"], speeds["obskit"], strict=True)]
    return {
        "bare_mib_per_s": round(statistics.median(speeds["bare"])),
        "obskit_mib_per_s": round(statistics.median(speeds["obskit"])),
        "ratio": round(statistics.median(ratios), 3),
    }


# --------------------------------------------------------------------------- Google's clients, loading


def google(sink: str, *, rounds: int, rate: float = 200.0) -> dict[str, Any]:
    """Return the p99 of requests before and while obskit loads Google's clients on its export thread.

    Each round is a new FastAPI server that exports to a local backend; the latency is from the time a request was due.
    """
    before, during, took = [], [], []
    port = free_port()
    command = [str(environment("obskit").with_name("obskit")), "local", "--port", "0", "--grpc-port", str(port)]
    backend = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        _await_port(port)
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                times = Path(folder) / "times"
                more = {
                    "BENCH_TIMES": str(times),
                    "OBSKIT_LOCAL_ENDPOINT": f"127.0.0.1:{port}",
                    "OBSKIT_TRACE_EXPORT_INTERVAL": "6s",
                }
                with Server("fastapi", "obskit_google", sink, venv="obskit", **more) as server:
                    samples = server.load("paced", 14, CONNECTIONS, rate)["samples"]
                begun, ended, delivered = map(float, times.read_text(encoding="utf-8").split())
                if not delivered:
                    raise RuntimeError("the local backend took no span")
                before += [sample for sample in samples if begun - 3 < sample[0] < begun]
                during += [sample for sample in samples if begun <= sample[0] < ended]
                took.append(ended - begun)
    finally:
        backend.terminate()
        backend.wait(20)
    return {
        "load_s": round(statistics.median(took), 2),
        "rps": rate,
        "before_p50_ms": round(quantile_ms(before, 0.5), 2),
        "before_p99_ms": round(quantile_ms(before, 0.99), 2),
        "while_p50_ms": round(quantile_ms(during, 0.5), 2),
        "while_p99_ms": round(quantile_ms(during, 0.99), 2),
        "requests_while": len(during),
    }


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the local backend does not start")
