"""Operators between two results: arithmetic, comparisons, and the set operators, with vector matching."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from obskit.engine.promql.arithmetic import COMPARISONS, OPERATORS
from obskit.engine.promql.columns import (
    Cell,
    Column,
    Columns,
    Key,
    Number,
    Result,
    key_of,
    merged,
    refuse,
    without_name,
)
from obskit.errors import QueryError

__all__ = ["binary"]

_Combine = Callable[[Sequence[Cell], Sequence[Cell]], list[Cell]]


@dataclass(frozen=True, slots=True)
class _Matching:
    """How elements of two vectors find each other.

    Attributes:
        is_on: whether `names` are the labels that count, and not the ones that do not.
        names: labels of ``on (…)`` or ``ignoring (…)``.
        card: ``OneToOne``, ``ManyToOne``, ``OneToMany`` or ``ManyToMany``.
        copied: labels of ``group_left (…)`` or ``group_right (…)``.
        is_bool: whether a comparison gives 1 or 0 and keeps every element.
    """

    is_on: bool = False
    names: tuple[str, ...] = ()
    card: str = "OneToOne"
    copied: tuple[str, ...] = ()
    is_bool: bool = False

    def signature(self, labels: Mapping[str, str]) -> Key:
        if self.is_on:
            return tuple((name, labels.get(name, "")) for name in self.names)
        return key_of({n: value for n, value in labels.items() if n not in self.names and n != "__name__"})


def _matching(modifier: Any) -> _Matching:
    if modifier is None:
        return _Matching()
    fill = modifier.fill_values
    if fill is not None and (fill.lhs is not None or fill.rhs is not None):
        raise refuse("fill modifiers are not supported", "Use `or vector(0)`")
    labels = modifier.matching
    return _Matching(
        is_on=labels is not None and "Include" in str(labels.type),
        names=() if labels is None else tuple(sorted(set(labels.labels))),
        card=str(modifier.card).rpartition(".")[2],
        copied=tuple(modifier.group_labels or ()),
        is_bool=bool(modifier.return_bool),
    )


def binary(operator: str, modifier: Any, left: Result, right: Result) -> Result:
    """Return the value of a binary expression.

    Args:
        operator: as it is written.
        modifier: of the parser: matching and ``bool``.
        left: value of the left side.
        right: value of the right side.

    Raises:
        QueryError: the sides do not go together, or several elements match where one may.
    """
    if isinstance(left, str) or isinstance(right, str):
        raise refuse(f"{operator} does not work with texts", "Use numbers or vectors")
    matching = _matching(modifier)
    if isinstance(left, list) and isinstance(right, list):
        if operator in {"and", "or", "unless"}:
            return _combined(operator, matching, left, right)
        return _joined(operator, matching, left, right)
    if isinstance(left, Number) and isinstance(right, Number):
        values = _combine(operator, is_bool=True)(left.values, right.values)
        return Number([0.0 if cell is None else cell for cell in values])
    return _with_number(operator, matching, left, right)


def _combine(operator: str, *, is_bool: bool, keeps_right: bool = False) -> _Combine:
    """Return what computes the cells of two columns; a comparison without ``bool`` keeps one side's value."""
    if operator in OPERATORS:
        compute = OPERATORS[operator]
        return lambda left, right: [
            None if a is None or b is None else compute(a, b) for a, b in zip(left, right, strict=True)
        ]
    holds = COMPARISONS[operator]
    if is_bool:
        return lambda left, right: [
            None if a is None or b is None else float(holds(a, b)) for a, b in zip(left, right, strict=True)
        ]
    return lambda left, right: [
        None if a is None or b is None or not holds(a, b) else b if keeps_right else a
        for a, b in zip(left, right, strict=True)
    ]


def _with_number(operator: str, matching: _Matching, left: Columns | Number, right: Columns | Number) -> Columns:
    keeps_name = _keeps_name(operator, matching)
    combine = _combine(operator, is_bool=matching.is_bool, keeps_right=isinstance(left, Number))
    vector = left if isinstance(left, list) else right if isinstance(right, list) else []
    found = []
    for column in vector:
        cells = combine(
            left.values if isinstance(left, Number) else column.values,
            right.values if isinstance(right, Number) else column.values,
        )
        found.append(Column(column.labels if keeps_name else without_name(column.labels), cells))
    return merged(_filled(found))


