"""Providers, samplers, processors and limits of the app are respected; so is who switches instrumentation off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.metrics import get_meter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import NoOpTracerProvider, SpanKind
from seen import Seen
from shops import Shop

from obskit.exporters.memory import STORE
from obskit.testing import SequentialIds

Instrument = Callable[..., Seen]


class Guest(SpanProcessor):
    """A processor of somebody else's."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.ended: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        span.set_attribute("guest", True)
        self.begun.append(span.name)

    def on_end(self, span: Any) -> None:
        self.ended.append(span)


def _provided(**options: Any) -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False, **options)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider, exporter


def test_a_processor_that_comes_later_sees_every_span(shop: Shop, instrument: Instrument):
    """It may change spans when they begin, and has them whole when they end."""
    seen = instrument(shop.app)
    shop.call("/items/1")
    guest = Guest()
    provider: Any = trace.get_tracer_provider()
    provider.add_span_processor(guest)
    shop.call("/sync/2")
    name = f"GET {shop.template('/sync/{item_id}')}"
    assert guest.begun == ["GET"]
    assert [(span.name, span.kind) for span in guest.ended] == [(name, SpanKind.SERVER)]
    assert seen.spans()[name].attributes["guest"] is True


def test_the_apps_sampler_decides(shop: Shop, own: Instrument):
    """Where the app's provider drops all spans there are none, and requests still count."""
    _, exporter = _provided(sampler=ALWAYS_OFF)
    seen = own(shop.app)
    assert shop.call("/items/1") == 200
    assert exporter.get_finished_spans() == ()
    assert seen.all_spans() == []
    assert sum(point.count for point in seen.points()) == 1


