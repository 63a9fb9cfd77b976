"""Alerts that follow from an SLO or an uptime check."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from google.cloud.monitoring_v3 import AlertPolicy as GooglePolicy

from obskit import resources
from obskit.alerts import AlertPolicy, per_stack
from obskit.queries.context import RenderContext
from obskit.testing import AlertTest

CONTEXT = RenderContext(project="shop")
REQUESTS = 'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision"'


def slo(**changes):
    fields = {"id": "available", "service": "api", "goal": 0.999, "rolling": "30d"}
    indicator = resources.RatioSLI(bad=f'{REQUESTS} AND metric.labels.response_code_class="5xx"', total=REQUESTS)
    return resources.ServiceLevelObjective(**(fields | {"indicator": indicator} | changes))


def conditions(policy, context=CONTEXT):
    return [each["conditionThreshold"] for each in policy.to_dict(context)["conditions"]]


def test_thirty_days_have_the_workbooks_table():
    """Burn rates 14.4, 6, 3 and 1, over a long window and a twelfth of it, both at once; the fast two wake people up."""
    policies = resources.burn_rate_alerts(slo(), page=["pager"], ticket=["slack"], runbook="https://r.example/slo")
    name = "projects/shop/services/api/serviceLevelObjectives/available"
    table = [
        (
            policy.id,
            policy.severity,
            policy.channels,
            policy.combiner,
            [each["thresholdValue"] for each in conditions(policy)],
        )
        for policy in policies
    ]
    assert table == [
        ("api-available-burn-1h", "critical", ("pager",), "all", [14.4, 14.4]),
        ("api-available-burn-6h", "critical", ("pager",), "all", [6.0, 6.0]),
        ("api-available-burn-1d", "warning", ("slack",), "all", [3.0, 3.0]),
        ("api-available-burn-3d", "warning", ("slack",), "all", [1.0, 1.0]),
    ]
    assert [[each["filter"] for each in conditions(policy)] for policy in policies] == [
        [f'select_slo_burn_rate("{name}", "{window}s")' for window in windows]
        for windows in ((3600, 300), (21_600, 1800), (86_400, 7200), (259_200, 21_600))
    ]
    assert [problem for policy in policies for problem in policy.problems(CONTEXT)] == []


@pytest.mark.parametrize("rate", resources.WORKBOOK, ids=lambda rate: str(rate.long))
def test_the_short_window_is_a_twelfth_of_the_long_one(rate):
    """As the workbook recommends."""
    assert rate.short == rate.long / 12


def test_another_period_has_other_rates():
    """The share of the budget stays; the rate follows from the period. A window as long as the period is left out."""
    assert [conditions(each)[0]["thresholdValue"] for each in resources.burn_rate_alerts(slo(rolling="28d"))] == [
        pytest.approx(14.4 * 28 / 30),
        pytest.approx(6 * 28 / 30),
        pytest.approx(3 * 28 / 30),
        pytest.approx(28 / 30),
    ]
    assert len(resources.burn_rate_alerts(slo(rolling="1d"))) == 2
    assert resources.burn_rate_alerts(slo(rolling=None, calendar="month"))[0].conditions[0].limit == 14.4


def test_rates_of_ones_own_take_the_tables_place():
    """A row says which share of the budget may go in which window."""
    row = resources.BurnRate(budget=0.5, long=timedelta(hours=12), short=timedelta(hours=1), is_page=True)
    (policy,) = resources.burn_rate_alerts(slo(), rates=[row])
    assert policy.conditions[0].limit == 30.0


def test_a_period_that_differs_from_stack_to_stack_gives_each_its_rate():
    """What is given with per_stack to the objective shows in its alerts."""
    policy = resources.burn_rate_alerts(slo(rolling=per_stack({"dev": "7d", "prod": "30d"})))[0]
    rates = [
        conditions(policy, RenderContext(project="p", stack=stack))[0]["thresholdValue"] for stack in ("dev", "prod")
    ]
    assert rates == [3.36, 14.4]


@pytest.mark.parametrize(
    "policy",
    [
        *resources.burn_rate_alerts(slo()),
        resources.uptime_alert(resources.http_check("health", url="https://a.example.com/health")),
        resources.certificate_alert(resources.http_check("health", url="https://a.example.com/health"), days=14),
        resources.uptime_alert(resources.synthetic_check("walk", function="projects/p/locations/l/functions/f")),
    ],
    ids=lambda policy: policy.id,
)
def test_alerts_that_are_made_pass_googles_types_and_say_what_to_do(policy):
    """Without a problem, known to the official type, read back, and with a runbook's text."""
    assert policy.problems(CONTEXT) == []
    rendered = policy.to_dict(CONTEXT)
    message = GooglePolicy.from_json(json.dumps(rendered), ignore_unknown_fields=False)
    again = AlertPolicy.from_json(rendered, id=policy.id)
    assert GooglePolicy.from_json(json.dumps(again.to_dict(CONTEXT))) == message
    assert "1. " in rendered["documentation"]["content"]
    assert "To silence it" in rendered["documentation"]["content"]


def test_the_alerts_on_a_check_name_it():
    """Sync puts the check's own id in the reference's place; fewer than 14 days are the default of certificates."""
    check = resources.http_check("health", url="https://a.example.com/health")
    down, ends = resources.uptime_alert(check, locations=2), resources.certificate_alert(check)
    assert 'check_id="obskit:uptimeCheckConfigs/health"' in conditions(down)[0]["filter"]
    assert conditions(down)[0]["thresholdValue"] == 2
    assert "time_until_ssl_cert_expires" in conditions(ends)[0]["filter"]
    assert (conditions(ends)[0]["comparison"], conditions(ends)[0]["thresholdValue"]) == ("COMPARISON_LT", 14)


FAST, SLOW = (resources.burn_rate_alerts(slo(goal=0.99), page=["pager"], ticket=["slack"])[place] for place in (0, 2))


@pytest.mark.parametrize(
    "test",
    [
        AlertTest(FAST, "a third is bad", every="1m")
        .objective(0.99, good="0+100x60 6000+67x60", total="0+100x120")
        .is_silent_at("60m")
        .is_open_at("90m"),
        AlertTest(FAST, "two in a hundred are bad", every="1m")
        .objective(0.99, good="0+98x120", total="0+100x120")
        .stays_silent(),
        AlertTest(SLOW, "one in twenty is bad", every="30m")
        .objective(0.99, good="0+6000x96 576000+5700x96", total="0+6000x192")
        .is_open_at("90h"),
        AlertTest(SLOW, "as bad as the goal allows", every="30m")
        .objective(0.99, good="0+990x192", total="0+1000x192")
        .stays_silent(),
    ],
    ids=lambda test: test.name,
)
def test_burn_rates_of_an_slo_fire_when_they_should_and_only_then(test):
    """Played on a virtual clock over counts of good and of all events."""
    test.check()
