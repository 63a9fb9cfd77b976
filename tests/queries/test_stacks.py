"""One definition for several stacks."""

from __future__ import annotations

import pytest

from obskit import alerts
from obskit.alerts import AlertPolicy, NotificationChannel, PromQLCondition, ThresholdCondition
from obskit.alerts.ready.service import latency_p95
from obskit.catalog import HTTP_SERVER_DURATION
from obskit.dashboards import charts
from obskit.errors import DefinitionError, collecting
from obskit.queries import RenderContext, matches, per_stack, percentile, promql, rate, ratio
from obskit.queries.aggregations import Aggregation, metric_filter

DEV, PROD = (RenderContext(project=f"shop-{stack}", stack=stack) for stack in ("dev", "prod"))
errors = ratio(
    rate(HTTP_SERVER_DURATION, where={"http.response.status_code": matches("5..")}, window="2m"),
    rate(HTTP_SERVER_DURATION, window="2m"),
)


def email(name: str) -> NotificationChannel:
    return alerts.email(name, address=f"{name}@example.com")


def test_a_query_is_compared_with_each_stacks_threshold():
    """A comparison with a value per stack is another text in each stack, and the condition knows each limit."""
    condition = PromQLCondition(query=errors > per_stack({"dev": 0.1, "prod": 0.05}))

    assert condition.to_dict(DEV, "x")["conditionPrometheusQueryLanguage"]["query"].endswith("> 0.1")
    assert condition.to_dict(PROD, "x")["conditionPrometheusQueryLanguage"]["query"].endswith("> 0.05")
    assert condition.for_stack("prod").limit == 0.05


def test_values_deep_inside_a_policy_differ():
    """Fields of conditions, aggregations and filters follow the stack, and so do channels."""
    calm, loud = email("calm"), email("loud")
    policy = AlertPolicy(
        id="errors",
        conditions=ThresholdCondition(
            filter=metric_filter(
                HTTP_SERVER_DURATION, where={"http.request.method": per_stack({"dev": "GET", "prod": "POST"})}
            ),
            threshold=per_stack({"dev": 100, "prod": 10}),
            aggregations=Aggregation(period=per_stack({"prod": "60s"}, otherwise="5m"), aligner="percentile_95"),
        ),
        channels=[calm, per_stack({"prod": loud}, otherwise=None)],
    )

    dev, prod = (policy.to_dict(context) for context in (DEV, PROD))

    assert [each["conditions"][0]["conditionThreshold"]["thresholdValue"] for each in (dev, prod)] == [100.0, 10.0]
    periods = [
        each["conditions"][0]["conditionThreshold"]["aggregations"][0]["alignmentPeriod"] for each in (dev, prod)
    ]
    assert periods == ["300s", "60s"]
    filters = [each["conditions"][0]["conditionThreshold"]["filter"] for each in (dev, prod)]
    assert ['"GET"' in filters[0], '"POST"' in filters[1]] == [True, True]
    assert [len(each["notificationChannels"]) for each in (dev, prod)] == [1, 2]
    assert policy.problems(DEV) == policy.problems(PROD) == []


def test_a_ready_made_policy_takes_values_per_stack():
    """A function that makes a definition takes values per stack too."""
    policy = latency_p95(threshold=per_stack({"dev": "5s", "prod": "2s"}), channels=[email("calm")])

    texts = [str(policy.to_dict(context)) for context in (DEV, PROD)]

    assert "> 5" in texts[0]
    assert "> 2" in texts[1]


def test_a_chart_shows_the_threshold_of_its_stack():
    """A dashboard's part that takes its threshold from a policy takes the one of the stack."""
    policy = latency_p95(threshold=per_stack({"dev": "5s", "prod": "2s"}), channels=[email("calm")])
    chart = charts.XyChart(title="Latency", data=percentile(95, HTTP_SERVER_DURATION, window="5m"), thresholds=[policy])

    values = [chart.to_dict(context)["xyChart"]["thresholds"][0]["value"] for context in (DEV, PROD)]

    assert values == [5.0, 2.0]


def test_a_stack_without_a_value_is_a_problem_of_the_definition():
    """Rendering for a stack that has no value names the definition, the stacks there are, and a way out."""
    policy = AlertPolicy(id="p", conditions=PromQLCondition(query=promql("up") > per_stack({"dev": 1, "prod": 2})))
    staging = RenderContext(project="p", stack="prd")

    (problem,) = policy.problems(staging)

    assert problem.place.endswith('policy "p"')
    assert "test_stacks.py:" in problem.place
    assert problem.problem == 'per_stack has no value for stack "prd", only for "dev", "prod"'
    assert "--stack prod" in problem.way_out
    with pytest.raises(DefinitionError, match="no value for stack"):
        policy.to_dict(staging)


def test_a_value_that_is_wrong_in_one_stack_names_it():
    """A problem that only one stack has says which; one that all have is said once."""
    with collecting() as problems:
        PromQLCondition(query=promql("up"), duration=per_stack({"dev": "5m", "prod": "soon"}), labls={})

    assert len(problems) == 2
    assert any("soon" in each.problem and 'stack "prod"' in each.place for each in problems)
    assert sum("labls" in each.problem for each in problems) == 1


def test_an_id_is_the_same_in_every_stack():
    """An id that differs would make another object of the definition."""
    with collecting() as problems:
        AlertPolicy(id=per_stack({"dev": "a", "prod": "b"}), conditions=PromQLCondition(query=promql("up")))

    assert "its id differs from stack to stack" in [each.problem for each in problems]


def test_something_that_is_no_table_is_refused():
    """`per_stack` takes a table of stacks and says so."""
    with pytest.raises(DefinitionError, match="is not a table of stacks"):
        per_stack({})
