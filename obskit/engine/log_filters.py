"""The Logging query language, parsed.

Source: "Logging query language" in Cloud Logging's documentation: NOT binds strongest, then OR, then AND, and terms
beside each other are joined by AND. Functions that are not matched here are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from obskit.engine.conditions import UnsupportedError
from obskit.engine.log_matching import Accepts, anywhere, compared, in_network, log_named, searched, values_at
from obskit.errors import Problem, QueryError
from obskit.queries.backtracking import EXPLOSIVE, EXPLOSIVE_WAY_OUT, is_explosive

__all__ = ["compile_filter", "values_at"]

_TOKEN: Final = re.compile(
    r"(?:\s|--[^\n]*)*+"  # possessive: what is left out is looked at once
    r'(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<op>!=|>=|<=|=~|!~|=|:|>|<)|(?P<mark>[(),])|(?P<word>[^\s(),=:<>!"]+)|(?P<end>$))',
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_WORDS: Final = frozenset({"AND", "OR", "NOT"})
_UNSUPPORTED: Final = frozenset({"sample", "source", "cast", "regexp_extract"})
_LONGEST: Final = 20_000
_DEEPEST: Final = 50


def compile_filter(text: str) -> Accepts:
    """Return a function that tells whether a LogEntry, as JSON, fits; an empty filter fits all.

    Raises:
        UnsupportedError: it has a function that is not matched here.
        QueryError: it does not parse; the place names the column.
    """
    parser = _Parser(text)
    return parser.parsed() if parser.here[0] != "end" else lambda _entry: True


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > _LONGEST:
            raise self._error(0, f"the filter has {len(text)} characters, at most {_LONGEST} are allowed")
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        while not self.tokens or self.tokens[-1][0] != "end":
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self._error(position, "is not part of the query language")
            self.tokens.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            position = match.end()
        self.index = 0
        self.depth = 0

    def _error(self, column: int, problem: str) -> QueryError:
        return QueryError(self._problem(column, problem, 'Write for example severity>=ERROR AND "timeout"'))

    def _problem(self, column: int, problem: str, way_out: str) -> Problem:
        place = f"log filter, column {column + 1} ({self.text[column : column + 20]!r})"
        return Problem(place=place, problem=problem, way_out=way_out)

    @property
    def here(self) -> tuple[str, str, int]:
        return self.tokens[self.index]

    def take(self) -> tuple[str, str, int]:
        self.index += 1
        return self.tokens[self.index - 1]

    def _is_word(self, word: str) -> bool:
        return self.here[:2] == ("word", word)

    def _is_mark(self, mark: str) -> bool:
        return self.here[:2] == ("mark", mark)

    def parsed(self) -> Accepts:
        found = self._all(self._term)
        if self.here[0] != "end":
            raise self._error(self.here[2], "is not expected here")
        return found

    # ------------------------------------------------------------------ NOT, then OR, then AND

    def _all(self, term: Callable[[], Accepts]) -> Accepts:
        parts = [self._any(term)]
        while self.here[0] != "end" and not self._is_mark(")"):
            if self._is_word("AND"):
                self.take()
            parts.append(self._any(term))
        return parts[0] if len(parts) == 1 else lambda entry: all(part(entry) for part in parts)

    def _any(self, term: Callable[[], Accepts]) -> Accepts:
        parts = [self._not(term)]
        while self._is_word("OR"):
            self.take()
            parts.append(self._not(term))
        return parts[0] if len(parts) == 1 else lambda entry: any(part(entry) for part in parts)

    def _not(self, term: Callable[[], Accepts]) -> Accepts:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._error(self.here[2], f"more than {_DEEPEST} negations and parentheses are in each other")
        found = self._operand(term)
        self.depth -= 1
        return found

    def _operand(self, term: Callable[[], Accepts]) -> Accepts:
        kind, text, column = self.here
        if kind == "word" and (text == "NOT" or (text.startswith("-") and not re.fullmatch(r"-[0-9.]+", text))):
            if text in {"NOT", "-"}:
                self.take()
            else:
                self.tokens[self.index] = (kind, text[1:], column + 1)
            inner = self._not(term)
            return lambda entry: not inner(entry)
        if self._is_mark("("):
            return self._group(term)
        return term()

    def _group(self, term: Callable[[], Accepts]) -> Accepts:
        column = self.take()[2]
        inner = self._all(term)
        if not self._is_mark(")"):
            raise self._error(column, "a parenthesis is not closed")
        self.take()
        return inner

    # ------------------------------------------------------------------ terms

    def _term(self) -> Accepts:
        kind, text, column = self.take()
        if kind not in {"word", "string"} or (kind == "word" and text in _WORDS):
            raise self._error(column, "a field or a word is needed here")
        if kind == "word" and self._is_mark("(") and self.here[2] == column + len(text):
            return self._function(text, column)
        field = self._field(kind, text)
        if self.here[0] != "op":
            return anywhere(_unquoted(field))
        op = self.take()[1]
        if self._is_mark("("):  # field=("a" OR "b")
            return self._group(lambda: self._value(field, op))
        return self._value(field, op)

    def _field(self, kind: str, text: str) -> str:
        """A field's parts in quotes come as words that end or begin with a dot, and strings."""
        while kind == "word" and text.endswith(".") and self.here[0] == "string":
            text += self.take()[1]
            if self.here[0] == "word" and self.here[1].startswith("."):
                text += self.take()[1]
        return text

    def _value(self, field: str, op: str) -> Accepts:
        kind, value, column = self.take()
        if kind not in {"word", "string"} or (kind == "word" and value in _WORDS):
            raise self._error(column, "a value is needed here")
        wanted = value
        if kind == "word":  # a time without quotes has colons
            while self.here[:2] == ("op", ":") and self.here[2] == column + len(wanted):
                colon = self.take()
                if self.here[0] != "word" or self.here[2] != colon[2] + 1:
                    raise self._error(colon[2], "is not expected here; write a value with colons in quotes")
                wanted += colon[1] + self.take()[1]
        try:
            found = compared(field, op, _unquoted(wanted))
        except ValueError as failure:
            raise self._error(column, str(failure)) from failure
        if op in {"=~", "!~"} and is_explosive(_unquoted(wanted)):
            raise UnsupportedError(self._problem(column, EXPLOSIVE, EXPLOSIVE_WAY_OUT))
        return found

    def _function(self, name: str, column: int) -> Accepts:
        arguments = self._arguments(column)
        try:
            match name, arguments:
                case "log_id", [identity]:
                    return log_named(_unquoted(identity))
                case "ip_in_net", [field, network]:
                    return in_network(field, _unquoted(network))
                case "SEARCH" | "search", [query]:
                    return searched(_unquoted(query))
                case "SEARCH" | "search", [field, query]:
                    return searched(_unquoted(query), field)
        except ValueError as failure:
            raise self._error(column, str(failure)) from failure
        if name in _UNSUPPORTED:
            way_out = "Use log_id(…), ip_in_net(…), SEARCH(…) or comparisons of fields"
            raise UnsupportedError(self._problem(column, f"{name}(…) is not matched here", way_out))
        raise self._error(column, f"{name}({', '.join(arguments)}) is no function of the query language")

    def _arguments(self, column: int) -> list[str]:
        self.take()
        found: list[str] = []
        while not self._is_mark(")"):
            kind, text, _ = self.take()
            if kind == "end":
                raise self._error(column, "a parenthesis is not closed")
            if kind != "mark":
                found.append(self._field(kind, text))
        self.take()
        return found


def _unquoted(text: str) -> str:
    """A string without its quotes; escapes that are none stay, as in regular expressions."""
    if text[:1] != '"':
        return text
    return _ESCAPE.sub(
        lambda match: chr(int(match[1][1:], 16)) if len(match[1]) > 1 else _ESCAPES.get(match[1], match[0]), text[1:-1]
    )
