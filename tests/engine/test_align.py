"""Aligners and reducers, against values that were worked out by hand."""

from __future__ import annotations

import math

import pytest

from obskit.engine.align import aggregate, period_ms
from obskit.engine.reduce import labels_of, ratio
from obskit.engine.series import Distribution, Point, TypedSeries
from obskit.errors import QueryError

T0 = 1_700_000_040_000


def at(seconds):
    return T0 + seconds * 1000


def typed(kind, value_type, points, labels=None, resource=None, resource_type="global", metric_type="custom/m"):
    return TypedSeries(
        metric_type=metric_type,
        metric_labels=labels or {},
        resource_type=resource_type,
        resource_labels=resource or {"project_id": "p"},
        kind=kind,
        value_type=value_type,
        points=points,
    )


def gauge(values, value_type="DOUBLE", **options):
    """Return a gauge of second → value."""
    return typed("GAUGE", value_type, [Point(at(s), at(s), value) for s, value in values.items()], **options)


def cumulative(values, value_type="DOUBLE", start=0, **options):
    """Return a counter of second → value, or of (second of its start, second) → value."""
    points = [
        Point(at(s[0] if isinstance(s, tuple) else start), at(s[1] if isinstance(s, tuple) else s), value)
        for s, value in values.items()
    ]
    return typed("CUMULATIVE", value_type, points, **options)


def delta(values, value_type="DOUBLE", **options):
    """Return a series of (start, end) → growth."""
    return typed("DELTA", value_type, [Point(at(a), at(b), value) for (a, b), value in values.items()], **options)


def spread(*counts, mean=1.0, bounds=(1.0, 2.0, 4.0)):
    return Distribution(sum(counts), mean, bounds, counts)


