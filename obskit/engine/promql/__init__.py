"""PromQL: parsed by `promql_parser`, evaluated here; Prometheus 2.44's results with Google's differences.

Google's differences: UTF-8 names in quotes, no staleness markers, and no point instead of NaN for a histogram
without observations. Native histograms are not evaluated.
"""

from __future__ import annotations

from array import array

import promql_parser as pp

from obskit.engine.promql.columns import Grid, Number, Sample, Vector
from obskit.engine.promql.evaluate import Evaluation, grid_between
from obskit.engine.promql.parsing import parse
from obskit.engine.series import MemorySource, Series, SeriesSource
from obskit.errors import Problem, QueryError

__all__ = ["Sample", "Vector", "check", "evaluate", "evaluate_range", "parse", "select_window"]


def check(query: str) -> list[Problem]:
    """Return what is wrong with a query: it does not parse, or has something that is not supported here."""
    try:
        node = parse(query)
        run = Evaluation(MemorySource(), Grid(0, 1, 1), 0, 0)
        if not isinstance(node, (pp.MatrixSelector, pp.SubqueryExpr)):
            run.value(node)
    except QueryError as error:
        return list(error.problems)
    return []


def evaluate(query: str, source: SeriesSource, at_ms: int) -> float | str | Vector:
    """Return the value of a query at one moment.

    Args:
        query: in PromQL.
        source: where series come from.
        at_ms: the moment, in milliseconds since the epoch.

    Raises:
        QueryError: it does not parse, or cannot be evaluated.
    """
    value = Evaluation(source, Grid(at_ms, 1, 1), at_ms, at_ms).value(parse(query))
    if isinstance(value, str):
        return value
    if isinstance(value, Number):
        return value.values[0]
    return [Sample(column.labels, cell) for column in value if (cell := column.values[0]) is not None]


def select_window(query: str, source: SeriesSource, at_ms: int) -> list[Series] | None:
    """Return the points of a range selector as they are, None for another expression.

    Args:
        query: in PromQL, e.g. ``requests_total[1h]``.
        source: where series come from.
        at_ms: the window's end, in milliseconds since the epoch.

    Raises:
        QueryError: it does not parse.
    """
    node = parse(query)
    if not isinstance(node, (pp.MatrixSelector, pp.SubqueryExpr)):
        return None
    found = Evaluation(source, Grid(at_ms, 1, 1), at_ms, at_ms).windows(node)
    spans = [(row, *row.spans[0]) for row in found.rows]
    return [Series(row.labels, row.times_ms[low:high], row.values[low:high]) for row, low, high in spans]


def evaluate_range(query: str, source: SeriesSource, start_ms: int, end_ms: int, step_ms: int) -> list[Series]:
    """Return the series of a query at every step from `start_ms` to `end_ms`, both included.

    Args:
        query: in PromQL; its value must be a vector or a number.
        source: where series come from.
        start_ms: first moment, in milliseconds since the epoch.
        end_ms: no moment is later.
        step_ms: between two moments, at least 1.

    Raises:
        QueryError: it does not parse, cannot be evaluated, or has too many steps.
    """
    grid = grid_between(start_ms, end_ms, step_ms)
    value = Evaluation(source, grid, start_ms, end_ms).value(parse(query))
    if isinstance(value, str):
        raise QueryError(Problem(place="query", problem="is a text", way_out="Use an expression of numbers"))
    if isinstance(value, Number):
        return [Series({}, array("q", grid.moments), array("d", value.values))] if grid.count else []
    found = []
    for column in value:
        pairs = [(moment, cell) for moment, cell in zip(grid.moments, column.values, strict=True) if cell is not None]
        if pairs:
            found.append(Series(column.labels, array("q", (t for t, _ in pairs)), array("d", (v for _, v in pairs))))
    return found
