"""The same trivial app under each variant: bare, OpenTelemetry with structlog as teams set it up, and obskit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

VARIANTS = ("bare", "otel_structlog", "otel_structlog_tuned", "obskit")
FRAMEWORKS = ("fastapi", "flask")
_flushes: list[Callable[[], object]] = []


def build(framework: str, variant: str) -> Any:
    """Return an app whose one route answers a small JSON document."""
    app = _fastapi() if framework == "fastapi" else _flask()
    if variant.startswith("otel_structlog"):
        app = _otel_structlog(framework, app, is_tuned=variant.endswith("tuned"))
    elif variant == "obskit":
        import obskit

        handle = obskit.instrument(app, service_name="bench", project="p", exporters=["otlp"], log_format="json")
        _flushes.append(handle.flush)
    return app


def flush() -> None:
    """Export everything now, so that each measurement holds the export of its own requests, no more and no less."""
    for each in _flushes:
        each()


def _fastapi() -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, object]:
        return {"id": item_id, "name": "thing"}

    return app


def _flask() -> Any:
    from flask import Flask

    app = Flask("bench")

    @app.get("/items/<int:item_id>")
    def item(item_id: int) -> dict[str, object]:
        return {"id": item_id, "name": "thing"}

    return app


def _otel_structlog(framework: str, app: Any, *, is_tuned: bool) -> Any:
    _providers()
    log = _structlog()
    if framework == "flask":
        from opentelemetry.instrumentation.flask import FlaskInstrumentor

        FlaskInstrumentor().instrument_app(app)
        _flask_access_log(app, log)
        return app
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    app.add_middleware(AccessLog, log=log)
    FastAPIInstrumentor.instrument_app(app, **({"exclude_spans": ["receive", "send"]} if is_tuned else {}))
    return app


def _providers() -> None:
    """OpenTelemetry's own exporters, as its documentation sets them up."""
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": "bench"})
    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=200_000))
    _flushes.append(tracing.force_flush)
    trace.set_tracer_provider(tracing)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metering = MeterProvider([reader], resource=resource)
    metrics.set_meter_provider(metering)
    _flushes.append(metering.force_flush)


def _structlog() -> Any:
    import logging

    import structlog
    from opentelemetry import trace

    def add_trace(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        context = trace.get_current_span().get_span_context()
        if context.trace_id:
            event["logging.googleapis.com/trace"] = "projects/p/traces/" + format(context.trace_id, "032x")
            event["logging.googleapis.com/spanId"] = format(context.span_id, "016x")
        return event

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            add_trace,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(Path(os.devnull).open("a")),  # noqa: SIM115
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger()


class AccessLog:
    """The access log that teams write: pure ASGI, one structlog line a request."""

    def __init__(self, app: Any, log: Any) -> None:
        self.app, self.log = app, log

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def sending(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            self.log.info(
                "request",
                http_method=scope["method"],
                http_path=scope["path"],
                http_status=status,
                duration_ms=round((time.perf_counter() - start) * 1000, 3),
                client=scope["client"][0],
            )


def _flask_access_log(app: Any, log: Any) -> None:
    from flask import g, request

    @app.before_request
    def begin() -> None:
        g.start = time.perf_counter()

    @app.after_request
    def end(response: Any) -> Any:
        log.info(
            "request",
            http_method=request.method,
            http_path=request.path,
            http_status=response.status_code,
            duration_ms=round((time.perf_counter() - g.start) * 1000, 3),
            client=request.remote_addr,
        )
        return response
