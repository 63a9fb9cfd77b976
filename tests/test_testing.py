"""The public test kit shows exactly what the code inside the block recorded."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from obskit import testing
from obskit.config import Config
from obskit.exporters import memory
from obskit.signals import stdlib_logs
from obskit.signals.lifecycle import Pipeline
from obskit.signals.reports import ErrorReport
from obskit.signals.resource import build_resource


class App:
    """Something that records through a pipeline to memory."""

    def __init__(self) -> None:
        config = Config(service_name="app")
        resource = build_resource(config, {})
        self.pipeline = Pipeline(config, resource, [lambda: memory.create(config, resource)])
        self.tracers = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=testing.SequentialIds())
        self.tracers.add_span_processor(self.pipeline.span_processor)
        self.meters = MeterProvider([self.pipeline.metric_reader], resource=resource, shutdown_on_exit=False)
        self.orders = self.meters.get_meter("app").create_counter("app.orders")
        self.durations = self.meters.get_meter("app").create_histogram("app.duration")
        stdlib_logs.install(level="info", access_log=False)
        self.pipeline.start()

    def order(self, size: str) -> None:
        self.tracers.get_tracer("app").start_span("order", attributes={"size": size}).end()
        self.orders.add(2, {"app.size": size})
        self.durations.record(0.5, {"app.size": size})
        logging.getLogger("app").warning("ordered %s", size, extra={"size": size})
        if size == "huge":
            report = ErrorReport(time_ns=time.time_ns(), type="ValueError", message="too huge")
            self.pipeline.submit_error(report)


@pytest.fixture
def app() -> Iterator[App]:
    memory.STORE.clear()
    made = App()
    yield made
    made.pipeline.shutdown(5.0)
    stdlib_logs.uninstall()
    memory.STORE.clear()


def test_only_what_happened_inside(app: App) -> None:
    """Spans, gains of metrics, log records and errors from before the block are not in it."""
    app.order("huge")
    with testing.capture() as seen:
        app.order("small")
        app.order("large")
    app.order("small")
    assert [span.attributes["size"] for span in seen.spans if span.attributes][:2] == ["small", "large"]
    assert [(entry["message"], entry["severity"], entry["size"]) for entry in seen.logs] == [
        ("ordered small", "WARNING", "small"),
        ("ordered large", "WARNING", "large"),
    ]
    assert seen.errors == ()


def test_totals_are_gains(app: App) -> None:
    """A total is what was added in the block: increase of a counter, records of a histogram, by label if asked."""
    app.order("small")
    with testing.capture() as seen:
        app.order("small")
        app.order("large")
        assert seen.total("app.orders") == 4
        assert seen.total("app.orders", **{"app.size": "small"}) == 2
        assert seen.total("app.duration") == 2
        assert seen.total("app.nothing") == 0


def test_finding_the_one(app: App) -> None:
    """`span` and `error` return the one that matches, and say what there is when it is not one."""
    with testing.capture() as seen:
        app.order("small")
        app.order("huge")
        assert seen.span("order", size="huge").attributes == {"size": "huge"}
        assert seen.error(ValueError).message == "too huge"
        with pytest.raises(AssertionError, match="2 spans are named 'order'"):
            seen.span("order")
        with pytest.raises(AssertionError, match="0 errors are of type 'KeyError'; there are: ValueError"):
            seen.error("KeyError")


def test_ids_count_up(app: App) -> None:
    """Spans have the ids 1, 2, 3, so that expectations can be written down."""
    with testing.capture() as seen:
        app.order("small")
        app.order("small")
    assert [span.context.span_id for span in seen.spans if span.context] == [1, 2]


def test_the_clock_stands_still() -> None:
    """A fixed clock moves only when told."""
    clock = testing.FixedClock(start_s=100.0)
    assert clock.time() == clock.time() == 100.0
    clock.advance(1.5)
    assert clock.time_ns() == 101_500_000_000


def test_the_fixture_is_there() -> None:
    """The module offers the fixture `obskit_capture` to whoever loads it as a plugin."""
    assert hasattr(testing, "obskit_capture")
