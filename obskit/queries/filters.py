"""Monitoring filters: parsed, checked, and matched against series.

Source: "Monitoring filters" in Cloud Monitoring's API documentation. That does not say whether AND or OR binds
tighter; here it is OR, as in Cloud Logging and in the standard that Google's newer APIs follow (AIP-160).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from obskit.errors import Problem, QueryError
from obskit.queries.re2 import compiled

__all__ = ["Comparison", "Filter", "parse", "quote"]

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<word>-?[0-9]+(?:\.[0-9]+)?(?![A-Za-z0-9_.\-/])|[A-Za-z0-9_][A-Za-z0-9_.\-/]*)"""
    r"""|(?P<op>!=|>=|<=|=|:|>|<)|(?P<mark>[(),\-]))"""
)
_FUNCTIONS: Final = frozenset({"starts_with", "ends_with", "has_substring", "one_of", "monitoring.regex.full_match"})
_FIELD: Final = re.compile(
    r"metric\.type|resource\.type|project|group\.id"
    r"|(?:metric|resource)\.labels?\..+|metadata\.(?:system_labels|user_labels)\..+"
)


_ORDERS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_MOST_NESTED: Final = 50


def quote(text: str) -> str:
    """Return a text as a filter's string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a filter.

    Attributes:
        field: ``metric.type``, ``resource.type``, or ``metric.labels.X`` and the like in this spelling.
        op: ``=``, ``!=``, ``:``, ``>``, ``<``, ``>=``, ``<=``, or a function's name.
        values: what it is compared with; several for ``one_of``.
    """

    field: str
    op: str
    values: tuple[str, ...]

    def matches(self, value: str | None) -> bool:
        """Return whether a field's value fits; None is an absent one."""
        actual = "" if value is None else value
        match self.op:
            case "=":
                return actual == self.values[0]
            case "!=":
                return actual != self.values[0]
            case ":" | "has_substring":
                return self.values[0] in actual
            case "starts_with":
                return actual.startswith(self.values[0])
            case "ends_with":
                return actual.endswith(self.values[0])
            case "one_of":
                return actual in self.values
            case ">" | "<" | ">=" | "<=":
                return _is_number(actual) and _ORDERS[self.op](float(actual), float(self.values[0]))
            case _:
                return compiled(self.values[0]).fullmatch(actual) is not None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) is not None


