"""OpenTelemetry's own instrumentation at the same faults, in memory; prints one figure."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from fastapi import FastAPI, WebSocket
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))
tracer = trace.get_tracer("peer")


def fastapi_client():
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from starlette.testclient import TestClient

    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"item": item_id}

    @app.get("/boom")
    async def boom() -> None:
        raise ValueError("boom")

    @app.get("/call")
    def call(url: str) -> int:
        import httpx

        return httpx.get(url).status_code

    @app.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)

    FastAPIInstrumentor.instrument_app(app)
    return TestClient(app, raise_server_exceptions=False)


def stream() -> str:
    import flask
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from werkzeug.test import Client

    app = flask.Flask("peer")

    @app.get("/stream")
    def streamed() -> flask.Response:
        def chunks():
            for number in range(4):
                with tracer.start_as_current_span(f"chunk {number}"):
                    yield b"x"

        return flask.Response(chunks())

    FlaskInstrumentor().instrument_app(app)
    response = Client(app).get("/stream", buffered=False)
    assert b"".join(response.response) == b"xxxx"
    response.close()
    found = spans.get_finished_spans()
    (server,) = [span for span in found if span.kind is trace.SpanKind.SERVER]
    children = [span for span in found if span.name.startswith("chunk")]
    joined = sum(span.context.trace_id == server.context.trace_id for span in children)
    covered = sum(span.end_time <= server.end_time for span in children)
    return f"{joined} of {len(children)} children in the trace, the span covers {covered} of them"


def websocket() -> str:
    client = fastapi_client()
    with client.websocket_connect("/ws") as socket:
        for number in range(50):
            socket.send_text(str(number))
            socket.receive_text()
    return f"{len(spans.get_finished_spans())} spans for 50 messages"


def hosts() -> str:
    client = fastapi_client()
    for number in range(300):
        client.get("/items/1", headers={"Host": f"host-{number}.example"})
    series = {
        (metric.name, tuple(sorted(point.attributes.items())))
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if metric.name in {"http.server.duration", "http.server.request.duration"}
    }
    return f"{len(series)} series for 300 hosts"


def flags() -> str:
    client = fastapi_client()
    parent = f"00-{'1' * 32}-{'2' * 16}-00"
    for _ in range(10):
        client.get("/boom", headers={"traceparent": parent})
    kept = [span for span in spans.get_finished_spans() if span.kind is trace.SpanKind.SERVER]
    return f"{len(kept)} of 10 errors kept with flag 00"


def baggage() -> str:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    HTTPXClientInstrumentor().instrument()
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower() for name in self.headers})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = fastapi_client()
    for host in ("127.0.0.1", "localhost"):
        url = f"http://{host}:{server.server_address[1]}/"
        client.get("/call", params={"url": url}, headers={"baggage": "user=alice"})
    server.shutdown()
    return f"{sum('baggage' in headers for headers in seen)} of {len(seen)} calls passed on the stranger's baggage"


def secrets() -> str:
    key = "AIza" + "S" * 35
    client = fastapi_client()
    for _ in range(10):
        client.get("/items/1", params={"key": key})
    found = [span for span in spans.get_finished_spans() if span.kind is trace.SpanKind.SERVER]
    return f"{sum(key in str(span.attributes) for span in found)} of {len(found)} server spans keep `?key=AIza…`"


print(
    {"stream": stream, "websocket": websocket, "hosts": hosts, "flags": flags, "baggage": baggage, "secrets": secrets}[
        sys.argv[1]
    ]()
)
