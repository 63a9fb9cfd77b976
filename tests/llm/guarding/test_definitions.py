"""The ready-made policies and dashboard of the guard."""

from __future__ import annotations

import pytest

from obskit.alerts import ai_calls_wait, ai_circuit_open
from obskit.catalog import Route
from obskit.dashboards import llm_guard
from obskit.queries.context import RenderContext


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("make", [ai_circuit_open, ai_calls_wait])
def test_a_policy_breaks_no_rule(make, route):
    """Valid on both export routes, with and without a service, which narrows every selector."""
    context = RenderContext(project="p", route=route)
    assert make().problems(context) == []
    one = make(service="chat", channels=["a"], id="other", display_name="Other")
    assert one.problems(context) == []
    assert 'job="chat"' in str(one.to_dict(context))
    assert "**To silence it**" in make().documentation.content


@pytest.mark.parametrize("route", Route)
def test_the_dashboard_breaks_no_rule(route):
    """Valid on both export routes, and lists the incidents of the policies."""
    context = RenderContext(project="p", route=route)
    made = llm_guard(policies=[ai_circuit_open(), ai_calls_wait()])
    assert made.problems(context) == []
    assert "ai-circuit-open" in str(made.to_dict(context))
    assert llm_guard(service="chat").problems(context) == []
