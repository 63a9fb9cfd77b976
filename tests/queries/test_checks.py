from __future__ import annotations

from datetime import timedelta

import pytest

from obskit.catalog import Route
from obskit.queries.checks import check_promql, lookback
from obskit.queries.context import RenderContext

GCP = RenderContext(project="p")
OTLP = RenderContext(project="p", route=Route.OTLP)


def found(text, context=GCP):
    return [(problem.problem, problem.way_out) for problem in check_promql(text, context, "here")]


@pytest.mark.parametrize(
    "text",
    [
        'sum(rate(workload_googleapis_com:http_server_request_duration_count{http_route="/a",job="x"}[5m])) > 1',
        'histogram_quantile(0.9, sum by (le) (rate(workload_googleapis_com:http_server_request_duration_bucket{le="2"}[5m])))',
        'sum(increase({"workload.googleapis.com/obskit.gen_ai.tokens", gen_ai_request_model="m"}[1d]))',
        "run_googleapis_com:request_latencies_bucket",
        "workload_googleapis_com:my_own_metric > 3",
        "topk(3, up) unless on (job) absent(up)",
        "avg_over_time(up[1h:5m] offset 1d)",
        "1 + 1",
    ],
)
def test_a_good_query_has_no_problem(text):
    """Obskit's metrics, Google's and others' pass when they are used right."""
    assert found(text) == []


@pytest.mark.parametrize("text", ["", "  ", "sum(", "rate(up)", "up{a}", "up[5x]", "sum by (up", "nosuch(up)"])
def test_what_does_not_parse_is_a_problem(text):
    """An empty query, or one that the parser refuses, is reported once, with its place."""
    (problem,) = check_promql(text, GCP, "alerts/x.py:3: policy")
    assert problem.place == "alerts/x.py:3: policy"
    assert problem.problem.startswith(("the query does not parse", "the query is empty"))


def test_a_misspelt_catalog_metric_is_named_with_the_nearest():
    """A slip in the name of an obskit metric would otherwise be a silent alert."""
    assert found("workload_googleapis_com:http_server_request_duration_cont") == [
        (
            "obskit records no metric workload_googleapis_com:http_server_request_duration_cont",
            "Did you mean workload_googleapis_com:http_server_request_duration_count",
        )
    ]
    assert found("workload_googleapis_com:obskit_gen_ai_tokns_today")[0][1] == (
        "Did you mean workload_googleapis_com:obskit_gen_ai_tokens"
    )


def test_a_histogram_needs_a_suffix():
    """The bare name of a distribution is no series in PromQL."""
    ((problem, way_out),) = found("workload_googleapis_com:http_server_request_duration")
    assert problem == "workload_googleapis_com:http_server_request_duration is a histogram"
    assert "_bucket" in way_out


def test_a_label_that_the_metric_does_not_have_is_named_with_the_nearest():
    """A matcher on a label that never exists selects nothing, silently."""
    assert found('workload_googleapis_com:obskit_gen_ai_tokens{gen_ai_request_modl="x"}') == [
        ('metric obskit.gen_ai.tokens has no label "gen_ai_request_modl"', 'Did you mean "gen_ai_request_model"')
    ]


def test_the_other_routes_name_is_a_problem():
    """A query written for one export route finds nothing on the other."""
    ((problem, way_out),) = found("sum(http_server_request_duration_count)")
    assert "name on the export route otlp" in problem
    assert "workload_googleapis_com:http_server_request_duration_count" in way_out
    assert found("sum(http_server_request_duration_count)", OTLP) == []


@pytest.mark.parametrize("text", ["sort_by_label(up, 'a')", "histogram_avg(up)", "histogram_stddev(up)"])
def test_functions_that_google_does_not_have_are_problems(text):
    """The parser knows newer functions than Prometheus 2.44, which Cloud Monitoring follows."""
    ((problem, _),) = found(text)
    assert problem == f"Cloud Monitoring has no function {text.partition('(')[0]}()"


@pytest.mark.parametrize(
    ("text", "far"),
    [
        ("up", timedelta(0)),
        ("rate(up[5m])", timedelta(minutes=5)),
        ("sum(increase(up[1d])) > 1.5 * sum(increase(up[7d] offset 1d)) / 7", timedelta(days=8)),
        ("avg_over_time(rate(up[5m])[1h:1m] offset 30m)", timedelta(hours=1, minutes=35)),
        ("up offset 2h", timedelta(hours=2)),
        ("sum(", timedelta(0)),
    ],
)
def test_lookback_adds_ranges_offsets_and_subqueries(text, far):
    """How far a query looks back decides how often it may be evaluated."""
    assert lookback(text) == far


@pytest.mark.parametrize("text", ["up[5m]", "up[1h:5m]", '"text"'])
def test_a_query_must_give_one_value_a_series(text):
    """A range or a text can be neither drawn nor compared."""
    ((problem, _),) = found(text)
    assert problem == "the query gives ranges or a text, not one value for each series"


def test_aggregations_that_google_does_not_have_are_problems():
    """limitk came after Prometheus 2.44."""
    assert found("limitk(2, up)")[0][0] == "Cloud Monitoring has no aggregation limitk"
