"""Tests of alerts: what they are given, what they demand, and what they say when it is not so."""

from __future__ import annotations

import pytest

from obskit.alerts import Aggregation, AlertPolicy, PromQLCondition, ThresholdCondition
from obskit.catalog import HTTP_SERVER_DURATION, JOB_LAST_SUCCESS, Route
from obskit.errors import DefinitionError, collecting
from obskit.testing import AlertTest
from obskit.testing.notation import labels_of, values_of, written


def policy(query="load > 5", duration="1m", **more):
    return AlertPolicy(
        id="load", conditions=PromQLCondition(query=query, duration=duration), channels=["pager", "chat"], **more
    )


def load(values, says="load", **more):
    return AlertTest(policy(**more), says).series('load{job="a"}', values)


# --------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("notation", "values"),
    [
        ("", []),
        ("1 2 3", [1, 2, 3]),
        ("1+2x3", [1, 3, 5, 7]),
        ("10-3x2", [10, 7, 4]),
        ("-2+4x2", [-2, 2, 6]),
        ("5x2", [5, 5, 5]),
        ("_ _x2 7", [None, None, None, 7]),
        ("1e3 0.5 .5 2.", [1000, 0.5, 0.5, 2]),
        ([1, None, 2.5], [1, None, 2.5]),
    ],
)
def test_values_are_read_as_promtool_reads_them(notation, values):
    """Also lists of numbers; and what was read can be written again."""
    assert values_of(notation) == values
    assert values_of(written(values)) == values


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("1+x3", "is not promtool's notation"),
        ("stale", "no staleness markers"),
        ("{{schema:1}}", "native histograms"),
        ("1x2000000", "more than 1,000,000 values"),
        ([1, "2"], "is not a number"),
        ([True], "is not a number"),
    ],
)
def test_values_that_are_none_are_told(given, reason):
    """At the line of the test, with its name and the way out."""
    with pytest.raises(DefinitionError, match=reason) as caught:
        load(given)
    (problem,) = caught.value.problems
    assert problem.place.startswith("tests/testing/test_alert_tests.py:")
    assert problem.place.endswith('test "load: load"')
    assert problem.way_out


@pytest.mark.parametrize(
    "selector", ["load > 5", "load{a=~'x'}", "sum(load)", "load offset 5m", "load{", "rate(x[5m])"]
)
def test_a_series_is_a_name_and_labels(selector):
    """No query, no pattern, no offset."""
    with pytest.raises(ValueError, match=r"\| Write for example requests_total"):
        labels_of(selector)


def test_all_that_is_wrong_is_told_at_once():
    """While files are loaded, a test with three slips has three problems."""
    with collecting() as problems:
        test = load("x").is_open("soon").notifies("pager", times=1)
        test.metric(JOB_LAST_SUCCESS, "1", where={"obskit.job.nam": "x"}).metric(HTTP_SERVER_DURATION, "1").starting(
            "9 am"
        )
    assert [each.problem.partition(" | ")[0] for each in problems] == [
        "'x' is not promtool's notation",
        "since: 'soon' is not a duration",
        'metric obskit.job.last_success has no label "obskit.job.nam"',
        "http.server.request.duration is a histogram",
        "'9 am' is no time",
    ]


# --------------------------------------------------------------------------- demands

_BUSY = load("1x9 9x9 1x20")  # violates from 5m until 10m; open from 6m on


@pytest.mark.parametrize(
    "test",
    [
        _BUSY.is_open("6m", until="10m"),
        _BUSY.is_open("5m40s", until="9m40s"),
        _BUSY.is_open("5m", until="11m", within="1m"),
        _BUSY.is_open("6m", until="10m", job="a").notifies("pager", times=1).notifies("chat", times=1),
        _BUSY.notifies("pager", times=1).notifies("nobody", times=0),
        _BUSY.is_open_at("6m", "9m30s").is_silent_at("5m30s", "10m", "15m"),
        _BUSY.stays_silent(job="b").is_open_at("7m"),
        load("9x40").is_open("1m"),
        load("5x40").stays_silent(),
        load("9x40").lasting("30s").stays_silent(),
        load("1x9 9x9 1x9 9x9 1x9").is_open("6m", until="10m").is_open("16m", until="20m").notifies("pager", times=2),
    ],
)
def test_what_is_so_passes(test):
    """Each demand holds for what the policy does."""
    test.check()


