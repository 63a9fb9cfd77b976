"""The alerts of jobs and of providers on the virtual clock: they fire when they should, and only then."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from obskit.alerts import endpoint_down, missed_backup, missed_job, provider_down
from obskit.catalog import JOB_LAST_SUCCESS, PROVIDER_STATUS, Route, promql_name
from obskit.engine.policy import Opened, PolicyMachine
from obskit.engine.series import MemorySource, Series
from obskit.errors import DefinitionError
from obskit.queries.context import RenderContext

START_MS = 1_760_000_400_000
MINUTE, HOUR = 60_000, 3_600_000


def open_at(policy, series, until_ms, route=Route.GCP):
    """Return the offsets in milliseconds at which an incident was open."""
    machine = PolicyMachine(
        {"name": "projects/p/alertPolicies/1"} | policy.to_dict(RenderContext(project="p", route=route))
    )
    source, opened, found = MemorySource(series), set(), []
    for offset in range(0, until_ms + 1, machine.interval_ms):
        for event in machine.evaluate(START_MS + offset, source, None):
            (opened.add if isinstance(event, Opened) else opened.discard)(event.incident.id)
        if opened:
            found.append(offset)
    return found


def successes(job, at_hours, *, alive_hours=0, route=Route.GCP):
    """Return what processes export that succeed at these hours, each living on for some hours."""
    made = []
    for number, hour in enumerate(at_hours):
        at_ms = START_MS + hour * HOUR
        times = [at_ms + step * MINUTE for step in range(alive_hours * 60 + 1)]
        labels = {"obskit_job_name": job, "job": "cron", "task_id": str(number)}
        name = promql_name(JOB_LAST_SUCCESS.metric_type(route))
        made.append(Series({"__name__": name, **labels}, times, [at_ms / 1000.0] * len(times)))
    return made


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("alive_hours", [0, 1, 200], ids=["script", "short", "worker"])
def test_a_missed_backup_fires_after_26_hours_and_not_before(alive_hours, route):
    """Daily successes are silent; the day one is missed, it fires at 26 h, whether or not the process lives on."""
    series = successes("backup", [-2, 22, 46, 118], alive_hours=alive_hours, route=route)
    opened = open_at(missed_backup(), series, 130 * HOUR, route)
    assert opened[0] == pytest.approx(72 * HOUR, abs=6 * MINUTE)
    assert opened[-1] == pytest.approx(118 * HOUR, abs=6 * MINUTE)
    assert len(opened) == (opened[-1] - opened[0]) // (5 * MINUTE) + 1, "it fires all the time in between"


def test_a_job_that_runs_is_silent_and_another_does_not_stand_in_for_it():
    """The job's own successes count; those of a job with another name do not."""
    hourly = successes("sync", range(-1, 24))
    policy = missed_job(job="sync", max_age="2h")
    assert open_at(policy, hourly, 24 * HOUR) == []
    assert open_at(policy, successes("other", range(-1, 24)), 24 * HOUR)


def test_a_job_that_never_ran_fires():
    """No success ever is the same as none for too long."""
    assert open_at(missed_job(job="sync", max_age="2h"), [], HOUR)[0] == 0


def test_a_weekly_job_can_be_watched():
    """Up to ten days; the policy is then evaluated as seldom as the platform asks."""
    policy = missed_job(job="weekly", max_age="8d")
    assert policy.problems(RenderContext(project="p")) == []
    with pytest.raises(DefinitionError, match="not above 0 and up to 10 days"):
        missed_job(job="yearly", max_age="365d")


def statuses(provider, values, instance="1"):
    times = [START_MS + step * 30_000 for step in range(len(values))]
    labels = {"provider": provider, "job": "chat", "task_id": instance}
    return Series({"__name__": promql_name(PROVIDER_STATUS.metric_type(Route.GCP)), **labels}, times, values)


def test_a_provider_that_is_down_fires_and_one_odd_process_does_not():
    """All say 0: it fires within two minutes and ends with the first 1; one of three says 0: silence."""
    down = [1.0] * 20 + [0.0] * 20 + [1.0] * 20
    opened = open_at(provider_down(), [statuses("gemini", down)], 30 * MINUTE)
    assert 10 * MINUTE <= opened[0] <= 12 * MINUTE
    assert opened[-1] <= 20 * MINUTE
    odd = [statuses("gemini", [1.0] * 60, str(n)) for n in range(2)] + [statuses("gemini", [0.0] * 60, "odd")]
    assert open_at(provider_down(), odd, 29 * MINUTE) == []
    assert open_at(provider_down(threshold=1.0), odd, 29 * MINUTE)


def test_the_uptime_alert_fires_while_most_places_fail():
    """Two of three places fail for ten minutes."""
    name = "monitoring_googleapis_com:uptime_check_check_passed"
    times = [START_MS + step * MINUTE for step in range(30)]

    def place(where, values):
        labels = {"check_id": "health", "checker_location": where, "monitored_resource": "uptime_url"}
        return Series({"__name__": name, **labels}, times, values)

    down = [1.0] * 10 + [0.0] * 10 + [1.0] * 10
    series = [place("usa", down), place("eur", down), place("asia", [1.0] * 30)]
    opened = open_at(endpoint_down(check_id="health", window="2m"), series, 29 * MINUTE)
    assert 10 * MINUTE <= opened[0] <= 14 * MINUTE
    assert opened[-1] < 23 * MINUTE
    assert open_at(endpoint_down(check_id="health"), [place("usa", [1.0] * 30)], 29 * MINUTE) == []


@pytest.mark.needs("prometheus")
@pytest.mark.parametrize(
    ("policy", "values", "fires_at", "silent_at"),
    [
        (missed_backup(), "0x23 86400x23 172800x90", ["75h", "90h", "120h"], ["1h", "30h", "50h", "73h"]),
        (missed_job(job="backup", max_age="2h"), "0 3600 7200 10800 14400 14400x5", ["7h", "9h"], ["1h", "4h", "5h"]),
        (missed_job(job="other", max_age="2h"), "0+3600x9", ["1h", "9h"], []),
    ],
    ids=["no backup on the third day", "an hourly job that hangs", "a job that never ran"],
)
def test_the_real_prometheus_judges_alike(policy, values, fires_at, silent_at, tmp_path: Path):
    """Each process's last success as it is exported, a point an hour; fires past the age, or where there is none."""
    rule = policy.to_dict(RenderContext(project="p"))["conditions"][0]["conditionPrometheusQueryLanguage"]
    series = f'{promql_name(JOB_LAST_SUCCESS.metric_type(Route.GCP))}{{obskit_job_name="backup",job="cron"}}'
    rules = [{"alert": "missed", "expr": rule["query"], "for": rule["duration"]}]
    name = "other" if "other" in rule["query"] else "backup"
    fired = [{"exp_labels": {"obskit_job_name": name}}]
    test = {
        "rule_files": ["rules.json"],
        "evaluation_interval": rule["evaluationInterval"],
        "tests": [
            {
                "interval": "1h",
                "input_series": [{"series": series, "values": values}],
                "alert_rule_test": [
                    {"eval_time": time, "alertname": "missed", "exp_alerts": fired if time in fires_at else []}
                    for time in (*fires_at, *silent_at)
                ],
            }
        ],
    }
    groups = {"groups": [{"name": "g", "interval": rule["evaluationInterval"], "rules": rules}]}
    (tmp_path / "rules.json").write_text(json.dumps(groups))  # YAML reads JSON
    (tmp_path / "test.json").write_text(json.dumps(test))
    command = ["promtool", "test", "rules", "test.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
