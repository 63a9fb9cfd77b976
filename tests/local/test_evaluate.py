"""Policies are evaluated at every instant of the backend's clock, and incidents are told once."""

from __future__ import annotations

import pytest

from obskit.local.clock import Clock
from obskit.local.evaluate import Evaluator
from obskit.local.store import Descriptor, SeriesKey, Store

MINUTE = 60_000
POLICY = {
    "name": "projects/p/alertPolicies/1",
    "displayName": "Load",
    "severity": "WARNING",
    "combiner": "OR",
    "conditions": [
        {
            "name": "projects/p/alertPolicies/1/conditions/2",
            "displayName": "load above 1",
            "conditionPrometheusQueryLanguage": {
                "query": "custom_googleapis_com:load > 1",
                "duration": "60s",
                "evaluationInterval": "30s",
            },
        }
    ],
}


class Told:
    """An in-memory notifier."""

    def __init__(self):
        self.told: list[tuple[str, str, dict]] = []

    def notify(self, incident, policy, *, state):
        self.told.append((state, policy["displayName"], dict(incident)))
        return 1


class Scene:
    def __init__(self):
        self.now_ms = 0
        self.store = Store(Clock(read_ms=lambda: self.now_ms))
        self.notifier = Told()
        self.evaluator = Evaluator(store=self.store, clock=self.store.clock, notifier=self.notifier, settle_s=0.0)
        self.store.objects.put(POLICY)

    def load(self, at_ms, value):
        key = SeriesKey("custom.googleapis.com/load", (("host", "a"),), "generic_task", (("job", "shop"),))
        descriptor = Descriptor(type="custom.googleapis.com/load", kind="GAUGE", value_type="DOUBLE")
        self.store.metrics.put(key, descriptor, [(at_ms, at_ms, value)])

    @property
    def states(self):
        return [state for state, _, _ in self.notifier.told]


@pytest.fixture
def scene():
    made = Scene()
    yield made
    made.store.close()


def test_incident_opens_and_closes_once(scene):
    """A condition that holds for its duration opens one incident; when it ends, that one closes."""
    for minute in range(20):
        scene.load(minute * MINUTE, 5.0 if 5 <= minute < 10 else 0.0)
    scene.evaluator.run_until(0)
    scene.evaluator.run_until(20 * MINUTE)
    assert scene.states == ["open", "closed"]
    (stored,) = scene.store.incidents.list()
    assert stored["state"] == "closed"
    assert stored["started_at_ms"] == 6 * MINUTE
    assert stored["ended_at_ms"] == 10 * MINUTE
    assert stored["labels"]["job"] == "shop"
    assert stored["policy_display_name"] == "Load"
    assert stored["threshold_value"] == 1.0


def test_leap_of_the_clock_skips_no_instant(scene):
    """One late round finds the same incidents as many punctual ones."""
    for minute in range(30):
        scene.load(minute * MINUTE, 5.0 if minute % 10 in {3, 4, 5} else 0.0)
    scene.evaluator.run_until(0)
    count = scene.evaluator.run_until(30 * MINUTE)
    assert count == 60
    assert scene.states == ["open", "closed"] * 3
    starts = sorted(row["started_at_ms"] for row in scene.store.incidents.list())
    assert starts == [4 * MINUTE, 14 * MINUTE, 24 * MINUTE]


def test_changed_condition_cancels_the_incident(scene):
    """Changing what a policy measures closes its incident and says why; changing its text does not."""
    for minute in range(30):
        scene.load(minute * MINUTE, 5.0)
    scene.evaluator.run_until(0)
    scene.evaluator.run_until(5 * MINUTE)
    scene.store.objects.put({**POLICY, "documentation": {"content": "new text"}})
    scene.evaluator.run_until(6 * MINUTE)
    assert scene.states == ["open"]
    changed = {"query": "custom_googleapis_com:load > 2", "duration": "60s", "evaluationInterval": "30s"}
    condition = {**POLICY["conditions"][0], "conditionPrometheusQueryLanguage": changed}
    scene.store.objects.put({**POLICY, "conditions": [condition]})
    scene.evaluator.run_until(8 * MINUTE)
    scene.evaluator.run_until(10 * MINUTE)
    assert scene.states == ["open", "closed", "open"]
    assert "modified" in scene.notifier.told[1][2]["close_reason"]


def test_deleted_policy_closes_its_incident(scene):
    """An incident does not outlive its policy."""
    for minute in range(10):
        scene.load(minute * MINUTE, 5.0)
    scene.evaluator.run_until(0)
    scene.evaluator.run_until(5 * MINUTE)
    scene.store.objects.delete(POLICY["name"])
    scene.evaluator.run_until(6 * MINUTE)
    assert scene.states == ["open", "closed"]
    assert scene.evaluator.statuses() == []


def test_status_tells_the_state(scene):
    """The UI sees value, threshold, query and the time of the last evaluation."""
    for minute in range(10):
        scene.load(minute * MINUTE, 5.0)
    scene.evaluator.run_until(0)
    scene.evaluator.run_until(5 * MINUTE)
    (status,) = scene.evaluator.statuses()
    assert status["state"] == "firing"
    assert status["value"] == 5.0
    assert status["open_incidents"] == 1
    assert status["last_evaluated_ms"] == 5 * MINUTE
    assert status["query"] == "custom_googleapis_com:load > 1"
    assert status["enabled"] is True


def test_query_that_cannot_be_evaluated_is_told_not_fatal(scene):
    """A policy with a broken query is in the state error, and the others go on."""
    broken = {"query": "nope(", "evaluationInterval": "30s"}
    condition = {"displayName": "x", "conditionPrometheusQueryLanguage": broken}
    scene.store.objects.put({**POLICY, "name": "projects/p/alertPolicies/9", "conditions": [condition]})
    for minute in range(10):
        scene.load(minute * MINUTE, 5.0)
    scene.evaluator.run_until(0)
    scene.evaluator.run_until(5 * MINUTE)
    by_name = {status["name"]: status for status in scene.evaluator.statuses()}
    assert by_name["projects/p/alertPolicies/9"]["state"] == "error"
    assert by_name["projects/p/alertPolicies/9"]["error"]
    assert scene.states == ["open"]


def test_restart_closes_what_was_left_open(scene):
    """An incident that an earlier run left open is closed at the start, and its channels are told."""
    row = {
        "id": "old",
        "state": "open",
        "started_at_ms": 1,
        "policy_name": POLICY["name"],
        "policy_display_name": "Load",
    }
    scene.store.incidents.put(row)
    scene.evaluator.start()
    scene.evaluator.stop()
    assert scene.states == ["closed"]
    assert scene.store.incidents.get("old")["state"] == "closed"
