"""Metrics in the store: named as PromQL names them, found by filters, bounded."""

from __future__ import annotations

import pytest

from obskit.engine.promql import evaluate
from obskit.engine.series import Distribution, Matcher
from obskit.local.store import Descriptor, SeriesKey
from obskit.local.store.metrics import MetricStore
from obskit.queries import filters

LATENCY = "workload.googleapis.com/http.server.request.duration"
TASK = (("job", "shop"), ("location", ""), ("task_id", "i1"))
HOUR_MS = 3_600_000


def gauge(name: str = "custom.googleapis.com/load", kind: str = "GAUGE") -> Descriptor:
    return Descriptor(type=name, kind=kind, value_type="DOUBLE", unit="1")


def key(name: str = "custom.googleapis.com/load", labels=(), resource=TASK, kind: str = "generic_task") -> SeriesKey:
    return SeriesKey(name, tuple(labels), kind, tuple(resource))


def latencies(kind: str = "CUMULATIVE") -> Descriptor:
    return Descriptor(type=LATENCY, kind=kind, value_type="DISTRIBUTION", unit="s")


@pytest.fixture
def metrics() -> MetricStore:
    return MetricStore("p")


def named(metrics: MetricStore, name: str, *matchers: Matcher):
    return metrics.select([Matcher("__name__", "=", name), *matchers], 0, HOUR_MS)


def test_a_number_is_found_by_its_promql_name(metrics: MetricStore):
    """The first slash becomes a colon, and labels are those of metric and resource, project and resource type."""
    metrics.put(key(labels=[("colour", "red")]), gauge(), [(10, 10, 1.0), (20, 20, 2.0)])
    (found,) = named(metrics, "custom_googleapis_com:load")
    assert dict(found.labels) == {
        "__name__": "custom_googleapis_com:load",
        "project_id": "p",
        "monitored_resource": "generic_task",
        "job": "shop",
        "task_id": "i1",
        "colour": "red",
    }
    assert (list(found.times_ms), list(found.values)) == ([10, 20], [1.0, 2.0])


def test_a_metric_has_its_utf8_name_too(metrics: MetricStore):
    """The metric type itself is a name, and a label matches by its original spelling."""
    metrics.put(
        key("workload.googleapis.com/a.b", [("http.route", "/x")]), gauge("workload.googleapis.com/a.b"), [(1, 1, 5)]
    )
    query = '{"workload.googleapis.com/a.b", "http.route"="/x"}'
    (sample,) = evaluate(query, metrics, 1000)
    assert sample.value == 5
    assert evaluate(query.replace('"/x"', '"/y"'), metrics, 1000) == []
    assert metrics.names() == ["workload_googleapis_com:a_b"]


def test_a_prometheus_metric_is_just_its_name(metrics: MetricStore):
    """``prometheus.googleapis.com/NAME/KIND`` is NAME, with dots or with underscores."""
    metrics.put(
        key("prometheus.googleapis.com/a.b/counter"), gauge("prometheus.googleapis.com/a.b/counter"), [(1, 1, 5)]
    )
    assert len(named(metrics, "a_b")) == len(named(metrics, "a.b")) == 1


def test_a_distribution_is_three_series(metrics: MetricStore):
    """Buckets are cumulative up to +Inf; sum and count stand beside them."""
    value = Distribution(10, 0.5, (0.1, 1.0), (2, 7, 1))
    metrics.put(key(LATENCY), latencies(), [(0, 10, value)])
    name = "workload_googleapis_com:http_server_request_duration"
    assert {each.labels["le"]: each.values[0] for each in named(metrics, name + "_bucket")} == {
        "0.1": 2.0,
        "1": 9.0,
        "+Inf": 10.0,
    }
    assert named(metrics, name + "_sum")[0].values[0] == 5.0
    assert named(metrics, name + "_count")[0].values[0] == 10.0
    assert named(metrics, name) == []
    assert [each.labels["le"] for each in named(metrics, name + "_bucket", Matcher("le", "=", "+Inf"))] == ["+Inf"]
    assert [each.labels["le"] for each in named(metrics, name + "_bucket", Matcher("le", "!=", "+Inf"))] == ["0.1", "1"]


def test_buckets_survive_a_change_of_bounds(metrics: MetricStore):
    """A point that lacks a bound counts for it what it has below, so that no bucket falls behind a smaller one."""
    metrics.put(
        key(LATENCY),
        latencies(),
        [(0, 10, Distribution(3, 1.0, (1.0,), (2, 1))), (0, 20, Distribution(5, 1.0, (1.0, 2.0), (2, 2, 1)))],
    )
    found = named(metrics, "workload_googleapis_com:http_server_request_duration_bucket")
    assert {each.labels["le"]: list(each.values) for each in found} == {"1": [2, 2], "2": [2, 4], "+Inf": [3, 5]}


