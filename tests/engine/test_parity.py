"""PromQL, judged by the real Prometheus: the same series, the same queries, the same answers.

Debian's Prometheus is 2.42; nothing that is tried here changed until 2.44, whose results are the aim.
"""

from __future__ import annotations

import math

import pytest

from obskit.engine.promql import evaluate, evaluate_range
from obskit.errors import QueryError

pytestmark = pytest.mark.needs("prometheus")

BEGIN_S = 1_700_000_000
INSTANTS_S = (BEGIN_S, BEGIN_S + 2400, BEGIN_S + 3333, BEGIN_S + 5399)
RANGES_S = ((BEGIN_S - 300, BEGIN_S + 5700, 97), (BEGIN_S + 2000, BEGIN_S + 2400, 15))

SELECTORS = [
    "requests_total",
    'requests_total{job="chat"}',
    'requests_total{job!="chat"}',
    'requests_total{code=~"2.."}',
    'requests_total{code=~"2..|404", path!~"/a.*"}',
    'requests_total{missing=""}',
    'requests_total{job=""}',
    'requests_total{job=~""}',
    '{__name__="steady"}',
    '{__name__=~"first_half|second_half"}',
    '{__name__=~"temp.+", room!=""}',
    "nothing_at_all",
    "temperature offset 5m",
    "temperature offset -5m",
    f"temperature @ {BEGIN_S + 1500}",
    f"temperature @ {BEGIN_S + 1500.75} offset 2m",
    "temperature @ start()",
    "temperature @ end() offset 10m",
    "single",
    "single offset 4m59s",
    "special",
    "(temperature)",
    "-temperature",
    "+temperature",
    "--temperature",
    "-3",
    "1",
    "NaN",
    "-Inf",
    "0x1F + 1e3",
]
EACH_WINDOW = [
    *("rate", "increase", "irate", "delta", "idelta", "deriv", "resets", "changes"),
    *("avg_over_time", "sum_over_time", "min_over_time", "max_over_time", "count_over_time"),
    *("stddev_over_time", "stdvar_over_time", "last_over_time", "present_over_time"),
]
WINDOWS = [
    *[
        f"{function}({series}[{width}])"
        for function in EACH_WINDOW
        for series in ("requests_total", "temperature", "special", "single", "steady")
        for width in ("1m", "7m", "1h")
        if (series, width) not in {("single", "1m"), ("steady", "1m"), ("special", "1m")}
    ],
    *[f"{function}(requests_total[5m] offset 3m)" for function in EACH_WINDOW],
    *[f"{function}(temperature[10m] @ {BEGIN_S + 2000})" for function in EACH_WINDOW],
    *[f"{function}(latency_seconds_sum[4m:30s])" for function in EACH_WINDOW],
    "rate(requests_total[15s])",
    "rate(requests_total[10s])",
    "rate(requests_total[1h30m])",
    "increase(requests_total[20m] offset -10m)",
    "quantile_over_time(0.9, temperature[10m])",
    "quantile_over_time(0, temperature[10m])",
    "quantile_over_time(1, temperature[10m])",
    "quantile_over_time(-1, temperature[10m])",
    "quantile_over_time(2, temperature[10m])",
    "quantile_over_time(NaN, temperature[10m])",
    "quantile_over_time(0.3, special[10m])",
    "quantile_over_time(scalar(limit{job='chat'}) / 10, temperature[10m])",
    "predict_linear(temperature[20m], 3600)",
    "predict_linear(temperature[20m] offset 5m, -60)",
    "predict_linear(special[20m], 60)",
    "predict_linear(temperature[20m], scalar(limit{job='chat'}))",
    "holt_winters(temperature[10m], 0.5, 0.3)",
    "holt_winters(requests_total[10m], 0.1, 0.9)",
    "absent_over_time(nothing{a='1'}[5m])",
    "absent_over_time(single{a='1', b=~'.*'}[5m])",
    "absent_over_time({__name__='single', a='1'}[5m])",
    "absent_over_time(rate(nothing{a='1'}[5m])[10m:])",
]
SUBQUERIES = [
    "max_over_time(rate(requests_total[5m])[20m:1m])",
    "avg_over_time(temperature[30m:])",
    "sum_over_time(sum(temperature)[10m:7s])",
    "count_over_time(vector(1)[10m:33s])",
    "min_over_time(sum by (job) (rate(requests_total[2m]))[15m:30s] offset 5m)",
    f"avg_over_time(temperature[10m:1m] @ {BEGIN_S + 3000})",
    "avg_over_time((temperature @ start())[10m:1m])",
    "avg_over_time((temperature @ end() - temperature)[10m:1m])",
    "max_over_time(max_over_time(temperature[5m:1m])[10m:2m])",
    "rate((requests_total)[10m:30s])",
    "last_over_time(requests_total[10m:1m])",
    "quantile_over_time(0.5, (temperature > 0)[20m:1m])",
    "deriv(temperature[10m:40s])",
    "increase(latency_seconds_count[10m:1m])",
    "changes((requests_total > bool 50)[20m:1m])",
]
GROUPS = ["", " by (job)", " by (job, path)", " without (code, path)", " by (nothing)", " by (__name__)", " without ()"]
AGGREGATIONS = [
    *[
        f"{name}{group} ({vector})"
        for name in ("sum", "avg", "min", "max", "count", "stddev", "stdvar", "group")
        for group in GROUPS
        for vector in ("requests_total", "rate(requests_total[5m])")
    ],
    *[f"{name}(special)" for name in ("sum", "avg", "min", "max", "count", "stddev", "stdvar", "group")],
    *[f"{name} by (kind) (special)" for name in ("sum", "avg", "min", "max", "stddev")],
    *[
        f"{name}{group} ({count}, requests_total)"
        for name in ("topk", "bottomk")
        for group in ("", " by (job)", " without (job)")
        for count in ("0", "1", "2", "100", "-1", "1.9")
    ],
    "topk(3, special)",
    "bottomk(4, special)",
    "topk(scalar(vector(2)), requests_total)",
    *[
        f"quantile{group} ({share}, requests_total)"
        for group in GROUPS[:3]
        for share in ("0.5", "0.99", "-1", "7", "NaN")
    ],
    "quantile(0.4, special)",
    'count_values("value", limit)',
    'count_values("value", special)',
    'count_values by (job) ("value", limit)',
    'count_values without (job) ("value", requests_total > bool 100)',
    'count_values("value", temperature * 1e30)',
    'count_values("value", temperature / 1e30)',
    "sum(nothing_at_all)",
    "count(nothing_at_all) or vector(0)",
    "sum(sum by (job, path) (requests_total))",
]
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISONS = ["==", "!=", ">", "<", ">=", "<="]
OPERATORS = [
    *[f"temperature {op} 3" for op in ARITHMETIC],
    *[f"-2.5 {op} temperature" for op in ARITHMETIC],
    *[f"special {op} 0" for op in ARITHMETIC],
    *[f"0 {op} special" for op in ARITHMETIC],
    *[f"7 {op} -3" for op in ARITHMETIC],
    *[f"special {op} special" for op in ARITHMETIC],
    *[f"temperature {op} 3" for op in COMPARISONS],
    *[f"3 {op} temperature" for op in COMPARISONS],
    *[f"special {op} 0" for op in COMPARISONS],
    *[f"temperature {op} bool 3" for op in COMPARISONS],
    *[f"3 {op} bool temperature" for op in COMPARISONS],
    *[f"3 {op} bool 3" for op in COMPARISONS],
    *[f"temperature {op} temperature offset 10m" for op in COMPARISONS],
    *[f"temperature {op} bool temperature offset 10m" for op in COMPARISONS],
    "temperature + temperature",
    "temperature + on (room) temperature",
    "temperature > on (room) temperature offset 5m",
    "temperature > ignoring (floor) temperature offset 5m",
    "temperature - ignoring (floor) temperature offset 5m",
    "requests_total * on (job) group_left limit",
    "requests_total * on (job) group_left (version) build_info",
    "requests_total * on (job) group_left (version, nothing) build_info",
    "build_info * on (job) group_right (version) requests_total",
    "limit < on (job) group_right requests_total",
    "limit < bool on (job) group_right requests_total",
    "requests_total > on (job) group_left limit",
    "requests_total / ignoring (code) group_left sum without (code) (requests_total)",
    "sum by (job) (requests_total) / on (job) limit",
    "sum by (job) (rate(requests_total{code=~'5..'}[5m])) / sum by (job) (rate(requests_total[5m]))",
    "sum(rate(requests_total{code='500'}[5m])) / sum(rate(requests_total[5m])) > 0.02",
    "requests_total + nothing_at_all",
    "nothing_at_all - requests_total",
    "first_half + on (a) second_half",
    "limit and on (job) build_info",
    "limit unless on (job) build_info{job='chat'}",
    "requests_total and on (job) build_info{job='chat'}",
    "requests_total and temperature",
    "requests_total unless temperature",
    "requests_total or temperature",
    "requests_total{job='chat'} or requests_total",
    "temperature > 10 or temperature",
    "temperature > 10 or temperature < 0",
    "first_half or second_half",
    "first_half or ignoring (a) second_half",
    "first_half or on () steady",
    "steady unless first_half",
    "steady unless on () first_half",
    "steady and ignoring (a) single",
    "temperature and temperature > 0 unless temperature > 5",
    "sum(requests_total) or vector(0)",
    "vector(1) or vector(2)",
    "1 + 2 * 3 ^ 2 ^ 0.5",
    "-2 ^ 2",
    "(1 + 2) * temperature",
    "time() - timestamp(temperature)",
    "temperature * scalar(steady)",
]
FUNCTIONS = [
    *[
        f"{function}({vector})"
        for function in ("abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "deg", "rad", "round")
        for vector in ("temperature", "special")
    ],
    *[
        f"{function}(temperature / 20)"
        for function in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh")
    ],
    *[
        f"{function}(special)"
        for function in ("sin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh")
    ],
    *[
        f"{function}({vector})"
        for function in (
            *("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"),
        )
        for vector in ("moment", "", "vector(time())")
    ],
    "round(temperature, 0.5)",
    "round(temperature, 5)",
    "round(temperature, -3)",
    "round(temperature, scalar(limit{job='chat'}))",
    "round(temperature, 0)",
    "clamp(temperature, 0, 5)",
    "clamp(temperature, 5, 0)",
    "clamp(special, -1, 1)",
    "clamp(temperature, NaN, 5)",
    "clamp(temperature, scalar(temperature{room='cellar'}), 5)",
    "clamp_min(temperature, 1)",
    "clamp_max(temperature, 1)",
    "clamp_max(special, 1)",
    "clamp_min(special, NaN)",
    "absent(nothing)",
    "absent(nothing{a='1', b!='2', c=~'3'})",
    "absent(nothing{a='1', a='2', b='3'})",
    "absent((nothing{a='1'}))",
    "absent(sum(nothing{a='1'}))",
    "absent(first_half)",
    "absent(first_half{a='1'} > 1000)",
    "absent(temperature)",
    "scalar(temperature)",
    "scalar(steady)",
    "scalar(first_half)",
    "vector(3)",
    "vector(time())",
    "vector(scalar(first_half))",
    "time()",
    "pi() * 2",
    "timestamp(temperature)",
    "timestamp((temperature))",
    "timestamp(temperature offset 2m)",
    f"timestamp(temperature @ {BEGIN_S + 2000})",
    "timestamp(temperature + 1)",
    "timestamp(vector(1))",
    'label_replace(temperature, "where", "the $1", "room", "(.).*")',
    'label_replace(temperature, "where", "$1x-${1}x-$$-$9", "room", "(.)(.*)")',
    'label_replace(temperature, "where", "${first}", "room", "(?P<first>.).*")',
    'label_replace(temperature, "room", "$1", "room", "(.).*")',
    'label_replace(temperature, "room", "", "room", "kitchen")',
    'label_replace(temperature, "floor", "x", "floor", "[5-6]")',
    'label_replace(temperature, "where", "x", "room", "itche")',
    'label_replace(temperature, "where", "none", "nothing", "")',
    'label_replace(temperature, "__name__", "other", "room", ".*")',
    'label_replace(rate(requests_total[5m]), "x", "$2-$1", "path", "/(.)()")',
    'label_join(temperature, "both", "-", "room", "floor")',
    'label_join(temperature, "room", "/", "floor", "nothing", "room")',
    'label_join(temperature, "room", "")',
    'label_join(temperature, "both", "-")',
    "sum by (both) (label_join(requests_total, 'both', ':', 'job', 'code'))",
]
HISTOGRAMS = [
    *[
        f"histogram_quantile({share}, {vector})"
        for share in ("0.5", "0.95", "0", "1", "0.001", "-0.1", "1.1", "NaN")
        for vector in (
            "rate(latency_seconds_bucket{path!='/idle'}[5m])",
            "sum by (le) (rate(latency_seconds_bucket[5m]))",
            "latency_seconds_bucket{path!='/idle'}",
            "odd_bucket",
        )
    ],
    "histogram_quantile(0.9, sum by (le, job) (increase(latency_seconds_bucket{job='chat'}[20m])))",
    "histogram_quantile(0.9, latency_seconds_bucket{le!='0.25', path='/a'})",
    "histogram_quantile(scalar(limit{job='chat'}) / 10, latency_seconds_bucket{path='/a'})",
    "histogram_quantile(0.9, temperature)",
    "histogram_quantile(0.9, first_half)",
    "sum(rate(latency_seconds_sum[5m])) / sum(rate(latency_seconds_count[5m]))",
    "sum(rate(latency_seconds_bucket{le='0.5'}[5m])) / sum(rate(latency_seconds_count[5m]))",
]
QUERIES = list(dict.fromkeys([*SELECTORS, *WINDOWS, *SUBQUERIES, *AGGREGATIONS, *OPERATORS, *FUNCTIONS, *HISTOGRAMS]))


def key_of(labels):
    return tuple(sorted(labels.items()))


def close(ours, theirs):
    if math.isnan(ours) or math.isnan(theirs):
        return math.isnan(ours) and math.isnan(theirs)
    return ours == theirs or math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)


