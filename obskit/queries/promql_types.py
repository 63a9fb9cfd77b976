"""What the parts of a PromQL query are: of which series, with which labels, in which unit; and where that goes wrong.

Source: PromQL of Prometheus 2.44, and "PromQL in Cloud Monitoring" of Google's documentation, which maps delta metrics
to counters, distributions to ``_bucket``, ``_sum`` and ``_count``, and demands ``monitored_resource`` where a metric
is written against several resource types.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import cache
from typing import Any, Final

import promql_parser

from obskit.catalog import Route
from obskit.errors import nearest
from obskit.queries import units
from obskit.queries.google_metrics import MetricKind, ValueType, google_metrics
from obskit.queries.series import Finding, Series, label_findings, series_of_promql

__all__ = ["ALWAYS", "children", "node_findings", "selector_names", "series_in", "walk"]

ALWAYS: Final = frozenset(
    {"le", "quantile", "project_id", "monitored_resource", "cluster", "task_id", "instance", "job"}
)
"""Labels that any series may have beside the metric's own."""
_GROWTH: Final = frozenset({"rate", "increase", "irate", "resets"})
_LEVELS: Final = frozenset({"delta", "idelta", "deriv", "predict_linear", "holt_winters"})
_KEEPING_UNITS: Final = (
    "sum min max avg bottomk topk quantile abs ceil floor round clamp clamp_max clamp_min delta idelta increase "
    "avg_over_time min_over_time max_over_time last_over_time quantile_over_time stddev stddev_over_time sort "
    "sort_desc label_replace label_join predict_linear holt_winters"
)
_SAME_UNIT: Final = frozenset(_KEEPING_UNITS.split())
_RELABELLING: Final = frozenset({"label_replace", "label_join", "count_values"})
_COMPARISONS: Final = frozenset({">", "<", ">=", "<=", "==", "!="})


def walk(tree: Any) -> Iterator[Any]:
    """Return every node of a parsed query, outermost first."""
    yield tree
    for child in children(tree):
        yield from walk(child)


def children(node: Any) -> list[Any]:
    """Return the parts that a node is made of."""
    single, has_args = _parts_of(node.__class__)
    inner = [getattr(node, name) for name in single]
    if has_args:
        inner += node.args or ()
    return [child for child in inner if isinstance(child, promql_parser.Expr)]


@cache
def _parts_of(kind: Hashable) -> tuple[tuple[str, ...], bool]:
    """Return the names of the parts that nodes of a class have, and whether they have arguments."""
    names = ("lhs", "rhs", "expr", "param", "vector_selector")
    return tuple(name for name in names if hasattr(kind, name)), hasattr(kind, "args")


def selector_names(node: Any) -> list[str]:
    """Return the metric names of a selector, written before the braces or in them."""
    if node.name:
        return [str(node.name)]
    return [str(matcher.value) for matcher in node.matchers.matchers if matcher.name == "__name__"]


def series_in(tree: Any, route: Route) -> list[Series] | None:
    """Return the series that a part of a query reads; None where one of them is not known."""
    found: list[Series] = []
    for node in walk(tree):
        if isinstance(node, promql_parser.VectorSelector):
            names = selector_names(node)
            known = [series_of_promql(name, route) for name in names]
            if not names or None in known:
                return None
            found += [series for series in known if series is not None]
    return found


def node_findings(node: Any, route: Route) -> Iterator[Finding]:
    """Return what is wrong or doubtful about one node of a query, beside the names of functions."""
    if isinstance(node, promql_parser.VectorSelector):
        for name in selector_names(node):
            series = series_of_promql(name, route)
            if series is not None:
                yield from _selector(node, series)
    elif isinstance(node, promql_parser.Call):
        yield from _call(node, route)
    elif isinstance(node, promql_parser.AggregateExpr):
        yield from _grouping(node, route)
    elif isinstance(node, promql_parser.BinaryExpr):
        yield from _binary(node, route)


