"""An in-memory twin of the local backend's HTTP API, with made-up telemetry, for looking at the web UI alone.

`python tests/web/twin.py [PORT] [DASHBOARD.json …]` serves it for development.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from twin_boards import dashboards, labels_of, points
from twin_telemetry import entry, error_event, group, incident, llm, notification, overview, policies, trace, trace_row
from twin_values import CSP, PROJECT, QUERY, TYPES, WEB, now_ms


class Handler(BaseHTTPRequestHandler):
    """Answers as the backend does; `boards` and `asked` belong to one server."""

    boards: ClassVar[dict[str, dict[str, Any]]]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        path = unquote(url.path)
        if path == "/api/live":
            return self._live()
        if path.startswith(("/api/", "/v1/", "/v3/")):
            return self._json(*self._answer(path, asked))
        if path.startswith("/static/"):
            return self._file(WEB / path.removeprefix("/static/"))
        return self._file(WEB / "index.html")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        found = [
            {
                "name": f"s{at}",
                "labels": {"zone": f"zone-{at}"},
                "unit": "By",
                "points": [
                    [at_ms, value * 5e8]
                    for at_ms, value in points("", at, body["start_ms"], body["end_ms"], body["step_ms"])
                ],
            }
            for at in range(3)
        ]
        self._json(200, {"series": found})

    def _answer(self, path: str, asked: dict[str, str]) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if path.endswith(("/query_range", "/query")):
            return self._prometheus(asked)
        if path.endswith("/values"):
            return 200, {"status": "success", "data": [f"{parts[-2]}-{at}" for at in range(3)]}
        if "dashboards" in parts:
            name = parts[parts.index("dashboards") + 1] if parts[-1] != "dashboards" else None
            if name is None:
                return 200, {"dashboards": list(self.boards.values())}
            return (
                (200, self.boards[name])
                if name in self.boards
                else (404, {"error": {"code": 404, "message": f"no dashboard {name}"}})
            )
        if "alertPolicies" in parts:
            condition = {"displayName": "p95", "conditionPrometheusQueryLanguage": {"query": QUERY}}
            return 200, {"name": path, "displayName": "High latency", "conditions": [condition]}
        single: dict[str, Callable[[str], Any]] = {
            "traces": trace,
            "errors": lambda _: {"group": group(0), "events": [error_event(at) for at in range(9)]},
            "incidents": lambda _: incident(0, is_open=True),
        }
        if len(parts) == 3 and parts[1] in single:
            return 200, single[parts[1]](parts[2])
        opened = asked.get("state") == "open"
        many: dict[str, Callable[[], Any]] = {
            "info": lambda: {"project": PROJECT, "now_ms": now_ms(), "clock": {"scale": 40, "state": "accelerated"}, "version": "0.1.0", "grpc": "127.0.0.1:1", "http": "http://127.0.0.1:2"},
            "overview": overview, "llm": llm,
            "traces": lambda: {"traces": [trace_row(at) for at in range(40)], "next": "40"},
            "logs": lambda: {"entries": [entry(at) for at in range(60)], "next": "60"},
            "errors": lambda: {"groups": [group(at) for at in range(3)]},
            "policies": lambda: {"policies": policies()},
            "incidents": lambda: {"incidents": [incident(at, is_open=at < 2) for at in range(2 if opened else 7)]},
            "notifications": lambda: {"notifications": [notification(at) for at in range(6)]},
        }  # fmt: skip
        return (200, many[parts[1]]()) if parts[1] in many else (404, {"error": {"code": 404, "message": path}})

    def _prometheus(self, asked: dict[str, str]) -> tuple[int, Any]:
        query = asked["query"]
        if query == "fail(":
            return 400, {"status": "error", "errorType": "bad_data", "error": "parse error: unclosed left parenthesis"}
        if "start" not in asked:
            at_ms = int(float(asked["time"]) * 1000)
            listed = labels_of(query) if query == "zones" else [{}]
            found = [
                {"metric": labels, "value": [at_ms / 1000, str(points(query, seed + 1, at_ms, at_ms, 1)[0][1])]}
                for seed, labels in enumerate(listed)
            ]
            return 200, {"status": "success", "data": {"resultType": "vector", "result": found}}
        window = [int(float(asked[name]) * 1000) for name in ("start", "end", "step")]
        if query == "load_q":
            window[2] = max(1000, (window[1] - window[0]) // 500)
        found = [
            {"metric": labels, "values": [[at / 1000, str(value)] for at, value in points(query, at_seed, *window)]}
            for at_seed, labels in enumerate(labels_of(query))
        ]
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": found}}

    def _json(self, status: int, document: Any) -> None:
        self._send(status, json.dumps(document).encode(), "application/json")

    def _file(self, path: Path) -> None:
        if not path.resolve().is_relative_to(WEB) or not path.is_file():
            return self._send(404, b"", "text/plain")
        return self._send(200, path.read_bytes(), TYPES.get(path.suffix, "text/plain"))

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-security-policy", CSP)
        self.send_header("cache-control", "no-cache")
        self.end_headers()
        self.wfile.write(body)

    def _live(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        try:
            while not self.server.is_ended.wait(0.5):  # type: ignore[attr-defined]
                event = json.dumps({"kinds": ["metrics", "logs", "traces"], "now_ms": now_ms()})
                self.wfile.write(f"event: change\ndata: {event}\n\n".encode())
                self.wfile.flush()
        except OSError:
            self.close_connection = True  # the page went away


class Server(ThreadingHTTPServer):
    """Ends its streams with itself; browsers break connections off, which is no news."""

    daemon_threads = True

    def __init__(self, port: int, extra: list[Path]) -> None:
        super().__init__(("127.0.0.1", port), type("BoundHandler", (Handler,), {"boards": dashboards(extra)}))
        self.is_ended = threading.Event()

    def handle_error(self, *_args: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*_args)


@contextmanager
def serving(port: int = 0, extra: list[Path] | None = None) -> Iterator[str]:
    """Serve until the block ends; gives the address."""
    server = Server(port, extra or [])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.is_ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    with serving(int(sys.argv[1]) if len(sys.argv) > 1 else 0, [Path(name) for name in sys.argv[2:]]) as address:
        print(address, flush=True)
        threading.Event().wait()
