"""What is wrong with a plan, or with what exists: everything that must stop a run before its first write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import unquote_plus

from obskit.errors import Problem, UnsafePlanError
from obskit.sync.changes import Change
from obskit.sync.kinds import BUDGET, CHANNEL, POLICY, SNOOZE, Kind
from obskit.sync.plan import DELETE_SHARE, Objects, Plan
from obskit.sync.references import unresolved

__all__ = ["ailing", "dangling", "impossible", "is_torn", "narrowed", "refuse_unsafe"]

_LONGEST_NAMES: Final = {BUDGET: 60, SNOOZE: 512}


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


def impossible(plan: Plan) -> tuple[Problem, ...]:
    """Return a problem for each change that the API would refuse."""
    found = [_problem(change, *change.problem) for change in plan.writes if change.problem is not None]
    for change in plan.writes:
        most = _LONGEST_NAMES.get(change.kind)
        name = str((change.document or {}).get("displayName", ""))
        if most is not None and len(name) > most:
            problem = f"its name has {len(name)} characters with the mark of its owner, {name!r}; at most {most} fit"
            found.append(_problem(change, problem, "Shorten display_name, the id or the stack's name"))
    return tuple(found)


def dangling(plan: Plan, existing: Objects | None = None) -> tuple[Problem, ...]:
    """Return a problem for each reference to an object that neither exists nor is about to be created.

    Args:
        plan: the plan.
        existing: the project's objects; with them, channels that are named in full are looked for too.
    """
    coming = {(change.kind.collection, change.id) for change in plan.changes if change.action == "create"}
    known = None if existing is None or CHANNEL not in existing else _numbers(existing[CHANNEL])
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
            problems.append(_problem(change, problem, way_out))
        if change.kind is POLICY and known is not None:
            problems += [
                _problem(change, f"notifies {name}, which does not exist", "Mend the name of the channel")
                for name in _gone_channels(change.document or {}, known)
            ]
    return tuple(dict.fromkeys(problems))


def is_torn(existing: Objects) -> bool:
    """Return whether the lists of policies and channels are not of one moment, because another run writes.

    No channel can be deleted while a policy notifies it.
    """
    if POLICY not in existing or CHANNEL not in existing:
        return False
    known = _numbers(existing[CHANNEL])
    return any(_gone_channels(policy, known) for policy in existing[POLICY])


def _numbers(channels: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the last parts of the names: the project may be written as its id or its number."""
    return frozenset(str(each["name"]).rpartition("/")[2] for each in channels)


def _gone_channels(policy: Mapping[str, Any], known: frozenset[str]) -> list[str]:
    told = policy.get("notificationChannels") or ()
    return [name for name in told if "obskit:" not in name and name.rpartition("/")[2] not in known]


def ailing(objects: Sequence[tuple[str, Kind, Mapping[str, Any]]]) -> Iterator[Problem]:
    """Return a problem for each object that is there and does not work.

    Args:
        objects: place, kind and the document as the API returned it.
    """
    for place, kind, document in objects:
        told = document.get("validity") or {}
        if kind is POLICY and (told.get("code") or told.get("message")):
            yield Problem(
                place=place,
                problem=f"the policy was taken and never fires: {told.get('message') or told['code']}",
                way_out="Mend its conditions; its `validity` has the reason",
            )
        if kind is CHANNEL and document.get("verificationStatus") == "UNVERIFIED":
            yield Problem(
                place=place,
                problem="the channel is not verified, so nobody is told",
                way_out="Verify it in the console, under Alerting, Edit notification channels",
            )


def narrowed(plan: Plan, targets: Sequence[str]) -> Plan:
    """Return a plan of the targets, and of what they refer to and that does not exist yet.

    Args:
        plan: of everything.
        targets: ids or patterns of ids, as ``latency-*``; ``KIND:ID`` where two kinds share an id.
    """
    chosen = {id(change) for change in plan.changes if any(_is_target(change, each) for each in targets)}
    by_key = {(change.kind.collection, change.id): change for change in plan.changes if change.action == "create"}
    todo = [change for change in plan.changes if id(change) in chosen]
    while todo:
        for reference in unresolved(todo.pop().document or {}):
            collection, _, target = reference.split("/", 2)[2].partition("/obskit:")
            needed = by_key.get((collection, target))
            if needed is not None and id(needed) not in chosen:
                chosen.add(id(needed))
                todo.append(needed)
    changes = tuple(change for change in plan.changes if id(change) in chosen)
    return Plan(project=plan.project, stack=plan.stack, changes=changes, foreign=plan.foreign)


def _is_target(change: Change, target: str) -> bool:
    kind, colon, pattern = target.rpartition(":")
    if colon and kind.lower().replace("-", " ") not in {change.kind.name.lower(), change.kind.collection.lower()}:
        return False
    return fnmatchcase(change.id, pattern)


def _problem(change: Change, problem: str, way_out: str) -> Problem:
    place = f'{change.source or change.name}: {change.kind.name} "{change.id}"'
    return Problem(place=place, problem=problem, way_out=way_out)
