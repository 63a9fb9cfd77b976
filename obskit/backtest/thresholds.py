"""A policy with another threshold: find the number that it compares with, and leave the comparison out."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import promql_parser as pp

from obskit.engine.conditions import compared_with
from obskit.engine.promql import parse
from obskit.errors import QueryError

__all__ = ["Comparison", "Varied", "comparison_of", "varied_of"]

_OPAQUE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`|\{[^{}]*\}|\[[^\[\]]*\]|#[^\n]*')
_CANDIDATE: Final = re.compile(
    r"(?P<op>==|!=|>=|<=|>|<)\s*(?P<open>\(*)\s*(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)"
)
_OPS: Final = frozenset({">", "<", ">=", "<="})
_MARK: Final = 918273645.0  # a number that stands in no query


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Where a query compares with a number.

    Attributes:
        query: the whole of it.
        op: ``>``, ``<``, ``>=`` or ``<=``.
        value: the number.
        start: of the number in the query.
        end: of the number.
        op_start: of the operator.
        values: the query without the comparison, whose results are what is compared; empty where that cannot be had.
    """

    query: str
    op: str
    value: float
    start: int
    end: int
    op_start: int
    values: str

    def with_threshold(self, threshold: float) -> str:
        """Return the query with another number."""
        return f"{self.query[: self.start]}{threshold!r}{self.query[self.end :]}"

    def holds(self, value: float, threshold: float) -> bool:
        """Return whether a value violates a threshold."""
        if self.op == ">":
            return value > threshold
        if self.op == "<":
            return value < threshold
        return value >= threshold if self.op == ">=" else value <= threshold

    @property
    def is_above(self) -> bool:
        """Whether large values violate."""
        return self.op in {">", ">="}


def comparison_of(query: str) -> Comparison | None:
    """Return the outermost comparison of a query with a number, None where there is none."""
    for match in _candidates(query):
        start, end = match.span("number")
        try:
            tree = parse(f"{query[:start]}{_MARK!r}{query[end:]}")
        except QueryError:
            continue
        if _outermost(tree) != _MARK:
            continue
        bare = compared_with(tree) == _MARK and not match["open"]
        values = f"{query[: match.start('op')].rstrip()} {query[end:].lstrip()}".strip() if bare else ""
        return Comparison(
            query=query,
            op=match["op"],
            value=float(match["number"]),
            start=start,
            end=end,
            op_start=match.start("op"),
            values=values if values and _parses(values) else "",
        )
    return None


def _candidates(query: str) -> Iterator[re.Match[str]]:
    bare = _OPAQUE.sub(lambda match: "#" * len(match[0]), query)
    yield from (match for match in _CANDIDATE.finditer(bare) if match["op"] not in {"==", "!="})


def _outermost(node: Any) -> float | None:
    """The number of `compared_with`; besides that on the left of an ``or``, and a factor of the right side."""
    node = _bare(node)
    if not isinstance(node, pp.BinaryExpr):
        return None
    if str(node.op) in {"or", "and", "unless"}:
        return _outermost(node.lhs)
    right = _bare(node.rhs)
    while isinstance(right, pp.BinaryExpr) and str(right.op) in {"*", "/"}:
        right = _bare(right.lhs)
    return float(right.val) if isinstance(right, pp.NumberLiteral) and str(node.op) in _OPS else None


def _bare(node: Any) -> Any:
    while isinstance(node, pp.ParenExpr):
        node = node.expr
    return node


def _parses(query: str) -> bool:
    try:
        parse(query)
    except QueryError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Varied:
    """The condition of a policy whose threshold can be another.

    Attributes:
        policy: in the REST API's JSON.
        index: of the condition.
        threshold: as it is.
        is_above: whether large values violate.
        comparison: of a PromQL condition; None for one on a filter.
    """

    policy: Mapping[str, Any]
    index: int
    threshold: float
    is_above: bool
    comparison: Comparison | None

    def document(self, threshold: float) -> Mapping[str, Any]:
        """Return the policy with another threshold."""
        if threshold == self.threshold:
            return self.policy
        changed = copy.deepcopy(dict(self.policy))
        condition = changed["conditions"][self.index]
        if self.comparison is None:
            condition["conditionThreshold"]["thresholdValue"] = threshold
        else:
            condition["conditionPrometheusQueryLanguage"]["query"] = self.comparison.with_threshold(threshold)
        return changed


def varied_of(policy: Mapping[str, Any]) -> Varied | None:
    """Return the first condition that compares with a number, None where there is none."""
    for index, condition in enumerate(policy.get("conditions") or ()):
        body = condition.get("conditionThreshold")
        if body is not None:
            is_above = body.get("comparison") != "COMPARISON_LT"
            limit = float(body.get("thresholdValue") or 0.0)
            return Varied(policy=policy, index=index, threshold=limit, is_above=is_above, comparison=None)
        query = (condition.get("conditionPrometheusQueryLanguage") or {}).get("query")
        found = comparison_of(str(query)) if query else None
        if found is not None:
            return Varied(policy=policy, index=index, threshold=found.value, is_above=found.is_above, comparison=found)
    return None
