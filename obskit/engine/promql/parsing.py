"""Parse PromQL, within bounds that keep a parser written for recursion from running out of stack."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final

import promql_parser as pp

from obskit.engine.promql.columns import refuse

__all__ = ["milliseconds", "parse", "unwrapped"]

MOST_CHARACTERS: Final = 16_384
MOST_OPERATORS: Final = 100
MOST_NESTED: Final = 60

_OPAQUE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`|#[^\n]*|\{[^{}]*\}', re.DOTALL)
_OPERATOR: Final = re.compile(r"[-+*/%^<>]=?|[=!]=|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)

# Prometheus 3 calls it double_exponential_smoothing, and so does the parser; 2.44 and Google have this name.
pp.register_extra_functions(
    [pp.Function("holt_winters", [pp.ValueType.Matrix, pp.ValueType.Scalar, pp.ValueType.Scalar], pp.ValueType.Vector)]
)


@lru_cache(maxsize=512)
def parse(query: str) -> Any:
    """Return the parsed query.

    Raises:
        QueryError: it does not parse, or is longer or more nested than anyone would write.
    """
    _check_size(query)
    try:
        return pp.parse(query)
    except ValueError as error:
        raise refuse(f"does not parse: {error}", "See Prometheus' documentation of the query language") from error


def _check_size(query: str) -> None:
    if len(query) > MOST_CHARACTERS:
        raise refuse(f"has {len(query):,} characters, more than {MOST_CHARACTERS:,}", "Split it")
    bare = query
    for _ in range(2):  # texts first; then the braces that held them
        bare = _OPAQUE.sub(" ", bare)
    depth = max(accumulate((1 if mark in "([{" else -1 if mark in ")]}" else 0) for mark in bare), default=0)
    if depth > MOST_NESTED:
        raise refuse(f"has {depth} parentheses in one another, more than {MOST_NESTED}", "Take it apart")
    operators = len(_OPERATOR.findall(bare))
    if operators > MOST_OPERATORS:
        raise refuse(f"has {operators} operators, more than {MOST_OPERATORS}", "Aggregate instead, or split it")


def unwrapped(node: Any) -> Any:
    """Return an expression without the parentheses around it."""
    while isinstance(node, pp.ParenExpr):
        node = node.expr
    return node


def milliseconds(span: timedelta | None) -> int:
    """Return a duration of the tree in milliseconds, 0 where there is none."""
    return 0 if span is None else round(span.total_seconds() * 1000)
