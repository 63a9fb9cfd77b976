"""`make soak`: mixed traffic for half an hour, workers that recycle, a collector that fails a third of the time.

    python tests/faults/soak.py [--minutes 30] [--rate 120] [--seed 7]

At the end every request must be accounted for: as many server spans, access lines and histogram counts as requests, as
many error events as errors, or a line that counts what was lost; and no worker may need more memory than the first ones.
Prints one line of JSON last; the exit code is 1 if something does not add up.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest  # noqa: E402
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402
from wire import Service, environment, eventually, gunicorn  # noqa: E402

DURATION = "http.server.request.duration"
SERVER = 2  # SPAN_KIND_SERVER
RECYCLE_AFTER = 500
CLIENTS = 8
TRAFFIC = {"/items/7": 70, "/nowhere": 10, "/boom": 5, "/refused": 3, "/stream": 6, "/endless": 3, "/sub/things/1": 3}
STATUS = {"/items/7": 200, "/nowhere": 404, "/boom": 500, "/refused": 500, "/stream": 200, "/sub/things/1": 200}
NUMBER = re.compile(r"n=(\d+)")


class Collector:
    """Takes OTLP and Sentry's envelopes, fails a third of the time, and keeps counts only."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.spans: Counter[int] = Counter()
        self.events: Counter[str] = Counter()
        self.records = 0
        self.counts: dict[tuple[str, str], int] = {}
        self.fails = True
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = collector.take(self.path, body)
                if answer == "reset":
                    self.connection.close()
                    self.close_connection = True
                    return
                self.send_response(int(answer))
                if answer == "429":
                    self.send_header("Retry-After", "1")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: object) -> None:
                pass  # a worker that has ended breaks its connections off

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, path: str, body: bytes) -> str:
        with self._lock:
            self.asked[path.rpartition("/v1/")[2] or "errors"] += 1
            answer = "200"
            if self.fails and self._random.random() < 1 / 3:
                answer = self._random.choice(["503", "500", "429", "reset"])
            self.answers[answer] += 1
            if answer == "200":
                self._keep(path, body)
            return answer

    def _keep(self, path: str, body: bytes) -> None:
        if path.endswith("/envelope/"):
            for line in body.splitlines():
                if b'"exception"' in line:
                    self.events[json.loads(line)["event_id"]] += 1
        elif path == "/v1/traces":
            for span in _spans(ExportTraceServiceRequest.FromString(body)):
                query = next((pair.value.string_value for pair in span.attributes if pair.key == "url.query"), "")
                self.spans[int(NUMBER.search(query)[1])] += 1
        elif path == "/v1/logs":
            resources = ExportLogsServiceRequest.FromString(body).resource_logs
            self.records += sum(len(scope.log_records) for resource in resources for scope in resource.scope_logs)
        elif path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                own = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name == DURATION:
                            for point in metric.histogram.data_points:
                                self._count(own["service.instance.id"], str(point.attributes), point.count)

    def _count(self, instance: str, labels: str, count: int) -> None:
        key = (instance, labels)
        self.counts[key] = max(count, self.counts.get(key, 0))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Any]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from (span for span in scope.spans if span.kind == SERVER)


