"""Checks of PromQL as it will be sent: does it parse, would Google take it, do its parts and names fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

import promql_parser

from obskit.catalog import METRICS, Kind, Metric, Route, promql_name
from obskit.errors import Problem, nearest
from obskit.queries.context import RenderContext
from obskit.queries.google_metrics import ValueType, declarations, google_metrics
from obskit.queries.likeness import is_slip
from obskit.queries.promql_types import children, node_findings, selector_names, walk
from obskit.queries.series import Finding, series_of_promql

__all__ = ["check_promql", "lookback", "promql_findings", "walk"]

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
_SUFFIXES: Final = ("_bucket", "_sum", "_count")
_SURELY_MEANT: Final = "workload_googleapis_com:obskit_"
_ADDED: Final = re.compile(r"(_seconds|_ratio|_total)+(?=(_bucket|_sum|_count)?$)")
"""What Prometheus' own exporters add to a name, and neither export route does."""


def check_promql(text: str, context: RenderContext, place: str) -> list[Problem]:
    """Return everything that is wrong with a PromQL text.

    Args:
        text: the query as it will be sent.
        context: tells the export route, and so how metrics are spelled.
        place: where the query stands, for the problems.
    """
    return [
        Problem(place=place, problem=found.problem, way_out=found.way_out)
        for found in promql_findings(text, context.route)
        if not found.is_note
    ]


def promql_findings(text: str, route: Route) -> tuple[Finding, ...]:
    """Return what is wrong or doubtful with a PromQL text whose metrics are spelled for a route."""
    return _found(text, route, declarations())


@lru_cache(maxsize=4096)
def _found(text: str, route: Route, declared: int) -> tuple[Finding, ...]:
    del declared  # a metric that is declared later changes what is found
    if not text.strip():
        return (Finding("the query is empty", "Write a PromQL expression"),)
    try:
        tree = _parsed(text)
    except ValueError as error:
        return (Finding(f"the query does not parse: {error}", f"Mend this PromQL: `{text[:300]}`"),)
    found: list[Finding] = []
    if isinstance(tree, (promql_parser.MatrixSelector, promql_parser.SubqueryExpr, promql_parser.StringLiteral)):
        found.append(
            Finding(
                "the query gives ranges or a text, not one value for each series",
                "Put it into a function, e.g. rate(…)",
            )
        )
    for node in walk(tree):
        found += [Finding(problem, way_out) for problem, way_out in _names_of_functions(node)]
        if isinstance(node, promql_parser.VectorSelector):
            for name in selector_names(node):
                found += _unknown(name, route)
        found += node_findings(node, route)
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    """Return the tree of a query. The rules of one definition look at it one after the other."""
    return promql_parser.parse(text)


@lru_cache(maxsize=4096)
def lookback(text: str) -> timedelta:
    """Return how far back a query looks, ranges, offsets and subqueries added up; zero if it does not parse."""
    try:
        return _lookback(_parsed(text))
    except ValueError:
        return timedelta(0)


def _lookback(node: Any) -> timedelta:
    inner = max((_lookback(child) for child in children(node)), default=timedelta(0))
    own = getattr(node, "range", None) or timedelta(0)
    offset = getattr(node, "offset", None) or timedelta(0)
    return inner + own + max(offset, timedelta(0))


def _names_of_functions(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, promql_parser.Call):
        name = node.func.name
        if name not in _FUNCTIONS:
            yield (
                f"Cloud Monitoring has no function {name}()",
                _hint(name, _FUNCTIONS, "Use one of the functions of Prometheus 2.44"),
            )
    elif isinstance(node, promql_parser.AggregateExpr):
        name = str(node.op).lower()
        if name not in _AGGREGATIONS:
            yield f"Cloud Monitoring has no aggregation {name}", f"Use one of {', '.join(sorted(_AGGREGATIONS))}"


def _names(metric: Metric, route: Route) -> tuple[str, ...]:
    metric_type = metric.metric_type(route)
    suffixes = _SUFFIXES if metric.kind is Kind.HISTOGRAM else ("",)
    quoted = metric.name if route is Route.OTLP else metric_type
    return tuple(name + suffix for name in (promql_name(metric_type), quoted) for suffix in suffixes)


