from __future__ import annotations

import pytest

from obskit.alerts import (
    AbsenceCondition,
    Aggregation,
    AlertPolicy,
    PromQLCondition,
    ThresholdCondition,
    Trigger,
    metric_filter,
)
from obskit.catalog import AI_COST, HTTP_SERVER_DURATION, Route
from obskit.errors import DefinitionError
from obskit.queries import matches
from obskit.queries.aggregations import check_filter
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(project="p")
CPU = 'metric.type="cloudsql.googleapis.com/database/cpu/utilization" AND resource.type="cloudsql_database"'
MEAN = Aggregation(period="60s", aligner="mean")


def told(condition, context=CONTEXT):
    return [problem.problem for problem in AlertPolicy(id="a", conditions=condition).problems(context)]


def threshold(**changes):
    return ThresholdCondition(**({"filter": CPU, "threshold": 0.85, "duration": "5m", "aggregations": MEAN} | changes))


def test_a_threshold_condition_is_the_apis_json():
    """Filter, aggregation, comparison, duration, trigger and missing data stand where the API has them."""
    condition = threshold(
        comparison="<",
        aggregations=[
            Aggregation(period="2m", aligner="mean", reducer="max", by=["resource.labels.database_id"]),
        ],
        trigger=Trigger(percent=50),
        missing_data="true",
        display_name="cpu low",
    )
    assert told(condition) == []
    assert condition.to_dict(CONTEXT, "default") == {
        "displayName": "cpu low",
        "conditionThreshold": {
            "filter": CPU,
            "comparison": "COMPARISON_LT",
            "thresholdValue": 0.85,
            "duration": "300s",
            "aggregations": [
                {
                    "alignmentPeriod": "120s",
                    "perSeriesAligner": "ALIGN_MEAN",
                    "crossSeriesReducer": "REDUCE_MAX",
                    "groupByFields": ["resource.labels.database_id"],
                }
            ],
            "trigger": {"percent": 50.0},
            "evaluationMissingData": "EVALUATION_MISSING_DATA_ACTIVE",
        },
    }


def test_a_catalog_metric_can_be_filtered_on_either_route():
    """The filter is spelled for the route: type, resource and label keys."""
    made = metric_filter(HTTP_SERVER_DURATION, where={"http.route": "/a", "http.response.status_code": matches("5..")})
    assert made.render(CONTEXT) == (
        'metric.type="workload.googleapis.com/http.server.request.duration" AND resource.type="generic_task" '
        'AND metric.labels.http_route="/a" '
        'AND metric.labels.http_response_status_code=monitoring.regex.full_match("5..")'
    )
    otlp = made.render(RenderContext(project="p", route=Route.OTLP))
    assert 'resource.type="prometheus_target"' in otlp
    assert 'metric.type="prometheus.googleapis.com/http.server.request.duration/histogram"' in otlp


@pytest.mark.parametrize("route", Route)
def test_a_catalog_filter_parses(route):
    """What obskit spells passes its own check on both routes."""
    condition = threshold(
        filter=metric_filter(HTTP_SERVER_DURATION, where={"http.route": matches("/a.*")}),
        aggregations=Aggregation(period="60s", aligner="percentile_95"),
    )
    assert told(condition, RenderContext(project="p", route=route)) == []


