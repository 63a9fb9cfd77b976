"""Threshold and absence conditions as PromQL, and PromQL of Google's as Prometheus reads it.

Metrics keep the names that Google's PromQL has for them (``run_googleapis_com:request_count``), which Managed Service
for Prometheus and its rules know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from obskit.catalog import promql_label, promql_name
from obskit.errors import QueryError
from obskit.queries.durations import promql_duration
from obskit.queries.filters import Comparison, Filter, parse
from obskit.queries.google_metrics import MetricKind, ValueType
from obskit.queries.reading import read_duration
from obskit.queries.series import series_of_type

__all__ = ["Untranslatable", "absence", "for_prometheus", "threshold"]

_QUOTED_NAME: Final = re.compile(r'\{\s*"(?P<name>[^"\\]+)"\s*(?P<after>,\s*|\})')
_QUOTED_LABEL: Final = re.compile(r'(?P<before>[{,(]\s*)"(?P<label>[^"\\]+)"\s*(?P<after>=~|!~|!=|=)')
_QUOTED_GROUP: Final = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_OVER_TIME: Final = {
    "ALIGN_MEAN": "avg_over_time",
    "ALIGN_MIN": "min_over_time",
    "ALIGN_MAX": "max_over_time",
    "ALIGN_SUM": "sum_over_time",
    "ALIGN_COUNT": "count_over_time",
    "ALIGN_STDDEV": "stddev_over_time",
    "ALIGN_NEXT_OLDER": "last_over_time",
}
_REDUCERS: Final = {
    "REDUCE_SUM": "sum",
    "REDUCE_MEAN": "avg",
    "REDUCE_MIN": "min",
    "REDUCE_MAX": "max",
    "REDUCE_STDDEV": "stddev",
    "REDUCE_COUNT": "count",
}
_QUANTILES: Final = {"99": "0.99", "95": "0.95", "50": "0.5", "05": "0.05"}
_SIGNS: Final = {"COMPARISON_GT": ">", "COMPARISON_LT": "<", "": ">"}


class Untranslatable(Exception):
    """A query that PromQL cannot say, with the reason."""


def for_prometheus(query: str) -> str:
    """Return a query with the quoted names of Google's UTF-8 spelling as names that every Prometheus reads.

    Raises:
        Untranslatable: it uses a variable of a dashboard.
    """

    def name(match: re.Match[str]) -> str:
        return promql_name(match["name"]) + ("{}" if match["after"] == "}" else "{")

    def group(match: re.Match[str]) -> str:
        labels = [
            promql_label(each.strip().strip('"')) if '"' in each else each.strip() for each in match[2].split(",")
        ]
        return f"{match[1]} ({', '.join(labels)})"

    found = _QUOTED_NAME.sub(name, query)
    found = _QUOTED_LABEL.sub(lambda match: f"{match['before']}{promql_label(match['label'])}{match['after']}", found)
    found = _QUOTED_GROUP.sub(group, found).replace("{}", "")
    if "${" in found:
        raise Untranslatable("it uses a variable, ${…}")
    return found


def threshold(condition: Mapping[str, Any]) -> str:
    """Return the query of a ``conditionThreshold``.

    Raises:
        Untranslatable: PromQL cannot say it.
    """
    if condition.get("forecastOptions"):
        raise Untranslatable("a forecast has no exact form in PromQL")
    if condition.get("evaluationMissingData") == "EVALUATION_MISSING_DATA_ACTIVE":
        raise Untranslatable("missing data that count as bad have no form in a rule")
    query = _series(condition.get("filter", ""), condition.get("aggregations", ()))
    if "denominatorFilter" in condition:
        below = _series(condition["denominatorFilter"], condition.get("denominatorAggregations", ()))
        query = f"({query}) / ({below})"
    sign = _SIGNS.get(condition.get("comparison", ""))
    if sign is None:
        raise Untranslatable(f"{condition['comparison']} is not known")
    query = f"{query} {sign} {condition.get('thresholdValue', 0):g}"
    return _triggered(query, condition.get("trigger") or {})


def absence(condition: Mapping[str, Any]) -> str:
    """Return the query of a ``conditionAbsent``.

    Raises:
        Untranslatable: PromQL cannot say it.
    """
    aggregations = condition.get("aggregations", ())
    reduced = [each for each in aggregations if each.get("crossSeriesReducer", "REDUCE_NONE") != "REDUCE_NONE"]
    if not reduced or any(each.get("groupByFields") for each in reduced):
        raise Untranslatable("it watches each series, and absent_over_time only tells that all are gone")
    window = promql_duration(read_duration(condition, "duration") or 0)
    return f"absent_over_time({_selector(condition.get('filter', ''))[0]}[{window}])"


def _triggered(query: str, trigger: Mapping[str, Any]) -> str:
    if trigger.get("percent"):
        raise Untranslatable("a trigger by percent has no exact form in PromQL")
    count = int(trigger.get("count") or 1)
    return query if count <= 1 else f"count({query}) >= {count}"


def _series(text: str, aggregations: Sequence[Mapping[str, Any]]) -> str:
    if len(aggregations) != 1:
        raise Untranslatable(f"{len(aggregations)} aggregations, one is needed")
    (aggregation,) = aggregations
    aligner = aggregation.get("perSeriesAligner", "ALIGN_NONE")
    reducer = aggregation.get("crossSeriesReducer", "REDUCE_NONE")
    groups = [_label(each) for each in aggregation.get("groupByFields", ())]
    period = read_duration(aggregation, "alignmentPeriod")
    if period is None:
        raise Untranslatable("it has no alignment period")
    selector, metric_type = _selector(text)
    name, brace, labels = selector.partition("{")
    window = f"{brace}{labels}[{promql_duration(period)}]"
    by = f" by ({', '.join(groups)})" if groups else ""
    if _is_distribution(metric_type) or aligner.startswith("ALIGN_PERCENTILE"):
        return _distribution(name, window, aligner, reducer, groups)
    aligned = _aligned(name + window, metric_type, aligner)
    if reducer == "REDUCE_NONE":
        return aligned
    if reducer.startswith("REDUCE_PERCENTILE_"):
        return f"quantile{by} ({_QUANTILES[reducer[-2:]]}, {aligned})"
    if reducer not in _REDUCERS:
        raise Untranslatable(f"{reducer} has no form in PromQL")
    return f"{_REDUCERS[reducer]}{by} ({aligned})"


def _aligned(ranged: str, metric_type: str, aligner: str) -> str:
    metric = series_of_type(metric_type)
    is_growing = metric is not None and metric.kind is not MetricKind.GAUGE
    if aligner == "ALIGN_RATE":
        return f"rate({ranged})"
    if aligner == "ALIGN_DELTA" or (aligner == "ALIGN_SUM" and is_growing):
        return f"increase({ranged})"
    if is_growing:
        raise Untranslatable(f"{aligner} of a metric that grows has no exact form in PromQL")
    if aligner not in _OVER_TIME:
        raise Untranslatable(f"{aligner} has no form in PromQL")
    return f"{_OVER_TIME[aligner]}({ranged})"


def _distribution(name: str, window: str, aligner: str, reducer: str, groups: Sequence[str]) -> str:
    grown = {part: f"increase({name}_{part}{window})" for part in ("bucket", "sum", "count")}
    by = f" by ({', '.join(groups)})" if groups else ""
    if aligner.startswith("ALIGN_PERCENTILE_"):
        inner = f"histogram_quantile({_QUANTILES[aligner[-2:]]}, {grown['bucket']})"
        if reducer == "REDUCE_NONE":
            return inner
        if reducer in _REDUCERS:
            return f"{_REDUCERS[reducer]}{by} ({inner})"
    elif aligner in ("ALIGN_DELTA", "ALIGN_RATE", "ALIGN_SUM") and reducer.startswith("REDUCE_PERCENTILE_"):
        return (
            f"histogram_quantile({_QUANTILES[reducer[-2:]]}, sum by ({', '.join(['le', *groups])}) ({grown['bucket']}))"
        )
    elif aligner == "ALIGN_COUNT" and reducer in ("REDUCE_NONE", "REDUCE_SUM"):
        return grown["count"] if reducer == "REDUCE_NONE" else f"sum{by} ({grown['count']})"
    elif aligner == "ALIGN_MEAN" and reducer == "REDUCE_NONE":
        return f"{grown['sum']} / {grown['count']}"
    raise Untranslatable(f"{aligner} with {reducer} of a distribution has no exact form in PromQL")


def _is_distribution(metric_type: str) -> bool:
    metric = series_of_type(metric_type)
    return metric is not None and metric.value is ValueType.DISTRIBUTION


# --------------------------------------------------------------------------- filters


def _selector(text: str) -> tuple[str, str]:
    """Return a filter as a selector without its window, and the metric type."""
    try:
        found: Filter = parse(text)
    except QueryError as error:
        raise Untranslatable(f"its filter does not parse: {error.problems[0].problem}") from error
    parts = list(_conjunction(found.root))
    types = [each.values[0] for each in parts if each.field == "metric.type" and each.op == "="]
    if len(types) != 1:
        raise Untranslatable("its filter does not name one metric type")
    matchers = [_matcher(each) for each in parts if each.field != "metric.type"]
    return promql_name(types[0]) + "{" + ",".join(matchers) + "}" if matchers else promql_name(types[0]), types[0]


def _conjunction(node: Any) -> list[Comparison]:
    if isinstance(node, Comparison):
        return [node]
    kind, parts = node
    fields = {each.field for each in parts if isinstance(each, Comparison) and each.op == "="}
    if kind == "or" and len(fields) == 1 and all(isinstance(each, Comparison) and each.op == "=" for each in parts):
        return [Comparison(field=fields.pop(), op="one_of", values=tuple(each.values[0] for each in parts))]
    if kind != "and":
        raise Untranslatable(f"its filter has {str(kind).upper()}, which a selector cannot say")
    return [each for part in parts for each in _conjunction(part)]


def _label(field: str) -> str:
    if field == "resource.type":
        return "monitored_resource"
    if field == "project":
        return "project_id"
    match = re.fullmatch(r"(?:metric|resource)\.labels?\.\"?(.+?)\"?", field)
    if match is None:
        raise Untranslatable(f"{field} is no label in PromQL")
    return promql_label(match[1])


def _matcher(each: Comparison) -> str:
    label, value = _label(each.field), each.values[0]
    exact = re.escape(value).replace("\\-", "-").replace("\\ ", " ").replace("\\/", "/")
    spelled = {
        "=": ("=", value),
        "!=": ("!=", value),
        "one_of": ("=~", "|".join(re.escape(item).replace("\\-", "-") for item in each.values)),
        "starts_with": ("=~", f"{exact}.*"),
        "ends_with": ("=~", f".*{exact}"),
        "has_substring": ("=~", f".*{exact}.*"),
        ":": ("=~", f".*{exact}.*"),
        "monitoring.regex.full_match": ("=~", value),
    }
    if each.op not in spelled:
        raise Untranslatable(f"{each.field} {each.op} … has no form in a selector")
    sign, text = spelled[each.op]
    return f"{label}{sign}{_quoted(text)}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
