"""Definitions out of JSON documents, tied to each other, without a secret in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from obskit.errors import Problem, ProblemsError
from obskit.queries.reading import id_of
from obskit.resources import ServiceLevelObjective
from obskit.sync.imports.documents import Found
from obskit.sync.imports.linking import Links, linked
from obskit.sync.imports.recognition import MODELS
from obskit.sync.imports.secrets import variables_of, without_secrets

__all__ = ["Imported", "Reading", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One object and its definition.

    Attributes:
        found: the object as it is.
        definition: what it becomes.
    """

    found: Found
    definition: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of some documents.

    Attributes:
        imported: in the order in which they may depend on each other.
        problems: of what could not be read.
        variables: environment variable → the definitions (``channel "pager"``) that read it.
        known: the values of those variables that the API shows; never written anywhere.
    """

    imported: tuple[Imported, ...]
    problems: tuple[Problem, ...]
    variables: Mapping[str, tuple[str, ...]]
    known: Mapping[str, str]

    @property
    def definitions(self) -> tuple[Any, ...]:
        """The definitions."""
        return tuple(each.definition for each in self.imported)


def read(several: Sequence[Found], *, channels: Sequence[Mapping[str, Any]] = ()) -> Reading:
    """Return the definitions of some objects.

    Ids are those of sync's labels, else made from names; two of a kind never get the same. What names another object
    that is read too names its definition.

    Args:
        several: the objects, in any order.
        channels: every channel of the project, also those that are not imported.
    """
    links = Links(channels)
    imported: list[Imported] = []
    problems: list[Problem] = []
    known: dict[str, str] = {}
    taken: set[tuple[type[Any], str, str]] = set()
    for found in sorted(several, key=lambda each: MODELS.index(each.model)):
        try:
            made = _made(found, taken, known)
        except (ProblemsError, AttributeError, KeyError, TypeError, ValueError) as error:
            problems.append(
                Problem(
                    place=found.place,
                    problem=f"cannot be read as a {found.model.noun}: {' '.join(str(error).split())}",
                    way_out="Mend it, or leave it out",
                )
            )
            continue
        made = linked(made, links)
        links.add(str(found.document.get("name") or ""), made)
        imported.append(Imported(found=found, definition=made))
    variables: dict[str, tuple[str, ...]] = {}
    for each in imported:
        for name in variables_of(each.definition):
            label = f'{each.definition.noun} "{each.definition.id}"'
            variables[name] = (*variables.get(name, ()), label)
    return Reading(imported=tuple(imported), problems=tuple(problems), variables=variables, known=known)


def _made(found: Found, taken: set[tuple[type[Any], str, str]], known: dict[str, str]) -> Any:
    made = found.model.from_json(found.document, id=found.id)
    scope = made.service_id if isinstance(made, ServiceLevelObjective) else ""
    if (found.model, made.id, scope) in taken:
        free = next(each for each in _others(made.id) if (found.model, each, scope) not in taken)
        made = found.model.from_json(found.document, id=free)
    taken.add((found.model, made.id, scope))
    return without_secrets(made, known)


def _others(name: str) -> Any:
    number = 1
    while True:
        number += 1
        yield id_of({}, given=f"{name[:58]}-{number}", default="object")