def _selector(node: Any, series: Series) -> Iterator[Finding]:
    written = {matcher.name: matcher for matcher in node.matchers.matchers if matcher.name != "__name__"}
    if series.value is ValueType.STRING:
        yield Finding(f"{series.name} holds texts, which PromQL cannot read", "Use another metric, or a filter")
    for label in written:
        if not label.startswith(("metric_", "metadata_", "__")):
            yield from label_findings(label, (*series.labels, *series.resource_labels), (series,), also=tuple(ALWAYS))
    if series.metric is not None:
        return
    resource = written.get("monitored_resource")
    if resource is None and len(series.resources) > 1:
        likely = "consumed_api" if "consumed_api" in series.resources else series.resources[-1]
        yield Finding(
            f"{series.name} is written against several resources, and PromQL refuses to guess",
            f'Add monitored_resource="{likely}", or another of {", ".join(series.resources)}',
        )
    elif resource is not None and str(resource.op) == "MatchOp.Equal":
        yield from _resource(resource.value, series)


def _resource(name: str, series: Series) -> Iterator[Finding]:
    if series.resources and name not in series.resources:
        like = nearest(name, series.resources)
        yield Finding(
            f'{series.name} is not written against resource "{name}"',
            f'Did you mean monitored_resource="{like or series.resources[0]}"',
            is_note=like is None and name not in google_metrics().resources,
        )


def _call(node: Any, route: Route) -> Iterator[Finding]:
    name = node.func.name
    if name == "histogram_quantile":
        yield from _quantile(node, route)
        return
    if name not in _GROWTH | _LEVELS:
        return
    for series in series_in(node, route) or ():
        is_level = series.kind is MetricKind.GAUGE and not series.suffix
        if name in _GROWTH and is_level:
            yield Finding(
                f"{name}() needs something that only grows, {series.name} is {series.shape}",
                "Use avg_over_time(…), max_over_time(…) or delta(…)",
            )
        elif name in _LEVELS and not is_level and not series.suffix:
            yield Finding(
                f"{name}() is for gauges, {series.name} is {series.shape}, which PromQL reads as a counter",
                "Use rate(…) or increase(…)",
                is_note=True,
            )


def _quantile(node: Any, route: Route) -> Iterator[Finding]:
    rank, inner = [*node.args, None, None][:2]
    value = getattr(rank, "val", None)
    if isinstance(value, float | int) and not 0 <= value <= 1:
        yield Finding(
            f"histogram_quantile's first argument is {value:g}, must be 0 to 1",
            f"Write {value / 100:g} for {value:g} %",
        )
    if inner is None:
        return
    for series in series_in(inner, route) or ():
        if series.suffix != "_bucket":
            is_part = series.suffix and series.value is ValueType.DISTRIBUTION
            stem = series.name.removesuffix(series.suffix) if is_part else series.name
            yield Finding(
                f"histogram_quantile needs the buckets of a distribution, {series.name} is "
                + (f"only its {series.suffix[1:]}" if is_part else series.shape),
                f"Write {stem}_bucket" if is_part else "Use quantile(…) over series, or quantile_over_time(…)",
            )
    yield from _loses_le(inner)


def _loses_le(node: Any) -> Iterator[Finding]:
    while isinstance(node, promql_parser.ParenExpr):
        node = node.expr
    if not isinstance(node, promql_parser.AggregateExpr) or str(node.op).lower() in {"topk", "bottomk"}:
        return
    labels, is_by = _grouped(node)
    if (is_by and "le" in labels) or (not is_by and node.modifier is not None and "le" not in labels):
        return
    listed = ", ".join(["le", *(label for label in labels if is_by)])
    yield Finding(
        "the label le is aggregated away, and without it histogram_quantile gives nothing",
        f"Write {str(node.op).lower()} by ({listed}) (…)",
    )


