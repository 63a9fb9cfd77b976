"""Terraform's language, laid out as `terraform fmt` lays it out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Attribute", "Block", "Expression", "Member", "laid_out", "literal", "reference"]

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# Between these marks stands an expression within a text.
_WITHIN: Final = re.compile("\x01([^\x01]*)\x01")


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that is written as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """``name = value``."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Block:
    """A block with its labels and members."""

    kind: str
    labels: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()


Member = Attribute | Block


def reference(expression: str) -> str:
    """Return what stands for an expression within a text."""
    return f"\x01{expression}\x01"


def laid_out(members: Sequence[Member], *, indent: int = 0) -> str:
    """Return members as text; equal signs of neighbours stand below each other.

    Args:
        members: of a block, or of a file.
        indent: of their lines.
    """
    margin = " " * indent
    lines: list[str] = []
    for group in _groups(members, indent):
        if lines and (indent == 0 or isinstance(group[0], Block)):
            lines.append("")
        width = max((len(each.name) for each in group if isinstance(each, Attribute)), default=0)
        for each in group:
            if isinstance(each, Attribute):
                lines.append(f"{margin}{each.name:<{width}} = {literal(each.value, indent=indent)}")
            else:
                lines += _block(each, indent)
    return "\n".join(lines)


def _block(block: Block, indent: int) -> list[str]:
    margin = " " * indent
    head = " ".join([block.kind, *(json.dumps(label) for label in block.labels)])
    if not block.members:
        return [f"{margin}{head} {{", f"{margin}}}"]
    return [f"{margin}{head} {{", laid_out(block.members, indent=indent + 2), f"{margin}}}"]


def _groups(members: Sequence[Member], indent: int) -> Iterator[list[Member]]:
    """Yield members that are aligned with each other: single lines in a row, then whatever ends such a row."""
    row: list[Member] = []
    for each in members:
        if isinstance(each, Attribute) and "\n" not in literal(each.value, indent=indent):
            row.append(each)
            continue
        if row:
            yield row
        row = []
        yield [each]
    if row:
        yield row


def literal(value: Any, *, indent: int = 0) -> str:
    """Return a value as an expression.

    Args:
        value: JSON, `Expression` among it.
        indent: of the line that it begins on.
    """
    if isinstance(value, Expression):
        return value.text
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return _object(value, indent)
    if isinstance(value, list | tuple):
        flat = "[" + ", ".join(literal(item) for item in value) + "]"
        if "\n" not in flat and len(flat) + indent < 100:
            return flat
        inner = " " * (indent + 2)
        items = "".join(f"{inner}{literal(item, indent=indent + 2)},\n" for item in value)
        return f"[\n{items}{' ' * indent}]"
    return json.dumps(value)


def _object(value: Mapping[str, Any], indent: int) -> str:
    if not value:
        return "{}"
    lines: list[str] = []
    pairs = [(_key(key), literal(item, indent=indent + 2)) for key, item in value.items()]
    margin = " " * (indent + 2)
    row: list[tuple[str, str]] = []
    for key, item in [*pairs, ("", "\n")]:
        if "\n" not in item:
            row.append((key, item))
            continue
        width = max((len(name) for name, _ in row), default=0)
        lines += [f"{margin}{name:<{width}} = {text}" for name, text in row]
        row = []
        if key:
            lines.append(f"{margin}{key} = {item}")
    return "{\n" + "\n".join(lines) + "\n" + " " * indent + "}"


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    """Return a quoted text, or the expression alone where it is nothing else."""
    parts = _WITHIN.split(text)
    if len(parts) == 3 and not parts[0] and not parts[2]:
        return parts[1]
    return '"' + "".join("${" + part + "}" if place % 2 else _escaped(part) for place, part in enumerate(parts)) + '"'


def _escaped(text: str) -> str:
    found = json.dumps(text, ensure_ascii=False)[1:-1].replace("\\b", "\\u0008").replace("\\f", "\\u000c")
    return found.replace("${", "$${").replace("%{", "%%{")
