"""Checks of PromQL as it will be sent: does it parse, would Google take it, are obskit's metrics spelled right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import promql_parser

from obskit.catalog import METRICS, Kind, Metric, Route, promql_label, promql_name
from obskit.errors import Problem, nearest
from obskit.queries.context import RenderContext
from obskit.queries.promql import RESOURCE_LABELS

__all__ = ["check_promql", "lookback", "walk"]

# Source: the functions and aggregations of Prometheus 2.44, which Cloud Monitoring's PromQL matches.
_FUNCTION_NAMES: Final = (
    "abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil changes clamp "
    "clamp_max clamp_min cos cosh count_over_time day_of_month day_of_week day_of_year days_in_month deg "
    "delta deriv exp floor histogram_count histogram_fraction histogram_quantile histogram_sum "
    "holt_winters hour idelta increase irate label_join label_replace last_over_time ln log10 log2 "
    "max_over_time min_over_time minute month pi predict_linear present_over_time quantile_over_time rad "
    "rate resets round scalar sgn sin sinh sort sort_desc sqrt stddev_over_time stdvar_over_time "
    "sum_over_time tan tanh time timestamp vector year "
)
_FUNCTIONS: Final = frozenset(_FUNCTION_NAMES.split())
_AGGREGATIONS: Final = frozenset(
    ("sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values", "bottomk", "topk", "quantile")
)
# Labels that any series may have beside the metric's own.
_ALWAYS: Final = frozenset(
    {"le", "quantile", "project_id", "monitored_resource", "cluster", "task_id", "instance", "job"}
)
_SUFFIXES: Final = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
_SURELY_MEANT: Final = "workload_googleapis_com:obskit_"


def check_promql(text: str, context: RenderContext, place: str) -> list[Problem]:
    """Return everything that is wrong with a PromQL text.

    Args:
        text: the query as it will be sent.
        context: tells the export route, and so how metrics are spelled.
        place: where the query stands, for the problems.
    """
    if not text.strip():
        return [Problem(place=place, problem="the query is empty", way_out="Write a PromQL expression")]
    try:
        tree = promql_parser.parse(text)
    except ValueError as error:
        return [
            Problem(
                place=place, problem=f"the query does not parse: {error}", way_out=f"Mend this PromQL: {text[:300]}"
            )
        ]
    found: list[Problem] = []
    if isinstance(tree, (promql_parser.MatrixSelector, promql_parser.SubqueryExpr, promql_parser.StringLiteral)):
        found.append(
            Problem(
                place=place,
                problem="the query gives ranges or a text, not one value a series",
                way_out="Put it into a function, e.g. rate(…)",
            )
        )
    for node in walk(tree):
        found += [Problem(place=place, problem=problem, way_out=way_out) for problem, way_out in _node(node, context)]
    return list(dict.fromkeys(found))


def lookback(text: str) -> timedelta:
    """Return how far back a query looks, ranges, offsets and subqueries added up; zero if it does not parse."""
    try:
        return _lookback(promql_parser.parse(text))
    except ValueError:
        return timedelta(0)


def walk(tree: Any) -> Iterator[Any]:
    """Return every node of a parsed query, outermost first."""
    yield tree
    for child in _children(tree):
        yield from walk(child)


def _children(node: Any) -> list[Any]:
    names = ("lhs", "rhs", "expr", "param", "vector_selector")
    inner = [getattr(node, name, None) for name in names] + list(getattr(node, "args", None) or ())
    return [child for child in inner if isinstance(child, promql_parser.Expr)]


def _lookback(node: Any) -> timedelta:
    inner = max((_lookback(child) for child in _children(node)), default=timedelta(0))
    own = getattr(node, "range", None) or timedelta(0)
    offset = getattr(node, "offset", None) or timedelta(0)
    return inner + own + max(offset, timedelta(0))


def _node(node: Any, context: RenderContext) -> Iterator[tuple[str, str]]:
    if isinstance(node, promql_parser.Call):
        name = node.func.name
        if name not in _FUNCTIONS:
            yield (
                f"Cloud Monitoring has no function {name}()",
                _hint(name, _FUNCTIONS, "See Prometheus 2.44's functions"),
            )
    elif isinstance(node, promql_parser.AggregateExpr):
        name = str(node.op).lower()
        if name not in _AGGREGATIONS:
            yield f"Cloud Monitoring has no aggregation {name}", f"Use one of {', '.join(sorted(_AGGREGATIONS))}"
    elif isinstance(node, promql_parser.VectorSelector):
        yield from _selector(node, context)


def _selector(node: Any, context: RenderContext) -> Iterator[tuple[str, str]]:
    names = [node.name] if node.name else [m.value for m in node.matchers.matchers if m.name == "__name__"]
    labels = [matcher.name for matcher in node.matchers.matchers if matcher.name != "__name__"]
    for name in names:
        metric = _spelled(name, context.route)
        if metric is not None:
            yield from _labels(metric, labels)
            continue
        yield from _unknown(name, context.route)


def _spelled(name: str, route: Route) -> Metric | None:
    return next((metric for metric in METRICS if name in _names(metric, route)), None)


def _names(metric: Metric, route: Route) -> tuple[str, ...]:
    metric_type = metric.metric_type(route)
    suffixes = _SUFFIXES.get(metric.kind, ("",))
    quoted = metric.name if route is Route.OTLP else metric_type
    return tuple(name + suffix for name in (promql_name(metric_type), quoted) for suffix in suffixes)


def _labels(metric: Metric, labels: list[str]) -> Iterator[tuple[str, str]]:
    resource = {spelled for by_route in RESOURCE_LABELS.values() for spelled in by_route.values()}
    own = {promql_label(label) for label in metric.label_names}
    for label in labels:
        if label not in own | resource | _ALWAYS:
            yield (
                f'metric {metric.name} has no label "{label}"',
                _hint(label, own | resource, "Its labels are " + ", ".join(sorted(own))),
            )


def _unknown(name: str, route: Route) -> Iterator[tuple[str, str]]:
    for other in Route:
        metric = _spelled(name, other)
        if metric is not None and other is not route:
            yield (
                f"{name} is the name on the export route {other}, and this is rendered for {route}",
                f"Write {_names(metric, route)[0]}, or build the query from obskit.catalog, which fits both",
            )
            return
    histogram = next(
        (m for m in METRICS if m.kind is Kind.HISTOGRAM and name == promql_name(m.metric_type(route))), None
    )
    if histogram is not None:
        yield f"{name} is a histogram", f"Write {name}_bucket, {name}_sum or {name}_count"
        return
    known = [spelled for metric in METRICS for spelled in _names(metric, route)]
    guess = nearest(name, known)
    if guess is not None and (name.startswith(_SURELY_MEANT) or _is_slip(name, guess)):
        yield f"obskit records no metric {name}", f"Did you mean {guess}"


def _is_slip(name: str, guess: str) -> bool:
    """Tell a misspelt obskit metric from somebody else's metric of a similar name."""
    if abs(len(name) - len(guess)) > 2 or name[:1] != guess[:1]:
        return False
    row = list(range(len(guess) + 1))
    for index, char in enumerate(name, 1):
        before, row[0] = row[0], index
        for column, other in enumerate(guess, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (char != other))
    return row[-1] <= 2


def _hint(name: str, known: frozenset[str] | set[str], otherwise: str) -> str:
    guess = nearest(name, known)
    return f"Did you mean {guess}" if guess else otherwise
