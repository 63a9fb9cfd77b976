"""The real Prometheus judges every alert of every pack that is PromQL: the same incidents, on the same series."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from obskit.engine.replay import replay
from obskit.engine.series import MemorySource
from obskit.packs.registry import pack_names
from obskit.testing import pack_tests
from obskit.testing.notation import written

_PROMQL = "conditionPrometheusQueryLanguage"


def by_policy(name):
    """The tests of a pack's PromQL policies, by the policy's id."""
    found = {}
    for test in pack_tests(name):
        if all(_PROMQL in condition for condition in test.document()["conditions"]):
            found.setdefault(test.policy_id, []).append(test)
    return found


PAIRS = [(name, policy_id) for name in pack_names() for policy_id in by_policy(name)]


def on_grid(item, every_ms):
    by_place = {at // every_ms: value for at, value in zip(item.times_ms, item.values, strict=True)}
    return written([by_place.get(place) for place in range(max(by_place) + 1)])


def quoted(labels):
    inner = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items() if name != "__name__")
    return f"{labels['__name__']}{{{inner}}}"


def open_at(played, at_ms):
    return [
        {"exp_labels": {name: value for name, value in each.labels.items() if name != "__name__"}}
        for each in played.incidents
        if each.started_at_ms <= at_ms and (each.ended_at_ms is None or at_ms < each.ended_at_ms)
    ]


def looked_at(played, step, end_ms):
    """The evaluations around each change, and a dozen between."""
    edges = {each.started_at_ms for each in played.incidents} | {each.ended_at_ms or 0 for each in played.incidents}
    near = {edge + offset for edge in edges for offset in (-step, 0, step)}
    spread = {index * (end_ms // step) // 12 * step for index in range(13)}
    return sorted(at for at in near | spread if 0 <= at <= end_ms)


def group(test, number):
    sources, outcome = test.sources(), test.run().outcome
    every_ms, series = sources.clock.every_ms, sources.everything()
    (condition,) = test.document()["conditions"]
    played = replay(test.document(), start_ms=0, end_ms=outcome.end_ms, series=MemorySource(series))
    assert played.problem == ""
    assert bool(played.incidents) == test.fires
    return {
        "name": f"{number} {test.says}",
        "interval": f"{every_ms}ms",
        "input_series": [{"series": quoted(item.labels), "values": on_grid(item, every_ms)} for item in series],
        "alert_rule_test": [
            {"eval_time": f"{at}ms", "alertname": "policy", "exp_alerts": open_at(played, at)}
            for at in looked_at(played, played.interval_ms, outcome.end_ms)
        ],
    }, condition[_PROMQL]


@pytest.mark.needs("prometheus")
@pytest.mark.parametrize(("name", "policy_id"), PAIRS, ids=str)
def test_prometheus_has_the_same_alerts_firing(name, policy_id, tmp_path):
    """Alert by alert, label by label, around every change."""
    groups = [group(test, number) for number, test in enumerate(by_policy(name)[policy_id])]
    rule = groups[0][1]
    rules = {"alert": "policy", "expr": rule["query"], "for": rule["duration"]}
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "g", "rules": [rules]}]}))
    tests = [each for each, _ in groups]
    whole = {"rule_files": ["rules.json"], "evaluation_interval": rule["evaluationInterval"], "tests": tests}
    (tmp_path / "test.json").write_text(json.dumps(whole))  # YAML reads JSON
    done = subprocess.run(
        ["promtool", "test", "rules", "test.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "GOGC": "400"},  # less work for Go's collector, as memory is no matter here
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
