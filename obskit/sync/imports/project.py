"""The objects of a project, as Found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from obskit.errors import Problem
from obskit.sync.backend import Backend, BackendFailure
from obskit.sync.changes import is_over
from obskit.sync.imports.documents import Found
from obskit.sync.kinds import BUDGET, CHANNEL, DESCRIPTOR, KINDS, SNOOZE, Kind
from obskit.sync.marks import unmarked
from obskit.sync.ownership import owner_of

__all__ = ["Project", "read_project"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What a project has.

    Attributes:
        found: the objects to import.
        channels: all its channels.
        owned: how many objects were left out because definitions own them already.
        problems: of kinds that could not be listed.
    """

    found: tuple[Found, ...]
    channels: tuple[Mapping[str, Any], ...]
    owned: int
    problems: tuple[Problem, ...]


def read_project(
    backend: Backend,
    *,
    kinds: Sequence[Kind] = (),
    containing: str = "",
    with_owned: bool = False,
    billing_account: str = "",
) -> Project:
    """Return the objects of a project that no definitions own.

    Args:
        backend: of the project.
        kinds: the kinds to import; when empty all, but metric descriptors, which apps make, and budgets where no
            account is named. Channels are listed in any case, since policies name them.
        containing: a text that the display name must have, in any case.
        with_owned: whether those that definitions own come too.
        billing_account: id of the account whose budgets are imported.
    """
    usual = [kind for kind in KINDS if kind is not DESCRIPTOR and (kind is not BUDGET or billing_account)]
    kinds = kinds or usual
    found: list[Found] = []
    channels: list[Mapping[str, Any]] = []
    problems: list[Problem] = []
    owned = 0
    for kind in dict.fromkeys((CHANNEL, *kinds)):
        try:
            documents = backend.list(kind, _parents(kind, billing_account))
        except BackendFailure as failure:
            problems.append(
                Problem(
                    place=f"project {backend.project!r}",
                    problem=f"its {kind.name}s cannot be listed ({failure.code}): {failure.message}",
                    way_out="Grant roles/monitoring.viewer, or leave them out with --kind",
                )
            )
            continue
        channels += documents if kind is CHANNEL else ()
        for document in documents if kind in kinds else ():
            if kind is SNOOZE and is_over(document, datetime.now(UTC)):
                continue
            if containing.lower() not in str(document.get("displayName") or document.get("name") or "").lower():
                continue
            owner = owner_of(document, kind)
            if not with_owned and owner is not None:
                owned += 1
                continue
            place, own = str(document.get("name") or kind.name), "" if owner is None else owner.id
            found.append(Found(model=kind.model, document=_unmarked(document, kind), place=place, id=own))
    return Project(found=tuple(found), channels=tuple(channels), owned=owned, problems=tuple(problems))


def _unmarked(document: Mapping[str, Any], kind: Kind) -> Mapping[str, Any]:
    """Return an object without sync's mark in its text, where the kind has no labels."""
    text = document.get(kind.marked_field) if kind.marked_field else None
    return {**document, kind.marked_field: unmarked(text)} if isinstance(text, str) else document


def _parents(kind: Kind, billing_account: str) -> tuple[str, ...]:
    if kind is not BUDGET:
        return ()
    return (f"billingAccounts/{billing_account.removeprefix('billingAccounts/')}",)
