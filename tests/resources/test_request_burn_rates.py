"""Burn rates over obskit's own request metric, played on a virtual clock: they fire, and stay silent when it is harmless."""

from __future__ import annotations

import pytest

from obskit.alerts import per_stack
from obskit.catalog import HTTP_SERVER_DURATION, Route
from obskit.errors import DefinitionError, collecting
from obskit.queries.context import RenderContext
from obskit.resources import (
    RatioSLI,
    ServiceLevelObjective,
    availability_burn_rates,
    burn_rate_alerts,
    latency_burn_rates,
)
from obskit.testing import AlertTest

FINE, FAILED = {"http.response.status_code": "200"}, {"http.response.status_code": "503"}
AVAILABLE = availability_burn_rates(goal=0.99, page=["pager"], ticket=["slack"])
FAST = latency_burn_rates(goal=0.95, page=["pager"], ticket=["slack"])


def errors(policy, says, *, fine, failed, every="1m"):
    return (
        AlertTest(policy, says, every=every)
        .histogram(HTTP_SERVER_DURATION, {0.2: fine}, where=FINE, service="chat")
        .histogram(HTTP_SERVER_DURATION, {0.2: failed}, where=FAILED, service="chat")
    )


def slowness(policy, says, *, quick, slow, every="1m"):
    return AlertTest(policy, says, every=every).histogram(
        HTTP_SERVER_DURATION, {0.2: quick, 3.0: slow}, where=FINE, service="chat"
    )


CASES = {
    "a third fails: the budget of a month is burning": errors(
        AVAILABLE[0], "one in three", fine="0+100x60 6000+67x60", failed="0x60 0+33x60"
    ).is_open_at("90m"),
    "two in a hundred fail: slower than a page": errors(
        AVAILABLE[0], "two in a hundred", fine="0+98x120", failed="0+2x120"
    ).stays_silent(),
    "a burst that is over is no reason to wake up": errors(
        AVAILABLE[0], "ten minutes, an hour ago", fine="0+100x10 1000+50x10 1500+100x90", failed="0x10 0+50x10 500x90"
    ).is_silent_at("40m", "60m"),
    "a tenth fails: within hours": errors(
        AVAILABLE[1], "one in ten", fine="0+500x72 36000+450x72", failed="0x72 0+50x72", every="5m"
    ).is_open_at("11h"),
    "a twentieth fails for two days": errors(
        AVAILABLE[2], "one in twenty", fine="0+6000x96 576000+5700x96", failed="0x96 0+300x96", every="30m"
    ).is_open_at("90h"),
    "slow for an hour": slowness(FAST[0], "nine in ten are slow", quick="0+10x120", slow="0+90x120").is_open_at("100m"),
    "one in twenty is slow: as promised": slowness(
        FAST[1], "one in twenty", quick="0+475x144", slow="0+25x144", every="5m"
    ).stays_silent(),
}


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("name", CASES)
def test_a_burn_rate_fires_when_it_should_and_only_then(name, route):
    """On both export routes, with the names that each of them gives."""
    CASES[name].check(route=route)


@pytest.mark.parametrize("policy", [*AVAILABLE, *FAST], ids=lambda policy: policy.id)
@pytest.mark.parametrize("route", Route)
def test_each_policy_keeps_the_rules_and_names_what_to_do(policy, route):
    """No problem on either route; the fast two wake somebody up, the slow two do not."""
    context = RenderContext(project="p", route=route)
    assert [str(problem) for problem in policy.problems(context)] == []
    is_fast = policy.id.endswith(("1h", "6h"))
    assert policy.channels == (("pager",) if is_fast else ("slack",))
    assert policy.severity == ("critical" if is_fast else "warning")
    assert "To silence it" in policy.documentation.content


def test_a_rate_that_cannot_be_reached_is_told():
    """With a goal of 90 %, nothing burns more than ten times too fast: that alert would never fire."""
    with collecting() as problems:
        availability_burn_rates(goal=0.9)
    assert [problem.problem for problem in problems] == [
        "with a goal of 0.9 the burn rate is at most 10, and never reaches 14.4"
    ]
    slo = ServiceLevelObjective(id="a", service="b", goal=0.8, rolling="30d", indicator=RatioSLI(good="x", total="y"))
    with pytest.raises(DefinitionError, match=r"with a goal of 0\.8 the burn rate is at most 5, "):
        burn_rate_alerts(slo)


def test_a_threshold_between_the_bounds_is_refused():
    """How many requests are faster than that, the histogram does not know."""
    with pytest.raises(DefinitionError, match=r'threshold is 600 ms.*Use threshold="0\.5s"'):
        latency_burn_rates(threshold="600ms")


def test_a_goal_may_differ_from_stack_to_stack():
    """Each stack's query has its own limit."""
    policy = availability_burn_rates(goal=per_stack({"dev": 0.95, "prod": 0.999}))[0]
    texts = [
        policy.to_dict(RenderContext(project="p", stack=stack))["conditions"][0]["conditionPrometheusQueryLanguage"]
        for stack in ("dev", "prod")
    ]
    assert [text["query"].rpartition("> ")[2] for text in texts] == ["0.72", "0.0144"]
