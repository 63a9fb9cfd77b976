"""The soak's backend: takes OTLP and Sentry's envelopes, fails a third of the time, and keeps counts only."""

from __future__ import annotations

import gzip
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

DURATION = "http.server.request.duration"
AI_DURATION = "gen_ai.client.operation.duration"
AI_TOKENS = "gen_ai.client.token.usage"
SERVER = 2  # SPAN_KIND_SERVER
NUMBER = re.compile(r"n=(\d+)")


class Collector:
    """Keeps what arrived: server spans and AI calls by id, error events, and the last point of each series.

    Attributes:
        answers: how many exports were answered with each status, or with `reset`, a broken connection.
        spans: how often the server span of each request came, by the request's number.
        inner: how many spans came that the app made itself.
        calls: what the span of each AI call says, by the span's id: tokens in, tokens out, whether it was abandoned.
        events: how often each event of Sentry's came, by its id.
        records: how many error reports came as OTLP log records.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self.spans: Counter[int] = Counter()
        self.inner = 0
        self.calls: dict[bytes, tuple[int, int, bool]] = {}
        self.events: Counter[str] = Counter()
        self.records = 0
        self._points: dict[tuple[str, str, str], tuple[int, float]] = {}
        self._server = _server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, path: str, body: bytes) -> str:
        """Keep a batch, or refuse it; return the status to answer with, or `reset`."""
        with self._lock:
            answer = "200"
            if self._random.random() < 1 / 3:
                answer = self._random.choice(["503", "500", "429", "reset"])
            self.answers[answer] += 1
            if answer == "200":
                self._keep(path, body)
            return answer

    def total(self, metric: str, **labels: str) -> tuple[int, float]:
        """Return count and sum of a histogram over all processes, of the series that have these labels."""
        wanted = [f'"{text}"' for text in labels.values()]
        found = [
            point
            for (name, _, said), point in self._points.items()
            if name == metric and all(text in said for text in wanted)
        ]
        return sum(count for count, _ in found), sum(total for _, total in found)

    def _keep(self, path: str, body: bytes) -> None:
        if path.endswith("/envelope/"):
            for line in body.splitlines():
                if b'"exception"' in line:
                    self.events[json.loads(line)["event_id"]] += 1
        elif path == "/v1/traces":
            for span in _spans(ExportTraceServiceRequest.FromString(body)):
                self._keep_span(span)
        elif path == "/v1/logs":
            resources = ExportLogsServiceRequest.FromString(body).resource_logs
            self.records += sum(len(scope.log_records) for resource in resources for scope in resource.scope_logs)
        elif path == "/v1/metrics":
            self._keep_points(ExportMetricsServiceRequest.FromString(body))

    def _keep_span(self, span: Any) -> None:
        told = {pair.key: pair.value for pair in span.attributes}
        if span.kind == SERVER:
            self.spans[int(NUMBER.search(told["url.query"].string_value)[1])] += 1
        elif span.name.startswith("chunk "):
            self.inner += 1
        elif "gen_ai.usage.input_tokens" in told:
            tokens = [told[f"gen_ai.usage.{way}_tokens"].int_value for way in ("input", "output")]
            is_abandoned = "obskit.gen_ai.is_abandoned" in told
            self.calls[span.span_id] = (tokens[0], tokens[1], is_abandoned)

    def _keep_points(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            own = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name not in {DURATION, AI_DURATION, AI_TOKENS}:
                        continue
                    for point in metric.histogram.data_points:
                        key = (metric.name, own["service.instance.id"], str(point.attributes))
                        self._points[key] = max((point.count, point.sum), self._points.get(key, (0, 0.0)))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _server(collector: Collector) -> ThreadingHTTPServer:
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

    return Server(("127.0.0.1", 0), Handler)


def _spans(request: ExportTraceServiceRequest) -> Iterator[Any]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from scope.spans
