"""A policy is played over a whole day as moment by moment, only faster."""

from __future__ import annotations

import pytest

from obskit.engine.policy import Opened, PolicyMachine
from obskit.engine.replay import replay
from obskit.engine.series import MemorySource, Series

STEP = 30_000


def levels(values, **labels):
    pairs = [(i * STEP, float(value)) for i, value in enumerate(values) if value is not None]
    return Series({"__name__": "load", **labels}, [at for at, _ in pairs], [value for _, value in pairs])


def policy(query, duration="60s", interval="30s"):
    body = {"query": query, "duration": duration, "evaluationInterval": interval}
    return {"displayName": "Load", "conditions": [{"displayName": "c", "conditionPrometheusQueryLanguage": body}]}


SOURCE = MemorySource(
    [
        levels([1, 9, 9, 9, 1, 9, 9, 9, 9, 1] * 400, job="a"),
        levels([1, 1, None, 9, 9, 9, 9] * 500, job="b"),
        levels([5] * 3000, job="b", path="/x"),
    ]
)


@pytest.mark.parametrize(
    "query",
    [
        "load > 5",
        "sum by (job) (load) > 9",
        "avg_over_time(load[2m]) > 6",
        "load > on (job) group_left () load{path='/x'}",
        "topk(1, load) > 5",
        "load > 5 and load @ end() > 8",
        "absent(load{job='c'})",
        "vector(time()) > 60000",
    ],
)
def test_looking_ahead_changes_nothing(query):
    """Incidents are those of an evaluation at each moment by itself, also where the query fails at times."""
    machine, one_by_one = PolicyMachine(policy(query)), []
    problem = ""
    for at_ms in range(0, 4000 * STEP, STEP):
        try:
            events = machine.evaluate(at_ms, SOURCE, None)
        except Exception as error:
            problem, events = problem or str(error), []
        for event in events:
            one_by_one.append((at_ms, isinstance(event, Opened), event.incident.id))
    played = replay(policy(query), start_ms=0, end_ms=3999 * STEP, series=SOURCE)
    told = []
    for incident in played.incidents:
        told.append((incident.started_at_ms, True, incident.id))
        if incident.ended_at_ms is not None:
            told.append((incident.ended_at_ms, False, incident.id))
    assert sorted(told) == sorted(one_by_one)
    assert played.problem == problem
    assert len(played.moments) == 4000


def test_a_policy_that_cannot_be_read_says_so():
    """There is a problem and not one evaluation."""
    played = replay(policy("sum("), start_ms=0, end_ms=3_600_000)
    assert "does not parse" in played.problem
    assert played.moments == ()
