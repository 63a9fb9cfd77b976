"""What is exported, what comes of it, and what a format cannot say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.errors import DefinitionError, Problem
from obskit.queries.context import EnvVar, RenderContext, Secret
from obskit.sync.load import Loaded, check, unset_variables

__all__ = ["Export", "Item", "Loss", "filled", "rendered", "variable_name"]

# Survives what rendering does to secrets, which is to escape them for addresses.
_SENTINEL: Final = re.compile(r"OBSKIT__VARIABLE__(?P<number>\d+)__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One object.

    Attributes:
        definition: where it comes from.
        document: the REST API's JSON; `filled` puts something in where it has a secret.
        variables: the secrets that it has.
    """

    definition: Any
    document: Mapping[str, Any]
    variables: tuple[str, ...]

    def loss(self, problem: str) -> Loss:
        """Return what cannot be said of it."""
        return Loss(place=self.definition.place, problem=problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Something that a format cannot say: where it is, and why."""

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What an export writes.

    Attributes:
        files: name → text.
        losses: what is not in them.
    """

    files: Mapping[str, str]
    losses: tuple[Loss, ...]


def rendered(loaded: Loaded, context: RenderContext) -> tuple[Item, ...]:
    """Return the objects of a stack; secrets and environment variables stand in them as placeholders.

    Args:
        loaded: the definitions.
        context: project, stack, route, and an environment that is only looked at to check.

    Raises:
        DefinitionError: there are problems, other than variables that are not set.
    """
    unset = set(unset_variables(loaded, context))
    if problems := [each for each in check(loaded, context) if each not in unset]:
        raise DefinitionError(problems)
    definitions = [each for each in loaded.definitions if each.is_for(context.stack)]
    names: list[str] = []
    items = []
    for made in definitions:
        settings = getattr(made.for_stack(context.stack), "secrets", ())
        parts = [part for each in settings for part in ((each.url, each.token) if hasattr(each, "token") else (each,))]
        environ, secrets = {}, {}
        for part in parts:
            if isinstance(part, EnvVar):
                environ[part.name] = _sentinel(part.name, names)
            elif isinstance(part, Secret):
                secrets[part.resource(context)] = _sentinel(part.resource(context), names)
        here = RenderContext(
            project=context.project,
            route=context.route,
            stack=context.stack,
            resource_type=context.resource_type,
            environ=environ,
            secrets=secrets,
        )
        document = _named(made.to_dict(here), names)
        items.append(Item(definition=made, document=document, variables=(*environ, *secrets)))
    return tuple(items)


def filled(value: Any, put: Callable[[str], str]) -> Any:
    """Return a document with what `put` returns for the name of each secret in its place."""
    if isinstance(value, Mapping):
        return {key: filled(item, put) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, put) for item in value]
    return re.sub(r"\x00([^\x00]+)\x00", lambda match: put(match[1]), value) if isinstance(value, str) else value


def variable_name(name: str) -> str:
    """Return a secret's name as an identifier in lower case: of a variable, or of a version in Secret Manager."""
    parts = name.split("/")
    return re.sub(r"\W", "_", parts[3] if len(parts) > 4 else name).lower()


def _sentinel(name: str, names: list[str]) -> str:
    if name not in names:
        names.append(name)
    return f"OBSKIT__VARIABLE__{names.index(name)}__"


def _named(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _named(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_named(item, names) for item in value]
    return (
        _SENTINEL.sub(lambda match: f"\x00{names[int(match['number'])]}\x00", value)
        if isinstance(value, str)
        else value
    )


def refused(place: str, problem: str, way_out: str) -> DefinitionError:
    """Return the error of an export that cannot be made at all."""
    return DefinitionError(Problem(place=place, problem=problem, way_out=way_out))
