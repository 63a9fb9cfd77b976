"""Names in Monitoring filters and in the fields that series are grouped by."""

from __future__ import annotations

from datetime import timedelta

import pytest

from obskit.alerts import AlertPolicy, ThresholdCondition
from obskit.engine.align import _RULES
from obskit.queries import RenderContext
from obskit.queries.aggregations import Aggregation, Aligner, Reducer
from obskit.queries.filter_checks import check_filter, filter_findings
from obskit.queries.fitting import ALIGNERS, REDUCERS
from obskit.queries.google_metrics import google_metrics, known_metric

RUN = 'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision"'
LATENCY = 'metric.type="run.googleapis.com/request_latencies" AND resource.type="cloud_run_revision"'


def told(text: str) -> list[str]:
    return [f"{problem} | {way_out}" for problem, way_out in check_filter(text, needs_resource=True)[0]]


def rules(text: str, **fields: object) -> list[str]:
    _, series = check_filter(text, needs_resource=True)
    aggregation = Aggregation(period="60s", **fields)
    return [f"{problem} | {way_out}" for problem, way_out in aggregation.rules(series, longest=timedelta(hours=25))]


def test_labels_are_checked_beside_a_misspelt_resource():
    """A slip in the resource's name does not hide one in its label; a resource that is not known judges no label."""
    found = told(RUN.replace("cloud_run_revision", "cloud_run_revison") + ' AND resource.labels.servicename="shop"')
    assert [each.partition(" | ")[2] for each in found] == [
        'Did you mean "cloud_run_revision"',
        'Did you mean "service_name"',
    ]
    assert (
        told(RUN.replace("cloud_run_revision", "quite_another_thing") + ' AND resource.labels.servicename="shop"') == []
    )


@pytest.mark.parametrize(
    ("text", "problem", "way_out"),
    [
        (
            RUN.replace("request_count", "request_counts"),
            "Cloud Run has no metric run.googleapis.com/request_counts",
            'Did you mean "run.googleapis.com/request_count"',
        ),
        (
            RUN.replace("request_count", "request_latency"),
            "Cloud Run has no metric run.googleapis.com/request_latency",
            'Did you mean "run.googleapis.com/request_latencies"',
        ),
        (
            RUN.replace("run.googleapis", "runn.googleapis"),
            'no service of Google Cloud has metrics "runn.googleapis.com/…"',
            'Did you mean "run.googleapis.com"',
        ),
        (
            'metric.type="secretmanager.googleapis.com/access_count" AND resource.type="global"',
            "Secret Manager has no metrics of its own in Cloud Monitoring",
            "Use serviceruntime.googleapis.com/api/request_count",
        ),
        (
            'metric.type="workload.googleapis.com/obskit.gen_ai.tokn" AND resource.type="generic_task"',
            "obskit records no metric workload.googleapis.com/obskit.gen_ai.tokn",
            'Did you mean "workload.googleapis.com/obskit.gen_ai.tokens"',
        ),
        (
            RUN + ' AND metric.labels.response_code_clas="5xx"',
            'metric run.googleapis.com/request_count has no label "response_code_clas"',
            'Did you mean "response_code_class"',
        ),
        (
            RUN + ' AND metric.labels.service_name="shop"',
            'metric run.googleapis.com/request_count has no label "service_name"',
            "Write resource.labels.service_name",
        ),
        (
            RUN + ' AND resource.labels.response_code="500"',
            'resource cloud_run_revision has no label "response_code"',
            "Write metric.labels.response_code",
        ),
        (
            RUN + ' AND resource.label."service"="shop"',
            'resource cloud_run_revision has no label "service"',
            'Did you mean "service_name"',
        ),
        (
            RUN.replace("cloud_run_revision", "cloud_run_job"),
            'run.googleapis.com/request_count is not written against resource "cloud_run_job"',
            "cloud_run_revision",
        ),
    ],
)
def test_a_wrong_name_is_told_with_the_right_one(text, problem, way_out):
    """A misspelt metric, label, resource or prefix names what was meant, or what to use instead."""
    (found,) = told(text)

    assert found.startswith(problem)
    assert way_out in found