def _keeps_name(operator: str, matching: _Matching) -> bool:
    # Prometheus 2.44 forgets to drop the name for atan2, and Google follows it.
    return (operator in COMPARISONS and not matching.is_bool) or operator == "atan2"


def _filled(columns: Columns) -> Columns:
    return [column for column in columns if any(cell is not None for cell in column.values)]


# --------------------------------------------------------------------------- and, or, unless


def _combined(operator: str, matching: _Matching, left: Columns, right: Columns) -> Columns:
    if operator == "or":
        present = _presence(matching, left)
        return merged(_filled([*left, *(_where(column, matching, present, wanted=False) for column in right)]))
    present = _presence(matching, right)
    return _filled([_where(column, matching, present, wanted=operator == "and") for column in left])


def _presence(matching: _Matching, columns: Columns) -> dict[Key, list[bool]]:
    """At which steps there is any element of each signature."""
    found: dict[Key, list[bool]] = {}
    for column in columns:
        key = matching.signature(column.labels)
        now = [cell is not None for cell in column.values]
        known = found.get(key)
        found[key] = now if known is None else [a or b for a, b in zip(known, now, strict=True)]
    return found


def _where(column: Column, matching: _Matching, present: Mapping[Key, list[bool]], *, wanted: bool) -> Column:
    there = present.get(matching.signature(column.labels))
    if there is None:
        return Column(column.labels, [None] * len(column.values)) if wanted else column
    cells = [cell if is_there is wanted else None for cell, is_there in zip(column.values, there, strict=True)]
    return Column(column.labels, cells)


# --------------------------------------------------------------------------- arithmetic and comparisons


def _joined(operator: str, matching: _Matching, left: Columns, right: Columns) -> Columns:
    is_swapped = matching.card == "OneToMany"
    many, one = (right, left) if is_swapped else (left, right)
    combine = _combine(operator, is_bool=matching.is_bool)
    partners: dict[Key, Columns] = {}
    for column in one:
        partners.setdefault(matching.signature(column.labels), []).append(column)
    for group in partners.values():
        _check_alone(group, many, "right" if not is_swapped else "left")
    keeps_name = _keeps_name(operator, matching)
    found: dict[Key, Columns] = {}
    for column in many:
        key = matching.signature(column.labels)
        for other in partners.get(key, ()):
            sides = (other, column) if is_swapped else (column, other)
            cells = combine(sides[0].values, sides[1].values)
            labels = _result_labels(matching, column.labels, other.labels, keeps_name=keeps_name)
            found.setdefault(key, []).append(Column(labels, cells))
    if matching.card == "OneToOne":
        for group in found.values():
            _check_alone(group, None, "left")
    return merged(_filled([column for group in found.values() for column in group]))


def _check_alone(group: Columns, others: Columns | None, side: str) -> None:
    """See that at no step two elements of a group have a value, while the other vector has any."""
    if len(group) < 2:
        return
    for step, row in enumerate(zip(*(column.values for column in group), strict=True)):
        if sum(cell is not None for cell in row) > 1 and (
            others is None or any(other.values[step] is not None for other in others)
        ):
            raise _ambiguous(side)


def _result_labels(
    matching: _Matching, labels: Mapping[str, str], other: Mapping[str, str], *, keeps_name: bool
) -> dict[str, str]:
    found = dict(labels) if keeps_name else without_name(labels)
    if matching.card == "OneToOne":
        if matching.is_on:
            return {name: value for name, value in found.items() if name in matching.names}
        return {name: value for name, value in found.items() if name not in matching.names}
    for name in matching.copied:
        if other.get(name):
            found[name] = other[name]
        else:
            found.pop(name, None)
    return found


def _ambiguous(side: str) -> QueryError:
    return refuse(
        f"several series on the {side} side match one on the other",
        "Aggregate one side, or use on()/ignoring() with group_left or group_right",
    )
