"""One way to ask, in PromQL and as a filter; Google's metrics in every builder."""

from __future__ import annotations

import promql_parser
import pytest

from obskit.alerts import AlertPolicy, PromQLCondition, ThresholdCondition
from obskit.catalog import AI_COST, HTTP_SERVER_DURATION, PROVIDER_STATUS, Route
from obskit.errors import QueryError, collecting
from obskit.queries import (
    RenderContext,
    google,
    increase,
    known_metric,
    matches,
    measure,
    per_stack,
    percentile,
    rate,
    ratio,
)
from obskit.queries.checks import promql_findings
from obskit.queries.google_metrics import ValueType, google_metrics
from obskit.queries.measures import _fitting

CONTEXT = RenderContext(project="shop")
REQUESTS = google("run.googleapis.com/request_count")
LATENCIES = google("run.googleapis.com/request_latencies")

ERROR_RATIO = (
    'sum by (service_name) (rate(run_googleapis_com:request_count{response_code_class="5xx"}[2m])) / '
    "sum by (service_name) (rate(run_googleapis_com:request_count[2m]))"
)


def told(make) -> list[str]:
    with collecting() as problems:
        make()
    assert all("test_measures.py:" in each.place for each in problems)
    return [f"{each.problem} | {each.way_out}" for each in problems]


def test_the_builders_take_googles_metrics():
    """Rates, ratios and percentiles of Google's metrics are spelled as PromQL wants them, the same on both routes."""
    query = ratio(
        rate(REQUESTS, where={"response_code_class": "5xx"}, by="service_name", window="2m"),
        rate(REQUESTS, by="service_name", window="2m"),
    )

    texts = {query.render(RenderContext(project="p", route=route)) for route in Route}

    assert texts == {ERROR_RATIO}
    assert percentile(95, LATENCIES, by="location", window="5m").render(CONTEXT) == (
        "histogram_quantile(0.95, sum by (le, location) (rate(run_googleapis_com:request_latencies_bucket[5m])))"
    )


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: google("run.googleapis.com/request_cuont"), 'Cloud Run has no metric run.googleapis.com/request_cuont | Did you mean "run.googleapis.com/request_count"'),
        (lambda: google("custom.googleapis.com/nobody/knows"), "custom.googleapis.com/nobody/knows is not in the index of Google's metrics | Declare it with known_metric(…)"),
        (lambda: google("cloudscheduler.googleapis.com/job/count"), "Cloud Scheduler has no metrics of its own"),
        (lambda: rate(REQUESTS, where={"response_class": "5xx"}, window="1m"), 'metric run.googleapis.com/request_count has no label "response_class" | Did you mean "response_code_class"'),
        (lambda: rate(google("run.googleapis.com/container/instance_count"), window="1m"), "rate needs a counter or histogram, run.googleapis.com/container/instance_count is a gauge"),
        (lambda: percentile(95, REQUESTS, window="1m"), "percentile needs a histogram, run.googleapis.com/request_count is a counter"),
        (lambda: increase(AI_COST, by="modl", window="1m"), 'metric obskit.gen_ai.cost has no label "modl"'),
        (lambda: measure(REQUESTS, "percentile_95"), '"percentile_95" does not fit run.googleapis.com/request_count, which is a delta of int64 | Ask one of "rate", "increase"'),
        (lambda: measure(REQUESTS, "rates"), '"rates" is no question | Did you mean "rate"'),
        (lambda: measure(AI_COST, "mean"), '"mean" does not fit obskit.gen_ai.cost, which is a counter | Ask one of "rate", "increase"'),
        (lambda: measure(REQUESTS, "rate", period="soon"), "'soon' is not a duration"),
        (lambda: measure(REQUESTS, "rate", where={"code": "5"}), 'metric run.googleapis.com/request_count has no label "code" | Its labels are response_code,'),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_at_the_users_line(make, problem):
    """A misspelt metric or label, or a question that does not fit its metric, names file, line and a way out."""
    assert any(each.startswith(problem) for each in told(make)), told(make)


def test_outside_a_loaded_file_it_is_raised():
    """In a script or a shell the first problem is an error."""
    with pytest.raises(QueryError, match="Did you mean"):
        google("run.googleapis.com/request_cuont")


