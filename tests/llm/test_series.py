"""The metrics of AI calls in cells of obskit's own, beside what the SDK makes of the same calls."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from obskit import catalog
from obskit.llm.series import series_of
from obskit.llm.usage import Usage
from obskit.signals import cells, metrics
from obskit.signals.providers import OwnMeterProvider

SEEN = (1_000, 0xB, 0xA)


@pytest.fixture
def sdk() -> Iterator[InMemoryMetricReader]:
    """Points go to the SDK until a test begins cells of its own; what was in force before is put back."""
    before, cells_before = metrics._provider, cells.current()
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    metrics.use_provider(provider)
    yield reader
    provider.shutdown()
    if before is not None:
        metrics.use_provider(before)
    cells._current = cells_before


def own() -> cells.Cells:
    return cells.begin(lambda: Resource({}), is_own=True)


def record(seed: int, calls: int) -> None:
    """Record random calls: the same for the same seed."""
    dice = random.Random(seed)
    for _ in range(calls):
        model, tier = dice.choice(("gemini-2.5-flash", "gpt-4o", "")), dice.choice((None, "free", "paid"))
        series = series_of(dice.choice(("chat", "embeddings")), "gcp.gemini", model, tier)
        used = Usage(
            input=dice.choice((0, 3, 70_000)),
            cached=dice.choice((0, 512)),
            cache_write=dice.choice((0, 9)),
            tool_use=dice.choice((0, 11)),
            output=dice.choice((0, 96, 1_024)),
            thinking=dice.choice((0, 48)),
            units=dice.choice(({}, {"images": 2, "seconds": 0.5})),
        )
        usage, error = dice.choice(((used, ""), (used, "503"), (None, "429"), (None, "")))
        cost_usd = None if usage is None else dice.choice((None, 0.0, dice.random()))
        seconds = dice.choice((None, dice.expovariate(0.2)))
        is_accounted = usage is not None or not error
        route = dice.choice(("", "/ask", "/draw"))
        series.tell((seconds, error, usage, cost_usd, is_accounted, route, dice.random() < 0.8, SEEN))
        if dice.random() < 0.3:
            series.first_chunk(dice.random(), None)
        if dice.random() < 0.2:
            series.retried("503", SEEN)


def points(data: Any) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return what each series says, by its metric and labels, with all that describes the metric."""
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = (metric.name, metric.unit, metric.description, type(metric.data).__name__)
                kind += (metric.data.aggregation_temporality, getattr(metric.data, "is_monotonic", None))
                for point in metric.data.data_points:
                    key = (*kind, scope.scope.name, scope.scope.version, *sorted(point.attributes.items()))
                    found[key] = _figures(point)
    return found


def _figures(point: Any) -> tuple[Any, ...]:
    if hasattr(point, "value"):
        return (type(point.value), pytest.approx(point.value))
    buckets = (tuple(point.bucket_counts), tuple(point.explicit_bounds), point.count)
    return (*buckets, pytest.approx(point.sum), point.min, point.max)


@pytest.mark.parametrize("seed", range(5))
def test_they_are_what_the_sdk_makes_of_them(sdk: InMemoryMetricReader, seed: int) -> None:
    """Names, units, labels, temporality, counts, sums, buckets, least and most of random calls are the SDK's."""
    record(seed, 400)
    theirs = points(sdk.get_metrics_data())
    ours = own()
    record(seed, 400)
    found = points(ours.added_to(None))
    assert len(theirs) > 100
    assert found == theirs


def test_too_many_models_share_a_cell(sdk: InMemoryMetricReader) -> None:
    """Beyond the label's cap everything is counted under `other`."""
    ours, cap = own(), next(label.cap for label in catalog.AI_COST.labels if label.name == "gen_ai.request.model")
    for number in range(cap + 30):
        series_of("chat", "openai", f"m{number}", None).tell((0.1, "", None, 1.0, True, "", True, None))
    found = {
        dict(key[8:]).get("gen_ai.request.model"): value
        for key, value in points(ours.added_to(None)).items()
        if key[0] == catalog.AI_COST.name
    }
    assert len(found) == cap + 1
    assert found[catalog.OTHER][1] == 30.0


def test_another_reader_sees_them_too(sdk: InMemoryMetricReader) -> None:
    """A reader that joins later has what is recorded from then on; obskit's own counts everything once."""
    own_reader, late = InMemoryMetricReader(), InMemoryMetricReader()
    provider = OwnMeterProvider(lambda: Resource({}), lambda: own_reader)
    metrics.use_provider(provider)
    ours = own()
    provider.when_shared = ours.share
    record(1, 50)
    provider.add_metric_reader(late)
    before = ours.added_to(None)
    record(2, 50)
    both = points(ours.added_to(own_reader.get_metrics_data()))
    provider.shutdown()
    fresh = own()
    record(2, 50)
    assert points(late.get_metrics_data()) == points(fresh.added_to(None))
    fresh = own()
    record(1, 50)
    assert points(before) == points(fresh.added_to(None))
    record(2, 50)
    assert both == points(fresh.added_to(None))


def test_an_exemplar_leads_to_the_calls_span(sdk: InMemoryMetricReader) -> None:
    """A call whose span is exported is the exemplar of its points, and no other one."""
    ours = own()
    series = series_of("chat", "openai", "gpt-4o", None)
    series.tell((0.1, "", None, 0.5, True, "", True, None))
    series.tell((0.2, "", None, 0.25, True, "", True, SEEN))
    (data,) = ours.added_to(None).resource_metrics[0].scope_metrics  # type: ignore[union-attr]
    found = {metric.name: metric.data.data_points[0].exemplars for metric in data.metrics}
    (exemplar,) = found[catalog.AI_COST.name]
    assert (exemplar.value, exemplar.time_unix_nano, exemplar.span_id, exemplar.trace_id) == (0.25, *SEEN)
    assert [each.value for each in found[catalog.AI_OPERATION_DURATION.name]] == [0.2]


def test_threads_lose_no_call(sdk: InMemoryMetricReader) -> None:
    """Eight threads record while another one reads."""
    ours = own()
    used = Usage(input=3, output=2)

    def run() -> None:
        for _ in range(1_000):
            series_of("chat", "openai", "gpt-4o", None).tell((0.1, "", used, 0.5, True, "", True, None))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ours.added_to(None)
    found = {key[0]: value for key, value in points(ours.added_to(None)).items()}
    assert found[catalog.AI_COST.name][1] == 4_000.0
    assert found[catalog.AI_OPERATION_DURATION.name][2] == 8_000
    assert found[catalog.AI_ROUTE_TOKENS.name] == (int, 40_000)


def test_a_number_that_is_none_is_passed_over(sdk: InMemoryMetricReader) -> None:
    """What is negative, infinite or no number makes no point, and harms no other."""
    ours = own()
    series = series_of("chat", "openai", "gpt-4o", None)
    for seconds in (-1.0, float("nan"), float("inf"), 0.5):
        series.tell((seconds, "", None, float("nan"), True, "", True, None))
    assert {key[0]: value[2] for key, value in points(ours.added_to(None)).items()} == {
        catalog.AI_OPERATION_DURATION.name: 1
    }
