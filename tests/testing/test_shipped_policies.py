"""Every shipped policy is shown firing and silent, on both routes, and Prometheus agrees with each evaluation."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from obskit.alerts import AlertPolicy
from obskit.catalog import Route
from obskit.engine.replay import replay
from obskit.engine.series import MemorySource, Series
from obskit.sync.load import load
from obskit.testing.finding import untested
from obskit.testing.notation import written

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

_spec = importlib.util.spec_from_file_location("shipped", HERE / "shipped.py")
shipped = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(shipped)

TESTS = shipped.ready_tests()
POLICIES = sorted(
    {
        test.policy_id
        for test in TESTS.values()
        if all("conditionPrometheusQueryLanguage" in each for each in test.document()["conditions"])
    }
)
VARIATIONS = 6


def test_each_shipped_policy_is_shown_firing_and_silent():
    """A ready-made policy without two tests fails the build."""
    policies = shipped.policies()
    assert len(policies) >= 20
    assert [str(each) for each in untested(policies, list(TESTS.values()))] == []


def test_each_policy_of_this_projects_own_is_too():
    """What `alerts/` defines is made by the same functions, and tested under the same ids."""
    loaded = load([ROOT / "alerts"])
    policies = [each for each in loaded.definitions if isinstance(each, AlertPolicy)]
    assert len(policies) >= 5
    assert [str(each) for each in untested(policies, list(TESTS.values()))] == []


def test_a_policy_without_tests_is_told():
    """Both halves are asked for, with what to write."""
    policy = shipped.made(shipped.makers()["latency_p95"])
    problems = untested([policy], [])
    assert [each.problem for each in problems] == ["no test in which it fires", "no test in which it stays silent"]
    assert problems[0].way_out == "Add AlertTest(…).is_open(…) for policy 'latency-p95'"


@pytest.mark.parametrize("name", TESTS)
def test_it_does_the_same_on_the_other_route(name):
    """Metrics that come by OTLP have other names, and the policy follows; pytest runs the tests themselves on gcp."""
    TESTS[name].check(Route.OTLP)


# --------------------------------------------------------------------------- the real Prometheus


def varied(series, every_ms, chance):
    """Return series that are alike, with gaps, restarts, other sizes and other beginnings."""
    found = []
    for item in series:
        factor, shift = chance.choice([0.3, 0.9, 1, 1.1, 3]), chance.choice([0, 0, 1, 7])
        gap = chance.randrange(len(item.times_ms) + 1)
        width = chance.choice([0, 0, 1, 3, 20])
        reset = chance.choice([None, None, chance.randrange(len(item.times_ms) + 1)])
        times, values, lost = [], [], 0.0
        for place, (at, value) in enumerate(zip(item.times_ms, item.values, strict=True)):
            if place == reset:
                lost = value
            if not gap <= place < gap + width:
                times.append(at + shift * every_ms)
                values.append(round((value - lost) * factor, 6))
        if times:
            found.append(Series(item.labels, times, values))
    return found


def cases(policy_id):
    """Yield what each test of a policy gives and for how long: as it stands, and varied."""
    for name, test in TESTS.items():
        if test.policy_id != policy_id:
            continue
        sources = test.sources()
        series = sources.everything()
        outcome = test.run().outcome
        end_ms = outcome.end_ms
        yield name, test, series, end_ms
        evaluations = end_ms // outcome.replay.interval_ms
        for number in range(VARIATIONS if evaluations < 500 else int(test.fires)):
            chance = random.Random(f"{name} {number}")
            yield f"{name} varied {number}", test, varied(series, sources.clock.every_ms, chance), end_ms


def open_at(played, at_ms):
    rows = [
        {name: value for name, value in each.labels.items() if name != "__name__"}
        for each in played.incidents
        if each.started_at_ms <= at_ms and (each.ended_at_ms is None or at_ms < each.ended_at_ms)
    ]
    return sorted(rows, key=repr)


def looked_at(played, step, end_ms):
    """The evaluations around each change, and some between."""
    edges = {each.started_at_ms for each in played.incidents} | {each.ended_at_ms or 0 for each in played.incidents}
    near = {edge + offset for edge in edges for offset in (-step, 0, step)}
    spread = {index * (end_ms // step) // 24 * step for index in range(25)}
    return sorted(at for at in near | spread if 0 <= at <= end_ms)


def quoted(labels):
    inner = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items() if name != "__name__")
    return f"{labels['__name__']}{{{inner}}}"


def on_grid(item, every_ms):
    by_place = {at // every_ms: value for at, value in zip(item.times_ms, item.values, strict=True)}
    return written([by_place.get(place) for place in range(max(by_place) + 1)])


@pytest.mark.needs("prometheus")
@pytest.mark.parametrize("policy_id", POLICIES)
def test_prometheus_has_the_same_alerts_firing(policy_id, tmp_path):
    """On each test's series and on variations of them, alert by alert, label by label, around every change."""
    groups, rule, fired = [], None, 0
    for name, test, series, end_ms in cases(policy_id):
        document = test.document()
        (condition,) = document["conditions"]
        rule = condition["conditionPrometheusQueryLanguage"]
        played = replay(document, start_ms=0, end_ms=end_ms, series=MemorySource(series))
        assert played.problem == ""
        fired += len(played.incidents)
        every_ms = test.sources().clock.every_ms
        groups.append(
            {
                "name": name,
                "interval": f"{every_ms}ms",
                "input_series": [{"series": quoted(item.labels), "values": on_grid(item, every_ms)} for item in series],
                "alert_rule_test": [
                    {
                        "eval_time": f"{at}ms",
                        "alertname": "policy",
                        "exp_alerts": [{"exp_labels": labels} for labels in open_at(played, at)],
                    }
                    for at in looked_at(played, played.interval_ms, end_ms)
                ],
            }
        )
    assert fired
    rules = {"alert": "policy", "expr": rule["query"], "for": rule["duration"]}
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "g", "rules": [rules]}]}))
    whole = {"rule_files": ["rules.json"], "evaluation_interval": rule["evaluationInterval"], "tests": groups}
    (tmp_path / "test.json").write_text(json.dumps(whole))  # YAML reads JSON
    done = subprocess.run(
        ["promtool", "test", "rules", "test.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "GOGC": "400"},  # less work for Go's collector, as memory is no matter here
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
