"""How each peer is set up, as its documentation shows it; every span goes to an exporter that does nothing.

`prepare` runs before the framework is imported, for peers that patch it; `attach` gets the app.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

COUNTS = {"spans": 0}
FLUSHES: list[Callable[[], object]] = []
# So many spans that none is dropped: dropping would make a peer look cheaper.
QUEUE_SPANS = 200_000


def prepare(variant: str) -> None:
    """Do what must come before the framework is imported."""
    if variant == "ddtrace":
        import ddtrace.auto  # noqa: F401 - what `ddtrace-run` does
        from ddtrace.trace import tracer

        FLUSHES.append(tracer.flush)
    elif variant == "sentry":
        import sentry_sdk
        from sentry_sdk.transport import Transport

        class Nothing(Transport):
            def capture_envelope(self, envelope: Any) -> None:
                COUNTS["spans"] += len(envelope.items)

        sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Nothing, traces_sample_rate=1.0)
        FLUSHES.append(sentry_sdk.flush)


def attach(framework: str, variant: str, app: Any, *, is_exporting: bool) -> None:
    """Set the peer up on the app."""
    if variant.startswith("otel_structlog"):
        _otel_structlog(framework, app, is_tuned=variant.endswith("tuned"), is_exporting=is_exporting)
    elif variant == "logfire":
        _logfire(framework, app)
    elif variant == "elastic":
        _elastic(framework, app)
    elif variant == "prom" and framework == "fastapi":
        from prometheus_fastapi_instrumentator import Instrumentator

        Instrumentator().instrument(app).expose(app)
    elif variant == "prom":
        from prometheus_flask_exporter import PrometheusMetrics

        PrometheusMetrics(app)


# --------------------------------------------------------------------------- OpenTelemetry


def _no_spans() -> Any:
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class NoSpans(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            COUNTS["spans"] += len(spans)
            return SpanExportResult.SUCCESS

    return NoSpans()


def _no_metrics() -> Any:
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

    class NoMetrics(MetricExporter):
        def export(self, *_: Any, **__: Any) -> MetricExportResult:
            return MetricExportResult.SUCCESS

        def force_flush(self, *_: Any, **__: Any) -> bool:
            return True

        def shutdown(self, *_: Any, **__: Any) -> None:
            pass

    return NoMetrics()


def _providers(*, is_exporting: bool) -> None:
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    spans, points = _no_spans(), _no_metrics()
    if is_exporting:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        spans, points = OTLPSpanExporter(), OTLPMetricExporter()
    resource = Resource.create({"service.name": "bench"})
    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(BatchSpanProcessor(spans, max_queue_size=QUEUE_SPANS))
    trace.set_tracer_provider(tracing)
    reader = PeriodicExportingMetricReader(points)  # the interval is the environment's
    metering = MeterProvider([reader], resource=resource)
    metrics.set_meter_provider(metering)
    FLUSHES.extend((tracing.force_flush, metering.force_flush))


def _otel_structlog(framework: str, app: Any, *, is_tuned: bool, is_exporting: bool) -> None:
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http" if is_tuned else ""
    _providers(is_exporting=is_exporting)
    log = _structlog()
    if framework == "flask":
        from opentelemetry.instrumentation.flask import FlaskInstrumentor

        FlaskInstrumentor().instrument_app(app)
        _flask_access_log(app, log)
        return
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    app.add_middleware(AccessLog, log=log)
    FastAPIInstrumentor.instrument_app(app, **({"exclude_spans": ["receive", "send"]} if is_tuned else {}))


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
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
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


# --------------------------------------------------------------------------- others


def _logfire(framework: str, app: Any) -> None:
    import logfire
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # Its own exporter is off, as it would send to its makers; the batching that a real one has is added.
    logfire.configure(
        send_to_logfire=False,
        console=False,
        service_name="bench",
        distributed_tracing=True,
        additional_span_processors=[BatchSpanProcessor(_no_spans(), max_queue_size=QUEUE_SPANS)],
        metrics=logfire.MetricsOptions(additional_readers=[PeriodicExportingMetricReader(_no_metrics())]),
    )
    (logfire.instrument_fastapi if framework == "fastapi" else logfire.instrument_flask)(app)
    FLUSHES.append(logfire.force_flush)


def _elastic(framework: str, app: Any) -> None:
    settings = {
        "SERVICE_NAME": "bench",
        "SERVER_URL": os.environ["BENCH_SINK"],
        "VERIFY_SERVER": False,
        "CLOUD_PROVIDER": "none",
        "CENTRAL_CONFIG": False,
        "TRANSPORT_CLASS": "elastic_transport.Nothing",
    }
    if framework == "fastapi":
        from elasticapm.contrib.starlette import ElasticAPM, make_apm_client

        client = make_apm_client(settings)
        app.add_middleware(ElasticAPM, client=client)
    else:
        from elasticapm.contrib.flask import ElasticAPM

        app.config["ELASTIC_APM"] = settings
        client = ElasticAPM(app).client
    FLUSHES.append(client._transport.flush)
