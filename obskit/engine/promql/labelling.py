"""Functions that change labels, and the labels that ``absent`` answers with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import promql_parser as pp

from obskit.engine.promql.columns import Column, Columns, merged, refuse, refuse_explosive
from obskit.engine.promql.parsing import unwrapped
from obskit.engine.promql.selecting import matchers_of
from obskit.queries.re2 import compiled

__all__ = ["label_join", "label_replace", "labels_of_absent"]

_REFERENCE: Final = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})", re.ASCII)
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def label_replace(columns: Columns, target: str, replacement: str, source: str, pattern: str) -> Columns:
    """Return the columns with a label made from another by a regular expression, where that matches.

    Raises:
        QueryError: the target is no label, the expression does not compile or may take for ever, or two series get
            the same labels.
    """
    _check_label(target)
    refuse_explosive(pattern)
    try:
        expression = compiled(pattern)
    except re.error as error:
        raise refuse(f"the regular expression {pattern!r} does not compile: {error}", "Mend it") from error
    found = []
    for column in columns:
        match = expression.fullmatch(column.labels.get(source, ""))
        labels = column.labels if match is None else _labelled(column.labels, target, _expanded(match, replacement))
        found.append(Column(labels, column.values))
    return merged(found)


def _expanded(match: re.Match[str], template: str) -> str:
    """Source: ``Regexp.Expand`` of Go: a name is as long as can be, and an unknown one is empty."""

    def group(reference: re.Match[str]) -> str:
        if reference[1]:
            return "$"
        name = reference[2] or reference[3]
        if name.isdigit():
            return (match[int(name)] or "") if int(name) <= match.re.groups else ""
        return match.groupdict().get(name) or ""

    return _REFERENCE.sub(group, template)


def _labelled(labels: Mapping[str, str], target: str, value: str) -> dict[str, str]:
    kept = {name: text for name, text in labels.items() if name != target}
    return {**kept, target: value} if value else kept


def label_join(columns: Columns, target: str, separator: str, sources: Sequence[str]) -> Columns:
    """Return the columns with a label made of others' values.

    Raises:
        QueryError: the target is no label, or two series get the same labels.
    """
    _check_label(target)
    return merged(
        [
            Column(
                _labelled(column.labels, target, separator.join(column.labels.get(name, "") for name in sources)),
                column.values,
            )
            for column in columns
        ]
    )


def _check_label(name: str) -> None:
    if not _LABEL.fullmatch(name):
        raise refuse(f"{name!r} is not a label", "Use letters, digits and _")


def labels_of_absent(node: Any) -> dict[str, str]:
    """Return the labels that a selector demands, each by one ``=``; nothing for any other expression."""
    node = unwrapped(node)
    if isinstance(node, pp.MatrixSelector):
        node = node.vector_selector
    if not isinstance(node, pp.VectorSelector):
        return {}
    found: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in matchers_of(node):
        if matcher.name == "__name__":
            continue
        if matcher.op == "=" and matcher.name not in seen:
            found[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            found.pop(matcher.name, None)
    return {name: value for name, value in found.items() if value}