def difference(query, ours, theirs):
    """Return the first place where two results of series → time → value differ, None where they are the same.

    An empty histogram's NaN may be missing.
    """
    may_miss_nan = query.startswith("histogram_quantile")
    for key in sorted({*ours, *theirs}):
        left, right = ours.get(key, {}), theirs.get(key, {})
        for at in sorted({*left, *right}):
            if may_miss_nan and at not in left and math.isnan(right[at]):
                continue
            if at not in left or at not in right or not close(left[at], right[at]):
                return f"{dict(key)} at {at - BEGIN_S:+g} s: ours {left.get(at)}, Prometheus {right.get(at)}"
    return None


def read(data):
    """Return Prometheus' answer as series → time in seconds → value."""
    if data["resultType"] == "scalar":
        at, value = data["result"]
        return {(): {at: float(value)}}
    return {
        key_of(row["metric"]): {at: float(value) for at, value in row.get("values") or [row["value"]]}
        for row in data["result"]
    }


def in_range(source, query, start_s, end_s, step_s):
    found = evaluate_range(query, source, start_s * 1000, end_s * 1000, step_s * 1000)
    return {
        key_of(each.labels): {at / 1000: value for at, value in zip(each.times_ms, each.values, strict=True)}
        for each in found
    }


def at_once(source, query, at_s):
    found = evaluate(query, source, at_s * 1000)
    if isinstance(found, float):
        return {(): {at_s: found}}
    assert len({key_of(sample.labels) for sample in found}) == len(found)
    return {key_of(sample.labels): {at_s: sample.value} for sample in found}


