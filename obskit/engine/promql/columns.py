"""Results over a whole range at once: one column of values for each series, one value for each step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from obskit.errors import Problem, QueryError
from obskit.queries.backtracking import EXPLOSIVE, EXPLOSIVE_WAY_OUT, is_explosive

__all__ = [
    "Cell",
    "Column",
    "Columns",
    "Grid",
    "Key",
    "Number",
    "Result",
    "Sample",
    "Vector",
    "key_of",
    "merged",
    "refuse",
    "refuse_explosive",
    "without_name",
]

Cell = float | None
"""A value at one step; None where the series has none."""

Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of an instant vector."""

    labels: Mapping[str, str]
    value: float


Vector = list[Sample]


@dataclass(slots=True)
class Column:
    """One series of a result.

    Attributes:
        labels: that tell it from the others; ``__name__`` among them where the result still has it.
        values: one for each step of the grid.
    """

    labels: Mapping[str, str]
    values: Sequence[Cell]


Columns = list[Column]


@dataclass(frozen=True, slots=True)
class Number:
    """A scalar: one number for each step of the grid."""

    values: Sequence[float]


Result = Columns | Number | str


@dataclass(frozen=True, slots=True)
class Grid:
    """The moments that an expression is evaluated at.

    Attributes:
        first_ms: the first one, in milliseconds since the epoch.
        step_ms: from one to the next.
        count: how many there are.
        moments: all of them, ascending.
    """

    first_ms: int
    step_ms: int
    count: int
    moments: Sequence[int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "moments", [self.first_ms + index * self.step_ms for index in range(max(0, self.count))]
        )


def refuse(problem: str, way_out: str) -> QueryError:
    """Return the error of a query that cannot be evaluated."""
    return QueryError(Problem(place="query", problem=problem, way_out=way_out))


def refuse_explosive(pattern: str) -> None:
    """Refuse a regular expression that may take for ever here, where it is not RE2 that runs it.

    Raises:
        QueryError: it may.
    """
    try:
        is_slow = is_explosive(pattern)
    except re.error:  # told where it is used
        return
    if is_slow:
        raise refuse(f"{EXPLOSIVE}: {pattern!r}", EXPLOSIVE_WAY_OUT)


def without_name(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels without the metric's name."""
    return {name: value for name, value in labels.items() if name != "__name__"}


def key_of(labels: Mapping[str, str]) -> Key:
    """Return labels as a key; an empty label is an absent one."""
    return tuple(sorted(pair for pair in labels.items() if pair[1]))


def merged(columns: Columns) -> Columns:
    """Return columns of which no two have the same labels: those that never meet at a step become one.

    Raises:
        QueryError: two series with the same labels have a value at the same step.
    """
    found: dict[Key, Column] = {}
    for column in columns:
        key = key_of(column.labels)
        other = found.get(key)
        found[key] = column if other is None else Column(column.labels, _joined(other.values, column.values))
    return list(found.values()) if len(found) < len(columns) else columns


def _joined(left: Sequence[Cell], right: Sequence[Cell]) -> list[Cell]:
    if any(a is not None and b is not None for a, b in zip(left, right, strict=True)):
        raise refuse(
            "several series of the result have the same labels",
            "Keep what tells them apart: the metric's name is lost in a function, so select one metric only",
        )
    return [b if a is None else a for a, b in zip(left, right, strict=True)]