class Lines:
    """Reads what the server prints, for as long as it does, and keeps counts only."""

    def __init__(self, pipe: Any) -> None:
        self.access: Counter[int] = Counter()
        self.raised = 0
        self.broken: list[str] = []
        self.lost: Counter[str] = Counter()
        self.others: list[str] = []
        self._pipe = pipe
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        for raw in self._pipe:
            line = raw.decode(errors="replace").rstrip("\n")
            if not line.startswith("{"):
                self.others.append(line[:500])
                continue
            try:
                self._take(json.loads(line))
            except ValueError:
                self.broken.append(line[:500])

    def notable(self) -> list[str]:
        """Return what was printed beside JSON lines, and the warnings, without what gunicorn says of its workers."""
        return [line for line in dict.fromkeys(self.others) if not re.match(r"\[[^]]+\] \[\d+\] \[INFO\]", line)]

    def _take(self, entry: dict[str, Any]) -> None:
        if "httpRequest" in entry and (found := NUMBER.search(entry["httpRequest"]["requestUrl"])):
            self.access[int(found[1])] += 1
            self.raised += entry.get("error_type") == "ValueError"
        elif entry["severity"] not in {"INFO", "DEBUG"} and "ASGI" not in entry["message"]:
            self.others.append(entry["message"][:500])
        said = entry["message"]
        if sign := 1 if "obskit did not deliver" in said else -1 if said.endswith("after all") else 0:
            for count, what in re.findall(r"(\d+) (span|metric point|error)s?\b", said):
                self.lost[what] += sign * int(count)


