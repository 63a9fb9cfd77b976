from __future__ import annotations

import re

import pytest

from obskit.catalog import METRICS, Kind, Route, metric_named, promql_name


@pytest.mark.parametrize(
    ("metric_type", "name"),
    [
        ("run.googleapis.com/request_latencies", "run_googleapis_com:request_latencies"),
        (
            "workload.googleapis.com/http.server.request.duration",
            "workload_googleapis_com:http_server_request_duration",
        ),
        ("custom.googleapis.com/a/b-c", "custom_googleapis_com:a_b_c"),
        ("prometheus.googleapis.com/http_requests_total/counter", "http_requests_total"),
        ("prometheus.googleapis.com/http.server.request.duration/histogram", "http_server_request_duration"),
    ],
)
def test_promql_names_follow_googles_mapping(metric_type, name):
    """The first slash becomes a colon, every other special character an underscore."""
    assert promql_name(metric_type) == name


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_keeps_the_platforms_limits(metric):
    """Names and labels are allowed on both routes; buckets ascend and are at most 200; caps are positive."""
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_:./]*", metric.name)
    assert len(metric.labels) <= 30
    assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.]*", label.name) and label.cap > 0 for label in metric.labels)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert len(metric.buckets) < 200
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)


def test_no_metric_carries_a_user_or_a_session():
    """People are in logs and spans, never in labels."""
    names = {label.name for metric in METRICS for label in metric.labels}
    assert not {name for name in names if "user.id" in name or "session" in name}


def test_names_are_unique_and_found():
    """A metric is found by its name; no two share one, on either route."""
    for route in Route:
        assert len({metric.metric_type(route) for metric in METRICS}) == len(METRICS)
    assert all(metric_named(metric.name) is metric for metric in METRICS)