@pytest.mark.parametrize(("flags", "count"), [("01", 1), ("00", 0)])
def test_the_apps_sampler_sees_the_caller(shop: Shop, own: Instrument, flags: str, count: int):
    """A parent-based sampler of the app's follows the caller's flag."""
    _, exporter = _provided(sampler=ParentBased(ALWAYS_OFF))
    own(shop.app)
    shop.call("/items/1", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-{flags}"})
    assert len(exporter.get_finished_spans()) == count


def test_the_apps_limits_ids_and_resource_hold(shop: Shop, own: Instrument):
    """What the app has set up for its own spans is so for requests'."""
    provider, exporter = _provided(
        span_limits=SpanLimits(max_events=1, max_attribute_length=4),
        id_generator=SequentialIds(),
        resource=Resource({"service.name": "theirs"}),
    )

    def many() -> None:
        span = trace.get_current_span()
        span.add_event("one")
        span.add_event("two")
        span.set_attribute("long", "0123456789")

    shop.inside = many
    own(shop.app)
    shop.call("/items/1")
    (span,) = exporter.get_finished_spans()
    assert (span.context.trace_id, span.context.span_id) == (1, 1)
    assert [event.name for event in span.events] == ["two"]
    assert span.attributes["long"] == "0123"
    assert span.resource is provider.resource


def test_a_provider_that_does_nothing_is_left_alone(shop: Shop, own: Instrument):
    """The app's own spans come to nothing, as it wished; requests are obskit's, which has its own switch."""
    nothing = NoOpTracerProvider()
    trace.set_tracer_provider(nothing)

    def inside() -> None:
        with trace.get_tracer("app").start_as_current_span("app's"):
            pass

    shop.inside = inside
    seen = own(shop.app)
    shop.call("/items/1")
    assert trace.get_tracer_provider() is nothing
    assert [span.kind for span in seen.all_spans()] == [SpanKind.SERVER]


def test_a_switched_off_sdk_stays_off(shop: Shop, own: Instrument, monkeypatch: pytest.MonkeyPatch):
    """Under `OTEL_SDK_DISABLED` there are no spans and no metrics, touched by the app or not; requests are served."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    found = []

    def touch() -> None:
        span = trace.get_current_span()
        span.set_attribute("mine", 1)
        found.append(span.is_recording())

    seen = own(shop.app)
    assert shop.call("/items/1") == 200
    shop.inside = touch
    assert shop.call("/items/1") == 200
    assert found == [False]
    assert seen.all_spans() == []
    assert seen.points() == []


@pytest.mark.parametrize(
    "key",
    [context._SUPPRESS_INSTRUMENTATION_KEY, context._SUPPRESS_HTTP_INSTRUMENTATION_KEY, "suppress_instrumentation"],
    ids=["all", "http", "by name"],  # the keys end in something random
)
def test_suppressed_instrumentation_is_suppressed(shop: Shop, instrument: Instrument, key: str):
    """OpenTelemetry's `suppress_instrumentation` and `suppress_http_instrumentation` hold for requests served inside."""
    seen = instrument(shop.app)
    token = context.attach(context.set_value(key, True))
    try:
        assert shop.call("/items/1") == 200
    finally:
        context.detach(token)
    assert seen.all_spans() == []
    assert seen.points() == []
    assert shop.call("/items/1") == 200
    assert seen.server()


@pytest.mark.parametrize("urls", ["items/1,nowhere", "^/items/[0-9]+$", ["/items"]])
def test_excluded_urls_are_not_recorded(shop: Shop, instrument: Instrument, urls: Any):
    """Comma-separated regular expressions, searched in the path; whatever else is asked for is recorded."""
    seen = instrument(shop.app, excluded_urls=urls)
    for path in ("/items/1", "/sync/1"):
        assert shop.call(path) == 200
    assert seen.server().attributes["url.path"] == "/sync/1"
    assert sum(point.count for point in seen.points()) == 1


def test_exclusions_are_read_from_opentelemetrys_variable(
    shop: Shop, instrument: Instrument, monkeypatch: pytest.MonkeyPatch
):
    """`OTEL_PYTHON_EXCLUDED_URLS` works as it does for OpenTelemetry's own instrumentations."""
    monkeypatch.setenv("OTEL_PYTHON_EXCLUDED_URLS", "items,health")
    seen = instrument(shop.app)
    shop.call("/items/1")
    assert seen.all_spans() == []


def test_twice_instrumented_is_once_instrumented(shop: Shop, instrument: Instrument):
    """The second call on the same app adds nothing."""
    instrument(shop.app)
    seen = instrument(shop.app)
    shop.call("/items/1")
    assert seen.server()
    assert sum(point.count for point in seen.points()) == 1


def test_after_a_shutdown_nothing_is_exported(shop: Shop, own: Instrument):
    """`Handle.shutdown` takes the place of un-instrumenting: requests are served on, without records."""
    seen = own(shop.app)
    shop.call("/items/1")
    assert seen.handle.shutdown(5)
    assert shop.call("/items/1") == 200
    assert len(STORE.spans) == 1


def test_switched_off_by_its_own_setting(shop: Shop, own: Instrument):
    """With ``enabled=False`` the app is not touched at all."""
    own(shop.app, enabled=False)
    assert "_obskit_middleware" not in vars(shop.app)
    assert shop.call("/items/1") == 200


def test_names_units_and_bounds_of_the_duration(shop: Shop, instrument: Instrument):
    """`http.server.request.duration` in seconds, with the conventions' labels and all of the advised bounds."""
    seen = instrument(shop.app)
    for path in ("/items/1", "/items/2", "/status/503", "/nowhere"):
        shop.call(path)
    metric = seen.metrics()["http.server.request.duration"]
    assert metric.unit == "s"
    advised = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
    points = {p.attributes["http.response.status_code"]: p for p in seen.points()}
    assert all(advised <= set(point.explicit_bounds) for point in points.values())
    assert {status: point.count for status, point in points.items()} == {200: 2, 503: 1, 404: 1}
    common = {"http.request.method": "GET", "url.scheme": "http"}
    route = shop.template("/items/{item_id}")
    assert dict(points[200].attributes) == common | {"http.response.status_code": 200, "http.route": route}
    assert points[503].attributes["error.type"] == "503"
    assert dict(points[404].attributes) == common | {"http.response.status_code": 404}


def test_the_apps_own_instruments_are_exported_beside(shop: Shop, instrument: Instrument):
    """A counter of the app's, made through the API, is in the same snapshot."""
    seen = instrument(shop.app)
    counter = get_meter("app").create_counter("orders")
    shop.inside = lambda: counter.add(1)
    shop.call("/items/1")
    assert {"orders", "http.server.request.duration"} <= set(seen.metrics())


def test_a_point_remembers_a_trace(shop: Shop, instrument: Instrument):
    """The exemplar of a duration is a request that was sampled."""
    seen = instrument(shop.app)
    shop.call("/items/1")
    server = seen.server()
    found = {(exemplar.trace_id, exemplar.span_id) for point in seen.points() for exemplar in point.exemplars}
    assert found == {(server.context.trace_id, server.context.span_id)}
