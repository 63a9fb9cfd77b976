"""SLOs are worked out from the series of their indicators."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from obskit.engine.conditions import UnsupportedError
from obskit.engine.distributions import count_within
from obskit.engine.indicators import indicator_of
from obskit.engine.objectives import Budget, Objective, burn_rate
from obskit.engine.series import Distribution, Point, TypedSeries
from obskit.queries import filters

MINUTE = 60_000
DAY = 86_400_000
NAME = "projects/p/services/s/serviceLevelObjectives/o"
COUNT = 'metric.type="x/count" AND resource.type="global"'
RATIO = {
    "requestBased": {
        "goodTotalRatio": {"badServiceFilter": f'{COUNT} AND metric.labels.ok="no"', "totalServiceFilter": COUNT}
    }
}


def objective(indicator, **more):
    return Objective(
        {"name": NAME, "goal": 0.99, "rollingPeriod": f"{DAY // 1000}s", **more, "serviceLevelIndicator": indicator}
    )


def series(points, *, kind="CUMULATIVE", value_type="INT64", metric="x/count", **labels):
    return TypedSeries(
        metric_type=metric,
        metric_labels=labels,
        resource_type="global",
        resource_labels={"project_id": "p"},
        kind=kind,
        value_type=value_type,
        points=points,
    )


def counter(values, start=0, **labels):
    """Return a counter that was exported each minute, from `start` on."""
    return series([Point(start, start + (i + 1) * MINUTE, float(v)) for i, v in enumerate(values)], **labels)


def fetching(*given):
    """Return a source of these series that gives the point before the window too."""

    def fetch(wanted, begin, end):
        found = []
        for each in given:
            if wanted.matches(each.metric_type, each.metric_labels, each.resource_type, each.resource_labels):
                before = [point for point in each.points if point.end_ms <= begin][-1:]
                inside = [point for point in each.points if begin < point.end_ms <= end]
                found.append(
                    series([*before, *inside], kind=each.kind, value_type=each.value_type, **each.metric_labels)
                )
        return found

    return fetch


def followed(made, *given, until, settled=0):
    made.follow(fetching(*given), until, settled, 0)
    return made


def test_burn_rate_of_a_ratio():
    """One event in a hundred bad is a burn rate of 1 at a goal of 99 %; counters of all series add up."""
    good = counter([990 * (i + 1) for i in range(60)], ok="yes")
    bad = counter([10 * (i + 1) for i in range(60)], ok="no")
    made = followed(objective(RATIO), good, bad, until=60 * MINUTE)
    assert made.burn_rate(60 * MINUTE, 3_600_000) == pytest.approx(1.0)
    (found,) = made.series("select_slo_burn_rate", 300, 50 * MINUTE, 60 * MINUTE)
    assert [point.end_ms // MINUTE for point in found.points] == list(range(51, 61))
    assert found.points[-1].value == pytest.approx(1.0)


def test_windows_end_where_they_are_asked_to():
    """Errors of an hour ago are in a window of two hours, not in one of half an hour."""
    good = counter([100 * (i + 1) for i in range(120)], ok="yes")
    bad = counter([min(i + 1, 30) * 100 for i in range(120)], ok="no")
    made = followed(objective(RATIO), good, bad, until=120 * MINUTE)
    assert made.burn_rate(120 * MINUTE, 30 * MINUTE) == 0.0
    assert made.burn_rate(120 * MINUTE, 120 * MINUTE) == pytest.approx((3000 / 15_000) / 0.01)
    assert made.burn_rate(30 * MINUTE, 30 * MINUTE) == pytest.approx(50.0)


def test_settled_slots_are_counted_once_and_stay_the_same():
    """Following minute by minute gives what one look at the end gives; resets of a counter add up."""
    ups = counter([5, 10, 15, 3, 6, 9, 12, 15], ok="yes")
    downs = counter([1, 1, 2, 2, 2, 3, 4, 4], ok="no")
    step, once = objective(RATIO), objective(RATIO)
    for minute in range(1, 9):
        followed(step, ups, downs, until=minute * MINUTE, settled=(minute - 2) * MINUTE)
    followed(once, ups, downs, until=8 * MINUTE)
    for made in (step, once):
        assert made.budget(8 * MINUTE) == Budget(good=30.0, total=34.0, goal=0.99)


def test_late_points_are_counted_too():
    """When points have come late, everything is counted anew."""
    made = followed(objective(RATIO), counter([10, 20]), until=2 * MINUTE, settled=2 * MINUTE)
    made.follow(fetching(counter([10, 40])), 2 * MINUTE, 2 * MINUTE, 1)
    assert made.budget(2 * MINUTE).total == 40.0


def test_without_events_there_is_no_burn_rate():
    """Nothing is divided by nothing."""
    assert burn_rate(0.0, 0.0, 0.99) is None
    made = followed(objective(RATIO), until=10 * MINUTE)
    assert made.series("select_slo_burn_rate", 300, 0, 10 * MINUTE) == []
    assert made.budget(10 * MINUTE).fraction is None


def test_every_selector():
    """Budget, its fraction and total, compliance, counts and health are what the period's events say."""
    made = followed(objective(RATIO), counter([100, 200]), counter([1, 1], ok="no"), until=2 * MINUTE)

    def newest(selector):
        return [each.points[-1].value for each in made.series(selector, 0, 0, 2 * MINUTE)]

    assert newest("select_slo_compliance") == [pytest.approx(200 / 201)]
    assert newest("select_slo_budget_total") == [pytest.approx(2.01)]
    assert newest("select_slo_budget") == [pytest.approx(1.01)]
    assert newest("select_slo_budget_fraction") == [pytest.approx(1.01 / 2.01)]
    assert newest("select_slo_health") == [1.0]
    good, bad = made.series("select_slo_counts", 0, 0, 2 * MINUTE)
    assert [(each.metric_labels, each.kind) for each in (good, bad)] == [
        ({"event_type": "good"}, "DELTA"),
        ({"event_type": "bad"}, "DELTA"),
    ]
    assert [point.value for point in bad.points] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("selector", "told"), [("select_slo_mood", "not worked out"), ("select_slo_burn_rate", "no window")]
)
def test_selectors_that_cannot_be(selector, told):
    """They are refused by name."""
    with pytest.raises(UnsupportedError, match=told):
        objective(RATIO).series(selector, 0, 0, MINUTE)


