"""Conditions over filters: what each measures, on a source whose data the test moves along."""

from __future__ import annotations

from dataclasses import replace

import pytest

from obskit.engine.conditions import UnsupportedError
from obskit.engine.policy import Closed, Opened, PolicyMachine, condition_of
from obskit.engine.series import Point, TypedSeries
from obskit.errors import QueryError

MINUTE = 60_000
BASE = 1_760_000_040_000
FILTER = 'metric.type = "custom.googleapis.com/load" AND resource.type = "generic_task"'
TOTAL = 'metric.type = "custom.googleapis.com/total" AND resource.type = "generic_task"'


class Typed:
    """Typed series in memory."""

    def __init__(self, *series):
        self.series = series

    def list_series(self, filter, start_ms, end_ms):  # noqa: A002
        found = []
        for item in self.series:
            if filter.matches(item.metric_type, item.metric_labels, item.resource_type, item.resource_labels):
                points = [point for point in item.points if start_ms < point.end_ms <= end_ms]
                found.append(replace(item, points=points))
        return [item for item in found if item.points]


def load(values, *, job="a", name="load", kind="GAUGE", value_type="DOUBLE"):
    """Return a series with one value at each minute; None leaves a minute out."""
    points = [
        Point(BASE - MINUTE if kind == "CUMULATIVE" else BASE + i * MINUTE, BASE + i * MINUTE, value)
        for i, value in enumerate(values)
        if value is not None
    ]
    return TypedSeries(
        metric_type=f"custom.googleapis.com/{name}",
        metric_labels={},
        resource_type="generic_task",
        resource_labels={"job": job},
        kind=kind,
        value_type=value_type,
        points=points,
    )


def threshold(*, limit=10, duration="120s", aligner="ALIGN_MEAN", **body):
    return {
        "displayName": "high load",
        "conditionThreshold": {
            "filter": FILTER,
            "comparison": "COMPARISON_GT",
            "thresholdValue": limit,
            "duration": duration,
            "aggregations": [{"alignmentPeriod": "60s", "perSeriesAligner": aligner}],
        }
        | body,
    }


def policy(*conditions, **more):
    return {"name": "projects/p/alertPolicies/1", "displayName": "Load", "conditions": list(conditions)} | more


def story(document, source, minutes):
    """Return (minute, +1 or -1, job) of every incident that opens or closes, evaluating each minute."""
    machine = PolicyMachine(document)
    told = []
    for minute in range(minutes):
        for event in machine.evaluate(BASE + minute * MINUTE, None, source):
            sign = 1 if isinstance(event, Opened) else -1
            told.append((minute, sign, event.incident.labels.get("resource.labels.job", "")))
    return told


def test_an_incident_opens_after_the_duration_and_closes_with_the_first_value_that_is_fine():
    """Violating from minute 2 on: open at minute 4; fine at minute 6: closed."""
    assert story(policy(threshold()), Typed(load([1, 1, 20, 20, 20, 20, 1, 1])), 8) == [(4, 1, "a"), (6, -1, "a")]


def test_any_value_that_does_not_violate_resets_the_duration():
    """A dip at minute 3 makes the two minutes begin anew."""
    assert story(policy(threshold()), Typed(load([1, 20, 20, 1, 20, 20, 20])), 7) == [(6, 1, "a")]


def test_each_violating_series_has_its_own_incident():
    """Two of three jobs are too busy, at different times."""
    source = Typed(
        load([20] * 6, job="a"),
        load([1] * 6, job="b"),
        load([1, 20, 20, 20, 20, 1], job="c"),
    )
    assert story(policy(threshold()), source, 6) == [(2, 1, "a"), (3, 1, "c"), (5, -1, "c")]


def test_less_than_compares_the_other_way():
    """COMPARISON_LT violates below; equal never violates, either way."""
    below = threshold(comparison="COMPARISON_LT", duration="0s")
    assert story(policy(below), Typed(load([10, 9, 10])), 3) == [(1, 1, "a"), (2, -1, "a")]
    assert story(policy(threshold(duration="0s")), Typed(load([10, 11, 10])), 3) == [(1, 1, "a"), (2, -1, "a")]