def test_a_measure_is_promql_and_a_filter():
    """The same question in both languages."""
    errors = measure(REQUESTS, "rate", where={"response_code_class": matches("[45]xx")}, by=["service_name"])

    assert errors.promql().render(CONTEXT) == (
        'sum by (service_name) (rate(run_googleapis_com:request_count{response_code_class=~"[45]xx"}[1m]))'
    )
    assert errors.filter().render(CONTEXT) == (
        'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision" '
        'AND metric.labels.response_code_class=monitoring.regex.full_match("[45]xx")'
    )
    assert errors.aggregation().to_dict() == {
        "alignmentPeriod": "60s",
        "perSeriesAligner": "ALIGN_RATE",
        "crossSeriesReducer": "REDUCE_SUM",
        "groupByFields": ["resource.labels.service_name"],
    }


def _questions():
    for metric in (*google_metrics().metrics.values(), AI_COST, HTTP_SERVER_DURATION, PROVIDER_STATUS):
        for ask in sorted(_fitting(metric)):
            yield metric, ask


def test_every_fitting_question_of_every_metric_passes_the_checks():
    """What a measure renders is never refused by the checks of filters, aggregations and PromQL."""
    asked = 0
    for metric, ask in _questions():
        resource = metric.resources[0] if len(getattr(metric, "resources", ())) > 1 else ""
        made = measure(metric, ask, period="5m", resource_type=resource)
        text = made.promql().render(CONTEXT)
        promql_parser.parse(text)
        is_any = getattr(metric, "resources", ("some",)) == ()
        if not is_any:
            assert [each for each in promql_findings(text, Route.GCP) if not each.is_note] == [], text
        is_counted = getattr(metric, "value", None) is ValueType.DISTRIBUTION or metric is HTTP_SERVER_DURATION
        if is_counted and ask in {"rate", "increase"}:
            with pytest.raises(QueryError, match="cannot count the values of a distribution"):
                made.aggregation()
            continue
        condition = ThresholdCondition(**made.threshold_fields(), threshold=1)
        if not is_any:
            assert AlertPolicy(id="a", conditions=condition).problems(CONTEXT) == [], (metric.name, ask)
        asked += 1
    assert asked > 800


def test_a_ratio_of_measures_makes_both_kinds_of_condition():
    """A ratio is a quotient in PromQL, and numerator and denominator in a threshold condition."""
    share = measure(REQUESTS, "rate", where={"response_code_class": "5xx"}) / measure(REQUESTS, "rate")

    by_filter = ThresholdCondition(**share.threshold_fields(), threshold=0.05)
    by_query = PromQLCondition(query=share.promql() > 0.05)

    assert AlertPolicy(id="a", conditions=[by_filter]).problems(CONTEXT) == []
    assert AlertPolicy(id="b", conditions=[by_query]).problems(CONTEXT) == []
    body = by_filter.to_dict(CONTEXT, "a")["conditionThreshold"]
    assert body["denominatorFilter"].startswith('metric.type="run.googleapis.com/request_count"')


def test_a_ratio_of_unlike_things_is_refused():
    """Different periods, labels or units of the two sides are all told."""
    half = measure(REQUESTS, "rate", by="service_name", period="5m")

    found = told(lambda: half / measure(REQUESTS, "increase", period="1m"))

    assert [each.partition(" | ")[0] for each in found] == [
        "the two sides are over 5 min and 1 min",
        "the two sides keep different labels",
        "the ratio is of unlike things: one is in 1/s, the other in 1",
    ]


def test_a_measure_differs_from_stack_to_stack():
    """Labels and periods may be given per stack, and both languages follow."""
    made = measure(REQUESTS, "rate", where={"service_name": per_stack({"dev": "shop-dev", "prod": "shop"})})
    dev, prod = (RenderContext(project="p", stack=stack) for stack in ("dev", "prod"))

    assert 'service_name="shop-dev"' in made.promql().render(dev)
    assert 'service_name="shop"' in made.promql().render(prod)
    assert 'resource.labels.service_name="shop"' in made.filter().render(prod)
    condition = ThresholdCondition(**made.threshold_fields(), threshold=1)
    assert '"shop-dev"' in condition.to_dict(dev, "x")["conditionThreshold"]["filter"]


def test_a_declared_metric_is_as_good_as_googles():
    """Builders take what `known_metric` returns."""
    orders = known_metric("custom.googleapis.com/test/paid", kind="cumulative", value="int64", labels=["shop"])

    assert rate(orders, by="shop", window="1m").render(CONTEXT) == (
        "sum by (shop) (rate(custom_googleapis_com:test_paid[1m]))"
    )
    assert google("custom.googleapis.com/test/paid") is orders