@pytest.mark.parametrize("query", QUERIES)
def test_values_are_those_of_prometheus(query, recorded, prometheus):
    """At single moments and over ranges, each series has the same labels, times and values."""
    for at_s in INSTANTS_S:
        theirs = read(prometheus.ask("query", query=query, time=at_s))
        assert difference(query, at_once(recorded, query, at_s), theirs) is None
    for start_s, end_s, step_s in RANGES_S:
        theirs = read(prometheus.ask("query_range", query=query, start=start_s, end=end_s, step=step_s))
        assert difference(query, in_range(recorded, query, start_s, end_s, step_s), theirs) is None


@pytest.mark.parametrize(
    "query",
    [
        "sort(temperature)",
        "sort_desc(temperature)",
        "sort(special)",
        "sort_desc(special)",
        "topk(3, temperature)",
        "bottomk(3, temperature)",
    ],
)
def test_order_is_that_of_prometheus(query, recorded, prometheus):
    """What sorts gives its series in the same order."""
    at_s = BEGIN_S + 2400
    theirs = [row["value"][1] for row in prometheus.ask("query", query=query, time=at_s)["result"]]
    ours = [sample.value for sample in evaluate(query, recorded, at_s * 1000)]
    assert all(close(a, float(b)) for a, b in zip(ours, theirs, strict=True)), (ours, theirs)


