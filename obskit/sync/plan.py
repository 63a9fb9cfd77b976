"""Compare what is defined with what exists. Pure: nothing here calls a backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from obskit.queries.context import RenderContext
from obskit.sync.adoption import taken_over
from obskit.sync.changes import Action, Change, Planner, is_over
from obskit.sync.kinds import SNOOZE, Definition, Kind
from obskit.sync.load import kind_of
from obskit.sync.ownership import key_of, owner_of, owner_rank
from obskit.sync.references import Names

__all__ = ["DELETE_SHARE", "Action", "Change", "Plan", "make_plan"]

DELETE_SHARE: Final = 0.2
"""Largest share of a stack's objects that a plan may delete without being told so; one object always may."""

Objects = Mapping[Kind, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All changes of one stack in one project, in the order in which they are made."""

    project: str
    stack: str
    changes: tuple[Change, ...]
    foreign: int

    def count(self, action: Action) -> int:
        """Return how many objects meet that action."""
        return sum(change.action == action for change in self.changes)

    @property
    def writes(self) -> tuple[Change, ...]:
        """The changes that write, in order: creates and updates up the dependencies, then deletes down."""
        return tuple(change for change in self.changes if change.action in {"create", "update", "delete"})

    @property
    def drifted(self) -> tuple[Change, ...]:
        """The changes of objects that were touched in the console since the last apply."""
        return tuple(change for change in self.changes if change.drift or (change.kept and change.actual is not None))


def make_plan(
    definitions: Sequence[Definition],
    existing: Objects,
    context: RenderContext,
    *,
    kinds: Sequence[Kind],
    prune: bool = False,
    is_overruling: bool = False,
    is_adopting: bool = False,
    now: datetime | None = None,
) -> Plan:
    """Return what would make the project say what the definitions say.

    Args:
        definitions: of the kinds that are planned; others are passed over.
        existing: all objects of the project by kind, also of kinds that are only referred to.
        context: project, stack and route to render for.
        kinds: the kinds to change.
        prune: whether owned objects without a definition are deleted.
        is_overruling: whether what was decided in the console is set back.
        is_adopting: whether objects of the same name, or display name, that nobody owns are taken over.
        now: the moment that snoozes are compared with.
    """
    now = now or datetime.now(UTC)
    owned, doubles = _owned(existing, context.stack, now)
    adopted = taken_over(definitions, existing, owned, context) if is_adopting else {}
    for kind, table in adopted.items():
        owned.setdefault(kind, {}).update(table)
    names: Names = {
        (kind.collection, key): found["name"] for kind, table in owned.items() for key, found in table.items()
    }
    planner = Planner(
        context=context,
        names=names,
        existing=existing,
        now=now,
        is_overruling=is_overruling,
        is_adopting=is_adopting,
    )
    by_kind: dict[Kind, list[Definition]] = {}
    for definition in definitions:
        if not definition.is_left_out(context.stack):
            by_kind.setdefault(kind_of(definition), []).append(definition)
    changes: list[Change] = []
    for kind in sorted(kinds, key=lambda kind: kind.order):
        ours = dict(owned.get(kind, {}))
        for definition in by_kind.get(kind, ()):
            made = planner.change(definition, kind, ours.pop(key_of(definition, kind), None))
            changes += [] if made is None else [made]
        changes += [_gone(kind, key, found, prune=prune) for key, found in ours.items()]
        changes += [
            _gone(kind, key, found, prune=prune, kept=("a second object with this id",))
            for key, found in doubles.get(kind, ())
        ]
    return Plan(
        project=context.project,
        stack=context.stack,
        changes=tuple(sorted(changes, key=_turn)),
        foreign=_foreign(existing, kinds, context.stack) - sum(len(adopted.get(kind, ())) for kind in kinds),
    )


def _turn(change: Change) -> tuple[int, int]:
    """Return when a change is made: deletes last, and down the dependencies."""
    return (1, -change.kind.order) if change.action == "delete" else (0, change.kind.order)


def _foreign(existing: Objects, kinds: Sequence[Kind], stack: str) -> int:
    owners = (owner_of(found, kind) for kind in kinds for found in existing.get(kind, ()))
    return sum(owner is None or owner.stack != stack for owner in owners)


def _owned(
    existing: Objects, stack: str, now: datetime
) -> tuple[dict[Kind, dict[str, Mapping[str, Any]]], dict[Kind, list[tuple[str, Mapping[str, Any]]]]]:
    """Return the stack's objects by kind and key, and those that have the key of another one."""
    table: dict[Kind, dict[str, Mapping[str, Any]]] = {}
    doubles: dict[Kind, list[tuple[str, Mapping[str, Any]]]] = {}
    for kind, documents in existing.items():
        for document in documents:
            owner = owner_of(document, kind)
            if owner is None or owner.stack != stack or (kind is SNOOZE and is_over(document, now)):
                continue
            key = key_of(owner, kind, document["name"])
            first = table.setdefault(kind, {}).setdefault(key, document)
            if first is not document:
                keep, other = sorted((first, document), key=owner_rank)
                table[kind][key] = keep
                doubles.setdefault(kind, []).append((key, other))
    return table, doubles


def _gone(kind: Kind, key: str, actual: Mapping[str, Any], *, prune: bool, kept: tuple[str, ...] = ()) -> Change:
    return Change(
        action="delete" if prune else "orphan",
        kind=kind,
        id=key,
        display_name=str(actual.get("displayName", "")),
        name=actual["name"],
        kept=kept,
        actual=actual,
        etag=str(actual.get("etag", "")),
    )