def test_a_ratio_is_the_apis_json():
    """Denominator and its aggregations stand beside the numerator's."""
    total = Aggregation(period="60s", aligner="mean", reducer="sum")
    condition = threshold(aggregations=total, denominator=CPU, denominator_aggregations=total)
    assert told(condition) == []
    body = condition.to_dict(CONTEXT, "d")["conditionThreshold"]
    assert body["denominatorFilter"] == CPU
    assert body["denominatorAggregations"] == body["aggregations"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"duration": "45s"}, "duration is 45 s, must be whole minutes"),
        ({"duration": "0s", "missing_data": "false"}, "missing_data needs a duration of at least a minute"),
        ({"forecast": "30m"}, "forecast is 30 min, must be 1 h to 60 h"),
        ({"forecast": "61h"}, "forecast is 61 h, must be 1 h to 60 h"),
        ({"trigger": Trigger()}, "a trigger is either a count or a percentage"),
        ({"trigger": Trigger(count=0)}, "the trigger's count is 0"),
        ({"trigger": Trigger(percent=101)}, "the trigger's percent is 101"),
        (
            {"aggregations": Aggregation(period="30s", aligner="mean")},
            "alignment period is 30 s, must be 1 min to 25 h",
        ),
        ({"aggregations": Aggregation(period="26h", aligner="mean")}, "alignment period is 26 h"),
        ({"aggregations": Aggregation(period="60s", reducer="sum")}, 'reducer "sum" needs an aligner'),
        (
            {"aggregations": Aggregation(period="60s", aligner="mean", by=["resource.labels.region"])},
            "by= has no effect without a reducer",
        ),
        ({"filter": 'resource.type="a"'}, "the filter names no metric type"),
        ({"filter": 'metric.type="a/b"'}, "the filter names no resource type"),
        ({"filter": CPU + ' AND resource.labels.database_id="' + "x" * 2048 + '"'}, "the filter has 2"),
        ({"filter": 'metric.type="a/b" AND AND'}, "filter, column "),
        ({"denominator_aggregations": MEAN}, "denominator_aggregations= is given without denominator="),
        ({"denominator": CPU}, "a ratio needs aggregations on both sides"),
        (
            {"denominator": CPU, "denominator_aggregations": Aggregation(period="120s", aligner="mean")},
            "a ratio needs the same alignment period on both sides",
        ),
        (
            {
                "denominator": CPU,
                "denominator_aggregations": Aggregation(period="60s", aligner="mean", reducer="sum", by=["project"]),
            },
            "a ratio needs the same labels on both sides",
        ),
        (
            {"filter": metric_filter(AI_COST), "aggregations": Aggregation(period="60s", aligner="percentile_95")},
            'aligner "percentile_95" does not fit workload.googleapis.com/obskit.gen_ai.cost',
        ),
    ],
)
def test_each_rule_of_threshold_conditions_is_checked(changes, problem):
    """What the API would refuse is refused here."""
    found = told(threshold(**changes))
    assert len(found) == 1, found
    assert found[0].startswith(problem)


def test_a_gauge_has_no_rate():
    """RATE and DELTA need something that counts."""
    _, series = check_filter(CPU, needs_resource=True)
    found = list(Aggregation(period="60s", aligner="rate").rules(series, longest=MEAN.period * 100))
    assert [problem for problem, _ in found] == [
        'aligner "rate" does not fit cloudsql.googleapis.com/database/cpu/utilization, which is a gauge of double'
    ]


@pytest.mark.parametrize(
    ("duration", "problem"),
    [
        ("1m", "duration is 1 min, must be 2 min to 23 h 30 min"),
        ("24h", "duration is 1 d, must be 2 min to 23 h 30 min"),
        ("150s", "duration is 150 s, must be whole minutes"),
    ],
)
def test_absence_has_its_own_limits(duration, problem):
    """Two minutes to 23 and a half hours, in whole minutes."""
    assert told(AbsenceCondition(filter=CPU, duration=duration, aggregations=MEAN)) == [problem]


def test_absence_at_its_limits_is_the_apis_json():
    """The limits themselves are allowed."""
    for duration in ("2m", "23h30m"):
        condition = AbsenceCondition(filter=CPU, duration=duration, aggregations=MEAN)
        assert told(condition) == []
    assert condition.to_dict(CONTEXT, "d") == {
        "displayName": "d",
        "conditionAbsent": {
            "filter": CPU,
            "duration": "84600s",
            "aggregations": [{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MEAN"}],
            "trigger": {"count": 1},
        },
    }


@pytest.mark.parametrize(
    ("window", "shortest"),
    [("25h", "30s"), ("26h", "300s"), ("8d", "300s"), ("9d", "3600s"), ("16d", "3600s"), ("32d", "7200s")],
)
def test_the_interval_follows_how_far_the_query_looks_back(window, shortest):
    """Left out, the interval is the shortest that the platform allows; shorter ones are refused."""
    query = f"sum(increase(up[{window}])) > 1"
    body = PromQLCondition(query=query).to_dict(CONTEXT, "d")["conditionPrometheusQueryLanguage"]
    assert body["evaluationInterval"] == shortest
    assert told(PromQLCondition(query=query, interval=shortest)) == []
    if shortest != "30s":
        (problem,) = told(PromQLCondition(query=query, interval="30s"))
        assert "interval is 30 s, must be at least" in problem


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"interval": "45s"}, "interval is 45 s, must be a positive multiple of 30 s"),
        ({"interval": "0s"}, "interval is 0 s, must be a positive multiple of 30 s"),
        ({"query": "sum(rate(up[800d])) > 1"}, "the query looks back 800 d, at most 2 years are allowed"),
        ({"query": ""}, "the query is empty"),
        ({"labels": {"a-b": "c"}}, 'label "a-b" is no Prometheus label name'),
    ],
)
def test_each_rule_of_promql_conditions_is_checked(changes, problem):
    """What the API would refuse is refused here."""
    assert told(PromQLCondition(**({"query": "up > 1"} | changes))) == [problem]


def test_a_negative_duration_is_refused_where_it_is_written():
    """Durations are never negative."""
    with pytest.raises(DefinitionError, match="-5m"):
        PromQLCondition(query="up", duration="-5m")
