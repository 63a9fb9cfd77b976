"""The state of a policy over time, on PromQL conditions."""

from __future__ import annotations

import pytest

from obskit.engine.policy import Opened, PolicyMachine
from obskit.engine.series import MemorySource, Series
from obskit.errors import QueryError

STEP = 30_000
BASE = 1_760_000_040_000


def levels(name, values, **labels):
    """Return a gauge with one value every 30 s; None leaves one out."""
    pairs = [(BASE + i * STEP, float(value)) for i, value in enumerate(values) if value is not None]
    return Series({"__name__": name, **labels}, [at for at, _ in pairs], [value for _, value in pairs])


def condition(query, *, duration="0s", name="too high", **body):
    return {
        "displayName": name,
        "conditionPrometheusQueryLanguage": {"query": query, "duration": duration, "evaluationInterval": "30s"} | body,
    }


def policy(*conditions, **more):
    return {"name": "projects/p/alertPolicies/1", "displayName": "Load", "conditions": list(conditions)} | more


def story(document, source, steps):
    machine = PolicyMachine(document)
    told = []
    for step in range(steps):
        for event in machine.evaluate(BASE + step * STEP, source, None):
            sign = "+" if isinstance(event, Opened) else "-"
            told.append((step, sign + event.incident.labels.get("job", "")))
    return told


def test_each_series_of_the_result_is_an_incident():
    """The query's own comparison decides; a series that leaves the result closes its incident."""
    source = MemorySource([levels("load", [1, 9, 9, 1, 1], job="a"), levels("load", [1, 1, 9, 9, 1], job="b")])
    assert story(policy(condition("load > 5")), source, 5) == [(1, "+a"), (2, "+b"), (3, "-a"), (4, "-b")]


def test_the_duration_must_be_filled_without_a_break():
    """60 s are two intervals: violating at steps 1 and 2 is not enough, at 4, 5 and 6 it is."""
    source = MemorySource([levels("load", [1, 9, 9, 1, 9, 9, 9, 9], job="a")])
    assert story(policy(condition("load > 5", duration="60s")), source, 8) == [(6, "+a")]


def test_states_go_from_ok_over_pending_to_firing_and_back():
    """With the newest value, the threshold that the query compares with, and the count of open incidents."""
    source = MemorySource([levels("load", [1, 9, 9, 9, 1], job="a")])
    machine = PolicyMachine(policy(condition("(load) > (5)", duration="60s")))
    seen = []
    for step in range(5):
        machine.evaluate(BASE + step * STEP, source, None)
        status = machine.status()
        seen.append((status["state"], status["value"], status["threshold"], status["open"]))
    assert seen == [
        ("ok", None, 5.0, 0),
        ("pending", 9.0, 5.0, 0),
        ("pending", 9.0, 5.0, 0),
        ("firing", 9.0, 5.0, 1),
        ("ok", None, 5.0, 0),
    ]


def test_a_policy_may_be_evaluated_more_often_than_its_interval():
    """Nothing is measured before the interval has passed, so that the duration means what it says."""
    source = MemorySource([levels("load", [9] * 5, job="a")])
    machine = PolicyMachine(policy(condition("load > 5", duration="60s", evaluationInterval="60s")))
    assert machine.interval_ms == 60_000
    opened = [moment for moment in range(0, 120_001, 10_000) if machine.evaluate(BASE + moment, source, None)]
    assert opened == [60_000]


def test_labels_of_the_condition_are_added_to_the_incident():
    """They overwrite the series' own."""
    source = MemorySource([levels("load", [9], job="a")])
    machine = PolicyMachine(policy(condition("load > 5", labels={"team": "x", "job": "renamed"})))
    (event,) = machine.evaluate(BASE, source, None)
    assert {"team": "x", "job": "renamed"}.items() <= event.incident.labels.items()


TWO = MemorySource(
    [
        levels("load", [1, 9, 9, 9, 1], job="a"),
        levels("errors", [0, 0, 5, 5, 5], job="a"),
        levels("errors", [0, 5, 5, 0, 0], job="b"),
    ]
)
LOAD, ERRORS = condition("load > 5", name="load"), condition("errors > 2", name="errors")


@pytest.mark.parametrize(
    ("combiner", "expected"),
    [
        ("OR", [(1, "+a"), (1, "+b"), (2, "+a"), (3, "-b"), (4, "-a")]),
        ("AND", [(1, "+a"), (1, "+b"), (2, "+a"), (3, "-b"), (4, "-a"), (4, "-a")]),
        ("AND_WITH_MATCHING_RESOURCE", [(2, "+a"), (2, "+a"), (4, "-a"), (4, "-a")]),
    ],
)
def test_the_combiner_joins_conditions(combiner, expected):
    """OR: any; AND: all at once, on whatever resource; with matching resource: all on the same one."""
    assert story(policy(LOAD, ERRORS, combiner=combiner), TWO, 5) == expected


def test_a_disabled_policy_never_fires_and_one_without_the_field_does():
    """Unset means enabled."""
    source = MemorySource([levels("load", [9], job="a")])
    assert story(policy(condition("load > 5"), enabled=False), source, 1) == []
    assert story(policy(condition("load > 5"), enabled=True), source, 1) == [(0, "+a")]
    assert story(policy(condition("load > 5")), source, 1) == [(0, "+a")]


def test_an_invalid_policy_never_fires():
    """What the platform holds for invalid is in the state of an error, with its reason."""
    source = MemorySource([levels("load", [9], job="a")])
    machine = PolicyMachine(policy(condition("load > 5"), validity={"code": 3, "message": "metric is gone"}))
    assert machine.evaluate(BASE, source, None) == []
    assert machine.status()["state"] == "error"
    assert "metric is gone" in machine.status()["error"]


def test_a_failing_query_changes_no_incident():
    """The error is raised and shown; when the query works again, the incident is still the same."""
    good = [levels("load", [9] * 4, job="a"), levels("limit", [5] * 4, job="a")]
    machine = PolicyMachine(policy(condition("load > on (job) limit")))
    (opened,) = machine.evaluate(BASE, MemorySource(good), None)
    with pytest.raises(QueryError, match="several series"):
        machine.evaluate(BASE + STEP, MemorySource([*good, levels("limit", [5] * 4, job="a", b="2")]), None)
    assert (machine.status()["state"], machine.status()["open"]) == ("error", 1)
    assert machine.evaluate(BASE + 2 * STEP, MemorySource(good), None) == []
    assert machine.status()["state"] == "firing"
    (closed,) = machine.evaluate(BASE + 3 * STEP, MemorySource([]), None)
    assert closed.incident.id == opened.incident.id


def test_a_number_always_fires_as_in_prometheus():
    """A rule whose expression is a number has one result, whatever the number; a text is a mistake."""
    assert story(policy(condition("1 > bool 2")), MemorySource(), 1) == [(0, "+")]
    with pytest.raises(QueryError, match="text"):
        PolicyMachine(policy(condition('"a"'))).evaluate(BASE, MemorySource(), None)


def test_the_summary_is_a_sentence_with_value_threshold_and_series():
    """What a person reads in the notification."""
    source = MemorySource([levels("load", [9.25], job="a")])
    (event,) = PolicyMachine(policy(condition("load > 5"))).evaluate(BASE, source, None)
    assert event.incident.summary == "Load: too high has a value of 9.25, against a threshold of 5 for job=a."
