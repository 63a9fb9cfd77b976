"""OpenTelemetry's SDK with its OTLP exporter through the same life; prints one figure, or serves as an app."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("peer")


def make_app() -> object:
    from fastapi import FastAPI
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"item": item_id}

    FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])
    return app


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def outage() -> str:
    before = resident_bytes()
    for number in range(3000):
        with tracer.start_as_current_span("much", attributes={"payload": f"{number:08d}" + "x" * 199_992}):
            pass
    return f"+{(resident_bytes() - before) / 1024 / 1024:.0f} MiB"


def silence() -> str:
    for _ in range(5000):
        with tracer.start_as_current_span("one", attributes={"payload": "x" * 1000}):
            pass
    begun = time.monotonic()
    said = provider.force_flush(2000)
    return f"flush(2) said {said} after {time.monotonic() - begun:.1f} s"


def preload() -> str:
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    metrics.set_meter_provider(meters)
    count = metrics.get_meter("peer").create_counter("peer.count")
    count.add(100)
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            count.add(1)
            os._exit(0 if meters.force_flush(5000) else 1)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    meters.force_flush(5000)
    return ""


def unreachable() -> str:
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    meters.get_meter("peer").create_counter("peer.count").add(1)
    for _ in range(10):
        tracer.start_span("one").end()
    return "recorded"


def recovery() -> str:
    for _ in range(10):
        tracer.start_span("one").end()
    provider.force_flush(60_000)
    return ""


FAULTS = {found.__name__: found for found in (outage, silence, preload, unreachable, recovery)}

if __name__ == "__main__":
    print(FAULTS[sys.argv[1]](), flush=True)
    if sys.argv[1] != "unreachable":
        os._exit(0)
else:
    app = make_app()
