"""Totals over a window are exact, whatever counters do at its edges."""

from __future__ import annotations

import pytest

from obskit import catalog
from obskit.engine.series import Distribution, MemorySource, Series
from obskit.local.http.ui.counting import counter_series, increase_by, increase_in_bins, quantile
from obskit.local.http.ui.llm import llm_summary
from obskit.local.http.ui.services import service_rows
from obskit.local.store import Descriptor, SeriesKey
from obskit.local.store.metrics import MetricStore

NAME = catalog.promql_name(catalog.AI_COST.metric_type(catalog.Route.GCP))


def series(times, values, **labels):
    return Series({"__name__": NAME, **labels}, times, values)


def total(*given, start_ms, end_ms):
    found = counter_series(MemorySource(given), catalog.AI_COST, start_ms, end_ms)
    return increase_by(found, lambda _: "all", start_ms, end_ms).get("all", 0.0)


@pytest.mark.parametrize(
    ("times", "values", "expected"),
    [
        ([900, 1500, 2000], [5.0, 7.0, 9.0], 4.0),  # from the last point before the window
        ([1500, 2000], [7.0, 9.0], 9.0),  # a counter that began within the window began at zero
        ([900, 1500, 1600, 2000], [5.0, 7.0, 1.0, 3.0], 5.0),  # a restart adds what it counts anew
        ([1000, 2001], [5.0, 9.0], 0.0),  # the window is open at its begin and closed at its end
    ],
)
def test_increase_is_exact(times, values, expected):
    """Every unit that was counted after the begin and up to the end is in the total, and no other."""
    assert total(series(times, values), start_ms=1000, end_ms=2000) == expected


def test_a_series_that_reports_seldom_is_not_taken_for_new():
    """A counter whose last point lies long before the window still counts only its growth."""
    hour = 3_600_000
    seldom = series([hour, 10 * hour], [1_000_000.0, 1_000_005.0])
    assert total(seldom, start_ms=10 * hour - 1000, end_ms=10 * hour) == 5.0


def test_bins_add_up_to_the_total():
    """Growth over time adds up to the growth of the window."""
    given = [series([500, 1100, 1500, 2000], [1.0, 2.0, 4.0, 8.0]), series([1999], [3.0], job="b")]
    bins = increase_in_bins(given, 1000, 2000, 10)
    assert len(bins) == 10
    assert sum(bins) == total(*given, start_ms=1000, end_ms=2000) == 10.0
    assert bins[0] == 1.0


@pytest.mark.parametrize(
    ("share", "counts", "expected"),
    [
        (0.5, {1.0: 0.0, 2.0: 10.0, float("inf"): 10.0}, 1.5),
        (0.95, {1.0: 10.0, float("inf"): 100.0}, 1.0),
        (0.5, {}, None),
        (0.5, {1.0: 0.0, float("inf"): 0.0}, None),
    ],
)
def test_quantile(share, counts, expected):
    """A quantile is interpolated within its bucket, and is the last finite bound beyond it."""
    assert quantile(share, counts) == expected


SERVER = catalog.HTTP_SERVER_DURATION.metric_type(catalog.Route.GCP)
DESCRIPTOR = Descriptor(type=SERVER, kind="CUMULATIVE", value_type="DISTRIBUTION", unit="s")


def requests(store, code, *points):
    """Put points (start, end, requests below 1 s, requests below 2 s) of one status code."""
    key = SeriesKey(SERVER, (("http_response_status_code", code),), "generic_task", (("job", "shop"),))
    values = [(start, end, Distribution(a + b, 1.0, (1.0, 2.0), (a, b, 0))) for start, end, a, b in points]
    store.put(key, DESCRIPTOR, values)


def test_service_rows():
    """A service's row has its exact requests, its share of 5xx, its latencies and its requests over time."""
    store = MetricStore()
    requests(store, "200", (1000, 1500, 0, 6))
    requests(store, "500", (1000, 1400, 0, 1), (1000, 2000, 0, 2))
    (row,) = service_rows(store, 1000, 2000)
    assert (row["name"], row["requests"], row["error_ratio"], row["last_seen_ms"]) == ("shop", 8, 0.25, 2000)
    assert row["p50_ms"] == 1500.0
    assert sum(row["sparkline"]) == 8
    assert row["sparkline"][-1] == 1


def test_service_rows_count_growth_only():
    """Requests from before the window do not count, however long ago, and a restart does not make them negative."""
    hour = 3_600_000
    store = MetricStore()
    requests(store, "200", (1, hour, 100, 100), (1, 9 * hour, 100, 103), (9 * hour, 9 * hour + 9, 4, 0))
    (row,) = service_rows(store, 9 * hour - 5000, 9 * hour + 5000)
    assert row["requests"] == 7
    assert row["p50_ms"] == pytest.approx(875.0)
    assert service_rows(store, 20 * hour, 21 * hour) == []


def test_llm_summary_splits_kinds():
    """Input includes cached and tool use, output includes thinking, and the total is the sum of the models."""
    tokens = catalog.promql_name(catalog.AI_TOKENS.metric_type(catalog.Route.GCP))
    base = {
        "__name__": tokens,
        catalog.promql_label("gen_ai.request.model"): "m",
        catalog.promql_label("gen_ai.provider.name"): "gcp.gemini",
    }
    kind = catalog.promql_label("obskit.token.kind")
    amounts = {"input": 100.0, "cached": 10.0, "tool_use": 1.0, "output": 20.0, "thinking": 2.0}
    source = MemorySource([Series({**base, kind: name}, [1500], [value]) for name, value in amounts.items()])
    found = llm_summary(source, 1000, 2000)
    (row,) = found["models"]
    assert (row["input_tokens"], row["output_tokens"], row["cached_tokens"], row["thinking_tokens"]) == (111, 22, 10, 2)
    assert found["total"]["input_tokens"] == 111
    assert sum(each[1] for each in found["tokens_by_time"]) == 111