def _unknown(name: str, route: Route) -> Iterator[Finding]:
    if series_of_promql(name, route) is not None or "${" in name:
        return
    for other in Route:
        if other is not route and any(name in _names(metric, other) for metric in METRICS):
            metric = next(each for each in METRICS if name in _names(each, other))
            spelled = _names(metric, route)[_names(metric, other).index(name)]
            yield Finding(
                f"{name} is the name on the export route {other}, and this is rendered for {route}",
                f"Write {spelled}, or build the query from obskit.catalog, which fits both",
            )
            return
    if any(m.kind is Kind.HISTOGRAM and name == promql_name(m.metric_type(route)) for m in METRICS):
        yield Finding(f"{name} is a histogram", f"Write {name}_bucket, {name}_sum or {name}_count")
        return
    known = [spelled for metric in METRICS for spelled in _names(metric, route)]
    as_by_exporter = next(_without_added(name, route), None)
    if as_by_exporter is not None:
        yield as_by_exporter
        return
    guess = nearest(name, known)
    if guess is not None and (name.startswith(_SURELY_MEANT) or is_slip(name, guess)):
        yield Finding(f"obskit records no metric {name}", f"Did you mean {guess}")
        return
    yield from _unknown_google(name)


def _without_added(name: str, route: Route) -> Iterator[Finding]:
    bare = _ADDED.sub("", name)
    for metric in METRICS:
        for other in Route:
            spelled = _names(metric, other)
            if bare != name and bare in spelled:
                right = _names(metric, route)[spelled.index(bare)]
                yield Finding(
                    f"obskit writes {right}; {name} is as Prometheus' exporters spell it",
                    f"Write {right}, or build the query from obskit.catalog, unless something else writes it",
                    is_note=not name.startswith(_SURELY_MEANT),
                )


def _unknown_google(name: str) -> Iterator[Finding]:
    """Return what is wrong with a name that could only be one of Google's metrics."""
    index = google_metrics()
    mark = "/" if "/" in name else ":"
    services = {prefix if mark == "/" else promql_name(prefix): each for prefix, each in index.services.items()}
    domain = name.partition(mark)[0]
    service = services.get(domain)
    if service is None:
        like = next((each for each in services if mark in name and is_slip(domain, each, most=1)), None)
        if like is not None:
            yield Finding(f'no service of Google Cloud has metrics "{domain}{mark}…"', f"Did you mean {like}{mark}…")
        return
    if service.instead:
        yield Finding(f"{service.title} has no metrics of its own in Cloud Monitoring", service.instead)
        return
    stem = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)
    for metric_type in index.types_of(service):
        metric = index.metrics[metric_type]
        spelled = metric_type if mark == "/" else promql_name(metric_type)
        if metric.value is ValueType.DISTRIBUTION and name == spelled:
            yield Finding(
                f"{name} is a distribution",
                f"Write {name}_bucket, {name}_sum or {name}_count, as in {_rate_of(f'{name}_count')}",
            )
            return
        if metric.value is not ValueType.DISTRIBUTION and stem == spelled:
            yield Finding(f"{spelled} is no distribution and has no series {name}", f"Write {spelled}")
            return
    names = [each for metric_type in index.types_of(service) for each in index.metrics[metric_type].promql_names]
    like = nearest(name, [each for each in names if (mark == "/") == ("/" in each)], 0.8)
    if like is not None and not service.is_complete and not is_slip(name, like):
        like = None
    newer = f"if it is newer than {index.date}, declare it with known_metric(…)"
    is_users_own = service.prefix == "logging.googleapis.com" and name.startswith(f"{domain}{mark}user")
    if like is not None and not is_users_own:
        yield Finding(f"{service.title} has no metric {name}", f"Did you mean {like}; {newer}")
    elif not is_users_own:
        yield Finding(f"{name} is not in the index of {index.date}", f"See {index.source}; {newer}", is_note=True)


def _rate_of(name: str) -> str:
    return f'rate({{"{name}"}}[5m])' if "/" in name else f"rate({name}[5m])"


def _hint(name: str, known: frozenset[str] | set[str], otherwise: str) -> str:
    guess = nearest(name, known)
    return f"Did you mean {guess}" if guess else otherwise
