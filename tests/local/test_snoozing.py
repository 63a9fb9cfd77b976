"""Snoozes keep the notifications of their policies back for their time, and no longer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from obskit.local.clock import Clock
from obskit.local.evaluate import Evaluator
from obskit.local.notify import Notifier
from obskit.local.snoozing import snooze_of
from obskit.local.store import Descriptor, SeriesKey, Store

MINUTE = 60_000
POLICY = {
    "name": "projects/p/alertPolicies/1",
    "displayName": "Load",
    "combiner": "OR",
    "notificationChannels": ["projects/p/notificationChannels/1"],
    "conditions": [
        {
            "displayName": "load above 1",
            "conditionThreshold": {
                "filter": 'metric.type="custom.googleapis.com/load" AND resource.type="generic_task"',
                "comparison": "COMPARISON_GT",
                "thresholdValue": 1,
                "duration": "0s",
            },
        }
    ],
}


def snooze(begin, end, *, text="", policies=(POLICY["name"],), name="1"):
    times = [f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%dT%H:%M:%SZ}" for minute in (begin, end)]
    criteria = {"policies": list(policies), **({"filter": text} if text else {})}
    return {
        "name": f"projects/p/snoozes/{name}",
        "displayName": "Migration",
        "criteria": criteria,
        "interval": {"startTime": times[0], "endTime": times[1]},
    }


class Scene:
    """A backend's evaluation with an inbox, on a clock of its own."""

    def __init__(self):
        self.store = Store(Clock(read_ms=lambda: 0))
        self.store.objects.put({"name": "projects/p/notificationChannels/1", "type": "email", "displayName": "Ops"})
        self.store.objects.put(POLICY)
        self.notifier = Notifier(
            project="p",
            find_channel=self.store.objects.get,
            record=self.store.notifications.put,
            now_ms=lambda: 0,
            incident_url=str,
        )
        self.evaluator = Evaluator(store=self.store, clock=self.store.clock, notifier=self.notifier, settle_s=0.0)

    def play(self, first, last, minutes=20):
        """Run with a load that is high from one minute to another."""
        key = SeriesKey("custom.googleapis.com/load", (), "generic_task", (("job", "shop"),))
        described = Descriptor(type="custom.googleapis.com/load", kind="GAUGE", value_type="DOUBLE")
        self.evaluator.run_until(0)
        for minute in range(1, minutes + 1):
            value = 5.0 if first <= minute <= last else 0.0
            self.store.metrics.put(key, described, [(minute * MINUTE, minute * MINUTE, value)])
            self.evaluator.run_until(minute * MINUTE)
        assert self.notifier.drain(10)
        found = [(each["state"], each["error"]) for each in self.store.notifications.list()]
        return sorted(found, key=lambda each: (each[0] != "open", not each[1]))


@pytest.fixture
def scene():
    made = Scene()
    yield made
    assert made.notifier.close()
    made.store.close()


KEPT = 'not sent: snoozed by "Migration"'


def test_an_incident_within_a_snooze_is_not_told(scene):
    """It opens and closes, marked as snoozed; its notifications stay in the inbox with the reason."""
    scene.store.objects.put(snooze(3, 15))
    assert scene.play(5, 10) == [("open", KEPT), ("closed", KEPT)]
    (row,) = scene.store.incidents.list()
    assert (row["state"], row["snooze"]["display_name"], row["snooze"]["end_ms"]) == (
        "closed",
        "Migration",
        15 * MINUTE,
    )


def test_an_incident_that_outlasts_its_snooze_is_told_then(scene):
    """When the snooze is over, who is on call hears of what is still open, and of its end."""
    scene.store.objects.put(snooze(3, 8))
    assert scene.play(5, 10) == [("open", KEPT), ("open", ""), ("closed", "")]


