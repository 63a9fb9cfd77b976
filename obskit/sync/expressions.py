"""Python expressions laid out in lines as ruff's formatter lays them out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Call", "Leaf", "Listing", "Node", "Table", "Text", "laid_out"]

_STEP: Final = 4


@dataclass(frozen=True, slots=True)
class Leaf:
    """What stands on one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call; an argument without a name stands first."""

    name: str
    arguments: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A list or a tuple."""

    items: tuple[Node, ...]
    brackets: str


@dataclass(frozen=True, slots=True)
class Table:
    """A dict."""

    pairs: tuple[tuple[Node, Node], ...]


Node = Leaf | Text | Call | Listing | Table


def laid_out(node: Node, *, indent: int, width: int, before: int | None = None, after: int = 0) -> str:
    """Return the text of an expression, in several lines where one is too long.

    Args:
        node: the expression.
        indent: of the line that it begins on.
        width: of the longest line.
        before: how many characters of the line stand before it; its indent when not given.
        after: how many follow it.
    """
    flat = _flat(node)
    if (indent if before is None else before) + len(flat) + after <= width:
        return flat
    if isinstance(node, Text):
        return _lines(node.value, indent, width) or flat
    parts = list(_parts(node))
    if isinstance(node, Leaf) or not parts:
        return flat
    opening, closing = _brackets(node)
    inner = indent + _STEP
    lines = []
    for prefix, item in parts:
        text = laid_out(item, indent=inner, width=width, before=inner + len(prefix), after=1)
        lines.append(" " * inner + prefix + text + ",")
    return "\n".join([opening, *lines, " " * indent + closing])


def _brackets(node: Node) -> tuple[str, str]:
    if isinstance(node, Call):
        return f"{node.name}(", ")"
    if isinstance(node, Listing):
        return node.brackets[0], node.brackets[1]
    return "{", "}"


def _parts(node: Node) -> Iterator[tuple[str, Node]]:
    if isinstance(node, Call):
        for name, value in node.arguments:
            yield f"{name}=" if name else "", value
    elif isinstance(node, Listing):
        for item in node.items:
            yield "", item
    elif isinstance(node, Table):
        for key, value in node.pairs:
            yield f"{_flat(key)}: ", value


def _flat(node: Node) -> str:
    if isinstance(node, Leaf):
        return node.text
    if isinstance(node, Text):
        return _quoted(node.value)
    opening, closing = _brackets(node)
    return opening + ", ".join(prefix + _flat(item) for prefix, item in _parts(node)) + closing


def _quoted(text: str) -> str:
    """Return a literal in double quotes, unless single ones need fewer escapes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    doubled = text.replace("\\", "\\\\")
    escaped = doubled if text.isprintable() else "".join(map(_escaped, doubled))
    return quote + escaped.replace(quote, "\\" + quote) + quote


def _escaped(char: str) -> str:
    return char if char.isprintable() else repr(char)[1:-1]


def _lines(text: str, indent: int, width: int) -> str:
    """Return a text as literals below each other, broken after line ends and at blanks; empty if it cannot be."""
    room = width - indent - _STEP
    pieces = [piece for line in text.splitlines(keepends=True) for piece in _pieces(line, room)]
    if len(pieces) < 2:
        return ""
    inner = " " * (indent + _STEP)
    return "\n".join(["(", *(inner + _quoted(piece) for piece in pieces), " " * indent + ")"])


def _pieces(line: str, room: int) -> Iterator[str]:
    while len(_quoted(line)) > room:
        cut = room - 2
        while cut > 0 and (line[cut - 1] != " " or len(_quoted(line[:cut])) > room):
            cut -= 1
        if not line[:cut].strip():
            cut = 0
        if cut == 0:
            cut = line.find(" ", len(line) - len(line.lstrip())) + 1
        if cut in {0, len(line)}:
            break
        yield line[:cut]
        line = line[cut:]
    yield line
