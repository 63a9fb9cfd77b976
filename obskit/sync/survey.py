"""Read what a project has: one list call for each kind and page, the kinds side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from obskit.errors import BackendError, Problem
from obskit.queries.context import RenderContext
from obskit.sync.backend import Backend, BackendFailure
from obskit.sync.kinds import BUDGET, DASHBOARD, KINDS, POLICY, SNOOZE, Definition, Kind
from obskit.sync.load import kind_of
from obskit.sync.references import unresolved

__all__ = ["Survey", "survey"]

_READERS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a project has.

    Attributes:
        objects: by kind.
        notes: what could not be seen and is not needed, in words.
    """

    objects: Mapping[Kind, Sequence[Mapping[str, Any]]]
    notes: tuple[str, ...] = ()


def survey(
    backend: Backend,
    definitions: Sequence[Definition],
    context: RenderContext,
    *,
    kinds: Sequence[Kind],
    is_pruning: bool = False,
) -> Survey:
    """Return the objects that a plan of these definitions needs to know.

    Args:
        backend: the project.
        definitions: of the kinds that are planned.
        context: what they are rendered for.
        kinds: the kinds to plan.
        is_pruning: whether objects without a definition are looked for in every kind.

    Raises:
        BackendError: a kind that is needed cannot be listed; every such kind is told.
    """
    here = [each for each in definitions if not each.is_left_out(context.stack)]
    defined = {kind_of(each) for each in here}
    accounts = sorted({each.parent(context) for each in here if isinstance(each, BUDGET.model)})
    wanted = [kind for kind in kinds if kind in defined or not kind.is_listed_on_demand or is_pruning]
    wanted += [kind for kind in _referred(here, kinds, context) if kind not in wanted]
    if BUDGET in wanted and not accounts:
        wanted.remove(BUDGET)

    def read(kind: Kind) -> Sequence[Mapping[str, Any]] | BackendFailure:
        try:
            return backend.list(kind, accounts if kind is BUDGET else ())
        except BackendFailure as failure:
            return failure

    with ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="obskit-survey") as pool:
        found = dict(zip(wanted, pool.map(read, wanted), strict=True))
    objects: dict[Kind, Sequence[Mapping[str, Any]]] = {}
    problems, notes = [], []
    for kind, result in found.items():
        if not isinstance(result, BackendFailure):
            objects[kind] = result
        elif (
            result.code == "PERMISSION_DENIED" and kind not in defined and (kind.is_listed_on_demand or kind is SNOOZE)
        ):
            notes.append(f"{kind.name}s cannot be listed ({kind.permissions}.list is missing); none are defined")
        else:
            problems.append(_problem(backend.project, kind, result))
    if problems:
        raise BackendError(problems)
    return Survey(objects=objects, notes=tuple(notes))


def _is_dispensable(kind: Kind, failure: BackendFailure) -> bool:
    return failure.code == "PERMISSION_DENIED" and (kind.is_listed_on_demand or kind is SNOOZE)


def _referred(definitions: Sequence[Definition], kinds: Sequence[Kind], context: RenderContext) -> Iterator[Kind]:
    """Return the kinds outside of those planned that dashboards refer to."""
    if DASHBOARD not in kinds or POLICY in kinds:
        return
    found = {reference.split("/")[2] for each in definitions for reference in unresolved(each.to_dict(context))}
    yield from (kind for kind in KINDS if kind.collection in found)


def _problem(project: str, kind: Kind, failure: BackendFailure) -> Problem:
    way_out = "Check the address and try again; nothing was written"
    if failure.code == "PERMISSION_DENIED":
        way_out = f"Grant {kind.permissions}.list, as roles/monitoring.viewer has for most kinds; nothing was written"
    return Problem(
        place=f"project {project!r}",
        problem=f"its {kind.name}s cannot be listed ({failure.code}): {failure.message}",
        way_out=way_out,
    )
