"""The histogram of request durations, beside what the SDK makes of the same values."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from obskit import catalog
from obskit.signals import metrics
from obskit.signals.buckets import buckets
from obskit.signals.context import RequestState
from obskit.signals.durations import Durations
from obskit.signals.providers import OwnMeterProvider

LABELS = {"http.request.method": "GET", "http.route": "/a", "http.response.status_code": 200, "url.scheme": "http"}
VALUES = (0.0001, 0.005, 0.0051, 0.3, 0.3, 9.9, 10.0, 10.1, 500.0)


@pytest.fixture(
    params=[pytest.param(True, marks=pytest.mark.needs("native"), id="compiled"), pytest.param(False, id="python")]
)
def is_native(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    found = InMemoryMetricReader()
    provider = MeterProvider([found], shutdown_on_exit=False)
    metrics.use_provider(provider)
    yield found
    provider.shutdown()


def state(elapsed_s: float, *, sampled: bool = False) -> RequestState:
    request = RequestState("GET", "/a")
    request.elapsed_s, request.sampled = elapsed_s, sampled
    request.trace_id, request.span_id, request.start_ns = "a" * 32, "b" * 16, 1_000
    return request


def only(data: Any) -> Any:
    (metric,) = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
    return metric


def test_it_is_what_the_sdk_makes_of_it(reader: InMemoryMetricReader, is_native: bool):
    """Name, unit, bounds, buckets, count, sum, least and most are the SDK's."""
    own = Durations(lambda: Resource({}), is_own=True, is_native=is_native)
    theirs = Durations(lambda: Resource({}), is_own=False)
    for value in VALUES:
        own.cell(LABELS).record(state(value))
        theirs.cell(LABELS).record(state(value))
    ours, sdk = only(own.added_to(None)), only(reader.get_metrics_data())
    assert (ours.name, ours.unit, ours.description) == (sdk.name, sdk.unit, sdk.description)
    assert ours.data.aggregation_temporality == sdk.data.aggregation_temporality
    (mine,), (its,) = ours.data.data_points, sdk.data.data_points
    for field in ("count", "sum", "min", "max"):
        assert getattr(mine, field) == pytest.approx(getattr(its, field))
    assert tuple(mine.bucket_counts) == tuple(its.bucket_counts)
    assert tuple(mine.explicit_bounds) == tuple(its.explicit_bounds)
    assert dict(mine.attributes) == dict(its.attributes)


def test_points_are_added_to_the_providers(reader: InMemoryMetricReader, is_native: bool):
    """One snapshot holds both, in the scope that both belong to."""
    metrics.record(catalog.TELEMETRY_LOST, 1, {"obskit.signal": "spans", "obskit.reason": "x"})
    durations = Durations(lambda: Resource({}), is_own=True, is_native=is_native)
    durations.cell(LABELS).record(state(0.1))
    data = durations.added_to(reader.get_metrics_data())
    assert data is not None
    (resource,) = data.resource_metrics
    (scope,) = resource.scope_metrics
    assert {metric.name for metric in scope.metrics} == {"http.server.request.duration", "obskit.telemetry.lost"}


def test_another_reader_sees_them_too(is_native: bool):
    """A reader that joins later has what is recorded from then on, in its temporality; obskit's own counts once."""
    own_reader, late = InMemoryMetricReader(), InMemoryMetricReader({Histogram: AggregationTemporality.DELTA})
    provider = OwnMeterProvider(lambda: Resource({}), lambda: own_reader)
    metrics.use_provider(provider)
    durations = Durations(lambda: Resource({}), is_own=True, is_native=is_native)
    provider.when_shared = durations.share
    known = durations.cell(LABELS)
    known.record(state(0.1))
    provider.add_metric_reader(late)
    for expected in (2, 3):
        known.record(state(0.2))
        durations.cell({**LABELS, "http.route": "/b"}).record(state(0.3))
        theirs = only(late.get_metrics_data())
        assert theirs.data.aggregation_temporality is AggregationTemporality.DELTA
        assert sorted(point.count for point in theirs.data.data_points) == [1, 1]
        ours = only(durations.added_to(own_reader.get_metrics_data()))
        assert sorted(point.count for point in ours.data.data_points) == [expected - 1, expected]
    provider.shutdown()


def test_nothing_recorded_is_no_point(is_native: bool):
    """A snapshot without requests stays as it is."""
    durations = Durations(lambda: Resource({}), is_own=True, is_native=is_native)
    durations.cell(LABELS)
    assert durations.added_to(None) is None


def test_threads_lose_no_request(reader: InMemoryMetricReader, is_native: bool):
    """Eight threads record while another one reads."""
    durations = Durations(lambda: Resource({}), is_own=True, is_native=is_native)
    cell = durations.cell(LABELS)
    threads = [threading.Thread(target=lambda: [cell.record(state(0.1)) for _ in range(2_000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        durations.added_to(None)
    assert only(durations.added_to(None)).data.data_points[0].count == 16_000


def test_a_sampled_request_is_the_exemplar_of_its_bucket(reader: InMemoryMetricReader, is_native: bool):
    """The point leads to a trace that was exported, and only to such a one."""
    durations = Durations(lambda: Resource({}), is_own=True, is_native=is_native)
    durations.cell(LABELS).record(state(0.1))
    assert only(durations.added_to(None)).data.data_points[0].exemplars == []
    durations.cell(LABELS).record(state(0.3, sampled=True))
    (exemplar,) = only(durations.added_to(None)).data.data_points[0].exemplars
    assert (exemplar.value, exemplar.trace_id, exemplar.span_id) == (0.3, int("a" * 32, 16), int("b" * 16, 16))


def test_too_many_routes_share_a_cell(reader: InMemoryMetricReader, is_native: bool):
    """Beyond the label's cap everything is counted under `other`."""
    durations = Durations(lambda: Resource({}), is_own=True, is_native=is_native)
    cap = next(label.cap for label in catalog.HTTP_SERVER_DURATION.labels if label.name == "http.route")
    for number in range(cap + 50):
        durations.cell({**LABELS, "http.route": f"/r{number}"}).record(state(0.1))
    points = only(durations.added_to(None)).data.data_points
    assert len(points) == cap + 1
    assert [point.count for point in points if point.attributes["http.route"] == catalog.OTHER] == [50]


@pytest.mark.needs("native")
@given(st.lists(st.floats(), max_size=600))
def test_both_count_the_same(values: list[float]) -> None:
    """Whatever the numbers are, and also on a bound."""
    bounds = tuple(catalog.HTTP_SERVER_DURATION.buckets or ())
    ways = [buckets(bounds, is_native=True), buckets(bounds, is_native=False)]
    for value in (*values, *bounds):
        ours, reference = (way.add(value) for way in ways)
        assert ours is reference
        if ours:
            for way in ways:
                way.settle()
    for way in ways:
        way.settle()
    ours, reference = (way.figures() for way in ways)
    assert repr(ours) == repr(reference)


@pytest.mark.needs("native")
def test_what_is_no_number_is_refused() -> None:
    """And counts nothing."""
    compiled = buckets((1.0, 2.0), is_native=True)
    for odd in ("1", None, object(), 10**400):
        with pytest.raises((TypeError, OverflowError)):
            compiled.add(odd)  # type: ignore[arg-type]
    for bounds in (("1",), [1.0], None):
        with pytest.raises(TypeError):
            buckets(bounds, is_native=True)  # type: ignore[arg-type]
    assert compiled.figures() == ((0, 0, 0), 0.0, float("inf"), float("-inf"))
