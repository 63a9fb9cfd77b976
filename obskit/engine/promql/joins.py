"""Binary operators: between numbers, numbers and vectors, and vectors matched by their labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from obskit.engine.promql.vectors import OPERATORS, Sample, Vector, key_of, without_name
from obskit.errors import Problem, QueryError

__all__ = ["binary"]

_COMPARISONS: Final = frozenset({"==", "!=", ">", "<", ">=", "<="})
Key = tuple[tuple[str, str], ...]


def binary(op: str, modifier: Any, left: Any, right: Any) -> float | Vector:
    """Return ``left op right``; numbers are floats, vectors lists."""
    wants_bool = bool(modifier is not None and modifier.return_bool)
    if op in {"and", "or", "unless"}:
        return _set(op, _signature(modifier), left, right)
    function = OPERATORS[op]
    if isinstance(left, float) and isinstance(right, float):
        return float(function(left, right))
    if isinstance(left, float):
        return _with_number(op, right, lambda value: function(left, value), wants_bool=wants_bool)
    if isinstance(right, float):
        return _with_number(op, left, lambda value: function(value, right), wants_bool=wants_bool)
    return _matched(op, modifier, left, right, wants_bool=wants_bool)


def _with_number(op: str, vector: Vector, function: Callable[[float], float | bool], *, wants_bool: bool) -> Vector:
    if op in _COMPARISONS and not wants_bool:
        return [sample for sample in vector if function(sample.value)]
    return [Sample(without_name(sample.labels), float(function(sample.value))) for sample in vector]


def _signature(modifier: Any) -> Callable[[Mapping[str, str]], Key]:
    matching = modifier.matching if modifier is not None else None
    if matching is None:
        return lambda labels: key_of(without_name(labels))
    names = set(matching.labels)
    if "Include" in str(matching.type):
        return lambda labels: key_of({name: labels[name] for name in names if name in labels})
    return lambda labels: key_of({k: v for k, v in labels.items() if k not in names and k != "__name__"})


def _set(op: str, signature: Callable[[Mapping[str, str]], Key], left: Vector, right: Vector) -> Vector:
    theirs = {signature(sample.labels) for sample in right}
    if op == "and":
        return [sample for sample in left if signature(sample.labels) in theirs]
    if op == "unless":
        return [sample for sample in left if signature(sample.labels) not in theirs]
    ours = {signature(sample.labels) for sample in left}
    return [*left, *(sample for sample in right if signature(sample.labels) not in ours)]


def _matched(op: str, modifier: Any, left: Vector, right: Vector, *, wants_bool: bool) -> Vector:
    card = str(modifier.card) if modifier is not None else ""
    signature = _signature(modifier)
    is_swapped = "OneToMany" in card
    many, one = (right, left) if is_swapped else (left, right)
    is_grouped = "ManyToOne" in card or is_swapped
    singles: dict[Key, Sample] = {}
    for sample in one:
        key = signature(sample.labels)
        if key in singles:
            raise _ambiguous("right" if not is_swapped else "left")
        singles[key] = sample
    extra = list(modifier.group_labels.labels) if is_grouped and modifier.group_labels else []
    found: Vector = []
    seen: set[Key] = set()
    for sample in many:
        key = signature(sample.labels)
        other = singles.get(key)
        if other is None:
            continue
        pair = (other.value, sample.value) if is_swapped else (sample.value, other.value)
        value = OPERATORS[op](*pair)
        if op in _COMPARISONS and not wants_bool:
            if not value:
                continue
            value = sample.value if not is_swapped else other.value
            labels = dict(sample.labels)
        else:
            labels = without_name(sample.labels)
        labels = _result_labels(labels, modifier, other, extra, is_grouped=is_grouped)
        identity = key_of(labels)
        if identity in seen:
            raise _ambiguous("left" if not is_swapped else "right")
        seen.add(identity)
        found.append(Sample(labels, float(value)))
    return found


def _result_labels(
    labels: dict[str, str], modifier: Any, other: Sample, extra: list[str], *, is_grouped: bool
) -> dict[str, str]:
    if not is_grouped:
        matching = modifier.matching if modifier is not None else None
        if matching is None:
            return labels
        names = set(matching.labels)
        is_on = "Include" in str(matching.type)
        return {name: value for name, value in labels.items() if (name in names) is is_on}
    for name in extra:
        value = other.labels.get(name, "")
        if value:
            labels[name] = value
        else:
            labels.pop(name, None)
    return labels


def _ambiguous(side: str) -> QueryError:
    return QueryError(
        Problem(
            place="query",
            problem=f"several series on the {side} side match one on the other",
            way_out="Aggregate one side, or use on()/ignoring() with group_left or group_right",
        )
    )