@pytest.mark.parametrize(
    ("test", "failure"),
    [
        (_BUSY.is_open("5m", until="10m"), "expected it open from 5m until 10m, and it was open from 6m until 10m"),
        (_BUSY.is_open("6m"), "expected it open from 6m until the end, and it was open from 6m until 10m"),
        (_BUSY.is_open("6m", until="10m", job="b"), "for job=b, and it was never open for job=b"),
        (_BUSY.stays_silent(), "expected it silent, and it was open from 6m until 10m for job=a"),
        (_BUSY.is_open_at("5m"), "expected it open at 5m, and it was not"),
        (_BUSY.is_silent_at("7m"), "expected it silent at 7m, and it was open"),
        (_BUSY.notifies("pager", times=2), "expected pager told twice, and it was told once (chat at 6m, pager at 6m)"),
        (load("1x40").notifies("pager", times=1), "and it was told never (nobody was told)"),
        (load("1x9 9x9 1x9 9x9 1x9").is_open("6m", until="10m"), "1 more incident than expected"),
        (_BUSY, "it expects nothing. Add .is_open(…), .stays_silent() or another demand"),
    ],
)
def test_what_is_not_so_says_what_happened(test, failure):
    """One line each."""
    result = test.run()
    assert not result.has_passed
    assert any(failure in each for each in result.failures), result.failures


def test_the_timeline_shows_what_was_expected_beside_what_happened():
    """A column is one evaluation or more; pending is told from firing."""
    with pytest.raises(AssertionError) as caught:
        _BUSY.is_open("5m", until="8m", job="a").check()
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("tests/testing/test_alert_tests.py:")
    assert lines[0].endswith("load: load")
    rows = {line.split()[0]: line for line in lines[3:] if line.strip()}
    assert rows["expected"] == f"expected  {'·' * 10}{'█' * 6}{'·' * 25}  open from 5m until 8m for job=a"
    assert rows["state"] == f"state     {'·' * 10}▒▒{'█' * 8}{'·' * 21}  ▒ pending, █ firing"
    assert rows["incident"].endswith("  6m to 10m job=a, value 9 against 5")
    assert rows["told"] == "told      opened chat at 6m, opened pager at 6m, closed chat at 10m, closed pager at 10m"


def test_reminders_count_and_closing_can_be_silent():
    """With a reminder every two minutes, the four minutes have one more message; nobody hears of the end."""
    reminded = policy(renotify="2m", notify_on_close=False)
    test = AlertTest(reminded).series("load", "1x9 9x9 1x9").is_open("6m", until="10m").notifies("pager", times=2)
    result = test.run()
    assert result.failures == ()
    assert [each.event for each in result.outcome.notifications if each.channel == "pager"] == ["opened", "reminded"]


def test_a_policy_that_cannot_be_evaluated_fails_the_test():
    """Not silently: a policy without an evaluation is silent, too."""
    failures = AlertTest({"conditions": [{"conditionSql": {}}]}).stays_silent().lasting("1h").run().failures
    assert "only Google runs" in failures[0]
    ambiguous = load("9x9", query="load > on (job) limit").series('limit{job="a",x="1"}', "1x9")
    failures = ambiguous.series('limit{job="a",x="2"}', "1x9").is_open_at("1m").run().failures
    assert any("several series" in each for each in failures)


# --------------------------------------------------------------------------- what can be given


@pytest.mark.parametrize(
    ("goal", "good", "total", "problem"),
    [
        (99, "1x3", "1x3", "the goal 99 is not between 0 and 1"),
        (0.99, "x", "1x3", "is not promtool's notation"),
    ],
)
def test_an_objective_must_fit(goal, good, total, problem):
    """Values that can be read, and a goal below 1."""
    body = {"filter": 'select_slo_burn_rate("projects/p/services/s/serviceLevelObjectives/o", "1h")'}
    burning = {"displayName": "burn", "conditions": [{"conditionThreshold": body}]}
    with pytest.raises(DefinitionError, match=problem):
        AlertTest(burning).objective(goal, good=good, total=total)
    with pytest.raises(DefinitionError, match="no burn rate of an SLO"):
        AlertTest(policy()).objective(0.99, good="1", total="1")


