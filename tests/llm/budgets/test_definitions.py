"""The ready-made alerts and the dashboard of budgets."""

from __future__ import annotations

from functools import partial

import pytest

from obskit.alerts import budget_exceeded, budget_warning, monthly_budget
from obskit.catalog import Route
from obskit.dashboards import budgets
from obskit.queries.context import RenderContext

READY = [budget_exceeded, budget_warning, partial(monthly_budget, budget_usd=1000)]


def condition_of(policy, route=Route.GCP):
    context = RenderContext(project="p", route=route)
    return policy.to_dict(context)["conditions"][0]["conditionPrometheusQueryLanguage"]


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("make", READY)
def test_a_ready_made_policy_breaks_no_rule(make, route):
    """Each is valid on both export routes, with and without a service."""
    context = RenderContext(project="p", route=route)
    assert make().problems(context) == []
    assert make(service="chat", channels=["a"], id="other", display_name="Other").problems(context) == []


@pytest.mark.parametrize("route", Route)
def test_the_dashboard_breaks_no_rule(route):
    """It is valid on both export routes, and lists the incidents that it is given."""
    context = RenderContext(project="p", route=route)
    for board in (budgets(), budgets(service="chat", policies=[budget_exceeded(), budget_warning()])):
        assert board.problems(context) == []
    assert "budget-exceeded" in str(budgets(policies=[budget_exceeded()]).to_dict(context))


def test_the_thresholds_are_those_that_were_asked_for():
    """Any refused call; 80 % of the month's dollars, every two hours, as the platform wants of 30 days."""
    refused = "workload_googleapis_com:obskit_budget_rejections"
    query = condition_of(budget_exceeded(tier="free"))["query"]
    assert query.startswith(f'sum by (user_tier) ((max_over_time({refused}{{user_tier="free"}}[5m])')
    assert query.endswith("> 0")
    month = condition_of(monthly_budget(budget_usd=1000))
    assert month["query"].endswith("> 800")
    assert month["evaluationInterval"] == "7200s"
