from __future__ import annotations

import pytest

from obskit.catalog import AI_COST, AI_TOKENS, HTTP_SERVER_DURATION, Kind, Metric, Route
from obskit.errors import QueryError, collecting
from obskit.queries import (
    average,
    differs,
    growth,
    highest,
    increase,
    latest,
    matches,
    mismatches,
    percentile,
    promql,
    rate,
    ratio,
    seen,
    share,
)
from obskit.queries.context import RenderContext

GCP = RenderContext(project="p")
OTLP = RenderContext(project="p", route=Route.OTLP)
REQUESTS = "workload_googleapis_com:http_server_request_duration"


def test_a_rate_is_spelled_for_the_export_route():
    """The same query becomes the metric's name on each route."""
    query = rate(HTTP_SERVER_DURATION, window="5m")
    assert query.render(GCP) == f"sum(rate({REQUESTS}_count[5m]))"
    assert query.render(OTLP) == "sum(rate(http_server_request_duration_count[5m]))"


def test_labels_are_spelled_as_promql_has_them():
    """Dots become underscores, and the service is the resource's job."""
    query = rate(
        HTTP_SERVER_DURATION,
        where={"http.route": "/items/{id}", "service": "chat", "http.response.status_code": matches("5..")},
        by=("service", "http.request.method"),
        window="90s",
    )
    assert query.render(GCP) == (
        f'sum by (job, http_request_method) (rate({REQUESTS}_count{{http_route="/items/{{id}}",job="chat",'
        'http_response_status_code=~"5.."}[90s]))'
    )


def test_resource_labels_differ_between_the_routes():
    """A process is a task_id on one route and an instance on the other."""
    query = rate(HTTP_SERVER_DURATION, by="instance", window="5m")
    assert "by (task_id)" in query.render(GCP)
    assert "by (instance)" in query.render(OTLP)


def test_a_resource_type_narrows_every_selector():
    """Where the context names a resource type, each selector demands it."""
    text = ratio(rate(AI_COST, window="5m"), rate(AI_TOKENS, where={"service": "x"}, window="5m")).render(
        RenderContext(project="p", resource_type="k8s_container")
    )
    assert text.count('monitored_resource="k8s_container"') == 2


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            percentile(99.9, HTTP_SERVER_DURATION, by="http.route", window="5m"),
            "histogram_quantile(0.999, sum by (le, http_route) (rate(http_server_request_duration_bucket[5m])))",
        ),
        (
            increase(AI_TOKENS, window="7d", offset="1d"),
            "sum(increase(obskit_gen_ai_tokens[7d] offset 1d))",
        ),
        (
            growth(AI_COST, window="1d"),
            "sum((max_over_time(obskit_gen_ai_cost[1d]) unless present_over_time(obskit_gen_ai_cost[1h] offset 1d)) or increase(obskit_gen_ai_cost[1d]))",
        ),
        (
            average(HTTP_SERVER_DURATION, window="5m"),
            "sum(rate(http_server_request_duration_sum[5m])) / sum(rate(http_server_request_duration_count[5m]))",
        ),
        (latest(AI_COST, by="service"), "sum by (job) (obskit_gen_ai_cost)"),
        (seen(AI_COST, window="1d"), "max(present_over_time(obskit_gen_ai_cost[1d]))"),
        (highest(latest(AI_COST)), "max(sum(obskit_gen_ai_cost))"),
        (
            share(latest(AI_COST, where={"service": "a"}), latest(AI_COST)),
            '(sum(obskit_gen_ai_cost{job="a"}) or sum(obskit_gen_ai_cost) * 0) / sum(obskit_gen_ai_cost)',
        ),
        (
            latest(AI_COST, where={"service": differs("a"), "gen_ai.request.model": mismatches("x|y")}),
            'sum(obskit_gen_ai_cost{job!="a",gen_ai_request_model!~"x|y"})',
        ),
        (latest(AI_COST, where={"service": 'a"\\\n'}), 'sum(obskit_gen_ai_cost{job="a\\"\\\\\\n"})'),
    ],
)
def test_each_question_becomes_its_promql(query, text):
    """Rates, percentiles, averages and the rest are what one would write by hand."""
    assert query.render(OTLP) == text


