from __future__ import annotations

import pytest

from obskit.alerts import (
    daily_cost,
    email,
    error_spike,
    gemini_rate_limit,
    latency_p95,
    missed_backup,
    provider_down,
    token_spike,
    webhook,
)
from obskit.catalog import Route
from obskit.errors import DefinitionError, QueryError, collecting
from obskit.queries.checks import lookback
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(project="p")
READY = [latency_p95, error_spike, token_spike, gemini_rate_limit, daily_cost, missed_backup, provider_down]


def query_of(policy, context=CONTEXT):
    return policy.to_dict(context)["conditions"][0]["conditionPrometheusQueryLanguage"]["query"]


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("make", READY)
def test_a_ready_made_policy_breaks_no_rule(make, route):
    """Each is valid on both export routes, with and without a service."""
    context = RenderContext(project="p", route=route)
    assert make().problems(context) == []
    assert make(service="chat", channels=["a"], id="other", display_name="Other").problems(context) == []


@pytest.mark.parametrize("make", READY)
def test_a_service_narrows_every_selector(make):
    """With a service, no series of another one is looked at."""
    query = query_of(make(service="chat"))
    assert query.count("workload_googleapis_com:") == query.count('job="chat"')


@pytest.mark.parametrize("make", READY)
def test_the_runbook_says_what_where_and_how(make):
    """What it means, three things to look at, how to silence it."""
    content = make().documentation.content
    assert content.startswith("**What it means**\n")
    assert all(f"\n{number}. " in content for number in (1, 2, 3))
    assert "**To silence it**" in content


@pytest.mark.parametrize(
    ("policy", "threshold", "duration"),
    [
        (latency_p95(), None, "300s"),
        (error_spike(), 0.05, "120s"),
        (gemini_rate_limit(), 10.0, "0s"),
        (daily_cost(), 75.0, "0s"),
    ],
    ids=lambda value: getattr(value, "id", None),
)
def test_the_thresholds_are_those_that_were_asked_for(policy, threshold, duration):
    """p95 > 2 s for 5 min, errors > 5 % for 2 min, 429s > 10 a minute, a day > $75."""
    assert policy.threshold == (2.0 if threshold is None else threshold)
    condition = policy.to_dict(CONTEXT)["conditions"][0]["conditionPrometheusQueryLanguage"]
    assert condition["duration"] == duration


def test_the_token_spike_is_the_platforms_own_query():
    """The day against 150 % of the week's daily average, every 5 minutes, once there is a week."""
    tokens = "workload_googleapis_com:obskit_gen_ai_tokens"
    condition = token_spike().to_dict(CONTEXT)["conditions"][0]["conditionPrometheusQueryLanguage"]
    assert condition["query"] == (
        f"sum(increase({tokens}[1d])) > 1.5 * sum(increase({tokens}[7d] offset 1d)) / 7 "
        f"and on () max(present_over_time({tokens}[2d] offset 6d))"
    )
    assert condition["evaluationInterval"] == "300s"
    assert lookback(condition["query"]).days == 8


def test_thresholds_and_durations_can_be_changed():
    """Every number that was asked for is a parameter."""
    policy = latency_p95(threshold="750ms", for_="10m", window="1m")
    assert policy.threshold == 0.75
    assert "[1m]" in query_of(policy)
    assert query_of(policy).endswith("> 0.75")
    assert "more than 3" in policy.documentation.content or "0.75 s" in policy.documentation.content
    assert query_of(gemini_rate_limit(threshold=3, window="5m")).endswith("[5m])) / 5 > 3")
    assert " >= 500" in query_of(error_spike(min_requests=500))


@pytest.mark.parametrize(
    ("make", "problem", "way_out"),
    [
        (lambda: latency_p95(threshhold="2s"), 'unknown argument "threshhold"', 'Did you mean "threshold"'),
        (lambda: latency_p95("2s"), "'2s' has no argument's name", "Write it as threshold=…"),
        (lambda: latency_p95(threshold="2x"), "threshold: '2x' is not a duration", "Write for example"),
        (lambda: latency_p95(for_="soon"), "field \"duration\": 'soon' is not a duration", "Write for example"),
        (lambda: latency_p95(window="x"), "'x' is not a duration", "Write a duration"),
        (lambda: error_spike(threshold=5), "threshold: 5 is not a share between 0 and 1", "Write 0.05 for 5 %"),
        (lambda: daily_cost(threshold=0), "threshold: 0 is not above 0", "Write a number above 0"),
        (lambda: token_spike(channels=[3]), 'field "channels": 3 is not a NotificationChannel', "Give one"),
        (lambda: gemini_rate_limit(id="Gemini 429"), "field \"id\": 'Gemini 429' is not an id", "Write for example"),
        (lambda: email("a", adress="a@b.c"), 'unknown argument "adress"', 'Did you mean "address"'),
        (lambda: webhook("a"), 'argument "url" is missing', "Add url=…"),
    ],
)
def test_wrong_arguments_are_told_at_the_users_line(make, problem, way_out):
    """File, line, what is wrong, what to write instead."""
    with pytest.raises((DefinitionError, QueryError)) as caught:
        make()
    first = caught.value.problems[0]
    assert first.place.startswith("tests/alerts/test_ready.py:")
    assert first.problem.startswith(problem)
    assert first.way_out.startswith(way_out)


def test_a_file_with_several_slips_is_told_all_of_them():
    """Loading goes on, so that each definition's problems are found in one run."""
    with collecting() as problems:
        first = latency_p95(threshhold="2s")
        latency_p95(threshold="2x", for_="y")
    assert len(problems) == 3
    assert first.is_broken
    assert first.problems(CONTEXT) == []
