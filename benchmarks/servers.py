"""Under a real server: throughput, latency at a tenth of capacity, memory, streams, and Google's clients loading.

FastAPI under uvicorn (uvloop, httptools), Flask under gunicorn (gthread, one thread), one worker each, access logs off.
All servers stay up while rounds alternate over them; a figure beside bare's is the median of ratios within rounds.
"""

from __future__ import annotations

import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apps
import drivers
from variants import HERE, ROOT, VARIANTS, environment

CONNECTIONS = 50


class Server:
    """One variant under its server."""

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


def measure(framework: str, variants: list[str], sink: str, *, rounds: int, seconds: float) -> dict[str, Any]:
    """Return by variant throughput, latency and memory, or why there are none."""
    results: dict[str, Any] = {variant: {} for variant in variants}
    servers: dict[str, Server] = {}
    try:
        for variant in ["bare", *(variant for variant in variants if variant != "bare")]:
            try:
                servers[variant] = Server(framework, variant, sink)
                servers[variant].load("closed", 0.05, 1)
                results.setdefault(variant, {})["rss_start_mib"] = round(servers[variant].rss_mib(), 1)
            except (RuntimeError, OSError) as error:
                results[variant] = {"failed": str(error)}
        _throughput(framework, servers, results, rounds, seconds)
        _latency(servers, results, rounds, seconds)
        for variant, server in servers.items():
            results[variant]["rss_mib"] = round(server.rss_mib(), 1)
    finally:
        for server in servers.values():
            server.__exit__(None, None, None)
    return results


def _throughput(framework: str, servers: dict[str, Server], results: Any, rounds: int, seconds: float) -> None:
    for server in servers.values():
        server.load("closed", 1, CONNECTIONS)
    rates, ratios = defaultdict(list), defaultdict(list)
    for number in range(rounds):
        order = [variant for variant in servers if variant != "bare"]
        random.Random(number).shuffle(order)
        before = servers["bare"].load("closed", seconds, CONNECTIONS)["rps"]
        rates["bare"].append(before)
        for variant in order:  # each between two rounds of bare, as the machine's speed changes
            rate = servers[variant].load("closed", seconds, CONNECTIONS)["rps"]
            after = servers["bare"].load("closed", seconds, CONNECTIONS)["rps"]
            rates["bare"].append(after)
            rates[variant].append(rate)
            ratios[variant].append(rate / ((before + after) / 2))
            before = after
        print(f"{framework}: round {number + 1} of {rounds} of throughput", file=sys.stderr, flush=True)
    for variant, values in rates.items():
        results[variant]["rps"] = round(statistics.median(values))
        results[variant]["throughput_ratio"] = round(statistics.median(ratios[variant] or [1.0]), 3)


def _latency(servers: dict[str, Server], results: Any, rounds: int, seconds: float) -> None:
    rate = results["bare"]["rps"] / 10
    found = defaultdict(list)
    for number in range(rounds):
        order = list(servers)
        random.Random(100 + number).shuffle(order)
        for variant in order:
            samples = servers[variant].load("paced", 2 * seconds, CONNECTIONS, rate)["samples"]
            samples = samples[len(samples) // 10 :]
            found[variant].append((quantile_ms(samples, 0.5), quantile_ms(samples, 0.99)))
    for variant, values in found.items():
        p50, p99 = (statistics.median(column) for column in zip(*values, strict=True))
        ratios = [own[1] / bare[1] for own, bare in zip(values, found["bare"], strict=True)]
        results[variant] |= {
            "p50_ms": round(p50, 2),
            "p99_ms": round(p99, 2),
            "p99_ratio": round(statistics.median(ratios), 2),
            "latency_rps": round(rate),
        }


# --------------------------------------------------------------------------- streams


def streams(framework: str, sink: str, *, rounds: int) -> dict[str, Any]:
    """Return how fast a streamed response of 1 GiB in chunks of 64 KiB is, bare and under obskit."""
    with Server(framework, "bare", sink) as bare, Server(framework, "obskit", sink) as ours:
        speeds: dict[Server, list[float]] = {bare: [], ours: []}
        for server in speeds:
            server.load("stream", apps.STREAM_BYTES)
        ratios = []
        for number in range(rounds):
            pair = [bare, ours] if number % 2 else [ours, bare]
            for server in pair:
                speeds[server].append(server.load("stream", apps.STREAM_BYTES)["mib_per_s"])
            ratios.append(speeds[ours][-1] / speeds[bare][-1])
    return {
        "bare_mib_per_s": round(statistics.median(speeds[bare])),
        "obskit_mib_per_s": round(statistics.median(speeds[ours])),
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