def test_distribution_cut():
    """Values within the range are good; the bucket that holds a bound is shared out evenly."""
    value = Distribution(10, 0.3, (0.1, 0.5, 1.0), (2, 4, 3, 1))
    assert [count_within(value, 0.0, each) for each in (0.1, 0.3, 1.0, float("inf"))] == [2.0, 4.0, 9.0, 10.0]
    assert count_within(value, 0.1, 0.5) == 4.0
    cut = {"requestBased": {"distributionCut": {"distributionFilter": COUNT, "range": {"min": 0, "max": 0.3}}}}
    item = series([Point(0, MINUTE, value)], kind="DELTA", value_type="DISTRIBUTION")
    assert followed(objective(cut), item, until=MINUTE).budget(MINUTE) == Budget(good=4.0, total=10.0, goal=0.99)


def windows(**criterion):
    return {"windowsBased": {"windowPeriod": "120s", **criterion}}


def gauge(values, value_type="DOUBLE", **labels):
    return series(
        [Point(0, (i + 1) * MINUTE, v) for i, v in enumerate(values)], kind="GAUGE", value_type=value_type, **labels
    )


@pytest.mark.parametrize(
    ("criterion", "given", "good", "total"),
    [
        ({"goodBadMetricFilter": COUNT}, [gauge([0.0, 1.0, 0.0, 0.0], "BOOL")], 1, 2),
        ({"metricMeanInRange": {"timeSeries": COUNT, "range": {"max": 5}}}, [gauge([2, 6, 9, 9]), gauge([4, 4, 9, 9], a="b")], 1, 2),
        ({"metricSumInRange": {"timeSeries": COUNT, "range": {"min": 1, "max": 5}}}, [gauge([2, 2, 3, 3]), gauge([2, 2, 3, 3], a="b")], 1, 2),
        ({"goodTotalRatioThreshold": {"threshold": 0.9, "performance": RATIO["requestBased"]}}, [counter([10, 20, 20, 20]), counter([1, 1, 9, 9], ok="no")], 1, 2),
    ],
    ids=["any-true", "mean", "sum", "ratio"],
)  # fmt: skip
def test_windows_are_good_by_their_criterion(criterion, given, good, total):
    """Each window of two minutes is good or bad as a whole; one without data is no window."""
    made = followed(objective(windows(**criterion)), *given, until=10 * MINUTE)
    found = made.budget(10 * MINUTE)
    assert (found.good, found.total) == (good, total)


