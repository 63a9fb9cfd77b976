"""One local backend with telemetry of every kind, written as clients write it."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from obskit.local.serve import LocalBackend

TRACE = "0af7651916cd43dd8448eb211c80319c"
MINUTE_NS = 60_000_000_000


class Http:
    """A small client of the backend's HTTP services."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, body: Any = None, headers: dict | None = None) -> tuple[int, Any, Any]:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {"content-type": "application/json"} if data is not None else {}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={**kind, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                raw, status, found = answer.read(), answer.status, answer.headers
        except urllib.error.HTTPError as error:
            with error:
                raw, status, found = error.read(), error.code, error.headers
        is_json = "json" in found.get("content-type", "")
        return status, json.loads(raw) if is_json else raw, found

    def get(self, path: str, **parameters: Any) -> Any:
        query = "?" + urllib.parse.urlencode(parameters, doseq=True) if parameters else ""
        status, document, _ = self.call("GET", path + query)
        assert status == 200, document
        return document

    def post(self, path: str, body: Any) -> Any:
        status, document, _ = self.call("POST", path, body)
        assert status == 200, document
        return document


def otlp_attributes(**values: Any) -> list[dict]:
    return [{"key": key.replace("__", "."), "value": {"stringValue": str(value)}} for key, value in values.items()]


def otlp_resource(service: str = "shop") -> dict:
    return {"attributes": otlp_attributes(service__name=service, service__instance__id="i1")}


def otlp_span(span_id: str, parent: str, name: str, start_ns: int, kind: int = 2, **more: Any) -> dict:
    return {
        "traceId": TRACE,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(start_ns + 250_000_000),
        "attributes": otlp_attributes(http__route="/items/{item_id}"),
        **more,
    }


def fill(http: Http, now_ns: int) -> None:
    """Send two services' spans, a request histogram of 10, a gauge, two log lines and one error."""
    start = now_ns - MINUTE_NS
    broken = {"status": {"code": 2, "message": "no"}}
    spans = [
        (otlp_resource("chatbot"), [otlp_span("00f067aa0ba902b1", "", "POST /chat", start)]),
        (
            otlp_resource(),
            [otlp_span("00f067aa0ba902b2", "00f067aa0ba902b1", "GET /items", start + 1_000_000, **broken)],
        ),
    ]
    http.post("/v1/traces", {"resourceSpans": [{"resource": r, "scopeSpans": [{"spans": s}]} for r, s in spans]})
    histogram = {
        "aggregationTemporality": 2,
        "dataPoints": [
            {
                "startTimeUnixNano": str(now_ns - 5 * MINUTE_NS),
                "timeUnixNano": str(start),
                "count": "10",
                "sum": 3.0,
                "explicitBounds": [0.1, 1.0],
                "bucketCounts": ["4", "6", "0"],
                "attributes": otlp_attributes(http__route="/items", http__response__status_code="200"),
            }
        ],
    }
    load = {"dataPoints": [{"timeUnixNano": str(start + n * MINUTE_NS // 4), "asDouble": float(n)} for n in range(4)]}
    metrics = [
        {"name": "http.server.request.duration", "unit": "s", "histogram": histogram},
        {"name": "load", "unit": "1", "gauge": load},
    ]
    http.post(
        "/v1/metrics", {"resourceMetrics": [{"resource": otlp_resource(), "scopeMetrics": [{"metrics": metrics}]}]}
    )
    stack = 'Traceback (most recent call last):\n  File "/app/shop.py", line 3, in order\n    raise KeyError("x")\nKeyError: \'x\''
    entries = [
        {"severity": "INFO", "textPayload": "hello <script>alert(1)</script>"},
        {
            "severity": "ERROR",
            "jsonPayload": {"message": "order failed", "stack_trace": stack, "user_id": "u1"},
            "trace": f"projects/local-project/traces/{TRACE}",
            "httpRequest": {"requestMethod": "GET", "requestUrl": "/items", "status": 500, "latency": "0.25s"},
        },
    ]
    resource = {"type": "cloud_run_revision", "labels": {"service_name": "shop"}}
    http.post(
        "/v2/entries:write", {"entries": entries, "logName": "projects/local-project/logs/stdout", "resource": resource}
    )


@pytest.fixture(scope="module")
def backend() -> Iterator[LocalBackend]:
    with LocalBackend(project="local-project", http_port=0, grpc_port=0) as running:
        fill(Http(running.http_url), running.clock.now_ms() * 1_000_000)
        yield running


@pytest.fixture
def http(backend: LocalBackend) -> Http:
    return Http(backend.http_url)