def _grouped(node: Any) -> tuple[list[str], bool]:
    modifier = node.modifier
    if modifier is None:
        return [], True
    return [str(label) for label in modifier.labels], "by" in str(modifier.type).lower()


def _grouping(node: Any, route: Route) -> Iterator[Finding]:
    labels, _ = _grouped(node)
    yield from _carried(labels, [node.expr], route)


def _carried(labels: Sequence[str], trees: Sequence[Any], route: Route) -> Iterator[Finding]:
    """Return what is wrong with labels that the series of some parts should have."""
    if any(getattr(getattr(n, "func", None), "name", "") in _RELABELLING for tree in trees for n in walk(tree)):
        return
    all_series: list[Series] = []
    for tree in trees:
        found = series_in(tree, route)
        if not found:
            return
        all_series += found
    known = [name for series in all_series for name in (*series.labels, *series.resource_labels)]
    for label in labels:
        if not label.startswith(("metric_", "metadata_", "__")):
            yield from label_findings(label, known, all_series, also=tuple(ALWAYS))


def _binary(node: Any, route: Route) -> Iterator[Finding]:
    operator = str(node.op)
    modifier = node.modifier
    matching = getattr(modifier, "matching", None)
    if matching is not None and "include" in str(matching.type).lower():
        yield from _carried([str(label) for label in matching.labels], [node.lhs, node.rhs], route)
    if operator in {"and", "or", "unless", "*", "^", "%", "atan2"}:
        return
    left, right = _unit(node.lhs, route), _unit(node.rhs, route)
    reason = units.clash(left, right, is_quotient=operator == "/")
    if reason:
        verb = {"/": "divides", "-": "subtracts", "+": "adds"}.get(operator, "compares")
        yield Finding(f"the query {verb} unlike things: {reason}", "Bring both sides to one unit, e.g. … / 1000")


def _unit(node: Any, route: Route) -> str | None:
    """Return the unit of what a part of a query gives; None where it cannot be told, as of a number."""
    if isinstance(node, promql_parser.ParenExpr | promql_parser.UnaryExpr | promql_parser.SubqueryExpr):
        return _unit(node.expr, route)
    if isinstance(node, promql_parser.MatrixSelector):
        return _unit(node.vector_selector, route)
    if isinstance(node, promql_parser.VectorSelector):
        names = selector_names(node)
        series = series_of_promql(names[0], route) if len(names) == 1 else None
        if series is None:
            return None
        return "1" if series.suffix in {"_bucket", "_count"} else units.plain(series.unit)
    if isinstance(node, promql_parser.AggregateExpr):
        return _unit(node.expr, route) if str(node.op).lower() in _SAME_UNIT else None
    if isinstance(node, promql_parser.Call):
        return _unit_of_call(node, route)
    if isinstance(node, promql_parser.BinaryExpr):
        return _unit_of_binary(node, route)
    return None


def _unit_of_call(node: Any, route: Route) -> str | None:
    name = node.func.name
    if name == "histogram_quantile" and len(node.args) == 2:
        found = {units.plain(series.unit) for series in series_in(node.args[1], route) or ()}
        return found.pop() if len(found) == 1 else None
    operand = next((arg for arg in node.args if not isinstance(arg, promql_parser.NumberLiteral)), None)
    inner = None if operand is None else _unit(operand, route)
    if name in {"rate", "irate", "deriv"}:
        return None if inner is None else "1/s" if inner == "1" else f"{inner}/s"
    return inner if name in _SAME_UNIT else None


def _unit_of_binary(node: Any, route: Route) -> str | None:
    operator = str(node.op)
    left, right = _unit(node.lhs, route), _unit(node.rhs, route)
    if operator in _COMPARISONS or operator in {"and", "unless"}:
        return left
    if operator in {"+", "-", "or"}:
        return left if left == right else None
    if operator == "/":
        return units.without(left, right)
    return units.times(left, right) if operator == "*" and left and right else None