def test_a_window_that_just_reaches_its_share_is_good():
    """55 of 100 are 55 %, whatever floats say of 0.55 times 100."""
    criterion = {"goodTotalRatioThreshold": {"threshold": 0.55, "performance": RATIO["requestBased"]}}
    good, bad = counter([0, 55, 55, 109], ok="yes"), counter([0, 45, 45, 91], ok="no")
    found = followed(objective(windows(**criterion)), good, bad, until=4 * MINUTE).budget(4 * MINUTE)
    assert (found.good, found.total) == (1, 2)


CLOUD_RUN = {"cloudRun": {"serviceName": "shop", "location": "europe-west1"}}


def test_basic_indicators_of_known_services():
    """Cloud Run's and App Engine's requests are known, availability and latency."""
    made = indicator_of({"serviceLevelIndicator": {"basicSli": {"availability": {}}}}, CLOUD_RUN)
    assert all("run.googleapis.com/request_count" in each.text for each in made.filters)
    run = {"service_name": "shop", "location": "europe-west1"}
    assert made.filters[1].matches("run.googleapis.com/request_count", {}, "cloud_run_revision", run)
    made = indicator_of(
        {"serviceLevelIndicator": {"basicSli": {"latency": {"threshold": "0.5s"}}}},
        {"appEngine": {"moduleId": "default"}},
    )
    assert made.filters == (
        filters.parse('metric.type="appengine.googleapis.com/http/server/response_latencies" AND resource.type="gae_app" AND resource.labels.module_id="default"'),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("indicator", "service", "told"),
    [
        ({"basicSli": {"availability": {}}}, {"meshIstio": {"meshUid": "m"}}, "meshIstio"),
        ({"basicSli": {"availability": {}, "method": ["get"]}}, CLOUD_RUN, "no methods"),
        ({}, {}, "no indicator"),
        ({"requestBased": {"goodTotalRatio": {"goodServiceFilter": COUNT}}}, {}, "exactly two"),
        ({"windowsBased": {"windowPeriod": "7s"}}, {}, "fraction of a day"),
        ({"windowsBased": {"windowPeriod": "60s"}}, {}, "which windows are good"),
    ],
    ids=["istio", "methods", "nothing", "ratio", "period", "criterion"],
)
def test_what_cannot_be_worked_out_is_refused(indicator, service, told):
    """With the reason and a way out."""
    with pytest.raises(UnsupportedError, match=told):
        indicator_of({"displayName": "o", "serviceLevelIndicator": indicator}, service)


@pytest.mark.parametrize(
    ("calendar", "begin"),
    [("DAY", "2026-11-21"), ("WEEK", "2026-11-16"), ("FORTNIGHT", "2026-11-16"), ("MONTH", "2026-11-01")],
)
def test_calendar_periods(calendar, begin):
    """Days and months by the calendar, weeks from Monday on, fortnights from odd weeks on, all in UTC."""
    at = round(datetime(2026, 11, 21, 12, 30, tzinfo=UTC).timestamp() * 1000)
    made = Objective({"name": NAME, "goal": 0.9, "calendarPeriod": calendar, "serviceLevelIndicator": RATIO})
    assert datetime.fromtimestamp(made.period_start(at) / 1000, UTC).date().isoformat() == begin