def test_a_delta_metric_is_a_counter_to_promql(metrics: MetricStore):
    """Its points add up, so that increase() gives what has happened; of a distribution's buckets too."""
    metrics.put(
        key(kind="generic_task"), gauge(kind="DELTA"), [(0, 60_000, 3), (60_000, 120_000, 4), (120_000, 180_000, 5)]
    )
    assert list(named(metrics, "custom_googleapis_com:load")[0].values) == [3, 7, 12]
    (cut,) = metrics.select([Matcher("__name__", "=", "custom_googleapis_com:load")], 100_000, HOUR_MS)
    assert list(cut.values) == [7, 12]
    value = Distribution(2, 0.5, (1.0,), (2, 0))
    metrics.put(key(LATENCY), latencies("DELTA"), [(0, 60_000, value), (60_000, 120_000, value)])
    (count,) = named(metrics, "workload_googleapis_com:http_server_request_duration_count")
    (bucket, _) = named(metrics, "workload_googleapis_com:http_server_request_duration_bucket")
    assert list(count.values) == list(bucket.values) == [2, 4]


def test_of_two_labels_of_one_name_the_resource_has_the_plain_one(metrics: MetricStore):
    """The metric's label is then ``metric_NAME``, as in Google's PromQL."""
    metrics.put(key(labels=[("job", "batch")]), gauge(), [(1, 1, 1)])
    (found,) = named(metrics, "custom_googleapis_com:load")
    assert (found.labels["job"], found.labels["metric_job"]) == ("shop", "batch")


def test_names_match_by_regular_expression_once(metrics: MetricStore):
    """The UTF-8 name is a second name of the same series, so that a pattern does not find it twice."""
    metrics.put(key(), gauge(), [(1, 1, 1)])
    assert len(metrics.select([Matcher("__name__", "=~", ".+")], 0, 10)) == 1


def test_a_filter_finds_typed_series(metrics: MetricStore):
    """By metric and resource type and labels, with the points after the start up to the end."""
    metrics.put(key(labels=[("colour", "red")]), gauge(), [(10, 10, 1.0), (20, 20, 2.0), (30, 30, 3.0)])
    metrics.put(key(labels=[("colour", "blue")]), gauge(), [(20, 20, 9.0)])
    text = 'metric.type="custom.googleapis.com/load" resource.type="generic_task" metric.labels.colour="red"'
    (found,) = metrics.list_series(filters.parse(text), 10, 20)
    assert [point.value for point in found.points] == [2.0]
    assert found.resource_labels["project_id"] == "p"
    assert (found.kind, found.value_type, found.unit) == ("GAUGE", "DOUBLE", "1")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('metric.type="custom.googleapis.com/a" OR metric.type=starts_with("other")', 2),
        ('NOT metric.type="custom.googleapis.com/a"', 2),
        ('metric.type=one_of("custom.googleapis.com/a","custom.googleapis.com/b")', 2),
        ('resource.type="generic_task"', 3),
        ('metric.type="custom.googleapis.com/a" AND metric.type="custom.googleapis.com/b"', 0),
    ],
)
def test_the_index_by_type_hides_nothing(metrics: MetricStore, text: str, count: int):
    """However a filter speaks of metric types, it finds what it would find without an index."""
    for name in ("custom.googleapis.com/a", "custom.googleapis.com/b", "other.googleapis.com/c"):
        metrics.put(key(name), gauge(name), [(1, 1, 1.0)])
    assert len(metrics.list_series(filters.parse(text), 0, 10)) == count


def test_a_late_point_is_put_in_its_place(metrics: MetricStore):
    """Made-up history can be loaded after newer points."""
    metrics.put(key(), gauge(), [(30, 30, 3.0), (10, 10, 1.0), (20, 20, 2.0)])
    assert list(named(metrics, "custom_googleapis_com:load")[0].values) == [1.0, 2.0, 3.0]
    assert metrics.last_interval(key()) == (30, 30)


def test_the_oldest_points_go_when_there_are_too_many():
    """Beyond its share of memory the store forgets the oldest points of its longest series, not the short ones."""
    metrics = MetricStore("p", most_bytes=24 * 1000)
    metrics.put(key("custom.googleapis.com/short"), gauge("custom.googleapis.com/short"), [(1, 1, 1.0)])
    metrics.put(key(), gauge(), [(at, at, float(at)) for at in range(5000)])
    (found,) = metrics.select([Matcher("__name__", "=", "custom_googleapis_com:load")], 0, HOUR_MS)
    assert 500 < len(found.values) <= 1000
    assert found.values[-1] == 4999
    assert len(named(metrics, "custom_googleapis_com:short")) == 1


def test_a_deleted_metric_is_gone(metrics: MetricStore):
    """With its descriptor go its series, under every name."""
    metrics.put(key(), gauge(), [(1, 1, 1.0)])
    assert metrics.forget("custom.googleapis.com/load")
    assert not metrics.forget("custom.googleapis.com/load")
    assert named(metrics, "custom_googleapis_com:load") == []
    assert len(metrics) == 0
    assert metrics.names() == []


def test_a_descriptor_gains_labels_and_keeps_its_kind(metrics: MetricStore):
    """What a descriptor says stays; labels that further series bring are added."""
    metrics.describe(Descriptor(type="custom.googleapis.com/a", kind="GAUGE", value_type="INT64", labels=("b",)))
    known = metrics.describe(
        Descriptor(type="custom.googleapis.com/a", kind="CUMULATIVE", value_type="DOUBLE", unit="s", labels=("a",))
    )
    assert known == Descriptor(
        type="custom.googleapis.com/a", kind="GAUGE", value_type="INT64", unit="s", labels=("a", "b")
    )
