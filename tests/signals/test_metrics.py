from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from obskit import catalog
from obskit.signals import metrics


@pytest.fixture
def reader() -> InMemoryMetricReader:
    reader = InMemoryMetricReader()
    metrics.use_provider(MeterProvider([reader], shutdown_on_exit=False))
    return reader


def points(reader: InMemoryMetricReader) -> list[Any]:
    data = reader.get_metrics_data()
    if data is None:
        return []
    return [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


def test_a_histogram_has_the_catalogs_buckets(reader: InMemoryMetricReader) -> None:
    """Points go into the bounds that the catalog names."""
    metrics.record(catalog.HTTP_SERVER_DURATION, 0.3, {"http.route": "/a"})
    assert points(reader)[0].explicit_bounds == catalog.HTTP_SERVER_DURATION.buckets


def test_values_beyond_a_labels_cap_are_counted_as_other(reader: InMemoryMetricReader) -> None:
    """Each label keeps as many values as its cap; every later one is `other`, and nothing is lost."""
    cap = next(label.cap for label in catalog.AI_TOKENS.labels if label.name == "user.tier")
    for number in range(cap + 40):
        for _ in range(2):
            metrics.record(catalog.AI_TOKENS, 1, {"user.tier": f"tier {number}"})
    found = {point.attributes["user.tier"]: point.value for point in points(reader)}
    assert len(found) == cap + 1
    assert found[catalog.OTHER] == 80
    assert sum(found.values()) == 2 * (cap + 40)


def test_a_label_that_is_not_in_the_catalog_is_left_out(reader: InMemoryMetricReader) -> None:
    """An unknown label never reaches a metric, whatever the caller passes."""
    metrics.record(catalog.AI_TOKENS, 1, {"user.id": "u-1", "user.tier": "free"})
    assert dict(points(reader)[0].attributes) == {"user.tier": "free"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "no number", None])
def test_what_is_no_number_is_passed_over(reader: InMemoryMetricReader, value: Any) -> None:
    """A bad value spoils no sum and raises nothing."""
    metrics.record(catalog.AI_COST, value, {})
    metrics.record(catalog.AI_COST, 1.5, {})
    assert points(reader)[0].value == 1.5


def test_bad_labels_are_harmless(reader: InMemoryMetricReader) -> None:
    """Unhashable, long and badly encoded values raise nothing."""
    metrics.record(catalog.AI_COST, 1, {"user.tier": ["a"]})  # type: ignore[dict-item]
    metrics.record(catalog.AI_COST, 1, {"user.tier": "x" * 5000})
    metrics.record(catalog.AI_COST, 1, {"user.tier": "a\ud800"})
    assert {len(str(point.attributes["user.tier"])) for point in points(reader)} == {200, 2}
