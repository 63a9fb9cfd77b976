from __future__ import annotations

import math
from array import array

import pytest

from obskit.engine.promql import check, evaluate, evaluate_range
from obskit.engine.series import Matcher, MemorySource, Series
from obskit.errors import QueryError

NOW_MS = 1_760_000_400_000
STEP_MS = 30_000


def rising(name, per_step, **labels):
    """Return a counter that has grown evenly for an hour."""
    times = array("q", range(NOW_MS - 3_600_000, NOW_MS + 1, STEP_MS))
    return Series({"__name__": name, **labels}, times, array("d", [per_step * i for i in range(len(times))]))


GOOGLE = MemorySource(
    [
        rising("run.googleapis.com/request_count", 30, monitored_resource="cloud_run_revision", response_code="200"),
        rising("run.googleapis.com/request_count", 15, monitored_resource="k8s_service", response_code="500"),
        rising("workload_googleapis_com:http_server_request_duration_count", 6, job="chat"),
    ]
)


def values(query, source=GOOGLE):
    return {tuple(sorted(sample.labels.items())): sample.value for sample in evaluate(query, source, NOW_MS)}


def test_a_name_in_utf8_is_written_in_quotes():
    """Google's names with dots and slashes select their series, with further matchers beside them."""
    query = 'sum(rate({"run.googleapis.com/request_count", monitored_resource="cloud_run_revision"}[5m]))'
    assert values(query) == {(): pytest.approx(1.0)}


def test_a_name_with_a_colon_is_google_s_other_spelling():
    """The spelling with a colon needs no quotes."""
    assert values("increase(workload_googleapis_com:http_server_request_duration_count[5m])") == {
        (("job", "chat"),): pytest.approx(60.0)
    }


def test_a_label_in_utf8_groups():
    """A label's name in quotes may have dots in by()."""
    source = MemorySource([rising("x", 1, **{"http.route": "/a"}), rising("x", 2, **{"http.route": "/b"})])
    assert values('sum by ("http.route") (rate(x{"http.route"="/b"}[5m]))', source) == {
        (("http.route", "/b"),): pytest.approx(2 / 30)
    }


def test_a_value_of_five_minutes_ago_still_counts():
    """The lookback reaches five minutes, its edge included; without staleness markers nothing ends sooner."""
    source = MemorySource([Series({"__name__": "x"}, [NOW_MS], [4.0])])
    assert evaluate("x", source, NOW_MS + 300_000)[0].value == 4.0
    assert evaluate("x", source, NOW_MS + 300_001) == []


def test_a_range_has_a_point_at_each_step_that_has_a_value():
    """Steps run from the start to the end, both included; a series has no point where it has no value."""
    source = MemorySource([Series({"__name__": "x"}, [NOW_MS + 60_000], [4.0])])
    (found,) = evaluate_range("x", source, NOW_MS, NOW_MS + 120_000, 60_000)
    assert (list(found.times_ms), list(found.values)) == ([NOW_MS + 60_000, NOW_MS + 120_000], [4.0, 4.0])
    (found,) = evaluate_range("2 * 3", source, NOW_MS, NOW_MS + 120_000, 60_000)
    assert (dict(found.labels), list(found.values)) == ({}, [6.0, 6.0, 6.0])


def test_a_query_may_be_a_number_or_a_text():
    """A scalar comes back as a number, a text as text."""
    assert evaluate("1 + 1", GOOGLE, NOW_MS) == 2.0
    assert evaluate("time()", GOOGLE, NOW_MS) == NOW_MS / 1000
    assert evaluate('"hello"', GOOGLE, NOW_MS) == "hello"
    with pytest.raises(QueryError, match="is a text"):
        evaluate_range('"hello"', GOOGLE, NOW_MS, NOW_MS, 1000)


@pytest.mark.parametrize("name", ["mad_over_time", "double_exponential_smoothing", "sort_by_label", "histogram_count"])
def test_an_unknown_function_is_named(name):
    """What is not of Prometheus 2.44, or needs native histograms, is refused by its name."""
    arguments = {"mad_over_time": "x[5m]", "double_exponential_smoothing": "x[5m], 0.5, 0.5", "sort_by_label": 'x, "a"'}
    query = f"{name}({arguments.get(name, 'x')})"
    with pytest.raises(QueryError, match=name):
        evaluate(query, GOOGLE, NOW_MS)
    assert [name in problem.problem for problem in check(query)] == [True]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("limitk(2, x)", "limitk"),
        ('x{a="1" or b="2"}', "`or` between matchers"),
        ("x + fill(0) y", "fill modifiers"),
        ("x[5m]", "ranges"),
        ("x[5m:1m]", "ranges"),
        ("avg_over_time(x[10y:1s])", "steps"),
        ("sum(", "does not parse"),
    ],
)
def test_what_cannot_be_evaluated_says_why(query, problem):
    """Newer syntax, ranges at the top and subqueries without end are refused with a reason."""
    with pytest.raises(QueryError, match=problem):
        evaluate(query, GOOGLE, NOW_MS)


@pytest.mark.parametrize(
    "query",
    [
        "(" * 5000 + "1" + ")" * 5000,
        "1" + "+1" * 5000,
        "abs(" * 5000 + "x" + ")" * 5000,
        "x" * 20_000,
        "-" * 5000 + "x",
    ],
)
def test_a_monstrous_query_is_refused_and_not_a_crash(query):
    """The parser is recursive and native, so its stack is guarded."""
    with pytest.raises(QueryError):
        evaluate(query, GOOGLE, NOW_MS)


