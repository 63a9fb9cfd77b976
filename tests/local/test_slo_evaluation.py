"""SLOs of the local backend: their series, the policies on them, and their state."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from obskit.local.clock import Clock
from obskit.local.evaluate import Evaluator
from obskit.local.store import Descriptor, SeriesKey, Store
from obskit.queries.context import RenderContext
from obskit.resources import RatioSLI, ServiceLevelObjective, burn_rate_alerts

MINUTE = 60_000
SERVICE = "projects/p/services/shop"
SLO = f"{SERVICE}/serviceLevelObjectives/availability"
COUNT = 'metric.type="workload.googleapis.com/requests" AND resource.type="generic_task"'
OBJECTIVE = {
    "name": SLO,
    "displayName": "Availability",
    "goal": 0.99,
    "rollingPeriod": "86400s",
    "serviceLevelIndicator": {
        "requestBased": {
            "goodTotalRatio": {
                "badServiceFilter": f'{COUNT} AND metric.labels.code="500"',
                "totalServiceFilter": COUNT,
            }
        }
    },
}


def on(text, name="1"):
    return {
        "name": f"projects/p/alertPolicies/{name}",
        "displayName": "Burns",
        "combiner": "OR",
        "conditions": [
            {
                "displayName": "burn rate above 10",
                "conditionThreshold": {
                    "filter": text,
                    "comparison": "COMPARISON_GT",
                    "thresholdValue": 10,
                    "duration": "0s",
                },
            }
        ],
    }


class Told:
    """An in-memory notifier."""

    def __init__(self):
        self.told: list[str] = []

    def notify(self, incident, policy, *, state):
        self.told.append(f"{state} {policy['displayName']}")
        return 1


class Scene:
    def __init__(self):
        self.now_ms = 0
        self.store = Store(Clock(read_ms=lambda: self.now_ms))
        self.notifier = Told()
        self.evaluator = Evaluator(store=self.store, clock=self.store.clock, notifier=self.notifier, settle_s=0.0)
        self.totals = {"200": 0, "500": 0}

    def requests(self, at_ms, good, bad):
        """Export what two counters have counted so far."""
        for code, more in (("200", good), ("500", bad)):
            self.totals[code] += more
            key = SeriesKey("workload.googleapis.com/requests", (("code", code),), "generic_task", (("job", "shop"),))
            described = Descriptor(type="workload.googleapis.com/requests", kind="CUMULATIVE", value_type="INT64")
            self.store.metrics.put(key, described, [(0, at_ms, self.totals[code])])


@pytest.fixture
def scene():
    made = Scene()
    yield made
    made.store.close()


def test_a_policy_on_a_burn_rate_opens_and_closes(scene):
    """The incident is open while the window holds more errors than ten times the allowed share."""
    scene.store.objects.put(OBJECTIVE)
    scene.store.objects.put(on(f'select_slo_burn_rate("{SLO}", "600s")'))
    scene.evaluator.run_until(0)
    for minute in range(1, 60):
        bad = 100 if 20 <= minute < 25 else 0
        scene.requests(minute * MINUTE, 100 - bad, bad)
        scene.evaluator.run_until(minute * MINUTE)
    assert scene.notifier.told == ["open Burns", "closed Burns"]
    (row,) = scene.store.incidents.list()
    # Ten minutes of a hundred requests each: above ten times 1 % with the second minute of errors.
    assert row["started_at_ms"] == 21 * MINUTE
    assert row["ended_at_ms"] == 33 * MINUTE  # one minute of errors in ten is just 10, which is not above it
    assert row["threshold_value"] == 10


def test_the_workbooks_alerts_on_a_defined_slo(scene):
    """An hour of 3 % errors at a goal of 99.9 % is a burn rate of 30: the fast policy fires and closes, the slowest stays open."""
    objective = ServiceLevelObjective(
        id="available",
        service="shop",
        indicator=RatioSLI(bad=f'{COUNT} AND metric.labels.code="500"', total=COUNT),
        goal=0.999,
        rolling="30d",
    )
    context = RenderContext(project="p")
    name = "projects/p/services/shop/serviceLevelObjectives/available"
    scene.store.objects.put({**objective.to_dict(context), "name": name})
    for policy in burn_rate_alerts(objective):
        scene.store.objects.put({**policy.to_dict(context), "name": f"projects/p/alertPolicies/{policy.id}"})
    for minute in range(1, 440):
        bad = 30 if 300 <= minute < 420 else 0
        scene.requests(minute * MINUTE, 1000 - bad, bad)
        if minute >= 320:
            scene.evaluator.run_until(minute * MINUTE)
    found = {each["policy_name"].rpartition("/")[2]: each for each in scene.store.incidents.list()}
    # Above 14.4 in an hour after 29 minutes of a burn rate of 30; in five minutes no more, two minutes after the end.
    first = found["shop-available-burn-1h"]
    assert (first["started_at_ms"] // MINUTE, first["ended_at_ms"] // MINUTE) == (328, 422)
    assert found["shop-available-burn-3d"]["state"] == "open"


def test_an_slo_that_cannot_be_worked_out_is_told(scene):
    """The policy is shown as unsupported with the reason; one on an SLO that is not there as an error."""
    basic = {**OBJECTIVE, "serviceLevelIndicator": {"basicSli": {"availability": {}}}}
    scene.store.objects.put({"name": SERVICE, "custom": {}})
    scene.store.objects.put(basic)
    scene.store.objects.put(on(f'select_slo_burn_rate("{SLO}", "600s")'))
    scene.store.objects.put(on(f'select_slo_burn_rate("{SLO}x", "600s")', "2"))
    scene.evaluator.run_until(0)
    scene.evaluator.run_until(MINUTE)
    kind, missing = scene.evaluator.statuses()
    assert "custom" in kind["error"]
    assert "there is no SLO" in missing["error"]
    assert scene.notifier.told == []


def test_late_telemetry_changes_what_was_counted(scene):
    """Points that arrive long after their time are in the budget all the same."""
    scene.store.objects.put(OBJECTIVE)
    scene.now_ms = 60 * MINUTE
    scene.requests(60 * MINUTE, 100, 0)
    assert total_of(scene, 60 * MINUTE) == 100
    key = SeriesKey("workload.googleapis.com/requests", (("code", "500"),), "generic_task", (("job", "b"),))
    described = Descriptor(type="workload.googleapis.com/requests", kind="DELTA", value_type="INT64")
    scene.store.metrics.put(key, described, [(10 * MINUTE, 11 * MINUTE, 7)])
    assert total_of(scene, 60 * MINUTE) == 107


def test_a_point_of_a_wrong_clock_makes_no_others_late(scene):
    """What has settled is not counted anew for ever because of one point far in the future."""
    scene.now_ms = 60 * MINUTE
    described = Descriptor(type="custom.googleapis.com/other", kind="GAUGE", value_type="INT64")
    late = 10_000_000 * MINUTE
    scene.store.metrics.put(SeriesKey(described.type, (), "global", ()), described, [(late, late, 1)])
    scene.requests(59 * MINUTE, 100, 0)
    scene.requests(60 * MINUTE, 100, 0)
    assert scene.store.metrics.settled({"workload.googleapis.com/requests"}) == (50 * MINUTE, 0)


def total_of(scene, at_ms):
    return scene.store.series.read(SLO, at_ms, lambda objective: objective.budget(at_ms).total)


def test_nobody_counts_on_while_an_slo_is_read(scene):
    """What a page shows is of one moment, though policies are evaluated meanwhile; they wait for it."""
    scene.store.objects.put(OBJECTIVE)
    for minute in range(1, 10):
        scene.requests(minute * MINUTE, 100, 0)
    order = []

    def evaluate():
        order.append(total_of(scene, 2 * MINUTE))

    def look(objective):
        other = threading.Thread(target=evaluate)
        other.start()
        other.join(0.05)
        order.append(objective.budget(9 * MINUTE).total)
        return other

    scene.store.series.read(SLO, 9 * MINUTE, look).join()
    assert order == [900.0, 200.0]


def test_an_slo_that_is_just_met_is_not_violated(http, backend):
    """One bad event of ten at a goal of 90 % is what is allowed."""
    now = backend.clock.now_ms() // MINUTE * MINUTE
    service = http.post(f"/v3/projects/{backend.project}/services?serviceId=slo-met", {"custom": {}})
    ratio = {
        name: f'metric.type="workload.googleapis.com/met_{name[:3]}" AND resource.type="generic_task"'
        for name in ("badServiceFilter", "totalServiceFilter")
    }
    indicator = {"requestBased": {"goodTotalRatio": ratio}}
    body = {"goal": 0.9, "rollingPeriod": "86400s", "serviceLevelIndicator": indicator}
    slo = http.post(f"/v3/{service['name']}/serviceLevelObjectives?serviceLevelObjectiveId=met", body)["name"]
    for name, count in (("bad", 1), ("tot", 10)):
        described = Descriptor(type=f"workload.googleapis.com/met_{name}", kind="DELTA", value_type="INT64")
        key = SeriesKey(described.type, (), "generic_task", (("job", "b"),))
        backend.store.metrics.put(key, described, [(now - 2 * MINUTE, now - MINUTE, count)])
    (row,) = [each for each in http.get("/api/objectives")["objectives"] if each["name"] == slo]
    assert (row["state"], row["compliance"]) == ("ok", 0.9)
    assert http.call("DELETE", f"/v3/{service['name']}")[0] == 200


def test_over_http(http, backend):
    """The API lists the series of a selector, the UI draws them, and each SLO has a state."""
    now = backend.clock.now_ms() // MINUTE * MINUTE
    project = f"projects/{backend.project}"
    service = http.post(f"/v3/{project}/services?serviceId=slo-shop", {"displayName": "Shop", "custom": {}})
    body = {key: value for key, value in OBJECTIVE.items() if key != "name"}
    slo = http.post(f"/v3/{service['name']}/serviceLevelObjectives?serviceLevelObjectiveId=a", body)["name"]
    key = SeriesKey("workload.googleapis.com/requests", (("code", "500"),), "generic_task", (("job", "b"),))
    described = Descriptor(type="workload.googleapis.com/requests", kind="DELTA", value_type="INT64")
    backend.store.metrics.put(key, described, [(now - 2 * MINUTE, now - MINUTE, 5)])
    text = f'select_slo_burn_rate("{slo}", "3600s")'
    begin, end = (f"{backend_time(at)}" for at in (now - 10 * MINUTE, now))
    window = {"interval.startTime": begin, "interval.endTime": end}
    (found,) = http.get(f"/v3/{project}/timeSeries", filter=text, **window)["timeSeries"]
    assert [point["value"]["doubleValue"] for point in found["points"]] == [pytest.approx(100.0)] * 2
    asked = {"start_ms": now - 10 * MINUTE, "end_ms": now, "step_ms": MINUTE, "timeSeriesFilter": {"filter": text}}
    (drawn,) = http.post("/api/timeseries", asked)["series"]
    assert drawn["points"][-1] == [now, pytest.approx(100.0)]
    (row,) = [each for each in http.get("/api/objectives")["objectives"] if each["name"] == slo]
    assert (row["state"], row["total"], row["compliance"]) == ("violated", 5.0, 0.0)
    assert http.call("DELETE", f"/v3/{service['name']}")[0] == 200


def backend_time(at_ms):
    """Return a moment as the API spells it."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
