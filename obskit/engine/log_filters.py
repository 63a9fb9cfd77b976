"""A subset of the Logging query language: comparisons on fields, AND, OR, NOT, parentheses and plain words.

Source: "Logging query language" in Cloud Logging's documentation. Functions such as ``sample()`` are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from obskit.errors import Problem, QueryError

__all__ = ["compile_filter", "values_at"]

Accepts = Callable[[Mapping[str, Any]], bool]
_TOKEN: Final = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<op>!=|>=|<=|=~|!~|=|:|>|<)|(?P<mark>[()])|(?P<word>[^\s()=:<>!"]+))'
)
_SEVERITY: Final = {
    name: number * 100
    for number, name in enumerate(
        ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
    )
}


def compile_filter(text: str) -> Accepts:
    """Return a function that tells whether a LogEntry, as JSON, fits; an empty filter fits all.

    Raises:
        QueryError: the filter does not parse; the place names the column.
    """
    lines = [line for line in text.splitlines() if not line.strip().startswith("--")]
    parser = _Parser("\n".join(lines))
    return parser.parsed() if parser.here[0] != "end" else lambda _entry: True


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        while position < len(text) and not text[position:].isspace():
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self._error(position, "is not part of the query language")
            self.tokens.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            position = match.end()
        self.tokens.append(("end", "", len(text)))
        self.index = 0

    def _error(self, column: int, problem: str) -> QueryError:
        place = f"log filter, column {column + 1} ({self.text[column : column + 20]!r})"
        return QueryError(
            Problem(place=place, problem=problem, way_out='Write for example severity>=ERROR AND "timeout"')
        )

    @property
    def here(self) -> tuple[str, str, int]:
        return self.tokens[self.index]

    def take(self) -> tuple[str, str, int]:
        self.index += 1
        return self.tokens[self.index - 1]

    def parsed(self) -> Accepts:
        found = self._or()
        if self.here[0] != "end":
            raise self._error(self.here[2], "is not expected here")
        return found

    def _or(self) -> Accepts:
        parts = [self._and()]
        while self.here[:2] == ("word", "OR"):
            self.take()
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else lambda entry: any(part(entry) for part in parts)

    def _and(self) -> Accepts:
        parts = [self._not()]
        while self.here[0] != "end" and self.here[:2] != ("word", "OR") and self.here[1] != ")":
            if self.here[:2] == ("word", "AND"):
                self.take()
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda entry: all(part(entry) for part in parts)

    def _not(self) -> Accepts:
        kind, text, column = self.here
        if kind == "word" and (text == "NOT" or text.startswith("-")):
            if text == "NOT":
                self.take()
            else:
                self.tokens[self.index] = (kind, text[1:], column)
            inner = self._not()
            return lambda entry: not inner(entry)
        if text == "(" and kind == "mark":
            self.take()
            inner = self._or()
            if self.take()[1] != ")":
                raise self._error(column, "a parenthesis is not closed")
            return inner
        return self._comparison()

    def _comparison(self) -> Accepts:
        kind, text, column = self.take()
        if kind not in {"word", "string"} or (kind == "word" and text in {"AND", "OR"}):
            raise self._error(column, "a field or a word is needed here")
        while kind == "word" and text.endswith(".") and self.here[0] == "string":  # labels."k8s.io/x"
            text += self.take()[1]
        if self.here[0] != "op":
            wanted = _unquoted(text).lower()
            return lambda entry: wanted in json.dumps(entry, ensure_ascii=False).lower()
        op = self.take()[1]
        if self.here[:2] == ("mark", "("):  # field=("a" OR "b")
            return self._several(text, op)
        kind, value, column = self.take()
        if kind not in {"word", "string"}:
            raise self._error(column, "a value is needed here")
        return _compared(text, op, _unquoted(value), self._error, column)

    def _several(self, field: str, op: str) -> Accepts:
        self.take()
        parts: list[Accepts] = []
        while self.here[1] != ")":
            kind, value, column = self.take()
            if kind == "end":
                raise self._error(column, "a parenthesis is not closed")
            if (kind, value) != ("word", "OR"):
                parts.append(_compared(field, op, _unquoted(value), self._error, column))
        self.take()
        return lambda entry: any(part(entry) for part in parts)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[:1] == '"' else text


def values_at(entry: Mapping[str, Any], field: str) -> list[Any]:
    """Return the values of a field such as ``jsonPayload.user`` or ``labels."k8s.io/x"``, none where it is absent."""
    return _values(entry, _path(field))


def _path(field: str) -> list[str]:
    return [part.strip('"') for part in re.findall(r'"[^"]*"|[^.]+', field)]


def _compared(field: str, op: str, wanted: str, error: Callable[[int, str], QueryError], column: int) -> Accepts:
    path = _path(field)
    if op in {"=~", "!~"}:
        try:
            pattern = re.compile(wanted)
        except re.error as failure:
            raise error(column, f"the regular expression does not compile: {failure}") from failure
        return lambda entry: any(pattern.search(str(v)) for v in _values(entry, path)) is (op == "=~")
    if path == ["severity"]:
        level = _SEVERITY.get(wanted.upper(), 0)
        return lambda entry: _ordered(_SEVERITY.get(str(entry.get("severity", "DEFAULT")).upper(), 0), op, level)
    if op == ":":
        return lambda entry: any(wanted == "*" or wanted.lower() in str(v).lower() for v in _values(entry, path))
    if op == "!=":
        return lambda entry: not any(_equal(v, wanted) for v in _values(entry, path))
    if op == "=":
        return lambda entry: any(_equal(v, wanted) for v in _values(entry, path))
    return lambda entry: any(_sorted(v, op, wanted) for v in _values(entry, path))


def _values(entry: Any, path: list[str]) -> list[Any]:
    found = [entry]
    for part in path:
        found = [item[part] for item in found if isinstance(item, Mapping) and part in item]
        found = [inner for item in found for inner in (item if isinstance(item, list) else [item])]
    return found


def _equal(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return str(value).lower() == wanted.lower()
    if isinstance(value, int | float):
        try:
            return float(value) == float(wanted)
        except ValueError:
            return False
    return str(value).lower() == wanted.lower()


def _sorted(value: Any, op: str, wanted: str) -> bool:
    try:
        return _ordered(float(str(value).removesuffix("s")), op, float(wanted.removesuffix("s")))
    except ValueError:
        return _ordered(str(value), op, wanted)


def _ordered(a: Any, op: str, b: Any) -> bool:
    return bool({"=": a == b, "!=": a != b, ":": a == b, ">": a > b, "<": a < b, ">=": a >= b, "<=": a <= b}[op])
