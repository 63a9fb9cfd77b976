"""A receiver of OTLP/HTTP and of Sentry's envelopes on loopback that can be told to fail; it keeps what it took."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Answer = tuple[int, dict[str, str]] | tuple[int, dict[str, str], bytes]

HANG = "hang"
RESET = "reset"


class Collector:
    """A server on a free port.

    Attributes:
        answers: what the next requests are answered instead of success: status and headers, and perhaps a body.
        fault: asked for each request, by path and body, what it is answered instead of success: as in `answers`,
            or `HANG` (until `release` is set) or `RESET` (the connection); None for success.
        release: ends the wait of requests that hang.
        paths: of every request, in order.
        headers: of the last request.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.fault: Callable[[str, bytes], Answer | str | None] = lambda path, body: None
        self.release = threading.Event()
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
                answer = collector._take(self.path, dict(self.headers), body)
                if answer == HANG:
                    collector.release.wait(120)
                if isinstance(answer, str):
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                    return
                status, headers, content = (*answer, b"")[:3]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> Answer | str:
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
        answer = self.fault(path, body)
        if answer is not None and (isinstance(answer, str) or answer[0] >= 400):
            return answer
        with self._lock:
            if path in kinds:
                self._taken.append((path, kinds[path].FromString(body)))
            elif path.endswith("/envelope/"):
                self._taken.append(("envelope", body))
        return answer or (200, {})

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
    def events(self) -> list[dict[str, Any]]:
        """What Sentry's envelopes held."""
        return [json.loads(body.split(b"\n")[2]) for body in self._requests("envelope")]

    @property
    def instances(self) -> set[str]:
        """The instance ids that spans came under."""
        return {
            pair.value.string_value
            for request in self._requests("/v1/traces")
            for resource in request.resource_spans
            for pair in resource.resource.attributes
            if pair.key == "service.instance.id"
        }

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

    def total(self, name: str) -> float:
        """Return the sum over all series of a counter's last values."""
        return sum(
            point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
            for (_, metric, _), point in self.points.items()
            if metric == name
        )

    def history(self, name: str) -> dict[str, list[Any]]:
        """Return every point of a metric in the order of arrival, by instance id."""
        found: dict[str, list[Any]] = {}
        for request in self._requests("/v1/metrics"):
            for resource in request.resource_metrics:
                own = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name == name:
                            points = getattr(metric, metric.WhichOneof("data")).data_points
                            found.setdefault(own["service.instance.id"], []).extend(points)
        return found

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