def test_a_trigger_counts_series_that_have_violated_for_the_whole_duration():
    """With a count of 2, one job that is busy for long waits for the second to be."""
    source = Typed(load([20] * 8, job="a"), load([1, 1, 1, 20, 20, 20, 20, 1], job="b"))
    document = policy(threshold(trigger={"count": 2}))
    assert story(document, source, 8) == [(5, 1, "a"), (5, 1, "b"), (7, -1, "a"), (7, -1, "b")]


def test_a_trigger_may_be_a_share_of_the_series():
    """Half of three is two."""
    jobs = [load([1, 20, 20, 20], job="a"), load([1, 1, 20, 20], job="b"), load([1] * 4, job="c")]
    document = policy(threshold(duration="0s", trigger={"percent": 50}))
    assert story(document, Typed(*jobs), 4) == [(2, 1, "a"), (2, 1, "b")]


@pytest.mark.parametrize(
    ("treat", "expected"),
    [
        ("UNSPECIFIED", [(2, 1, "a")]),
        ("NO_OP", [(2, 1, "a")]),
        ("INACTIVE", [(2, 1, "a"), (4, -1, "a")]),
        ("ACTIVE", [(2, 1, "a")]),
    ],
)
def test_missing_data_of_an_open_incident_is_treated_as_asked(treat, expected):
    """Data stops at minute 3: the incident stays, unless missing data counts as fine."""
    document = policy(threshold(evaluationMissingData=f"EVALUATION_MISSING_DATA_{treat}"))
    assert story(document, Typed(load([20, 20, 20, 20])), 8) == expected


def test_missing_data_may_count_as_violating():
    """ACTIVE opens an incident when a healthy series goes silent; a series never seen is not missing."""
    document = policy(threshold(evaluationMissingData="EVALUATION_MISSING_DATA_ACTIVE"))
    assert story(document, Typed(load([1, 1, 1])), 8) == [(5, 1, "a")]
    assert story(document, Typed(), 8) == []


def test_a_forecast_violates_before_the_value_does():
    """A disk that fills by 1 in 10 minutes: above 40 at minute 400, seen an hour ahead, after two hours of training."""
    document = policy(threshold(limit=40, duration="0s", forecastOptions={"forecastHorizon": "3600s"}))
    rising = [minute / 10 for minute in range(420)]
    assert story(document, Typed(load(rising)), 420) == [(341, 1, "a")]
    assert story(document, Typed(load([35.0] * 420)), 420) == []


def test_a_forecast_needs_twice_its_horizon_of_the_past():
    """A steep rise in the first two hours is no forecast yet; what is there when evaluation begins counts."""
    document = policy(threshold(limit=40, duration="0s", forecastOptions={"forecastHorizon": "3600s"}))
    rising = [minute / 4 for minute in range(150)]
    assert story(document, Typed(load(rising)), 150) == [(119, 1, "a")]
    machine = PolicyMachine(document)
    assert len(machine.evaluate(BASE + 149 * MINUTE, None, Typed(load(rising)))) == 1


def test_a_noisy_forecast_follows_the_line_of_its_window():
    """What is older than twice the horizon is forgotten: a rise that has ended long ago is no threat."""
    document = policy(threshold(limit=40, duration="0s", forecastOptions={"forecastHorizon": "3600s"}))
    levels = [minute / 10 for minute in range(300)] + [30.0 + (minute % 2) for minute in range(300)]
    assert story(document, Typed(load(levels)), 600) == []


def test_an_incident_without_data_closes_by_itself():
    """After autoClose without data, half an hour here, the incident ends."""
    document = policy(threshold(duration="0s"), alertStrategy={"autoClose": "1800s"})
    assert story(document, Typed(load([20, 20])), 40) == [(0, 1, "a"), (31, -1, "a")]