@pytest.mark.parametrize(
    "text",
    [
        RUN + ' AND metric.labels.response_code_class="5xx" AND resource.labels.service_name=starts_with("shop")',
        'metric.type="logging.googleapis.com/user/orders" AND resource.type="global" AND metric.labels.x="y"',
        'metric.type="custom.googleapis.com/shop/orders" AND resource.type="generic_task"',
        'metric.type="logging.googleapis.com/log_entry_count" AND resource.type="k8s_container" AND metric.labels.severity="ERROR"',
        'metric.type="monitoring.googleapis.com/uptime_check/check_passed" AND resource.type="uptime_url"',
        'metric.type="bigquery.googleapis.com/query/count" AND resource.type="bigquery_project"',
        RUN + ' AND metadata.user_labels.team="search"',
        'metric.type="workload.googleapis.com/http.server.request.duration" AND resource.type="k8s_container" AND metric.labels.http_route="/a"',
    ],
)  # fmt: skip
def test_right_names_and_others_metrics_pass(text):
    """Known names pass, and so does what only its owner can know: own metrics, and services that are not indexed."""
    assert told(text) == []


def test_what_is_not_sure_is_only_a_note():
    """A metric that the index lacks, and resembles none, may be newer than the index: nothing is stopped."""
    text = 'metric.type="run.googleapis.com/sandbox/forks" AND resource.type="cloud_run_revision"'

    (note,) = filter_findings(text)

    assert note.is_note
    assert "2026-04-10" in note.problem
    assert "known_metric" in note.way_out
    assert told(text) == []


def test_a_declared_metric_is_checked_like_any_other():
    """After `known_metric`, labels and aligners of an own metric are checked."""
    known_metric("custom.googleapis.com/test/queue", kind="gauge", value="int64", labels=["queue"])
    text = 'metric.type="custom.googleapis.com/test/queue" AND resource.type="generic_task"'

    assert told(text + ' AND metric.labels.quue="a"') == [
        'metric custom.googleapis.com/test/queue has no label "quue" | Did you mean "queue"'
    ]
    assert rules(text, aligner="rate")[0].startswith('aligner "rate" does not fit')


@pytest.mark.parametrize(
    ("text", "fields", "problem"),
    [
        (LATENCY, {"aligner": "max"}, 'aligner "max" does not fit run.googleapis.com/request_latencies, which is a delta distribution | Use one of "delta", "mean"'),
        (LATENCY, {"aligner": "rate"}, 'aligner "rate" does not fit'),
        (RUN, {"aligner": "percentile_99"}, 'aligner "percentile_99" does not fit run.googleapis.com/request_count, which is a delta of int64'),
        (RUN, {"aligner": "next_older"}, 'aligner "next_older" does not fit'),
        ('metric.type="monitoring.googleapis.com/uptime_check/check_passed" AND resource.type="uptime_url"', {"aligner": "mean"}, 'aligner "mean" does not fit monitoring.googleapis.com/uptime_check/check_passed, which is a gauge of bool | Use one of "next_older", "count", "count_true"'),
        (LATENCY, {"aligner": "delta", "reducer": "max"}, 'reducer "max" does not fit run.googleapis.com/request_latencies, which is a delta distribution once it is aligned'),
        (RUN, {"aligner": "rate", "reducer": "count_true"}, 'reducer "count_true" does not fit'),
        (RUN, {"aligner": "rate", "reducer": "sum", "by": ["metric.label.response_clas"]}, 'by=: metric run.googleapis.com/request_count has no label "response_clas"'),
        (RUN, {"aligner": "rate", "reducer": "sum", "by": ["resource.labels.servicename"]}, 'by=: metric run.googleapis.com/request_count has no resource label "servicename" | Did you mean "service_name"'),
        (RUN, {"aligner": "rate", "reducer": "sum", "by": ["service_name"]}, 'by= names "service_name", which is no field of series'),
    ],
)  # fmt: skip
def test_an_aggregation_that_does_not_fit_is_told(text, fields, problem):
    """Aligner and reducer must fit kind and value type, and the labels to group by must exist."""
    (found,) = rules(text, **fields)

    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (RUN, {"aligner": "rate", "reducer": "sum", "by": ["metric.labels.response_code_class", "resource.label.service_name"]}),
        (LATENCY, {"aligner": "percentile_95", "reducer": "max", "by": ["project", "resource.type"]}),
        (LATENCY, {"aligner": "delta", "reducer": "percentile_99"}),
        ('metric.type="monitoring.googleapis.com/uptime_check/check_passed" AND resource.type="uptime_url"', {"aligner": "next_older", "reducer": "count_false", "by": ["resource.labels.*"]}),
        ('metric.type="workload.googleapis.com/http.server.request.duration" AND resource.type="generic_task"', {"aligner": "percentile_99", "reducer": "mean", "by": ["metric.labels.http_route"]}),
        ('metric.type="custom.googleapis.com/anything" AND resource.type="global"', {"aligner": "rate"}),
    ],
)  # fmt: skip
def test_an_aggregation_that_fits_passes(text, fields):
    """What the platform takes, and what nobody can know, is not refused."""
    assert rules(text, **fields) == []


