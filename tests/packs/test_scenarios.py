"""Scenarios: every chart and every card of a pack's dashboards has something to show, the same on every machine."""

from __future__ import annotations

from functools import lru_cache

import pytest

from obskit.catalog import AI_TOKENS, Kind, Metric, Route
from obskit.engine.promql import evaluate_range
from obskit.engine.series import Distribution
from obskit.local.store.metrics import Descriptor, MetricStore, SeriesKey
from obskit.packs import Signal, pack_named
from obskit.packs.registry import pack_names
from obskit.packs.scenarios import Bump, drawn
from obskit.queries import google
from obskit.queries.context import RenderContext
from obskit.queries.promql import role_of

CONTEXT = RenderContext(project="p")
HOUR_MS = 3_600_000
BEGIN_MS = 1_762_160_400_000
RESOURCE = {"service": "job", "instance": "task_id"}


def key_of(signal):
    metric = signal.metric
    if isinstance(metric, Metric):
        own = {metric.label_key(key, Route.GCP): value for key, value in signal.labels.items() if key not in RESOURCE}
        resource = {RESOURCE[key]: value for key, value in signal.labels.items() if key in RESOURCE}
        return SeriesKey(metric.metric_type(Route.GCP), pairs(own), "generic_task", pairs(resource))
    own = {key: value for key, value in signal.labels.items() if key in metric.labels}
    resource = {key: value for key, value in signal.labels.items() if key not in metric.labels}
    kind = signal.resource_type or next(iter(metric.resources), "global")
    return SeriesKey(metric.type, pairs(own), kind, pairs(resource))


def pairs(labels):
    return tuple(sorted(labels.items()))


@lru_cache(maxsize=2)
def store_of(name):
    """A store with the scenario's last hours, and when it ends."""
    scenario, store = pack_named(name).scenario, MetricStore("p")
    end_ms = BEGIN_MS + round(scenario.hours * HOUR_MS)
    for signal in scenario.signals:
        is_histogram = role_of(signal.metric) is Kind.HISTOGRAM
        own = isinstance(signal.metric, Metric)
        kind = ("GAUGE" if signal.metric.kind is Kind.GAUGE else "CUMULATIVE") if own else signal.metric.kind.upper()
        value = "DISTRIBUTION" if is_histogram else "DOUBLE"
        key = key_of(signal)
        points = (
            (
                each.start_ms,
                each.end_ms,
                Distribution(sum(each.counts), each.value, signal.bounds, each.counts) if is_histogram else each.value,
            )
            for each in drawn(signal, start_ms=BEGIN_MS, end_ms=end_ms, step_ms=60_000)
        )
        store.put(key, Descriptor(type=key.metric_type, kind=kind, value_type=value), points)
    return store, end_ms


def queries(name):
    """Yield the title and the query of every chart's line and of every card."""
    for dashboard in pack_named(name).example_objects().dashboards:
        for tile in dashboard.to_dict(CONTEXT)["mosaicLayout"]["tiles"]:
            widget = tile["widget"]
            sets = [*widget.get("xyChart", {}).get("dataSets", []), widget.get("scorecard", {})]
            for each in sets:
                if text := each.get("timeSeriesQuery", {}).get("prometheusQuery"):
                    yield f"{dashboard.id}: {widget['title']}", text


@pytest.mark.parametrize("name", pack_names())
def test_every_chart_has_something_to_show(name):
    """At some moment of the scenario's second half."""
    store, end_ms = store_of(name)
    middle = (BEGIN_MS + end_ms) // 2
    empty = {
        title
        for title, text in queries(name)
        if not evaluate_range(text, store, middle, end_ms, (end_ms - middle) // 6)
    }
    assert sorted(empty) == []


def test_a_signal_is_the_same_each_time():
    """Its noise is no chance."""
    signal = Signal(metric=google("run.googleapis.com/request_latencies"), level=3, median=200, swing=0.2)
    first, second = (
        [(each.end_ms, each.value, each.counts) for each in drawn(signal, start_ms=BEGIN_MS, end_ms=BEGIN_MS + HOUR_MS)]
        for _ in range(2)
    )
    assert first == second
    assert len(first) == 60
    assert sum(sum(counts) for _, _, counts in first) == pytest.approx(3 * 3600, rel=0.3)


def test_a_bump_comes_and_goes():
    """Full in its middle, nothing before and after; a gradual one stays."""
    bump, slope = Bump(at=0.5, lasts=0.2, level=3), Bump(at=0.5, lasts=0.2, level=3, is_gradual=True)
    assert [bump.weight(share) for share in (0.4, 0.6, 0.9)] == [0, 1, 0]
    assert [slope.weight(share) for share in (0.4, 0.9)] == [0, 1]
    assert 0.4 < slope.weight(0.6) < 0.6


def test_a_counter_only_grows():
    """Also where its rate falls."""
    signal = Signal(metric=AI_TOKENS, level=2, bumps=(Bump(at=0.5, level=0),))
    values = [each.value for each in drawn(signal, start_ms=BEGIN_MS, end_ms=BEGIN_MS + HOUR_MS)]
    assert values == sorted(values)
