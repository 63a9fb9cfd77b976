"""PromQL: parsed by `promql_parser`, evaluated here; Prometheus 2.44's results with Google's differences."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import promql_parser as pp

from obskit.engine.promql.evaluate import Evaluation
from obskit.engine.promql.vectors import Sample, Vector, key_of
from obskit.engine.series import Series, SeriesSource
from obskit.errors import Problem, QueryError

__all__ = ["Sample", "Vector", "check", "evaluate", "evaluate_range", "parse"]


@lru_cache(maxsize=512)
def parse(query: str) -> Any:
    """Return the parsed query.

    Raises:
        QueryError: it does not parse.
    """
    try:
        return pp.parse(query)
    except ValueError as error:
        way_out = "See Prometheus' documentation of the query language"
        raise QueryError(Problem(place="query", problem=f"does not parse: {error}", way_out=way_out)) from error


def check(query: str) -> list[Problem]:
    """Return what is wrong with a query; nothing when it parses."""
    try:
        parse(query)
    except QueryError as error:
        return list(error.problems)
    return []


def evaluate(query: str, source: SeriesSource, at_ms: int) -> float | str | Vector:
    """Return the value of a query at one moment.

    Raises:
        QueryError: it does not parse, or cannot be evaluated.
    """
    return Evaluation(source, at_ms, at_ms).at(parse(query), at_ms)


def evaluate_range(query: str, source: SeriesSource, start_ms: int, end_ms: int, step_ms: int) -> list[Series]:
    """Return the series of a query at every step from `start_ms` to `end_ms`, both included.

    Raises:
        QueryError: it does not parse, or cannot be evaluated.
    """
    node = parse(query)
    run = Evaluation(source, start_ms, end_ms)
    found: dict[Any, tuple[Mapping[str, str], array[int], array[float]]] = {}
    for moment in range(start_ms, end_ms + 1, max(1, step_ms)):
        value = run.at(node, moment)
        if isinstance(value, str):
            raise QueryError(Problem(place="query", problem="is a text", way_out="Use an expression of numbers"))
        for sample in [Sample({}, value)] if isinstance(value, float) else value:
            entry = found.setdefault(key_of(sample.labels), (sample.labels, array("q"), array("d")))
            entry[1].append(moment)
            entry[2].append(sample.value)
    return [Series(labels, times, values) for labels, times, values in found.values()]
