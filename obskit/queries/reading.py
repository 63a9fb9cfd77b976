"""Values out of Google's JSON. What does not fit gives the default, and is then carried as it was read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any, Final, TypeVar

from obskit.errors import DefinitionError, Problem
from obskit.queries.aggregations import Aggregation, Aligner, Reducer
from obskit.queries.carried import is_same, patch_between
from obskit.queries.definitions import Definition, caller

__all__ = [
    "carrying",
    "document_of",
    "id_of",
    "is_own_label",
    "read_aggregations",
    "read_choice",
    "read_duration",
    "read_flag",
    "read_items",
    "read_labels",
    "read_number",
    "read_table",
    "read_text",
    "read_texts",
]

D = TypeVar("D", bound=Definition)
E = TypeVar("E", bound=Enum)

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)s")
_ID_LABEL: Final = "obskit-id"


def document_of(document: object, *, noun: str, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return an object's JSON without what only the server writes.

    Args:
        document: one object as the REST API returns it.
        noun: what it is, for the problem.
        without: the fields that only the server writes.

    Raises:
        DefinitionError: it is no JSON object.
    """
    if not isinstance(document, Mapping):
        raise DefinitionError(
            Problem(
                place=f"{caller()}: {noun}",
                problem=f"{str(document)[:60]!r} is not an object of the REST API",
                way_out="Give the JSON object of one resource, not a list or a text",
            )
        )
    return {key: value for key, value in document.items() if key not in without}


def carrying(made: D, rendered: Mapping[str, Any], wanted: Mapping[str, Any]) -> D:
    """Return a definition that was read, with what its own fields do not say in its ``carried``."""
    patch = patch_between(rendered, wanted)
    if patch:
        object.__setattr__(made, "carried", patch)
    return made


def id_of(document: Mapping[str, Any], *, given: str = "", labels_field: str = "userLabels", default: str) -> str:
    """Return a definition's id: as given, else of the label that sync writes, else made from its names.

    Args:
        document: the object's JSON.
        given: the id to use, if any.
        labels_field: where the object keeps its users' labels.
        default: the id where nothing else gives one, e.g. ``policy``.
    """
    labels = document.get(labels_field)
    own = labels.get(_ID_LABEL) if isinstance(labels, Mapping) else None
    name = given or own or document.get("displayName") or str(document.get("name") or "").rpartition("/")[2]
    found = re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")
    if not found[:1].isalpha():
        found = f"{default}-{found}".strip("-")
    return found[:63].strip("-")


def is_own_label(key: str) -> bool:
    """Return whether a label is one of those that sync writes."""
    return key == "managed-by" or key.startswith("obskit-")


def read_labels(document: Mapping[str, Any], key: str = "userLabels") -> dict[str, str]:
    """Return the users' own labels, without those that sync writes."""
    table = read_table(document, key)
    return {name: value for name, value in table.items() if isinstance(value, str) and not is_own_label(name)}


def read_text(document: Mapping[str, Any], key: str, default: str = "") -> str:
    """Return a field's text."""
    value = document.get(key)
    return value if isinstance(value, str) else default


def read_texts(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a field's list of texts."""
    value = document.get(key)
    return tuple(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else ()


def read_number(document: Mapping[str, Any], key: str, default: Any = 0.0) -> Any:
    """Return a field's number, which may be written as a text; `default` where there is none."""
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return default
    try:
        found = float(value)
    except ValueError:
        return default
    return found if found == found and abs(found) != float("inf") else default  # noqa: PLR0124 - NaN


def read_flag(document: Mapping[str, Any], key: str, *, default: bool = False) -> bool:
    """Return a field that is true or false."""
    value = document.get(key)
    return value if isinstance(value, bool) else default


def read_duration(document: Mapping[str, Any], key: str) -> timedelta | None:
    """Return a field's duration, None where there is none."""
    value = document.get(key)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return timedelta(seconds=float(match[1])) if match else None


def read_table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a field that is an object, an empty one where there is none."""
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}


def read_items(document: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], ...]:
    """Return a field's list of objects."""
    value = document.get(key)
    return tuple(value) if isinstance(value, list) and all(isinstance(item, Mapping) for item in value) else ()


def read_choice(document: Mapping[str, Any], key: str, choices: Mapping[E, str]) -> E | None:
    """Return the choice that the API's word stands for, None where it is absent or unknown."""
    value = document.get(key)
    return next((choice for choice, word in choices.items() if word == value), None)


_ALIGNERS: Final = {aligner: f"ALIGN_{aligner.name}" for aligner in Aligner}
_REDUCERS: Final = {reducer: f"REDUCE_{reducer.name}" for reducer in Reducer}


def read_aggregations(document: Mapping[str, Any], key: str) -> tuple[Aggregation, ...]:
    """Return a field's aggregations; none where one of them says what `Aggregation` cannot."""
    items = read_items(document, key)
    made = []
    for item in items:
        one = Aggregation(
            period=read_duration(item, "alignmentPeriod"),
            aligner=read_choice(item, "perSeriesAligner", _ALIGNERS) or Aligner.NONE,
            reducer=read_choice(item, "crossSeriesReducer", _REDUCERS) or Reducer.NONE,
            by=read_texts(item, "groupByFields"),
        )
        if not is_same(one.to_dict(), _with_defaults(item)):
            return ()
        made.append(one)
    return tuple(made)


def _with_defaults(item: Mapping[str, Any]) -> dict[str, Any]:
    found = {"perSeriesAligner": "ALIGN_NONE", **item}
    if found.get("crossSeriesReducer") == "REDUCE_NONE":
        del found["crossSeriesReducer"]
    return found
