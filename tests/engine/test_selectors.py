"""Filters that are selectors of SLOs, and groups by all labels of a resource."""

from __future__ import annotations

import pytest

from obskit.engine.reduce import reduce
from obskit.engine.selectors import parsed_filter, slo_metric, slo_selector
from obskit.engine.series import Point, TypedSeries
from obskit.errors import QueryError

SLO = "projects/p/services/s/serviceLevelObjectives/o"


@pytest.mark.parametrize(("window", "seconds"), [("3600s", 3600), ("60m", 3600), ("1h", 3600), ("3d", 259_200)])
def test_the_windows_of_selectors_are_the_same_in_any_unit(window, seconds):
    """A selector is the metric type of its own series."""
    found = parsed_filter(f'select_slo_burn_rate("{SLO}", "{window}")')
    assert found.metric_types() == (slo_metric("select_slo_burn_rate", SLO, seconds),)


def test_other_filters_are_parsed_as_ever():
    """With their mistakes."""
    assert slo_selector('metric.type="x"') is None
    assert parsed_filter('metric.type="x"').metric_types() == ("x",)
    with pytest.raises(QueryError):
        parsed_filter("select_slo_burn_rate(")


def series(host, zone, value):
    return TypedSeries(
        metric_type="up",
        metric_labels={"place": zone},
        resource_type="uptime_url",
        resource_labels={"host": host, "project_id": "p"},
        kind="GAUGE",
        value_type="BOOL",
        points=[Point(60_000, 60_000, value)],
    )


def test_a_star_groups_by_every_label_of_the_resource():
    """One group a host, whatever the place; the group has the host's labels."""
    rows = [series("a", "eu", 0.0), series("a", "us", 0.0), series("b", "eu", 1.0)]
    aggregation = {
        "perSeriesAligner": "ALIGN_NEXT_OLDER",
        "crossSeriesReducer": "REDUCE_COUNT_FALSE",
        "groupByFields": ["resource.label.*"],
    }
    found = {each.resource_labels["host"]: each for each in reduce(rows, aggregation)}
    assert {host: each.points[0].value for host, each in found.items()} == {"a": 2.0, "b": 0.0}
    assert found["a"].resource_labels == {"host": "a", "project_id": "p"}


def test_a_regular_expression_that_may_take_for_ever_is_refused():
    """Google runs RE2; here one filter would hold everything up."""
    with pytest.raises(QueryError, match=r"filter on resource\.labels\.zone: .*may take for ever"):
        parsed_filter('metric.type="x" AND resource.labels.zone=monitoring.regex.full_match("(a+)+")')