@pytest.mark.parametrize(
    "query",
    [
        "requests_total + on (job) limit",
        "limit + on (job) requests_total",
        "requests_total * on (job) group_right limit",
        "limit * on () group_left build_info",
        "build_info * on (job) group_left (job) requests_total",
        "requests_total * ignoring (code, path) group_left (nothing) requests_total",
        "requests_total == on (path) requests_total",
        "rate({__name__=~'first_half|single|steady'}[1h])",
        "abs({__name__=~'single|steady'})",
        'label_join(requests_total, "code", "")',
        'label_replace(temperature, "where", "$1", "room", "(")',
        'label_replace(temperature, "not-a-label", "$1", "room", "(.*)")',
        "holt_winters(temperature[10m], 1.5, 0.3)",
        "topk(NaN, temperature)",
        "max_over_time((time())[5m:1m])",
        "sum(",
        "rate(temperature)",
        "temperature > bool",
        "1 > 2",
        "temperature and 1",
        "nosuchfunction(temperature)",
        "temperature[5m] + 1",
        "foo{}[5m] offset 5",
        "{}",
        "sum by (job temperature",
        "'text' + 1",
    ],
)
def test_what_prometheus_refuses_is_refused(query, recorded, prometheus):
    """Ambiguous matches, duplicate results and senseless arguments are errors on both sides."""
    with pytest.raises(ValueError, match=r"."):
        prometheus.ask("query", query=query, time=BEGIN_S + 2400)
    with pytest.raises(QueryError):
        evaluate(query, recorded, (BEGIN_S + 2400) * 1000)


def test_an_empty_histogram_has_no_point(recorded, prometheus):
    """Where Prometheus says NaN for a histogram without observations, Google and obskit say nothing."""
    query = "histogram_quantile(0.9, rate(latency_seconds_bucket{path='/idle'}[5m]))"
    theirs = read(prometheus.ask("query", query=query, time=BEGIN_S + 2400))
    assert [math.isnan(value) for row in theirs.values() for value in row.values()] == [True]
    assert evaluate(query, recorded, (BEGIN_S + 2400) * 1000) == []