def test_parentheses_stand_only_where_they_are_needed():
    """Operators bind as in PromQL, from left to right."""
    a, b, c = promql("a").parts[0], promql("b").parts[0], promql("c").parts[0]
    assert (a, b, c) == ("a", "b", "c")
    x, y = latest(AI_COST), latest(AI_TOKENS)
    one, two = x.render(OTLP), y.render(OTLP)
    assert (x + y * 2).render(OTLP) == f"{one} + {two} * 2"
    assert ((x + y) * 2).render(OTLP) == f"({one} + {two}) * 2"
    assert (x - (y - x)).render(OTLP) == f"{one} - ({two} - {one})"
    assert (x / y / x).render(OTLP) == f"{one} / {two} / {one}"
    assert (x / (y / x)).render(OTLP) == f"{one} / ({two} / {one})"
    assert (1.5 * x > y).render(OTLP) == f"1.5 * {one} > {two}"
    assert x.excluding(y).otherwise(0).render(OTLP) == f"{one} unless {two} or vector(0)"
    assert (promql("a or b") * 2).render(OTLP) == "(a or b) * 2"


def test_a_comparison_with_a_number_is_the_threshold():
    """What the query is compared with can be read from it, also behind a further demand."""
    query = (latest(AI_COST) > 75).when(latest(AI_TOKENS) >= 10, on=())
    assert (query.threshold, query.comparison) == (75.0, ">")
    assert query.render(OTLP) == "sum(obskit_gen_ai_cost) > 75 and on () sum(obskit_gen_ai_tokens) >= 10"
    assert (latest(AI_COST) < latest(AI_TOKENS)).threshold is None
    assert (latest(AI_COST) <= 3).comparison == "<="


def test_a_query_knows_its_metrics():
    """The catalog metrics of a query are found without parsing it."""
    assert ratio(latest(AI_COST), latest(AI_TOKENS)).metrics == (AI_COST, AI_TOKENS)


def test_an_unknown_label_is_named_with_the_nearest_one():
    """A label that the metric does not have is refused where the query is written."""
    with pytest.raises(QueryError) as caught:
        rate(HTTP_SERVER_DURATION, by="http.rout", window="5m")
    (problem,) = caught.value.problems
    assert problem.place.startswith("tests/queries/test_promql.py:")
    assert problem.problem == 'metric http.server.request.duration has no label "http.rout"'
    assert problem.way_out == 'Did you mean "http.route"'


def test_a_label_of_another_metric_lists_the_metrics_own():
    """Without a near name, the labels that there are stand in the way out."""
    with pytest.raises(QueryError, match=r"Its labels are http.request.method, http.route"):
        rate(HTTP_SERVER_DURATION, where={"colour": "red"}, window="5m")


def test_a_label_may_be_spelled_as_in_promql():
    """The underscored spelling finds the catalog's label."""
    assert rate(HTTP_SERVER_DURATION, by="http_route", window="5m") == rate(
        HTTP_SERVER_DURATION, by="http.route", window="5m"
    )


@pytest.mark.parametrize("window", ["5x", "", 0, "-5m", object()])
def test_a_window_that_is_none_is_refused(window):
    """A window is a duration above zero."""
    with pytest.raises(QueryError, match='Write a duration such as "5m"'):
        rate(HTTP_SERVER_DURATION, window=window)


def test_a_question_must_fit_the_metrics_kind():
    """A percentile needs a histogram, a rate needs something that counts."""
    gauge = Metric(name="g", kind=Kind.GAUGE, unit="1", help="a gauge")
    with collecting() as problems:
        percentile(95, AI_COST, window="5m")
        percentile(100, HTTP_SERVER_DURATION, window="5m")
        rate(gauge, window="5m")
    assert [problem.problem for problem in problems] == [
        "percentile needs a histogram, obskit.gen_ai.cost is a counter",
        "percentile 100 is not above 0 and below 100",
        "rate needs a counter or histogram, g is a gauge",
    ]
