"""Which policies are played: of a folder of definitions, rendered for a project and a route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from obskit.alerts import AlertPolicy
from obskit.errors import DefinitionError, Problem, nearest
from obskit.queries.context import RenderContext
from obskit.sync.load import load

__all__ = ["chosen"]


def chosen(ids: Sequence[str], folder: Path, context: RenderContext) -> list[tuple[str, Mapping[str, Any]]]:
    """Return id and JSON of the policies that are named, or of all that the folder defines.

    Raises:
        DefinitionError: the folder cannot be loaded, or has no such policy.
    """
    loaded = load([folder])
    if loaded.problems:
        raise DefinitionError(loaded.problems)
    here = (each for each in loaded.definitions if not each.is_left_out(context.stack))
    policies = {each.id: each for each in here if isinstance(each, AlertPolicy)}
    unknown = [name for name in ids if name not in policies]
    if unknown or not policies:
        known = ", ".join(policies) or "none"
        hints = [f'Did you mean "{guess}"' for name in unknown if (guess := nearest(name, policies))]
        problem = f"there is no policy {', '.join(map(repr, unknown))}" if unknown else "it defines no policy"
        way_out = hints[0] if hints else f"There are {known}"
        raise DefinitionError(Problem(place=str(folder), problem=problem, way_out=way_out))
    return [(name, policies[name].to_dict(context)) for name in ids or policies]