Node = Comparison | tuple[str, tuple["Node", ...]]


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter.

    Attributes:
        text: as it was written.
        root: comparisons under ``and``, ``or`` and ``not``.
    """

    text: str
    root: Node

    def matches(
        self,
        metric_type: str,
        metric_labels: Mapping[str, str],
        resource_type: str,
        resource_labels: Mapping[str, str],
    ) -> bool:
        """Return whether a series fits."""

        def value(field: str) -> str | None:
            if field == "metric.type":
                return metric_type
            if field == "resource.type":
                return resource_type
            scope, _, name = field.partition(".labels.")
            if scope in {"metric", "resource"}:
                return (metric_labels if scope == "metric" else resource_labels).get(name)
            return resource_labels.get("project_id") if field == "project" else None

        return _holds(self.root, value)

    def comparisons(self) -> tuple[Comparison, ...]:
        """Return every comparison, in the order of the text."""
        return tuple(_leaves(self.root))

    def metric_types(self) -> tuple[str, ...]:
        """Return the metric types that the filter names exactly."""
        return tuple(
            value
            for leaf in _leaves(self.root, with_negated=False)
            if leaf.field == "metric.type" and leaf.op in {"=", "one_of"}
            for value in leaf.values
        )

    def resource_types(self) -> tuple[str, ...]:
        """Return the monitored resource types that the filter names exactly."""
        return tuple(
            value
            for leaf in _leaves(self.root, with_negated=False)
            if leaf.field == "resource.type" and leaf.op in {"=", "one_of"}
            for value in leaf.values
        )


def _holds(node: Node, value: Callable[[str], str | None]) -> bool:
    if isinstance(node, Comparison):
        return node.matches(value(node.field))
    kind, parts = node
    if kind == "not":
        return not _holds(parts[0], value)
    return (all if kind == "and" else any)(_holds(part, value) for part in parts)


def _leaves(node: Node, *, with_negated: bool = True) -> Iterator[Comparison]:
    if isinstance(node, Comparison):
        yield node
        return
    kind, parts = node
    if kind == "not" and not with_negated:
        return
    for part in parts:
        yield from _leaves(part, with_negated=with_negated)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


def _error(text: str, column: int, problem: str, way_out: str) -> QueryError:
    near = text[column : column + 20]
    place = f"filter, column {column + 1}" + (f" ({near!r})" if near else "")
    return QueryError(Problem(place=place, problem=problem, way_out=way_out))


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    while position < len(text):
        if text[position:].isspace():
            break
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            column = position + len(text[position:]) - len(text[position:].lstrip())
            raise _error(
                text, column, "this is not part of the filter language", 'Put texts in double quotes: label = "value"'
            )
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    return [*tokens, _Token("end", "", len(text))]


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.index, self.depth = text, _tokens(text), 0, 0

    @property
    def here(self) -> _Token:
        return self.tokens[self.index]

    def take(self) -> _Token:
        token = self.here
        self.index += 1
        return token

    def fail(self, problem: str, way_out: str) -> QueryError:
        return _error(self.text, self.here.column, problem, way_out)

    def _is_word(self, word: str) -> bool:
        return self.here.kind == "word" and self.here.text == word

    def expression(self) -> Node:
        parts = [self.alternatives()]
        while self.here.kind != "end" and self.here.text != ")":
            if self._is_word("AND"):
                self.take()
            parts.append(self.alternatives())
        return parts[0] if len(parts) == 1 else ("and", tuple(parts))

    def alternatives(self) -> Node:
        parts = [self.factor()]
        while self._is_word("OR"):
            self.take()
            parts.append(self.factor())
        return parts[0] if len(parts) == 1 else ("or", tuple(parts))

    def factor(self) -> Node:
        if self.depth > _MOST_NESTED:
            raise self.fail(
                f"more than {_MOST_NESTED} parentheses or NOTs in one another", "Leave out those that change nothing"
            )
        self.depth += 1
        try:
            if self._is_word("NOT") or (self.here.kind == "mark" and self.here.text == "-"):
                self.take()
                return ("not", (self.factor(),))
            if self.here.kind == "mark" and self.here.text == "(":
                return self._group()
            return self.comparison()
        finally:
            self.depth -= 1

    def _group(self) -> Node:
        self.take()
        inner = self.expression()
        if self.here.kind != "mark" or self.here.text != ")":
            raise self.fail("a parenthesis is not closed", "Add ')'")
        self.take()
        return inner

    def comparison(self) -> Node:
        if self.here.kind not in {"word", "string"}:
            raise self.fail("a field is needed here", 'Write for example metric.type = "…"')
        field = self._field()
        if self.here.kind != "op":
            raise self.fail("a comparison is needed here", "Use =, != or :")
        op = self.take().text
        if op in _ORDERS and not _is_number(self.here.text):
            raise self.fail(f"{op} compares numbers only", "Write a number without quotes, or use =, != or :")
        if self.here.kind == "word" and self.here.text in _FUNCTIONS:
            return self._function(field, op)
        return Comparison(field, op, (self._value(),))

    def _field(self) -> str:
        token = self.take()
        name = token.text
        # metric.labels."k8s.io/x" comes as a word that ends in a dot, and a string.
        if name.endswith(".") and self.here.kind == "string":
            name += self._value()
        if not _FIELD.fullmatch(name):
            self.index -= 1
            if name.upper() in {"AND", "OR", "NOT"}:
                raise self.fail(f"{name!r} is not a field of series", f"Write {name.upper()} in capitals")
            raise self.fail(
                f"{name!r} is not a field of series",
                "Use metric.type, resource.type, metric.labels.X or resource.labels.X",
            )
        return re.sub(r"^(metric|resource)\.label\.", r"\1.labels.", name)

    def _value(self) -> str:
        token = self.take()
        if token.kind == "string":
            return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), token.text[1:-1], flags=re.DOTALL)
        if token.kind == "word" and token.text not in {"AND", "OR", "NOT"}:
            return token.text
        self.index -= 1
        raise self.fail("a value is needed here", "Put it in double quotes")

    def _function(self, field: str, op: str) -> Node:
        name = self.take().text
        if self.take().text != "(":
            self.index -= 1
            raise self.fail("a parenthesis is needed here", f'Write {name}("…")')
        first = self.index
        values = [self._value()]
        while self.here.text == ",":
            self.take()
            values.append(self._value())
        if self.take().text != ")":
            self.index -= 1
            raise self.fail("a parenthesis is not closed", "Add ')'")
        if name == "monitoring.regex.full_match":
            self._check_pattern(values[0], first)
        found = Comparison(field, name, tuple(values))
        return ("not", (found,)) if op == "!=" else found

    def _check_pattern(self, pattern: str, index: int) -> None:
        try:
            compiled(pattern)
        except re.error as error:
            self.index = index
            raise self.fail(f"the regular expression does not compile: {error}", f"Mend `{pattern}` (RE2)") from error


@lru_cache(maxsize=512)
def parse(text: str) -> Filter:
    """Return the parsed filter.

    Raises:
        QueryError: it does not parse; the place names the column.
    """
    parser = _Parser(text)
    if parser.here.kind == "end":
        raise parser.fail("the filter is empty", 'Write for example metric.type = "…" AND resource.type = "…"')
    root = parser.expression()
    if parser.here.kind != "end":
        raise parser.fail("nothing more is expected here", "Join comparisons with AND or OR")
    return Filter(text, root)
