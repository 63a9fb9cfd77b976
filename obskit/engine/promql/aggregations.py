"""Aggregate series into groups, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from obskit.engine.promql.arithmetic import text_of
from obskit.engine.promql.columns import Cell, Column, Columns, Key, key_of, merged, refuse
from obskit.engine.promql.windows import quantile

__all__ = ["aggregate"]

_SURE: Final = frozenset({"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"})
_LARGEST: Final = 2.0**63


def aggregate(name: str, columns: Columns, parameter: Any, names: Sequence[str], *, is_by: bool) -> Columns:
    """Return an aggregation.

    Args:
        name: of the aggregation.
        columns: that are aggregated.
        parameter: of ``topk``, ``bottomk``, ``quantile``: a number for each step; of ``count_values``: the label.
        names: labels of ``by (…)`` or ``without (…)``.
        is_by: whether it is ``by``.

    Raises:
        QueryError: the aggregation is not known here, or its parameter is no such number.
    """
    if name == "count_values":
        return _counted(columns, str(parameter), names, is_by=is_by)
    groups = [
        (labels, [column.values for column in members], members)
        for labels, members in _groups(columns, names, is_by=is_by)
    ]
    if name in _SURE:
        function = _SIMPLE[name]
        return [Column(labels, _reduced(values, function)) for labels, values, _ in groups]
    if name == "quantile":
        return [
            Column(
                labels,
                [
                    quantile(share, present) if present else None
                    for share, present in zip(parameter, _present(values), strict=True)
                ],
            )
            for labels, values, _ in groups
        ]
    if name in {"topk", "bottomk"}:
        counts = [_whole(count) for count in parameter]
        return [column for *_, members in groups for column in _best(members, counts, is_top=name == "topk")]
    raise refuse(f"aggregation {name}() is not supported", "Use an aggregation of Prometheus 2.44")


def _groups(columns: Columns, names: Sequence[str], *, is_by: bool) -> Iterator[tuple[dict[str, str], Columns]]:
    groups: dict[Key, tuple[dict[str, str], Columns]] = {}
    for column in columns:
        labels = _grouping(column.labels, names, is_by=is_by)
        groups.setdefault(key_of(labels), (labels, []))[1].append(column)
    yield from groups.values()


def _grouping(labels: Mapping[str, str], names: Sequence[str], *, is_by: bool) -> dict[str, str]:
    if is_by:
        return {name: labels[name] for name in names if labels.get(name)}
    return {name: value for name, value in labels.items() if name not in names and name != "__name__"}


def _present(values: Sequence[Sequence[Cell]]) -> Iterator[list[float]]:
    for row in zip(*values, strict=True):
        yield [cell for cell in row if cell is not None]


def _reduced(values: Sequence[Sequence[Cell]], function: Callable[[list[float]], float]) -> list[Cell]:
    return [function(present) if present else None for present in _present(values)]


def _mean(values: list[float]) -> float:
    total = sum(values)
    if math.isinf(total) and not any(map(math.isinf, values)):  # the sum is beyond the largest number
        return sum(value / len(values) for value in values)
    return total / len(values)


def _variance(values: list[float]) -> float:
    if len(values) == 1:
        return 0.0  # of an infinity or NaN too
    mean = _mean(values)
    return sum((value - mean) * (value - mean) for value in values) / len(values)


def _greatest(values: list[float]) -> float:
    if math.isnan(sum(values)):
        return max((value for value in values if not math.isnan(value)), default=math.nan)
    return max(values)


_SIMPLE: Final[dict[str, Callable[[list[float]], float]]] = {
    "sum": sum,
    "avg": _mean,
    "min": lambda values: -_greatest([-value for value in values]),
    "max": _greatest,
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
    "stddev": lambda values: math.sqrt(_variance(values)),
    "stdvar": _variance,
}


# --------------------------------------------------------------------------- what keeps or counts single series


def _whole(count: float) -> int:
    if not -_LARGEST <= count <= _LARGEST:
        raise refuse(f"{text_of(count)} is no number of series", "Give topk() or bottomk() a whole number")
    return int(count)


def _best(members: Columns, counts: Sequence[int], *, is_top: bool) -> Columns:
    sign = -1 if is_top else 1

    def rank(place: int) -> tuple[bool, float]:
        value = values[place]
        return math.isnan(value), sign * value

    kept: list[list[Cell]] = [[None] * len(counts) for _ in members]
    order: list[int] = []
    rows = zip(*(member.values for member in members), strict=True)
    for step, (count, row) in enumerate(zip(counts, rows, strict=True)):
        values = {place: cell for place, cell in enumerate(row) if cell is not None}
        order = sorted(values, key=rank)[: max(0, count)]
        for place in order:
            kept[place][step] = values[place]
    # Best first at the last step, which is the only one of an instant query.
    places = [*order, *(place for place in range(len(members)) if place not in set(order))]
    found = [Column(members[place].labels, kept[place]) for place in places]
    return [column for column in found if any(cell is not None for cell in column.values)]


def _counted(columns: Columns, label: str, names: Sequence[str], *, is_by: bool) -> Columns:
    groups: dict[Key, Column] = {}
    counts: dict[Key, list[Cell]] = {}
    kept = [*names, label] if is_by else names
    for column in columns:
        for step, value in enumerate(column.values):
            if value is None:
                continue
            labels = _grouping({**column.labels, label: text_of(value)}, kept, is_by=is_by)
            key = key_of(labels)
            cells = counts.setdefault(key, [None] * len(column.values))
            cells[step] = (cells[step] or 0.0) + 1.0
            groups.setdefault(key, Column(labels, cells))
    return merged(list(groups.values()))
