"""What an apply did, kept as JSON, and the way back from it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from obskit.errors import BackendError, ConfigError, Problem
from obskit.sync.apply import Applied
from obskit.sync.backend import Backend, BackendFailure
from obskit.sync.canonical import canonical
from obskit.sync.changes import Change
from obskit.sync.diff import FieldDiff, difference
from obskit.sync.kinds import CHANNEL, KINDS, UPTIME, Kind
from obskit.sync.ownership import name_tail
from obskit.sync.plan import Plan

__all__ = ["FOLDER", "Journal", "newest", "read", "reversal", "save"]

FOLDER: Final = ".obskit/applied"
_VERSION: Final = 1
_BY_SERVER: Final = frozenset({"name", "etag", "creationRecord", "mutationRecord", "mutationRecords", "validity"})
_STARS: Final = frozenset("*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One write: the object before and after it, as the API returned them; secrets are masked there."""

    action: str
    kind: Kind
    id: str
    name: str
    parent: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The writes of one apply, in their order."""

    project: str
    stack: str
    entries: tuple[Entry, ...]


def save(plan: Plan, applied: Sequence[Applied], folder: Path) -> Path | None:
    """Write what an apply did into a new file of a folder, and return the file; None where nothing was written."""
    if not applied:
        return None
    rows = [
        {
            "action": "create" if made.is_new else made.change.action,
            "kind": made.change.kind.name,
            "id": made.change.id,
            "name": made.name,
            "parent": made.change.parent,
            "before": made.change.actual,
            "after": made.document,
        }
        for made in applied
    ]
    now = datetime.now(UTC)
    report = {"version": _VERSION, "project": plan.project, "stack": plan.stack, "applied_at": now.isoformat()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plan.project}-{plan.stack}-{now:%Y%m%dT%H%M%S.%fZ}.json"
    # Documents tell addresses and queries: they are for their owner alone.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(report)[:-1] + ', "entries": [\n')
        file.write(",\n".join(json.dumps(row) for row in rows) + "\n]}\n")
    return path


def newest(folder: Path, project: str, stack: str) -> Path:
    """Return the file of the last apply of a stack.

    Raises:
        ConfigError: there is none.
    """
    found = sorted(folder.glob(f"{project}-{stack}-*T*Z.json"), key=lambda path: path.name[-23:])
    if not found:
        raise ConfigError(
            Problem(
                place=str(folder),
                problem=f"no apply of stack {stack!r} in project {project!r} was saved here",
                way_out="Name the file: obskit rollback FILE",
            )
        )
    return found[-1]


def read(path: Path) -> Journal:
    """Read a file that `save` wrote.

    Raises:
        ConfigError: it is none.
    """
    kinds = {kind.name: kind for kind in KINDS}
    try:
        found = json.loads(path.read_text())
        if found["version"] != _VERSION:
            raise _unreadable(path, f"its version is {found['version']}")
        entries = tuple(
            Entry(
                action=row["action"],
                kind=kinds[row["kind"]],
                id=row["id"],
                name=row["name"],
                parent=row["parent"],
                before=row["before"],
                after=row["after"],
            )
            for row in found["entries"]
        )
        return Journal(project=found["project"], stack=found["stack"], entries=entries)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error


def _unreadable(path: Path, reason: str) -> ConfigError:
    problem = f"is not what an apply saved: {reason}"
    return ConfigError(Problem(place=str(path), problem=problem, way_out=f"Name a file of {FOLDER}"))


def reversal(journal: Journal, backend: Backend, *, is_forced: bool = False) -> Plan:
    """Return the plan that undoes an apply, the last write first.

    Args:
        journal: what was done.
        backend: the project as it is now.
        is_forced: whether what was changed since is set back too.

    Raises:
        BackendError: something was changed since, or cannot be read.
    """
    changes: list[Change] = []
    problems: list[Problem] = []
    renewed: dict[str, Change] = {}
    for entry in reversed(journal.entries):
        try:
            current: Mapping[str, Any] | None = backend.get(entry.kind, entry.name)
        except BackendFailure as failure:
            if failure.code != "NOT_FOUND":
                raise BackendError(_problem(entry, str(failure), "Try again; nothing was written")) from failure
            current = None
        is_changed = (
            current is not None
            and entry.after is not None
            and (canonical(current, entry.kind) != canonical(entry.after, entry.kind))
        )
        if is_changed and not is_forced:
            way_out = "Look at it, then add --force to set it back all the same; nothing was written"
            problems.append(_problem(entry, "it was changed since that apply", way_out))
        undone = _undone(entry, current)
        changes += undone
        if undone and undone[0].action == "create" and not undone[0].name:
            renewed[entry.name] = undone[0]
    if problems:
        raise BackendError(problems)
    changes = [replace(each, document=_renamed(each.document, renewed)) for each in changes]
    first = [each for each in changes if each.action != "delete"]
    return Plan(
        project=journal.project,
        stack=journal.stack,
        changes=(
            *sorted(first, key=lambda each: each.kind.order),
            *sorted((each for each in changes if each.action == "delete"), key=lambda each: -each.kind.order),
        ),
        foreign=0,
    )


def _problem(entry: Entry, problem: str, way_out: str) -> Problem:
    return Problem(place=f'{entry.kind.name} "{entry.id}"', problem=problem, way_out=way_out)


def _undone(entry: Entry, current: Mapping[str, Any] | None) -> list[Change]:
    shown = entry.before or entry.after or {}
    common: dict[str, Any] = {
        "kind": entry.kind,
        "id": entry.id,
        "display_name": str(shown.get("displayName", "")),
        "parent": entry.parent,
        "actual": current,
    }
    if entry.action == "create":
        return [] if current is None else [Change(action="delete", name=entry.name, **common)]
    if entry.before is None:
        return []
    document = {key: value for key, value in entry.before.items() if key not in _BY_SERVER or _is_its_own(entry, key)}
    if current is None:
        named = entry.name if entry.kind.is_named else ""
        return [Change(action="create", name=named, document=_recreated(entry, document), **common)]
    before, after = canonical(current, entry.kind), canonical(document, entry.kind)
    fields = difference(before, after) or (
        (FieldDiff(path="(ownership)", before="newer", after="as before"),) if entry.action == "update" else ()
    )
    return [
        Change(action="update" if fields else "unchanged", name=entry.name, fields=fields, document=document, **common)
    ]


def _is_its_own(entry: Entry, key: str) -> bool:
    return key == "name" and entry.kind.collection == "metrics"


def _recreated(entry: Entry, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document for an object that has to be made again: its parts get new names."""
    found = dict(document)
    if isinstance(found.get("conditions"), list):
        found["conditions"] = [
            {key: value for key, value in each.items() if key != "name"} for each in found["conditions"]
        ]
    if entry.kind is CHANNEL or entry.kind is UPTIME:
        _refuse_masked(entry, found)
    return found


def _refuse_masked(entry: Entry, document: Mapping[str, Any]) -> None:
    texts = [*(document.get("labels") or {}).values()]
    texts.append(str(((document.get("httpCheck") or {}).get("authInfo") or {}).get("password", "")))
    if any(text and set(text) <= _STARS for text in texts):
        way_out = "Check out the commit before, and run obskit sync: the secret is read from its source there"
        raise BackendError(_problem(entry, "it was deleted, and its secret is masked in what was saved", way_out))


def _renamed(value: Any, renewed: Mapping[str, Change]) -> Any:
    """Return a document that refers by id to objects which are made again, since they get new names."""
    if isinstance(value, Mapping):
        return {key: _renamed(item, renewed) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(item, renewed) for item in value]
    if not isinstance(value, str):
        return value
    for name, change in renewed.items():
        if value in {name, name_tail(name)}:
            return f"projects/-/{change.kind.collection}/obskit:{change.id}"
        last = name.rpartition("/")[2]
        if f'"{last}"' in value:
            value = value.replace(f'"{last}"', f'"obskit:{change.kind.collection}/{change.id}"')
    return value
