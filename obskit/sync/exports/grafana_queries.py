"""Queries of dashboards as targets of Grafana's Google Cloud Monitoring data source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from obskit.errors import QueryError
from obskit.queries.filters import Comparison, parse

__all__ = ["CLOUD_LOGGING", "CLOUD_MONITORING", "MATH", "Untranslatable", "targets"]

CLOUD_MONITORING: Final = {"type": "stackdriver", "uid": "${monitoring}"}
CLOUD_LOGGING: Final = {"type": "googlecloud-logging-datasource", "uid": "${logging}"}
MATH: Final = {"type": "__expr__", "uid": "__expr__"}
_OPERATORS: Final = {"=": "=", "!=": "!="}
_PATTERNS: Final = {
    "starts_with": "^{}.*",
    "ends_with": ".*{}$",
    "has_substring": ".*{}.*",
    ":": ".*{}.*",
    "monitoring.regex.full_match": "{}",
}


class Untranslatable(Exception):
    """A query that Grafana cannot say, with the reason."""


def targets(
    query: Mapping[str, Any], *, first: str, project: str, legend: str = "", period: str = ""
) -> list[dict[str, Any]]:
    """Return the targets of a ``timeSeriesQuery``.

    Args:
        query: the query's JSON.
        first: the letters that the targets' ids begin with.
        project: the project that is asked.
        legend: the template of the legend, as Google writes it.
        period: the least alignment period, e.g. ``60s``.

    Raises:
        Untranslatable: Grafana cannot say it.
    """
    common = {"datasource": CLOUD_MONITORING, "aliasBy": _alias(legend)}
    if "prometheusQuery" in query:
        asked = {"projectName": project, "expr": query["prometheusQuery"], "step": "$__interval"}
        return [{**common, "refId": first, "queryType": "promQL", "promQLQuery": asked}]
    if "timeSeriesQueryLanguage" in query:
        asked = {"projectName": project, "query": query["timeSeriesQueryLanguage"], "graphPeriod": "auto"}
        return [{**common, "refId": first, "queryType": "timeSeriesQuery", "timeSeriesQuery": asked}]
    if "timeSeriesFilter" in query:
        return [{**common, **_listed(query["timeSeriesFilter"], first, project, period)}]
    if "timeSeriesFilterRatio" in query:
        ratio = query["timeSeriesFilterRatio"]
        if ratio.get("pickTimeSeriesFilter") or ratio.get("secondaryAggregation"):
            raise Untranslatable("a ratio that is aggregated again has no form in Grafana")
        above = {**common, **_listed(ratio.get("numerator", {}), f"{first}1", project, period), "hide": True}
        below = {**common, **_listed(ratio.get("denominator", {}), f"{first}2", project, period), "hide": True}
        divided = {"datasource": MATH, "refId": first, "type": "math", "expression": f"${first}1 / ${first}2"}
        return [above, below, divided]
    kind = next((key for key in query if key.endswith("Query")), "this query")
    raise Untranslatable(f"{kind} has no form in Grafana's data source")


def _listed(asked: Mapping[str, Any], ref: str, project: str, period: str) -> dict[str, Any]:
    if any(key in asked for key in ("pickTimeSeriesFilter", "statisticalTimeSeriesFilter")):
        raise Untranslatable("picking the highest or lowest series has no form in Grafana's data source")
    first, second = asked.get("aggregation") or {}, asked.get("secondaryAggregation") or {}
    found = {
        "projectName": project,
        "filters": _filters(str(asked.get("filter", ""))),
        "view": "FULL",
        **_aggregated(first, "", period),
    }
    if (
        second.get("perSeriesAligner", "ALIGN_NONE") != "ALIGN_NONE"
        or second.get("crossSeriesReducer", "REDUCE_NONE") != "REDUCE_NONE"
    ):
        found |= _aggregated(second, "secondary", period)
    return {"refId": ref, "queryType": "timeSeriesList", "timeSeriesList": found}


def _aggregated(aggregation: Mapping[str, Any], prefix: str, period: str) -> dict[str, Any]:
    found = {
        "alignmentPeriod": f"+{aggregation['alignmentPeriod']}"
        if aggregation.get("alignmentPeriod")
        else f"+{period or '60s'}",
        "perSeriesAligner": aggregation.get("perSeriesAligner", "ALIGN_NONE"),
        "crossSeriesReducer": aggregation.get("crossSeriesReducer", "REDUCE_NONE"),
        "groupBys": [_spelled(each) for each in aggregation.get("groupByFields", ())],
    }
    return {f"{prefix}{key[0].upper()}{key[1:]}" if prefix else key: value for key, value in found.items()}


def _filters(text: str) -> list[str]:
    """Return a filter as the list of words that Grafana keeps; it knows AND only."""
    try:
        root = parse(text).root
    except QueryError as error:
        raise Untranslatable(f"its filter does not parse: {error.problems[0].problem}") from error
    words: list[str] = []
    for each in _conjunction(root):
        field, sign, value = _compared(each)
        words += ["AND"] if words else []
        words += [field, sign, value]
    return words


def _conjunction(node: Any) -> Sequence[Comparison]:
    if isinstance(node, Comparison):
        return [node]
    kind, parts = node
    if kind != "and":
        raise Untranslatable(f"its filter has {str(kind).upper()}, which Grafana's data source does not know")
    return [each for part in parts for each in _conjunction(part)]


def _compared(each: Comparison) -> tuple[str, str, str]:
    field, value = _spelled(each.field), each.values[0]
    if each.op in _OPERATORS:
        return field, _OPERATORS[each.op], value
    if each.op in _PATTERNS:
        return field, "=~", _PATTERNS[each.op].format(value)
    if each.op == "one_of":
        return field, "=~", "|".join(each.values)
    raise Untranslatable(f"{each.field} {each.op} … has no form in Grafana's data source")


def _spelled(field: str) -> str:
    return field.replace(".labels.", ".label.")


def _alias(legend: str) -> str:
    """Return Google's legend template as Grafana's alias pattern."""
    return legend.replace("${", "{{").replace("}", "}}").replace(".labels.", ".label.")