def test_a_ratio_is_compared():
    """6 of 10 errors are more than half; without requests there is nothing to compare."""
    errors, total = [0, 6, 12, 12, 12], [10, 20, 30, 30, 40]
    document = policy(
        threshold(
            limit=0.5,
            duration="0s",
            aligner="ALIGN_DELTA",
            denominatorFilter=TOTAL,
            denominatorAggregations=[{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_DELTA"}],
        )
    )
    options = {"kind": "CUMULATIVE", "value_type": "INT64"}
    source = Typed(load(errors, **options), load(total, name="total", **options))
    assert story(document, source, 5) == [(1, 1, "a"), (4, -1, "a")]


def test_groups_are_compared_as_one():
    """Two jobs of 6 are 12 together."""
    aggregation = {
        "alignmentPeriod": "60s",
        "perSeriesAligner": "ALIGN_MEAN",
        "crossSeriesReducer": "REDUCE_SUM",
    }
    source = Typed(load([6, 6], job="a"), load([6, 6], job="b"))
    assert story(policy(threshold(duration="60s", aggregations=[aggregation])), source, 2) == [(1, 1, "")]


def test_absence_is_of_series_that_were_there():
    """Data until minute 2, absent for two minutes from minute 3 on; back at minute 9."""
    absent = {
        "displayName": "gone",
        "conditionAbsent": {
            "filter": FILTER,
            "duration": "120s",
            "aggregations": [{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_COUNT"}],
        },
    }
    source = Typed(load([1, 1, 1, None, None, None, None, None, None, 1]), load([1] * 10, job="b"))
    assert story(policy(absent), source, 10) == [(5, 1, "a"), (9, -1, "a")]
    assert story(policy(absent), Typed(), 10) == []


def test_values_that_are_distributions_are_refused():
    """They need a percentile first."""
    from obskit.engine.series import Distribution

    item = load([Distribution(1, 1.0, (1.0,), (1, 0))], value_type="DISTRIBUTION", kind="DELTA")
    machine = PolicyMachine(policy(threshold(aligner="ALIGN_SUM")))
    with pytest.raises(QueryError, match="distributions"):
        machine.evaluate(BASE, None, Typed(item))
    assert machine.status()["state"] == "error"


@pytest.mark.parametrize(
    ("condition", "kind", "problem"),
    [
        ({"displayName": "x", "conditionMatchedLog": {}}, QueryError, "has no filter"),
        ({"displayName": "x", "conditionMatchedLog": {"filter": "a="}}, QueryError, "a value is needed"),
        ({"displayName": "x", "conditionSql": {}}, UnsupportedError, "only Google runs"),
        ({"displayName": "x", "conditionMonitoringQueryLanguage": {}}, UnsupportedError, "Rewrite it in PromQL"),
        ({"displayName": "x"}, UnsupportedError, "empty condition"),
        (threshold(forecastOptions={"forecastHorizon": "1h"}), QueryError, "'1h' is not a duration"),
        (threshold(filter="metric.type"), QueryError, "column"),
        (threshold(denominatorFilter="nonsense"), QueryError, "column"),
        (threshold(comparison="COMPARISON_GE"), QueryError, "COMPARISON_GT or COMPARISON_LT"),
        (threshold(duration="5m"), QueryError, "'5m' is not a duration"),
        (threshold(aggregations=[{"alignmentPeriod": "1h"}]), QueryError, "number of seconds"),
        ({"conditionPrometheusQueryLanguage": {"query": "sum("}}, QueryError, "does not parse"),
    ],
)
def test_what_cannot_be_evaluated_is_said_when_the_policy_is_read(condition, kind, problem):
    """Unsupported kinds are told from mistakes, both with a reason; the machine reports them as its state."""
    with pytest.raises(kind, match=problem):
        condition_of(condition)
    machine = PolicyMachine(policy(condition))
    assert machine.status()["state"] == ("unsupported" if kind is UnsupportedError else "error")
    assert machine.evaluate(BASE, None, Typed()) == []


def test_closing_says_when_and_keeps_its_identity():
    """The closed incident is the opened one with an end; ids are the same in every run."""
    runs = []
    for _ in range(2):
        machine = PolicyMachine(policy(threshold(duration="0s")))
        source = Typed(load([20, 20, 1]))
        runs.append([event for i in range(3) for event in machine.evaluate(BASE + i * MINUTE, None, source)])
    opened, closed = runs[0]
    assert isinstance(opened, Opened)
    assert isinstance(closed, Closed)
    assert opened.incident.id == closed.incident.id
    assert (closed.incident.started_at_ms, closed.incident.ended_at_ms) == (BASE, BASE + 2 * MINUTE)
    assert (opened.incident.value, opened.incident.threshold) == (20.0, 10.0)
    assert [event.incident.id for event in runs[0]] == [event.incident.id for event in runs[1]]
