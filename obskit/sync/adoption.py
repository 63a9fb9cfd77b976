"""Objects that nobody owns become a stack's own: those that definitions were imported from, or were written for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from obskit.errors import DefinitionError, Problem
from obskit.queries.context import RenderContext
from obskit.resources import Named
from obskit.sync.canonical import canonical
from obskit.sync.kinds import SNOOZE, Definition, Kind
from obskit.sync.load import kind_of
from obskit.sync.ownership import key_of, owner_of

__all__ = ["taken_over"]

Owned = Mapping[Kind, Mapping[str, Mapping[str, Any]]]

_REFERENCE: Final = re.compile(r"(?:projects/[^/]+/)?(?:notificationChannels|alertPolicies)/[^/]+")


def taken_over(
    definitions: Sequence[Definition],
    existing: Mapping[Kind, Sequence[Mapping[str, Any]]],
    owned: Owned,
    context: RenderContext,
) -> dict[Kind, dict[str, Mapping[str, Any]]]:
    """Return the objects without an owner that definitions take over, by kind and key.

    An object is taken by the definition of its kind that has its display name. Where several objects have that name, it
    is the one that says what the definition says. Definitions that choose the resource name are not asked here.

    Args:
        definitions: of any kinds.
        existing: all objects of the project.
        owned: the objects that the stack has already.
        context: what the definitions are rendered for.

    Raises:
        DefinitionError: several objects have a definition's name, and none says what it says.
    """
    free = {
        kind: [each for each in documents if owner_of(each, kind) is None]
        for kind, documents in existing.items()
        if kind is not SNOOZE  # those end by themselves
    }
    open_ones = list(_without_object(definitions, owned, context))
    taken: dict[Kind, dict[str, Mapping[str, Any]]] = {}
    problems: list[Problem] = []
    for is_exact in (True, False):
        left: list[tuple[Definition, Mapping[str, Any]]] = []
        for definition, rendered in open_ones:
            kind = kind_of(definition)
            named = [each for each in free.get(kind, ()) if each.get("displayName") == rendered.get("displayName")]
            same = [each for each in named if _says(each, kind) == _says(rendered, kind)] if is_exact else named
            if same and (is_exact or len(same) == 1):
                taken.setdefault(kind, {})[key_of(definition, kind)] = same[0]
                free[kind].remove(same[0])
            elif not is_exact and same:
                problems.append(_ambiguous(definition, len(same)))
            else:
                left.append((definition, rendered))
        open_ones = left
    if problems:
        raise DefinitionError(problems)
    return taken


def _without_object(
    definitions: Sequence[Definition], owned: Owned, context: RenderContext
) -> Iterator[tuple[Definition, Mapping[str, Any]]]:
    for definition in definitions:
        kind = kind_of(definition)
        is_there = key_of(definition, kind) in owned.get(kind, {})
        if not is_there and not isinstance(definition, Named) and not definition.is_left_out(context.stack):
            yield definition, definition.to_dict(context)


def _says(document: Mapping[str, Any], kind: Kind) -> Any:
    return _without_references(canonical(document, kind))


def _without_references(value: Any) -> Any:
    """Return a document in which one reference is like another: definitions have ids where objects have names."""
    if isinstance(value, Mapping):
        return {key: _without_references(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_references(item) for item in value]
    return "→" if isinstance(value, str) and _REFERENCE.fullmatch(value) else value


def _ambiguous(definition: Definition, count: int) -> Problem:
    return definition.problem(
        f"{count} objects of this kind that nobody owns have its name, and none says what it says",
        "Rename all but one in the console, or import the one that is meant",
    )