def test_the_table_agrees_with_the_engine():
    """What is refused before it is sent is what the evaluation refuses; a distribution may also be counted."""
    for name, rule in _RULES.items():
        mine = ALIGNERS[name.removeprefix("ALIGN_").lower()]
        assert {kind.upper() for kind in mine.kinds} == rule.kinds, name
        extra = {"DISTRIBUTION"} if name == "ALIGN_COUNT" else set()
        assert {value.upper() for value in mine.values} == rule.types | extra, name
        assert (mine.result or "").upper() == rule.result, name


def test_the_tables_know_every_aligner_and_reducer():
    """No member of the enums is missing."""
    assert set(ALIGNERS) == {str(each) for each in Aligner} - {"none"}
    assert set(REDUCERS) == {str(each) for each in Reducer} - {"none"}


@pytest.mark.parametrize(
    ("text", "fields", "problem"),
    [
        (LATENCY, {"aligner": "delta", "reducer": "sum"}, "run.googleapis.com/request_latencies is still a distribution, not a number"),
        ('metric.type="monitoring.googleapis.com/uptime_check/check_passed" AND resource.type="uptime_url"', {"aligner": "next_older"}, "monitoring.googleapis.com/uptime_check/check_passed is still true or false, not a number"),
    ],
)  # fmt: skip
def test_a_threshold_needs_a_number(text, fields, problem):
    """What is compared with a number must be one after it was aligned and reduced."""
    condition = ThresholdCondition(filter=text, threshold=1, aggregations=Aggregation(period="60s", **fields))

    (found,) = AlertPolicy(id="a", conditions=condition).problems(RenderContext(project="p"))

    assert found.problem == problem


@pytest.mark.parametrize(
    ("over", "under", "aligners", "problem"),
    [
        ("firestore.googleapis.com/api/request_latencies", "run.googleapis.com/request_latencies", ("percentile_95", "percentile_95"), "the ratio is of unlike things: s and ms are different scales of one thing"),
        ("run.googleapis.com/request_count", "run.googleapis.com/request_count", ("rate", "delta"), "the ratio is of a rate per second and of a count per period"),
    ],
)  # fmt: skip
def test_a_ratio_of_unlike_things_is_told(over, under, aligners, problem):
    """Different scales of one unit, or a rate over a count, make a number that nobody can read."""
    sides = [f'metric.type="{name}" AND resource.type="{_resource(name)}"' for name in (over, under)]
    condition = ThresholdCondition(
        filter=sides[0],
        aggregations=Aggregation(period="60s", aligner=aligners[0], reducer="mean"),
        denominator=sides[1],
        denominator_aggregations=Aggregation(period="60s", aligner=aligners[1], reducer="mean"),
        threshold=0.5,
    )

    (found,) = AlertPolicy(id="a", conditions=condition).problems(RenderContext(project="p"))

    assert found.problem == problem


def _resource(name: str) -> str:
    return google_metrics().metrics[name].resources[0]
