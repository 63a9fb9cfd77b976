"""An in-memory twin of the local backend's HTTP API, with made-up telemetry, for looking at the web UI alone.

`python tests/web/twin.py [PORT] [DASHBOARD.json …]` serves it for development.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "obskit" / "local" / "web"
GOLDEN = ROOT / "tests" / "dashboards" / "golden"
PROJECT = "local-project"
HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
POLICY = (
    f"{HOSTILE} [click](javascript:window.pwned=1) **what to do**: read the [runbook](https://example.com/runbook)."
)
CSP = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html; charset=utf-8"}
QUERY = 'histogram_quantile(0.95, sum by (le, job) (rate(duration_bucket{code!="x > y"}[5m]))) > 2 and on () up'
SERVICES = ("chatbot", "shop", "worker")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def wave(at_ms: float, seed: int) -> float:
    """Return a smooth value between 0 and 1 that depends on the time alone."""
    x = at_ms / 60_000
    return (
        0.5 + 0.25 * math.sin(x / 5 + seed) + 0.15 * math.sin(x / 1.7 + seed * 2) + 0.1 * math.sin(x * 1.3 + seed * 3)
    )


# --------------------------------------------------------------------------- dashboards


def many_charts(count: int) -> dict[str, Any]:
    chart = {"dataSets": [{"timeSeriesQuery": {"prometheusQuery": "load_q", "unitOverride": "s"}, "plotType": "LINE"}]}
    tiles = [
        {
            "xPos": 12 * (at % 4),
            "yPos": 12 * (at // 4),
            "width": 12,
            "height": 12,
            "widget": {"title": f"Chart {at}", "xyChart": chart},
        }
        for at in range(count)
    ]
    return {"displayName": "Twenty charts", "mosaicLayout": {"columns": 48, "tiles": tiles}}


def every_kind() -> dict[str, Any]:
    query = {"timeSeriesQuery": {"prometheusQuery": "q_unit", "unitOverride": "1"}}
    widgets = [
        {"title": "Section", "sectionHeader": {"subtitle": "of the twin", "dividerBelow": True}},
        {
            "title": HOSTILE,
            "text": {
                "format": "MARKDOWN",
                "content": f"# Title\n\n{POLICY}\n\n- one\n- two\n\n```\ncode {HOSTILE}\n```",
            },
        },
        {"title": "Raw", "text": {"format": "RAW", "content": HOSTILE}},
        {
            "title": "Filter chart",
            "xyChart": {
                "dataSets": [
                    {"timeSeriesQuery": {"timeSeriesFilter": {"filter": 'metric.type="x"'}}, "plotType": "STACKED_BAR"}
                ],
                "yAxis": {"label": "y"},
            },
        },
        {
            "title": "Number",
            "scorecard": {
                **query,
                "thresholds": [{"value": 0.1, "color": "RED", "direction": "ABOVE", "label": HOSTILE}],
                "sparkChartView": {"sparkChartType": "SPARK_BAR"},
            },
        },
        {"title": "Gauge", "scorecard": {**query, "gaugeView": {"upperBound": 1}}},
        {"title": "Pie", "pieChart": {"dataSets": []}},
        {
            "title": "MQL",
            "xyChart": {"dataSets": [{"timeSeriesQuery": {"timeSeriesQueryLanguage": "fetch x"}, "plotType": "LINE"}]},
        },
        {
            "title": "Bad query",
            "xyChart": {"dataSets": [{"timeSeriesQuery": {"prometheusQuery": "fail("}, "plotType": "LINE"}]},
        },
    ]
    return {"displayName": f"Every kind {HOSTILE}", "gridLayout": {"columns": "3", "widgets": widgets}}


def dashboards(extra: list[Path]) -> dict[str, dict[str, Any]]:
    found = {
        "service": json.loads((GOLDEN / "service.gcp.json").read_text()),
        "llm": json.loads((GOLDEN / "llm.gcp.json").read_text()),
    }
    found |= {"twenty": many_charts(20), "kinds": every_kind()}
    for path in extra:
        found[f"{path.parent.name}-{path.stem}"] = json.loads(path.read_text())
    return {
        key: {"name": f"projects/1/dashboards/{key}", "labels": {"managed-by": "obskit"}, **board}
        for key, board in found.items()
    }


# --------------------------------------------------------------------------- metrics


def points(query: str, seed: int, start_ms: int, end_ms: int, step_ms: int) -> list[tuple[int, float]]:
    scale = {"duration_bucket": 1.6, "cost": 4.0, "tokens": 40_000, "10^2": 0.02, "unless": 0.04}
    factor = next((value for key, value in scale.items() if key in query), 1.0)
    return [(at, factor * wave(at, seed)) for at in range(start_ms, end_ms + 1, step_ms)]


def labels_of(query: str) -> list[dict[str, str]]:
    if "job" in query:
        return [{"job": name, "http_route": f"/{name}/{{id}}"} for name in SERVICES]
    if "gen_ai_request_model" in query:
        return [{"gen_ai_request_model": name} for name in ("gemini-2.5-pro", "gemini-2.5-flash")]
    if "token_kind" in query and "by (" in query:
        return [{"obskit_token_kind": name} for name in ("input", "cached", "output", "thinking", "tool_use")]
    if "status_code)" in query:
        return [{"http_response_status_code": code} for code in ("200", "404", "500")]
    return [{"error_type": "429", "server_address": "shop", "server": HOSTILE}]


# --------------------------------------------------------------------------- telemetry


def incident(at: int, *, is_open: bool) -> dict[str, Any]:
    start = now_ms() - 600_000 * (at + 1)
    return {
        "id": f"0.inc{at}",
        "policy_name": f"projects/{PROJECT}/alertPolicies/p{at % 3}",
        "policy_display_name": ("High latency", "Error spike", f"Token spike {HOSTILE}")[at % 3],
        "condition_name": "p95 above 2 s for 5 min",
        "severity": ("CRITICAL", "ERROR", "WARNING")[at % 3],
        "state": "open" if is_open else "closed",
        "started_at_ms": start,
        "ended_at_ms": None if is_open else start + 420_000,
        "observed_value": 2.84,
        "threshold_value": 2.0,
        "summary": f"p95 of chatbot is 2.84 s, above the threshold of 2 s. {HOSTILE}",
        "labels": {"job": "chatbot", "location": "global"},
        "documentation": {"content": POLICY, "subject": "High latency"},
        "notifications": [notification(at, state) for state in (("open",) if is_open else ("open", "closed"))],
    }


def notification(at: int, state: str = "open") -> dict[str, Any]:
    delivery = ("delivered", "inbox", "failed")[at % 3]
    return {
        "id": f"n{at}{state}",
        "incident_id": f"0.inc{at}",
        "policy_display_name": "High latency",
        "channel_name": f"projects/{PROJECT}/notificationChannels/1",
        "channel_type": ("webhook_tokenauth", "email", "pagerduty")[at % 3],
        "channel_display_name": "On-call",
        "state": state,
        "sent_at_ms": now_ms() - 600_000 * at,
        "delivery": delivery,
        "error": "503 from the receiver" if delivery == "failed" else "",
        "payload": {"version": "1.2", "incident": {"incident_id": f"0.inc{at}", "summary": HOSTILE}},
    }


def entry(at: int) -> dict[str, Any]:
    severity = ("INFO", "INFO", "DEBUG", "WARNING", "INFO", "ERROR", "NOTICE", "CRITICAL")[at % 8]
    http = (
        {"method": "POST", "url": "/chat", "status": 500 if severity == "ERROR" else 200, "latency_ms": 312.4}
        if at % 2
        else None
    )
    message = (
        HOSTILE
        if at % 9 == 4
        else ("request served", "cart loaded", "cache miss for key user:42", "slow reply from the model, trying again")[
            at % 4
        ]
    )
    return {
        "id": f"e{at}",
        "time_ms": now_ms() - at * 1700,
        "severity": severity,
        "service": SERVICES[at % 3],
        "message": message,
        "trace_id": f"{at % 12:032x}",
        "span_id": f"{1:016x}",
        "http": http,
        "fields": {"user_id": f"user-{at}", "gemini_tokens": {"input": 812, "output": 77}},
        "log_name": f"projects/{PROJECT}/logs/stdout",
    }


def trace_row(at: int) -> dict[str, Any]:
    return {
        "trace_id": f"{at:032x}",
        "root_name": (f"POST /chat {HOSTILE}", "GET /items/{item_id}", "POST /orders", "GET /health")[at % 4],
        "services": list(SERVICES[: 1 + at % 3]),
        "spans": 4 + at % 9,
        "errors": 1 if at % 5 == 2 else 0,
        "start_ms": now_ms() - 2300 * at,
        "duration_ms": 30 + 2400 * wave(at * 60_000, 1) ** 3,
        "has_ai": at % 4 == 0,
    }


def span(at: int, parent: int, name: str, service: str, start: float, length: float, **more: Any) -> dict[str, Any]:
    begin = now_ms() - 60_000
    return {
        "span_id": f"{at:016x}",
        "parent_span_id": f"{parent:016x}" if parent else "",
        "name": name,
        "service": service,
        "kind": more.get("kind", "INTERNAL"),
        "start_ms": begin + start,
        "duration_ms": length,
        "status": {"code": more.get("code", "OK"), "message": more.get("message", "")},
        "attributes": more.get("attributes", {"code.function": name}),
        "events": more.get("events", []),
    }


def trace(trace_id: str) -> dict[str, Any]:
    begin = now_ms() - 60_000
    ai = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-2.5-flash",
        "gen_ai.usage.input_tokens": 2841,
        "gen_ai.usage.output_tokens": 312,
        "obskit.gen_ai.cost_usd": 0.00163,
    }
    boom = {
        "time_ms": begin + 1490,
        "name": "exception",
        "attributes": {
            "exception.type": "OutOfStock",
            "exception.message": HOSTILE,
            "exception.stacktrace": "Traceback …",
        },
    }
    spans = [
        span(
            1,
            0,
            "POST /chat",
            "chatbot",
            0,
            1840,
            kind="SERVER",
            attributes={"http.route": "/chat", "http.response.status_code": 200, "user.id": HOSTILE},
        ),
        span(2, 1, "load conversation", "chatbot", 4, 46),
        span(3, 1, "generate_content gemini-2.5-flash", "chatbot", 62, 640, kind="CLIENT", attributes=ai),
        span(4, 1, "execute_tool find_item", "chatbot", 708, 812),
        span(5, 4, "GET", "chatbot", 712, 803, kind="CLIENT"),
        span(
            6,
            5,
            "GET /items/{item_id}",
            "shop",
            722,
            786,
            kind="SERVER",
            code="ERROR",
            message=f"OutOfStock {HOSTILE}",
            events=[boom],
        ),
        span(7, 6, "SELECT items", "shop", 740, 22),
        span(
            8,
            1,
            "generate_content gemini-2.5-flash",
            "chatbot",
            1526,
            300,
            kind="CLIENT",
            attributes={**ai, "gen_ai.usage.input_tokens": 3310},
        ),
        span(9, 1, "save conversation", "chatbot", 1828, 9),
    ]
    return {"trace_id": trace_id, "spans": spans, "logs": [entry(at) for at in range(6)]}


STACK = (
    'Traceback (most recent call last):\n  File "/srv/.venv/lib/python3.11/site-packages/flask/app.py", line 880, in full_dispatch_request\n    rv = self.dispatch_request()\n  File "/srv/shop/orders.py", line 41, in order\n    raise OutOfStock(item)\nshop.orders.OutOfStock: '
    + HOSTILE
)


def group(at: int) -> dict[str, Any]:
    return {
        "id": f"g{at}",
        "type": ("OutOfStock", "ServerError", "KeyError")[at % 3],
        "message": (HOSTILE, "503 UNAVAILABLE. The model is overloaded.", "'item_id'")[at % 3],
        "service": SERVICES[at % 3],
        "count": 42 - at * 9,
        "first_ms": now_ms() - 3_600_000,
        "last_ms": now_ms() - 40_000 * at,
        "affected_users": 7 - at,
        "sample_trace_id": f"{at:032x}",
    }


def error_event(at: int) -> dict[str, Any]:
    return {
        "time_ms": now_ms() - 30_000 * at,
        "stack": STACK,
        "service": "shop",
        "version": "1.4.0",
        "user": "user-42",
        "http": {"method": "POST", "url": "/orders", "status": 500},
        "trace_id": f"{at:032x}",
        "location": {"file": "/srv/shop/orders.py", "line": 41, "function": "order"},
    }


def overview() -> dict[str, Any]:
    now = now_ms()
    services = [
        {
            "name": name,
            "version": f"1.{at}.0",
            "requests": 1840 - 600 * at,
            "error_ratio": (0.004, 0.061, 0.013)[at],
            "p50_ms": 84.0 + at,
            "p95_ms": (740.0, 2310.0, 120.0)[at],
            "p99_ms": (1330.0, 4100.0, 260.0)[at],
            "last_seen_ms": now - 900,
            "sparkline": [wave(now - (60 - bar) * 60_000, at) for bar in range(60)],
        }
        for at, name in enumerate(SERVICES)
    ]
    counts = {
        "traces": 3140,
        "spans": 21_480,
        "log_entries": 9_204,
        "errors": 96,
        "series": 512,
        "dashboards": 4,
        "policies": 6,
        "open_incidents": 2,
    }
    return {
        "services": services,
        "counts": counts,
        "incidents": [incident(at, is_open=at < 2) for at in range(5)],
        "llm": {"input_tokens": 4_182_300, "output_tokens": 391_220, "cost_usd": 3.4127, "unpriced_calls": 4},
    }


def llm() -> dict[str, Any]:
    now = now_ms()
    names = (("gemini-2.5-pro", 2.9), ("gemini-2.5-flash", 0.5), (f"in-house {HOSTILE}", 0.0))
    models = [
        {
            "model": name,
            "provider": "gcp.gemini",
            "calls": 900 - 250 * at,
            "input_tokens": 2_182_300 // (at + 1),
            "output_tokens": 191_220 // (at + 1),
            "cached_tokens": 800_000 // (at + 1),
            "thinking_tokens": 42_000,
            "cost_usd": cost,
            "unpriced_calls": 4 if not cost else 0,
            "errors": at,
        }
        for at, (name, cost) in enumerate(names)
    ]
    keys = (
        "calls",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "thinking_tokens",
        "cost_usd",
        "unpriced_calls",
        "errors",
    )
    times = [now - (60 - at) * 60_000 for at in range(60)]
    return {
        "models": models,
        "cost_by_time": [[at, 0.05 * wave(at, 1)] for at in times],
        "tokens_by_time": [[at, 60_000 * wave(at, 2), 9_000 * wave(at, 3)] for at in times],
        "total": {key: sum(model[key] for model in models) for key in keys},
    }


def policies() -> list[dict[str, Any]]:
    states = (
        ("High latency", "firing", 2.84, 2.0),
        ("Error spike", "ok", 0.012, 0.05),
        (f"Token spike {HOSTILE}", "pending", 1.4, 1.5),
        ("Gemini rate limit", "ok", 0.0, 10.0),
        ("Backup missed", "unsupported", None, None),
        ("Odd", "error", None, 1.0),
    )
    return [
        {
            "name": f"projects/{PROJECT}/alertPolicies/p{at}",
            "display_name": name,
            "enabled": True,
            "severity": ("CRITICAL", "ERROR", "WARNING")[at % 3],
            "state": state,
            "value": value,
            "threshold": threshold,
            "last_evaluated_ms": now_ms() - 12_000,
            "error": "unknown function foo" if state == "error" else "",
            "open_incidents": int(state == "firing"),
            "query": "histogram_quantile(0.95, sum by (le, job) (rate(workload_googleapis_com:http_server_request_duration_bucket[5m]))) > 2",
        }
        for at, (name, state, value, threshold) in enumerate(states)
    ]


# --------------------------------------------------------------------------- HTTP


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
            found = [{"metric": {}, "value": [at_ms / 1000, str(points(query, 1, at_ms, at_ms, 1)[0][1])]}]
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