def test_a_snooze_that_is_over_or_about_others_keeps_nothing_back(scene):
    """Its interval, its policies and its filter all have to fit."""
    scene.store.objects.put(snooze(0, 3))
    scene.store.objects.put(snooze(0, 20, policies=["projects/p/alertPolicies/2"], name="2"))
    scene.store.objects.put(snooze(0, 20, text='resource.labels.job="chat"', name="3"))
    assert scene.play(5, 10) == [("open", ""), ("closed", "")]


def test_a_filter_picks_incidents(scene):
    """A label of the incident's resource decides."""
    scene.store.objects.put(snooze(0, 20, text='resource.labels.job="shop"'))
    assert scene.play(5, 10) == [("open", KEPT), ("closed", KEPT)]


def test_a_policy_that_changes_within_a_snooze_is_not_told_either(scene):
    """Cancelling an incident that nobody has heard of is kept back as well."""
    scene.store.objects.put(snooze(0, 30))
    scene.play(5, 20)
    scene.store.objects.delete(POLICY["name"])
    scene.evaluator.run_until(21 * MINUTE)
    assert scene.notifier.drain(10)
    assert {each["error"] for each in scene.store.notifications.list()} == {KEPT}


def test_labels_of_promql_may_be_filtered_as_the_resources(scene):
    """PromQL's series do not say which labels are the resource's."""
    scene.store.objects.put(snooze(0, 20, text='resource.labels.job="shop"'))
    incident = {"policy_name": POLICY["name"], "labels": {"job": "shop"}}
    assert snooze_of(scene.store.objects, incident, MINUTE)["name"] == "projects/p/snoozes/1"
    assert snooze_of(scene.store.objects, incident, 20 * MINUTE) is None


@pytest.mark.parametrize(("text", "told"), [("zone=", "invalid value"), ('metric.type="x"', "only compare labels")])
def test_filters_that_a_snooze_cannot_have_are_refused(http, backend, text, told):
    """Only labels with their values are allowed."""
    body = {
        "displayName": "s",
        "criteria": {"policies": ["projects/x/alertPolicies/1"], "filter": text},
        "interval": {"startTime": "2100-01-01T00:00:00Z", "endTime": "2100-01-02T00:00:00Z"},
    }
    status, document, _ = http.call("POST", f"/v3/projects/{backend.project}/snoozes", body)
    assert status == 400
    assert told in document["error"]["message"]


@pytest.mark.parametrize(
    ("path", "interval", "told"),
    [
        ("start", {}, "interval.start_time is required"),
        ("end", {}, "interval.end_time is required"),
        ("start", {"startTime": "2001-01-01T00:00:00Z"}, "cannot be in the past"),
        ("end", {"endTime": "2099-01-01T00:00:00Z"}, "must be after its start"),
    ],
    ids=["no-start", "no-end", "past", "before"],
)
def test_a_change_may_not_break_the_interval(http, backend, path, interval, told):
    """What is taken away or wrong is refused, and the snooze stays as it was."""
    project = f"projects/{backend.project}"
    policy = http.post(
        f"/v3/{project}/alertPolicies", {key: POLICY[key] for key in ("displayName", "combiner", "conditions")}
    )
    times = {"startTime": "2100-01-01T00:00:00Z", "endTime": "2100-01-02T00:00:00Z"}
    body = {"displayName": "s", "criteria": {"policies": [policy["name"]]}, "interval": times}
    made = http.post(f"/v3/{project}/snoozes", body)
    changed = {"name": made["name"], "interval": interval}
    status, document, _ = http.call("PATCH", f"/v3/{made['name']}?updateMask=interval.{path}Time", changed)
    assert (status, told in document["error"]["message"]) == (400, True), document
    assert http.get(f"/v3/{made['name']}")["interval"] == times
    assert http.call("DELETE", f"/v3/{policy['name']}")[0] == 200


def test_a_mask_that_is_none_is_told(http, backend):
    """Over REST it has the fields' names of JSON."""
    name = f"projects/{backend.project}/snoozes/1"
    status, document, _ = http.call("PATCH", f"/v3/{name}?updateMask=display_name", {"displayName": "t"})
    assert (status, "updateMask=display_name" in document["error"]["message"]) == (400, True)