class Memory:
    """Follows the resident memory of the server's processes; a worker counts with what it came to before its end."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._begun = time.monotonic()
        self.workers: dict[int, tuple[float, float]] = {}
        self.parent_mib: list[float] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._is_over.wait(0.5):
            self.parent_mib.append(_resident_mib(self._parent))
            for pid in _children(self._parent):
                mib, at_s = _resident_mib(pid), time.monotonic() - self._begun
                if mib:
                    self.workers[pid] = (self.workers.get(pid, (at_s, 0.0))[0], mib)

    def stop(self) -> dict[str, float]:
        """Return MiB: the median of what the first and the last fifth of all workers came to, and of the parent."""
        self._is_over.set()
        self._thread.join()
        workers = [mib for _, mib in sorted(self.workers.values())]
        return {
            "workers_first": _median(workers[: max(len(workers) // 5, 1)]),
            "workers_last": _median(workers[-max(len(workers) // 5, 1) :]),
            "workers_most": max(workers, default=0.0),
            "parent_first": _median(self.parent_mib[: max(len(self.parent_mib) // 5, 1)]),
            "parent_last": _median(self.parent_mib[-max(len(self.parent_mib) // 5, 1) :]),
        }


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 1) if values else 0.0


def _resident_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has ended
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


class Traffic:
    """Asks for what users ask for, at a steady rate, and keeps what became of each request."""

    def __init__(self, service: Service, *, minutes: float, rate: float, seed: int) -> None:
        self._service, self._rate, self._random = service, rate, random.Random(seed)
        self._until = time.monotonic() + minutes * 60
        self._lock = threading.Lock()
        self._next = 0
        self.begun = time.monotonic()
        self.sent: Counter[str] = Counter()
        self.answered: set[int] = set()
        self.unanswered: set[int] = set()
        self.wrong: list[str] = []

    def run(self) -> None:
        with ThreadPoolExecutor(CLIENTS) as clients:
            for client in [clients.submit(self._client) for _ in range(CLIENTS)]:
                client.result()

    def _client(self) -> None:
        while time.monotonic() < self._until:
            with self._lock:
                number, self._next = self._next, self._next + 1
                (path,) = self._random.choices(list(TRAFFIC), list(TRAFFIC.values()))
                self.sent[path] += 1
            time.sleep(max(self.begun + number / self._rate - time.monotonic(), 0))
            try:
                self._ask(path, number)
            except OSError as error:  # http.client's RemoteDisconnected is one too
                with self._lock:
                    self.unanswered.add(number)
                    if len(self.wrong) < 20 and not isinstance(error, ConnectionError):
                        self.wrong.append(f"{path}: {type(error).__name__}: {error}")

    def _ask(self, path: str, number: int) -> None:
        if path == "/endless":
            self._service.abandon(f"{path}?n={number}", after=b"more")
            status = 0
        else:
            status, _ = self._service.request(f"{path}?n={number}", headers={"Connection": "close"})
        with self._lock:
            self.answered.add(number)
            if status and status != STATUS[path]:
                self.wrong.append(f"{path}: {status}")


def soak(*, minutes: float, rate: float, seed: int) -> dict[str, Any]:
    """Run it all; return what was counted."""
    options = ["--workers", "2", "--max-requests", str(RECYCLE_AFTER), "--max-requests-jitter", "50"]
    command = gunicorn("faulty:fast", "uvicorn.workers.UvicornWorker", *options, "--graceful-timeout", "20")
    with Collector(seed) as collector:
        env = environment(
            FAULTY_APP="fast",
            OBSKIT_EXPORTERS="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OBSKIT_SENTRY_DSN=collector.url.replace("://", "://key@") + "/1",
            OBSKIT_TRACE_EXPORT_INTERVAL="2s",
            OBSKIT_METRIC_EXPORT_INTERVAL="5s",
        )
        with Service(command, env, stdout=subprocess.PIPE) as service:
            lines, memory = Lines(service.process.stdout), Memory(service.process.pid)
            traffic = Traffic(service, minutes=minutes, rate=rate, seed=seed)
            traffic.run()
            eventually(lambda: len(lines.access) >= len(traffic.answered), 30)
            resident = memory.stop()
            ended_s = service.end(30)
            lines.thread.join(10)
        return _verdict(collector, lines, traffic, resident, workers=len(memory.workers), ended_s=ended_s)


def _verdict(
    collector: Collector, lines: Lines, traffic: Traffic, resident: dict[str, float], *, workers: int, ended_s: float
) -> dict[str, Any]:
    served = set(lines.access)
    counted = sum(collector.counts.values())
    raised = lines.raised
    lost = {what: count for what, count in lines.lost.items() if count}
    checks = {
        "every answered request has its line": traffic.answered <= served,
        "every line is of a request that was sent": served <= traffic.answered | traffic.unanswered,
        "one line each": set(lines.access.values()) <= {1},
        "one span each": set(collector.spans.values()) <= {1},
        "as many spans as lines, or counted as lost": len(collector.spans) + lost.get("span", 0) == len(served),
        "the histograms count the lines": counted == len(served)
        or (counted < len(served) and lost.get("metric point", 0) > 0),
        "as many error events as errors at both sinks, or counted as lost": len(collector.events)
        + collector.records
        + lost.get("error", 0)
        == 2 * raised,
        "one event each": set(collector.events.values()) <= {1},
        "whole lines": not lines.broken,
        "no wrong answer": not traffic.wrong,
        "memory is flat": resident["workers_last"] <= resident["workers_first"] * 1.1
        and resident["parent_last"] <= resident["parent_first"] * 1.1,
        "ends in time": ended_s < 10,
    }
    return {
        "minutes": round((time.monotonic() - traffic.begun) / 60, 1),
        "requests": sum(traffic.sent.values()),
        "answered": len(traffic.answered),
        "unanswered": len(traffic.unanswered),
        "lines": len(served),
        "spans": len(collector.spans),
        "histogram": counted,
        "errors_raised": raised,
        "error_events": {"sentry": len(collector.events), "otlp": collector.records},
        "lost": lost,
        "workers": workers,
        "exports": sum(collector.answers.values()),
        "exports_failed": sum(count for answer, count in collector.answers.items() if answer != "200"),
        "rss_mib": resident,
        "ended_s": round(ended_s, 1),
        "said": lines.notable()[:10],
        "broken_checks": [name for name, is_so in checks.items() if not is_so],
        "held": all(checks.values()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak ARGS=…", description="Soak obskit under gunicorn.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long the traffic lasts")
    parser.add_argument("--rate", type=float, default=120.0, help="requests per second")
    parser.add_argument("--seed", type=int, default=7, help="of the traffic's and the collector's choices")
    options = parser.parse_args()
    result = soak(minutes=options.minutes, rate=options.rate, seed=options.seed)
    print(json.dumps(result), flush=True)
    return 0 if result["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
