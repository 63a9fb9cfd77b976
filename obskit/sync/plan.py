"""Compare what is defined with what exists. Pure: nothing here calls a backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote_plus

from obskit.errors import Problem, UnsafePlanError
from obskit.queries.context import RenderContext
from obskit.sync.canonical import canonical, content_hash
from obskit.sync.diff import FieldDiff, difference
from obskit.sync.kinds import CHANNEL, KINDS, POLICY, Definition, Kind
from obskit.sync.load import kind_of
from obskit.sync.ownership import owner_of, stamped
from obskit.sync.references import Names, resolved, unresolved, with_channels_found

__all__ = ["Action", "Change", "Plan", "dangling", "make_plan", "refuse_unsafe"]

Action = Literal["create", "update", "delete", "unchanged", "orphan"]

DELETE_SHARE: Final = 0.2
"""Largest share of a stack's objects that a plan may delete without being told so; one object always may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to one object.

    Attributes:
        action: ``orphan`` is an object whose definition is gone and that stays, because pruning was not asked for.
        kind: of the object.
        id: of the definition.
        display_name: as shown in the console.
        source: ``path:line`` of the definition, empty where it is gone.
        name: resource name, empty before the object exists.
        fields: what an update changes, from what exists to what is defined.
        drift: what somebody changed since the last apply and this plan sets back.
        kept: what somebody decided in the console and this plan keeps, in words.
        document: what will be written, ownership labels included; references may still be by id.
        etag: of the object as it was read.
    """

    action: Action
    kind: Kind
    id: str
    display_name: str
    source: str = ""
    name: str = ""
    fields: tuple[FieldDiff, ...] = ()
    drift: tuple[FieldDiff, ...] = ()
    kept: tuple[str, ...] = ()
    document: Mapping[str, Any] | None = None
    etag: str = ""


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
        return tuple(change for change in self.changes if change.drift or change.kept)


def make_plan(
    definitions: Sequence[Definition],
    existing: Mapping[Kind, Sequence[Mapping[str, Any]]],
    context: RenderContext,
    *,
    kinds: Sequence[Kind],
    prune: bool = False,
) -> Plan:
    """Return what would make the project say what the definitions say.

    Args:
        definitions: of the kinds that are planned; others are passed over.
        existing: all objects of the project by kind, also of kinds that are only referred to.
        context: project, stack and route to render for.
        kinds: the kinds to change.
        prune: whether owned objects without a definition are deleted.
    """
    owned = _owned(existing, context.stack)
    names: Names = {
        (kind.collection, key): found["name"] for kind, table in owned.items() for key, found in table.items()
    }
    changes: list[Change] = []
    for kind in sorted(kinds, key=lambda kind: kind.order):
        ours = dict(owned.get(kind, {}))
        for definition in definitions:
            if kind_of(definition) is not kind or definition.is_left_out(context.stack):
                continue
            actual = ours.pop(definition.id, None)
            changes.append(_change(definition, kind, actual, context, names, existing.get(CHANNEL, ())))
        changes += [_gone(kind, key, found, prune=prune) for key, found in ours.items()]
    rank = {"create": 0, "update": 0, "unchanged": 0, "orphan": 0, "delete": 1}
    changes.sort(
        key=lambda change: (rank[change.action], -change.kind.order if change.action == "delete" else change.kind.order)
    )
    foreign = sum(
        owner is None or owner.stack != context.stack
        for kind in kinds
        for owner in (owner_of(found, kind) for found in existing.get(kind, ()))
    )
    return Plan(project=context.project, stack=context.stack, changes=tuple(changes), foreign=foreign)


def refuse_unsafe(plan: Plan, *, defined: int, folders: Sequence[str], share: float = DELETE_SHARE) -> None:
    """Refuse a plan that deletes more than somebody who wrote the command can have meant.

    Raises:
        UnsafePlanError: nothing is defined, or more than `share` of the stack's objects would go.
    """
    place = ", ".join(folders)
    deletes = plan.count("delete")
    total = deletes + plan.count("update") + plan.count("unchanged")
    if not defined:
        raise UnsafePlanError(
            Problem(
                place=place,
                problem="no definition was found, so there is nothing to plan and nothing is deleted",
                way_out="Name the folder that holds the definitions",
            )
        )
    if deletes > max(1, int(share * total)):
        raise UnsafePlanError(
            Problem(
                place=place,
                problem=f"{deletes} of {total} objects of stack {plan.stack!r} would go, over a share of {share:g}",
                way_out=f"If that is meant, add --max-delete-share {min(1.0, round(deletes / total + 0.01, 2)):g}",
            )
        )


def dangling(plan: Plan) -> tuple[Problem, ...]:
    """Return a problem for each reference to an object that neither exists nor is about to be created."""
    coming = {(change.kind.collection, change.id) for change in plan.changes if change.action == "create"}
    problems = []
    for change in plan.writes:
        for reference in unresolved(change.document or {}):
            collection, _, target = reference.split("/", 2)[2].partition("/obskit:")
            if (collection, target) in coming:
                continue
            problem = f"refers to {target!r} of {collection}, which stack {plan.stack!r} does not have"
            way_out = "Sync alerts before dashboards, or mend the id"
            if target.startswith("find?"):
                problem = f"asks for channels with {unquote_plus(target[5:])}, and the project has none"
                way_out = "Make one in the console, or mend existing(…)"
            place = f'{change.source}: {change.kind.name} "{change.id}"'
            problems.append(Problem(place=place, problem=problem, way_out=way_out))
    return tuple(dict.fromkeys(problems))


def _owned(
    existing: Mapping[Kind, Sequence[Mapping[str, Any]]], stack: str
) -> dict[Kind, dict[str, Mapping[str, Any]]]:
    table: dict[Kind, dict[str, Mapping[str, Any]]] = {}
    for kind, documents in existing.items():
        for document in documents:
            owner = owner_of(document, kind)
            if owner is not None and owner.stack == stack:
                # Two with one id come from an ambiguous create: the first by name is the one to keep.
                first = table.setdefault(kind, {}).setdefault(owner.id, document)
                if document["name"] < first["name"]:
                    table[kind][owner.id] = document
    return table


def _change(
    definition: Definition,
    kind: Kind,
    actual: Mapping[str, Any] | None,
    context: RenderContext,
    names: Names,
    channels: Sequence[Mapping[str, Any]],
) -> Change:
    rendered = definition.to_dict(context)
    document = stamped(rendered, kind, stack=context.stack, definition_id=definition.id)
    common: dict[str, Any] = {
        "kind": kind,
        "id": definition.id,
        "display_name": definition.display_name,
        "source": definition.source,
    }
    document = with_channels_found(resolved(document, names), channels)
    if actual is None:
        return Change(action="create", document=document, **common)
    document, kept = _with_console_decisions(document, actual, kind, names)
    owner = owner_of(actual, kind)
    is_same_definition = owner is not None and owner.hash == content_hash(rendered, kind)
    fields = difference(canonical(actual, kind), canonical(document, kind))
    if not fields and not is_same_definition:
        fields = (FieldDiff(path="(secrets or ownership labels)", before="older", after="as defined now"),)
    return Change(
        action="update" if fields else "unchanged",
        name=actual["name"],
        fields=fields,
        drift=fields if is_same_definition else (),
        kept=kept,
        document=document,
        etag=str(actual.get("etag", "")),
        **common,
    )


def _with_console_decisions(
    document: dict[str, Any], actual: Mapping[str, Any], kind: Kind, names: Names
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Keep what an operator decided in the console: that a policy is off, and who else is told."""
    if kind is not POLICY:
        return document, ()
    kept = []
    if actual.get("enabled") is False and document.get("enabled") is not False:
        document = {**document, "enabled": False}
        kept.append("disabled in the console")
    defined = list(document.get("notificationChannels") or ())
    ours = set(names.values())
    extra = [name for name in actual.get("notificationChannels") or () if name not in defined and name not in ours]
    if extra:
        document = {**document, "notificationChannels": [*defined, *extra]}
        kept += [f"channel {name} added in the console" for name in extra]
    return document, tuple(kept)


def _gone(kind: Kind, definition_id: str, actual: Mapping[str, Any], *, prune: bool) -> Change:
    return Change(
        action="delete" if prune else "orphan",
        kind=kind,
        id=definition_id,
        display_name=str(actual.get("displayName", "")),
        name=actual["name"],
        etag=str(actual.get("etag", "")),
    )


if len({kind.order for kind in KINDS}) != len(KINDS):  # pragma: no cover - a slip in kinds.py
    raise AssertionError("each kind needs an order of its own")
