"""`make soak`: mixed traffic for half an hour, workers that recycle, a collector that fails a third of the time.

    python tests/faults/soak.py [--minutes 30] [--rate 60] [--seed 7] [--flush-timeout 15]

At the end everything must be accounted for: as many server spans, access lines and histogram counts as requests, as
many error events as errors at both sinks, the tokens that the fake Gemini billed, or a line that counts what was lost;
and no worker may need more memory than the first ones. Prints one line of JSON last; the exit code is 1 if something
does not add up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from soak_collector import AI_DURATION, AI_TOKENS, DURATION, Collector  # noqa: E402
from soak_service import Lines, Memory, children  # noqa: E402
from wire import Service, environment, eventually, gunicorn  # noqa: E402

from obskit.demo.fake_gemini import FakeGemini  # noqa: E402
from obskit.demo.faults import Faults  # noqa: E402

WORKERS = 2
RECYCLE_AFTER = 500
CLIENTS = 12
CHUNK_S = 0.03
CHUNKS = 4  # spans that one /stream makes
GROWTH = 1.1
# What is asked for, and how often of a hundred times; the status to expect, or 0 where the client leaves.
TRAFFIC = {
    "/items/7": (60, 200),
    "/nowhere": (9, 404),
    "/boom": (4, 500),
    "/refused": (3, 500),
    "/stream": (6, 200),
    "/endless": (3, 0),
    "/slow": (1, 0),
    "/sub/things/1": (3, 200),
    "/ask": (6, 200),
    "/ai": (3, 200),
    "/sync-ai": (2, 0),
}
LEFT_AFTER = {"/endless": b"more", "/sync-ai": b"tokens=", "/slow": b""}


class Traffic:
    """Asks for what users ask for, at a steady rate, and keeps what became of each request."""

    def __init__(self, service: Service, *, minutes: float, rate: float, seed: int) -> None:
        self._service, self._rate, self._random = service, rate, random.Random(seed)
        self._until = time.monotonic() + minutes * 60
        self._lock = threading.Lock()
        self._next = 0
        self.begun = time.monotonic()
        self.sent: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.answered: set[int] = set()
        self.left: set[int] = set()
        self.unanswered: set[int] = set()
        self.wrong: list[str] = []

    def run(self) -> None:
        """Return when the time is over and the last client has its answer."""
        with ThreadPoolExecutor(CLIENTS) as clients:
            for client in [clients.submit(self._client) for _ in range(CLIENTS)]:
                client.result()

    def _client(self) -> None:
        paths, weights = list(TRAFFIC), [weight for weight, _ in TRAFFIC.values()]
        while time.monotonic() < self._until:
            with self._lock:
                number, self._next = self._next, self._next + 1
                (path,) = self._random.choices(paths, weights)
                self.sent[path] += 1
            time.sleep(max(self.begun + number / self._rate - time.monotonic(), 0))
            try:
                self._ask(path, number)
            except OSError as error:  # http.client's RemoteDisconnected is one too
                with self._lock:
                    self.unanswered.add(number)
                    if len(self.wrong) < 20 and not isinstance(error, ConnectionError):
                        at_s = time.monotonic() - self.begun
                        self.wrong.append(f"{path}, after {at_s:.0f} s: {type(error).__name__}: {error}")
                        if len(self.wrong) == 1:  # before the process that hangs is killed
                            for worker in children(self._service.process.pid):
                                os.kill(worker, signal.SIGRTMIN + 1)

    def _ask(self, path: str, number: int) -> None:
        after = LEFT_AFTER.get(path)
        if after is not None:
            self._service.abandon(f"{path}?n={number}", after=after)
        else:
            status, _ = self._service.request(f"{path}?n={number}", headers={"Connection": "close"})
        with self._lock:
            self.done[path] += 1
            if after == b"":  # whether the server took it up before the connection was gone is not known here
                self.left.add(number)
                return
            self.answered.add(number)
            if after is None and status != TRAFFIC[path][1]:
                self.wrong.append(f"{path}: {status}")


def soak(*, minutes: float, rate: float, seed: int, flush_s: float) -> dict[str, Any]:
    """Run it all; return what was counted."""
    recycling = ["--max-requests", str(RECYCLE_AFTER), "--max-requests-jitter", "50", "--graceful-timeout", "20"]
    command = gunicorn("faulty:fast", "uvicorn.workers.UvicornWorker", "--workers", str(WORKERS), *recycling)
    with Collector(seed) as collector, FakeGemini() as gemini:
        gemini.switch.set(Faults(chunk_latency_s=CHUNK_S))
        env = environment(
            FAULTY_APP="fast",
            FAKE_GEMINI_URL=gemini.url,
            OBSKIT_EXPORTERS="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OBSKIT_SENTRY_DSN=collector.url.replace("://", "://key@") + "/1",
            OBSKIT_TRACE_EXPORT_INTERVAL="2s",
            OBSKIT_METRIC_EXPORT_INTERVAL="10s",
            OBSKIT_FLUSH_TIMEOUT=f"{flush_s}s",
        )
        with Service(command, env, stdout=subprocess.PIPE) as service:
            lines, memory = Lines(service.process.stdout), Memory(service.process.pid)
            traffic = Traffic(service, minutes=minutes, rate=rate, seed=seed)
            traffic.run()
            eventually(lambda: traffic.answered <= lines.access.keys(), 30)
            took = round((time.monotonic() - traffic.begun) / 60, 1)
            resident = memory.stop()
            ended_s = service.end(30)
            lines.thread.join(10)
        found = {
            "minutes": took,
            **_requests(traffic, lines, collector),
            "ai": _ai(gemini, collector, traffic.done["/sync-ai"]),
            "lost": {what: count for what, count in lines.lost.items() if count},
            "workers": len(memory.workers),
            "generations": len(memory.workers) // WORKERS,
            "exports": sum(collector.answers.values()),
            "exports_failed": sum(collector.answers.values()) - collector.answers["200"],
            "rss_mib": resident,
            "flush_timeout_s": flush_s,
            "ended_s": round(ended_s, 1),
            "said": lines.notable()[:10],
            "wrong": (lines.broken + traffic.wrong)[:10],
        }
        if stacks := lines.stacks():
            print(
                "Stacks that workers have printed, as they are told to where a request hangs:",
                *stacks,
                sep="\n",
                file=sys.stderr,
            )
        broken = [name for name, is_so in _checks(found, collector, lines, traffic).items() if not is_so]
        return {**found, "broken_checks": broken, "held": not broken}


def _requests(traffic: Traffic, lines: Lines, collector: Collector) -> dict[str, Any]:
    return {
        "requests": sum(traffic.sent.values()),
        "by_path": dict(traffic.sent),
        "unanswered": len(traffic.unanswered),
        "lines": lines.access.total(),
        "spans": collector.spans.total(),
        "histogram": collector.total(DURATION)[0],
        "cancelled": {"left": sum(traffic.done[path] for path in LEFT_AFTER), "lines": lines.cancelled},
        "inner_spans": {"made": CHUNKS * traffic.done["/stream"], "arrived": collector.inner},
        "errors_raised": lines.raised,
        "error_events": {"sentry": collector.events.total(), "otlp": collector.records},
    }


def _ai(gemini: FakeGemini, collector: Collector, left: int) -> dict[str, dict[str, int]]:
    """Return calls and tokens three times: as the server billed them, on the spans, and in the histograms.

    The server bills an abandoned stream in whole; what obskit could not see of it is left out here.
    """
    streamed = {bill for _, method, bill, _ in gemini.ledger.bills() if method == "streamGenerateContent"}
    billed, calls = gemini.ledger.total(), list(collector.calls.values())
    seen = [out for _, out, is_abandoned in calls if is_abandoned]
    unseen = max((bill.billed_output for bill in streamed), default=0) * len(seen) - sum(seen)
    return {
        "calls": {
            "billed": gemini.ledger.calls(),
            "spans": len(calls),
            "histogram": collector.total(AI_DURATION)[0],
        },
        "input_tokens": {
            "billed": billed.billed_input,
            "spans": sum(tokens for tokens, _, _ in calls),
            "histogram": int(collector.total(AI_TOKENS, kind="input")[1]),
        },
        "output_tokens": {
            "billed": billed.billed_output - unseen,
            "spans": sum(tokens for _, tokens, _ in calls),
            "histogram": int(collector.total(AI_TOKENS, kind="output")[1]),
        },
        "abandoned": {"left": left, "spans": len(seen)},
    }


def _checks(found: dict[str, Any], collector: Collector, lines: Lines, traffic: Traffic) -> dict[str, bool]:
    served, lost, ai = set(lines.access), found["lost"], found["ai"]
    missing = len(served) - len(collector.spans)
    missing += ai["calls"]["billed"] - ai["calls"]["spans"]
    missing += found["inner_spans"]["made"] - found["inner_spans"]["arrived"]
    points_lost, none_lost = lost.get("metric point", 0) > 0, not lost.keys() & {"span", "metric point"}
    return {
        "every answered request has its line": traffic.answered <= served,
        "every line is of a request that was sent": served <= traffic.answered | traffic.left | traffic.unanswered,
        "one line each": set(lines.access.values()) <= {1},
        "one span each": set(collector.spans.values()) <= {1},
        "every span is of a request that has a line": set(collector.spans) <= served,
        "as many spans as there were, or counted as lost": missing == lost.get("span", 0),
        "the histograms count the lines": found["histogram"] == len(served)
        or (points_lost and found["histogram"] < len(served)),
        "calls and tokens are the server's": all(len(set(counts.values())) == 1 for counts in ai.values())
        or not none_lost,
        "as many error events as errors at both sinks, or counted as lost": sum(found["error_events"].values())
        + lost.get("error", 0)
        == 2 * lines.raised,
        "one event each": set(collector.events.values()) <= {1},
        "whole lines": not lines.broken,
        "no wrong answer": not traffic.wrong,
        "memory is flat": all(
            course[part] <= course["start"] * GROWTH
            for course in found["rss_mib"].values()
            for part in ("middle", "end")
        ),
        "ends in time": found["ended_s"] < found["flush_timeout_s"] + 2,
    }


def main() -> int:
    """Soak as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="make soak ARGS=…", description="Soak obskit under gunicorn.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long the traffic lasts")
    parser.add_argument("--rate", type=float, default=60.0, help="requests per second")
    parser.add_argument("--seed", type=int, default=7, help="of the traffic's and the collector's choices")
    parser.add_argument("--flush-timeout", type=float, default=15.0, help="seconds that a worker has for its end")
    options = parser.parse_args()
    result = soak(minutes=options.minutes, rate=options.rate, seed=options.seed, flush_s=options.flush_timeout)
    print(json.dumps(result), flush=True)
    return 0 if result["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
