"""An OTLP/HTTP receiver on loopback that can be told to fail; it keeps what it took."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """A server on a free port.

    Attributes:
        answers: what the next requests are answered instead of success: status and headers.
        paths: of every request, in order.
        headers: of the last request.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.headers: dict[str, str] = {}
        self._lock = threading.Lock()
        self._taken: list[tuple[str, Any]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers = collector._take(self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        kinds = {
            "/v1/traces": ExportTraceServiceRequest,
            "/v1/metrics": ExportMetricsServiceRequest,
            "/v1/logs": ExportLogsServiceRequest,
        }
        with self._lock:
            self.paths.append(path)
            self.headers = headers
            self.bodies.append(body)
            if self.answers:
                return self.answers.pop(0)
            if path in kinds:
                self._taken.append((path, kinds[path].FromString(body)))
        return 200, {}

    def _requests(self, path: str) -> list[Any]:
        with self._lock:
            return [request for where, request in self._taken if where == path]

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self._requests("/v1/traces")
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def records(self) -> list[Any]:
        return [
            record
            for request in self._requests("/v1/logs")
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def points(self) -> dict[tuple[str, str, str], Any]:
        """The last point of every series, by instance id, metric name and attributes."""
        found = {}
        for request in self._requests("/v1/metrics"):
            for resource in request.resource_metrics:
                own = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        for point in getattr(metric, metric.WhichOneof("data")).data_points:
                            key = (own.get("service.instance.id", ""), metric.name, str(point.attributes))
                            found[key] = point
        return found

    def count(self, name: str) -> int:
        """Return the sum over all series of a histogram's counts."""
        return sum(point.count for (_, metric, _), point in self.points.items() if metric == name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