def test_metrics_are_seen_by_filters_too():
    """A threshold on Google's CPU of a database: above 80 % for five minutes."""
    condition = ThresholdCondition(
        filter='metric.type="cloudsql.googleapis.com/database/cpu/utilization" resource.type="cloudsql_database"',
        aggregations=[Aggregation(period="60s", aligner="mean")],
        threshold=0.8,
        duration="5m",
    )
    test = AlertTest(AlertPolicy(id="cpu", conditions=condition), every="1m").metric(
        "cloudsql.googleapis.com/database/cpu/utilization",
        "0.5x9 0.9x9 0.5x9",
        resource_type="cloudsql_database",
        resource={"database_id": "p:main"},
    )
    test.is_open("15m", until="20m", database_id="p:main").check()


def test_a_forecast_is_tested_like_anything_else():
    """A disk that fills by 1 % an hour crosses 90 % at 90 h; seen 24 h ahead, after 48 h of training."""
    filling = {
        "displayName": "disk",
        "conditions": [
            {
                "displayName": "full tomorrow",
                "conditionThreshold": {
                    "filter": 'metric.type="disk/used" resource.type="global"',
                    "aggregations": [{"alignmentPeriod": "3600s", "perSeriesAligner": "ALIGN_MEAN"}],
                    "comparison": "COMPARISON_GT",
                    "thresholdValue": 90.0,
                    "duration": "0s",
                    "forecastOptions": {"forecastHorizon": "86400s"},
                },
            }
        ],
    }
    AlertTest(filling, every="10m").metric("disk/used", [index / 6 for index in range(6 * 80)]).is_open(
        "66h30m", within="1h"
    ).check()


def test_log_entries_fire_and_are_rate_limited():
    """Two entries within five minutes are one notification; the incident closes half an hour after the last."""
    on_logs = {
        "displayName": "panic",
        "conditions": [{"displayName": "seen", "conditionMatchedLog": {"filter": '"panic"'}}],
        "alertStrategy": {"notificationRateLimit": {"period": "300s"}, "autoClose": "1800s"},
        "notificationChannels": ["projects/p/notificationChannels/obskit:pager"],
    }
    test = AlertTest(on_logs).log("panic: no disk", at=["10m", "12m"]).log("fine", at="1m").lasting("1h")
    test.is_open("10m", until="42m").notifies("pager", times=1).check()


def test_the_hour_of_the_day_is_that_of_the_beginning():
    """A query that is silent at night fires at nine."""
    by_day = policy("load > 5 and on () hour() >= 9", duration="0s")
    test = AlertTest(by_day, every="5m").series("load", "9x24").starting("2026-11-02T08:00Z")
    test.is_open("1h").check()


@pytest.mark.parametrize("route", Route)
def test_catalog_metrics_follow_the_route(route):
    """The same test holds for both names of a metric."""
    name = {
        Route.GCP: "workload_googleapis_com:http_server_request_duration_count",
        Route.OTLP: "http_server_request_duration_count",
    }[route]
    test = AlertTest(policy(f'sum by (job) ({name}{{http_route="/x"}}) > 50')).histogram(
        HTTP_SERVER_DURATION, {0.1: "0+10x20"}, where={"http.route": "/x"}, service="chat"
    )
    test.is_open("4m", service="chat").check(route)


def test_a_day_takes_a_fraction_of_a_second_in_evaluations_that_are_made_together():
    """2,880 evaluations of a percentile over 17 buckets: one range query, not one query each."""
    from obskit.alerts import latency_p95

    test = AlertTest(latency_p95()).histogram(HTTP_SERVER_DURATION, {0.3: "0+54x2879", 4: "0+6x2879"}, service="chat")
    result = test.is_open("5m30s").run()
    assert result.failures == ()
    assert len(result.outcome.replay.moments) == 2_880