def test_the_longest_query_that_is_taken_can_be_evaluated():
    """What the guard lets pass does not exhaust Python's stack either."""
    assert evaluate("1" + "+1" * 100, GOOGLE, NOW_MS) == 101.0
    assert evaluate("(" * 60 + "1" + ")" * 60, GOOGLE, NOW_MS) == 1.0
    assert len(values('x{a=~"' + "(" * 200 + ")" * 200 + '"}', MemorySource([rising("x", 1)]))) == 1


def test_a_good_query_has_no_problem():
    """check() finds nothing in queries that evaluate, and ranges parse on their own."""
    for query in ("up", "up[5m]", "sum by (le) (rate(x_bucket[5m]))", "holt_winters(x[5m], 0.1, 0.2)", "1", '"a"'):
        assert check(query) == []


def test_a_counter_that_began_in_the_window_is_not_reached_back_below_zero():
    """Extrapolation stops where the counter would have been zero: 10 over 60 s of a 300 s window stays near 10."""
    times = [NOW_MS - 60_000 + i * 15_000 for i in range(5)]
    source = MemorySource([Series({"__name__": "x"}, times, [0.0, 2.5, 5.0, 7.5, 10.0])])
    assert values("increase(x[5m])", source) == {(): pytest.approx(10.0)}


def test_two_points_of_one_moment_are_no_rate():
    """A duplicate never divides by zero."""
    source = MemorySource([Series({"__name__": "x"}, [NOW_MS, NOW_MS], [1.0, 2.0])])
    for function in ("rate", "increase", "irate", "idelta", "delta", "deriv"):
        assert evaluate(f"{function}(x[5m])", source, NOW_MS) == [], function
    assert evaluate("predict_linear(x[5m], 60)", source, NOW_MS) == []


def test_an_empty_histogram_gives_no_point_and_a_busy_one_does():
    """One idle route does not put NaN into a chart of quantiles."""
    buckets = [
        Series(
            {"__name__": "h_bucket", "route": route, "le": le},
            [NOW_MS - 60_000, NOW_MS],
            [0.0, count],
        )
        for route, counts in (("/busy", (5.0, 10.0)), ("/idle", (0.0, 0.0)))
        for le, count in zip(("1", "+Inf"), counts, strict=True)
    ]
    found = values("histogram_quantile(0.25, rate(h_bucket[5m]))", MemorySource(buckets))
    assert found == {(("route", "/busy"),): pytest.approx(0.5)}


def test_at_start_within_a_subquery_means_the_whole_query_s():
    """@ start() is the first moment of the query, not of the subquery's own grid."""
    source = MemorySource([rising("x", 1)])
    at_start = evaluate_range("x @ start()", source, NOW_MS - 600_000, NOW_MS, 60_000)[0].values[0]
    (found,) = evaluate_range("max_over_time((x @ start())[5m:1m])", source, NOW_MS - 600_000, NOW_MS, 60_000)
    assert set(found.values) == {at_start}


@pytest.mark.parametrize(
    ("op", "value", "text", "fits"),
    [
        ("=", "a", "a", True),
        ("!=", "a", "a", False),
        ("!=", "a", "", True),
        ("=~", "a|b", "b", True),
        ("=~", "a|b", "ab", False),
        ("!~", "a.*", "ab", False),
        ("=~", "[[:alpha:]]+", "abc", True),
        ("=~", "[[:alpha:]]+", "a1", False),
        ("=~", ".*", "", True),
    ],
)
def test_a_matcher_compares_the_whole_value(op, value, text, fits):
    """Regular expressions are anchored, and speak RE2's dialect."""
    assert Matcher("x", op, value).matches(text) is fits


def test_a_regular_expression_that_does_not_compile_is_a_problem_of_the_query():
    """It names the matcher."""
    with pytest.raises(QueryError, match="matcher of x"):
        Matcher("x", "=~", "(").matches("a")


def test_nan_and_infinities_never_raise():
    """Every function takes every float."""
    odd = [0.0, -0.0, 1.5, -1.5, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324]
    source = MemorySource(
        [
            Series({"__name__": "x", "i": str(i)}, [NOW_MS - 60_000, NOW_MS], [odd[-i], value])
            for i, value in enumerate(odd)
        ]
    )
    instant = (
        "abs ceil floor exp sqrt ln log2 log10 sgn deg rad sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
        "minute hour day_of_week day_of_month day_of_year days_in_month month year round timestamp sum avg stddev "
        "stdvar min max group count sort sort_desc scalar absent"
    )
    ranged = (
        "rate increase delta irate idelta deriv changes resets avg_over_time sum_over_time min_over_time max_over_time "
        "stddev_over_time stdvar_over_time count_over_time last_over_time"
    )
    calls = [f"{name}(x)" for name in instant.split()] + [f"{name}(x[5m])" for name in ranged.split()]
    calls += [f"x {op} on () group_left max(x)" for op in ("+", "-", "*", "/", "%", "^", "atan2", "==", ">")]
    calls += ["quantile(0.3, x)", 'count_values("v", x)', "topk(3, x)", "round(x, 0.1)", "clamp(x, -1, 1)"]
    calls += ["predict_linear(x[5m], 60)", "holt_winters(x[5m], 0.5, 0.5)", "quantile_over_time(0.5, x[5m])"]
    for call in calls:
        evaluate(call, source, NOW_MS)


@pytest.mark.parametrize(
    "query", ['up{job=~"(a+)+"}', 'up{job!~"(a+)+"}', 'label_replace(up, "x", "$1", "job", "(a+)+")']
)
def test_a_regular_expression_that_may_take_for_ever_is_refused(query):
    """Prometheus and Google run RE2; here one query would hold everything up."""
    with pytest.raises(QueryError, match="may take for ever"):
        evaluate(query, MemorySource([]), 0.0)