def rows(found):
    """Return second → value of the only series."""
    assert len(found) == 1
    return {(point.end_ms - T0) // 1000: point.value for point in found[0].points}


def aligned(item, aligner, start=0, end=180, period="60s"):
    return rows(aggregate([item], {"perSeriesAligner": aligner, "alignmentPeriod": period}, at(start), at(end)))


LEVELS = {15: 4.0, 30: 8.0, 60: 6.0, 75: 1.0, 150: 2.0, 180: 4.0}


@pytest.mark.parametrize(
    ("aligner", "expected"),
    [
        ("ALIGN_MEAN", {60: 6.0, 120: 1.0, 180: 3.0}),
        ("ALIGN_MIN", {60: 4.0, 120: 1.0, 180: 2.0}),
        ("ALIGN_MAX", {60: 8.0, 120: 1.0, 180: 4.0}),
        ("ALIGN_SUM", {60: 18.0, 120: 1.0, 180: 6.0}),
        ("ALIGN_COUNT", {60: 3.0, 120: 1.0, 180: 2.0}),
        ("ALIGN_NEXT_OLDER", {60: 6.0, 120: 1.0, 180: 4.0}),
        ("ALIGN_STDDEV", {60: math.sqrt(8 / 3), 120: 0.0, 180: 1.0}),
    ],
)
def test_gauges(aligner, expected):
    """A period has the points after its begin and up to its end."""
    assert aligned(gauge(LEVELS), aligner) == pytest.approx(expected)


def test_a_period_without_points_of_a_gauge_has_none():
    """Nothing is made up for a gauge that was not measured."""
    assert aligned(gauge({30: 1.0, 150: 3.0}), "ALIGN_MEAN") == {60: 1.0, 180: 3.0}


def test_periods_are_counted_back_from_the_end():
    """The last period ends where the interval does; the first may begin before it."""
    assert aligned(gauge({10: 1.0, 80: 2.0}), "ALIGN_SUM", start=0, end=90) == {30: 1.0, 90: 2.0}


def test_interpolation():
    """A value between two points is on the line between them, where both are within a period."""
    found = aligned(gauge({40: 10.0, 80: 20.0, 180: 7.0}), "ALIGN_INTERPOLATE")
    assert found == {60: 15.0, 180: 7.0}


def test_percent_change():
    """A change is that of the ten-minute means, in percent."""
    values = dict.fromkeys(range(60, 661, 60), 10.0) | {720: 20.0}
    found = aligned(gauge(values), "ALIGN_PERCENT_CHANGE", start=660, end=720)
    assert found == {720: pytest.approx(10.0)}


@pytest.mark.parametrize(
    ("aligner", "expected"),
    [("ALIGN_COUNT_TRUE", 2.0), ("ALIGN_COUNT_FALSE", 1.0), ("ALIGN_FRACTION_TRUE", 2 / 3)],
)
def test_booleans(aligner, expected):
    """Booleans are counted."""
    found = aligned(gauge({20: True, 40: False, 60: True}, "BOOL"), aligner, end=60)
    assert found == {60: pytest.approx(expected)}


def test_counters_grow_by_differences():
    """A counter's growth in a period is the difference to the period before; its rate is per second."""
    item = cumulative({60: 10, 120: 40, 180: 100}, "INT64")
    assert aligned(item, "ALIGN_DELTA", start=60) == {120: 30, 180: 60}
    assert aligned(item, "ALIGN_RATE", start=60) == {120: 0.5, 180: 1.0}


def test_a_counter_starts_from_nothing():
    """The first point of a counter says all that was counted since its start."""
    assert aligned(cumulative({(30, 60): 12.0}), "ALIGN_DELTA", end=60) == {60: 12.0}


@pytest.mark.parametrize("start_after_reset", [0, 130])
def test_resets_lose_nothing(start_after_reset):
    """After a restart the whole new value was gained, whether or not the start time says so."""
    item = cumulative({(0, 60): 10.0, (0, 120): 40.0, (start_after_reset, 180): 5.0})
    assert aligned(item, "ALIGN_DELTA", start=60) == {120: 30.0, 180: 5.0}


def test_a_gap_is_shared_out():
    """Growth over a gap belongs evenly to the periods of the gap, and none of it is lost."""
    found = aligned(cumulative({60: 10, 240: 70}, "INT64"), "ALIGN_DELTA", start=60, end=240)
    assert found == {120: 20, 180: 20, 240: 20}
    uneven = aligned(cumulative({60: 0, 240: 10}, "INT64"), "ALIGN_DELTA", start=60, end=240)
    assert sum(uneven.values()) == 10
    assert all(value == int(value) for value in uneven.values())


def test_deltas_add_up():
    """Several deltas that end in one period are summed there."""
    item = delta({(0, 30): 1.0, (30, 60): 2.0, (60, 90): 4.0})
    assert aligned(item, "ALIGN_DELTA", end=120) == {60: 3.0, 120: 4.0}
    assert aligned(item, "ALIGN_SUM", end=120) == {60: 3.0, 120: 4.0}


def test_percentiles_of_distributions():
    """A percentile lies evenly within its bucket; beyond the last bound it is that bound."""
    item = delta(
        {(0, 60): spread(10, 10, 0, 0), (60, 120): spread(0, 0, 4, 0), (120, 180): spread(0, 0, 0, 3)}, "DISTRIBUTION"
    )
    assert aligned(item, "ALIGN_PERCENTILE_50") == pytest.approx({60: 1.0, 120: 3.0, 180: 4.0})
    assert aligned(item, "ALIGN_PERCENTILE_95") == pytest.approx({60: 1.9, 120: 3.9, 180: 4.0})


def test_cumulative_distributions_by_their_growth():
    """What a cumulative histogram gained is what its percentiles are of; a restart loses nothing."""
    item = cumulative(
        {(0, 60): spread(100, 0, 0, 0), (0, 120): spread(100, 0, 8, 0), (130, 180): spread(4, 0, 0, 0)}, "DISTRIBUTION"
    )
    assert aligned(item, "ALIGN_PERCENTILE_50", start=60) == pytest.approx({120: 3.0, 180: 0.5})
    growth = aligned(item, "ALIGN_DELTA", start=60)
    assert [value.bucket_counts for value in growth.values()] == [(0, 0, 8, 0), (4, 0, 0, 0)]


def test_means_of_cumulative_distributions():
    """The mean of a period is that of the values that it gained."""
    item = cumulative({60: spread(4, 0, 0, 0, mean=0.5), 120: spread(4, 0, 2, 0, mean=4 / 3)}, "DISTRIBUTION")
    assert aligned(item, "ALIGN_MEAN", start=60, end=120) == {120: pytest.approx(3.0)}


def test_an_empty_distribution_has_no_percentile():
    """Where nothing was observed there is no point."""
    item = cumulative({60: spread(4, 0, 0, 0), 120: spread(4, 0, 0, 0)}, "DISTRIBUTION")
    assert aggregate([item], {"perSeriesAligner": "ALIGN_PERCENTILE_99"}, at(60), at(120)) == []


@pytest.mark.parametrize(
    ("aligner", "item"),
    [
        ("ALIGN_RATE", gauge({60: 1.0})),
        ("ALIGN_DELTA", gauge({60: 1.0})),
        ("ALIGN_MEAN", cumulative({60: 1.0})),
        ("ALIGN_PERCENTILE_95", gauge({60: 1.0})),
        ("ALIGN_RATE", delta({(0, 60): spread(1, 0, 0, 0)}, "DISTRIBUTION")),
        ("ALIGN_COUNT_TRUE", gauge({60: 1.0})),
        ("ALIGN_MEDIAN", gauge({60: 1.0})),
    ],
)
def test_aligners_that_do_not_fit(aligner, item):
    """An aligner that the platform refuses for a series is refused here, with its name."""
    with pytest.raises(QueryError, match=aligner):
        aligned(item, aligner)


def test_without_an_aligner_series_stay():
    """No aggregation leaves the series as they are."""
    items = [gauge(LEVELS)]
    assert aggregate(items, None, at(0), at(180)) == items
    assert aggregate(items, {"perSeriesAligner": "ALIGN_NONE"}, at(0), at(180)) == items


@pytest.mark.parametrize("text", ["x", "0s", "-60s", "nans", "infs"])
def test_periods_that_are_none(text):
    """An alignment period must be a positive number of seconds."""
    with pytest.raises(QueryError, match="alignment period"):
        period_ms({"alignmentPeriod": text})


def across(items, reducer, *fields, aligner="ALIGN_MEAN"):
    aggregation = {
        "perSeriesAligner": aligner,
        "alignmentPeriod": "60s",
        "crossSeriesReducer": reducer,
        "groupByFields": list(fields),
    }
    found = aggregate(items, aggregation, at(0), at(60))
    return {tuple(sorted(labels_of(item).items())): item.points[-1].value for item in found if item.points}


FOUR = [
    gauge({60: value}, labels={"path": path}) for path, value in [("/a", 1.0), ("/a", 2.0), ("/a", 6.0), ("/b", 7.0)]
]


@pytest.mark.parametrize(
    ("reducer", "expected"),
    [
        ("REDUCE_SUM", 16.0),
        ("REDUCE_MEAN", 4.0),
        ("REDUCE_MIN", 1.0),
        ("REDUCE_MAX", 7.0),
        ("REDUCE_COUNT", 4.0),
        ("REDUCE_STDDEV", math.sqrt((9 + 4 + 4 + 9) / 4)),
        ("REDUCE_PERCENTILE_50", 4.0),
        ("REDUCE_PERCENTILE_95", 6.0 + 0.85),
        ("REDUCE_PERCENTILE_05", 1.15),
    ],
)
def test_reducers(reducer, expected):
    """A reducer makes one value of all series at each moment."""
    assert across(FOUR, reducer) == {(): pytest.approx(expected)}


def test_groups():
    """There is one series per combination of the labels that are grouped by, and it has these labels only."""
    found = across(FOUR, "REDUCE_SUM", "metric.label.path", "resource.labels.project_id")
    where = ("resource.labels.project_id", "p")
    assert found == {
        (("metric.labels.path", "/a"), where): 9.0,
        (("metric.labels.path", "/b"), where): 7.0,
    }


def test_resource_types_stay_apart():
    """Series of different resource types are never in one group."""
    items = [gauge({60: 1.0}), gauge({60: 2.0}, resource_type="gce_instance")]
    found = aggregate(
        items,
        {"perSeriesAligner": "ALIGN_MEAN", "alignmentPeriod": "60s", "crossSeriesReducer": "REDUCE_SUM"},
        at(0),
        at(60),
    )
    assert {item.resource_type: item.points[-1].value for item in found} == {"global": 1.0, "gce_instance": 2.0}


def test_reduced_booleans():
    """Booleans are counted across series too."""
    items = [gauge({60: value}, "BOOL") for value in (True, True, False, True)]
    assert across(items, "REDUCE_COUNT_FALSE", aligner="ALIGN_NEXT_OLDER") == {(): 1.0}
    assert across(items, "REDUCE_FRACTION_TRUE", aligner="ALIGN_NEXT_OLDER") == {(): 0.75}


def test_percentiles_of_merged_distributions():
    """A percentile across histograms is that of all their values together, not of their percentiles."""
    items = [
        delta({(0, 60): spread(98, 0, 0, 0)}, "DISTRIBUTION"),
        delta({(0, 60): spread(0, 0, 2, 0)}, "DISTRIBUTION"),
    ]
    assert across(items, "REDUCE_PERCENTILE_99", aligner="ALIGN_DELTA") == {(): pytest.approx(3.0)}
    merged = across(items, "REDUCE_SUM", aligner="ALIGN_DELTA")[()]
    assert merged.bucket_counts == (98, 0, 2, 0)


def test_merging_different_bounds_keeps_every_value():
    """Histograms of different bounds are merged over all bounds, and no value is lost."""
    items = [
        delta({(0, 60): spread(4, 4, bounds=(2.0,), mean=2.0)}, "DISTRIBUTION"),
        delta({(0, 60): spread(1, 1, 1, bounds=(1.0, 4.0), mean=2.0)}, "DISTRIBUTION"),
    ]
    merged = across(items, "REDUCE_SUM", aligner="ALIGN_DELTA")[()]
    assert merged.bounds == (1.0, 2.0, 4.0)
    assert merged.count == sum(merged.bucket_counts) == 11
    assert merged.mean == pytest.approx(2.0)


def test_a_reducer_needs_an_aligner():
    """Unaligned series do not share their moments, so they are not reduced."""
    with pytest.raises(QueryError, match="needs an aligner"):
        aggregate(FOUR, {"crossSeriesReducer": "REDUCE_SUM"}, at(0), at(60))


def test_unknown_reducers():
    """A reducer that does not exist is refused with its name."""
    with pytest.raises(QueryError, match="REDUCE_MEDIAN"):
        across(FOUR, "REDUCE_MEDIAN")


def test_ratios():
    """A ratio divides the series of the same labels, and has no point where it would divide by zero."""
    errors = [gauge({60: 1.0, 120: 2.0}, labels={"path": "/a"}), gauge({60: 5.0}, labels={"path": "/c"})]
    total = [gauge({60: 4.0, 120: 0.0}, labels={"path": "/a"}), gauge({60: 9.0}, labels={"path": "/b"})]
    assert rows(ratio(errors, total)) == {60: 0.25}
