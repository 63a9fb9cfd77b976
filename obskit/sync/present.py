"""A plan as text for people and as JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from obskit.sync.apply import Applied
from obskit.sync.changes import Change
from obskit.sync.diff import FieldDiff
from obskit.sync.plan import Plan

__all__ = ["as_json", "print_plan", "shown", "summary"]

_SIGNS: Final = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
    "orphan": ("?", "magenta"),
    "unchanged": ("=", "dim"),
}
_LONGEST: Final = 160
_TOKEN: Final = re.compile(r"((?:auth_token|token|key|secret)=)[^&\s\"]+")


def print_plan(plan: Plan, console: Console) -> None:
    """Print each change with its fields, then the counts."""
    console.print(f"Plan for project {plan.project}, stack {plan.stack}:", highlight=False)
    for change in plan.changes:
        if change.action == "unchanged" and not change.kept:
            continue
        for line in _lines(change):
            console.print(line, soft_wrap=True)
    console.print(summary(plan), highlight=False)


def summary(plan: Plan) -> str:
    """Return the counts of a plan in one line."""
    parts = [
        f"{plan.count('create')} to create",
        f"{plan.count('update')} to update",
        f"{plan.count('delete')} to delete",
        f"{plan.count('unchanged')} unchanged",
    ]
    if plan.count("orphan"):
        parts.append(f"{plan.count('orphan')} no longer defined (use --prune to delete)")
    if plan.drifted:
        parts.append(f"{len(plan.drifted)} changed in the console")
    if plan.foreign:
        parts.append(f"{plan.foreign} of others left alone")
    return f"Plan: {', '.join(parts)}."


def as_json(plan: Plan, applied: Sequence[Applied] | None) -> dict[str, Any]:
    """Return a plan, and what was applied of it, as plain data; `applied` is None for a dry run."""
    return {
        "project": plan.project,
        "stack": plan.stack,
        "counts": {action: plan.count(action) for action in ("create", "update", "delete", "unchanged", "orphan")},
        "drifted": len(plan.drifted),
        "foreign": plan.foreign,
        "changes": [_change_json(change) for change in plan.changes],
        "applied": None
        if applied is None
        else [{"id": done.change.id, "action": done.change.action, "name": done.name} for done in applied],
    }


def _lines(change: Change) -> Iterator[Text]:
    sign, style = _SIGNS[change.action]
    word = {"orphan": "not defined"}.get(change.action, change.action)
    head = Text(f"  {sign} {word:<11} {change.kind.name:<20} ", style=style)
    head.append(change.id, style="bold")
    if change.display_name:
        head.append(f'  "{change.display_name}"')
    if change.source:
        head.append(f"  {change.source}", style="dim")
    yield head
    for diff in change.fields:
        note = "  (changed in the console; set back)" if diff in change.drift else ""
        line = Text(f"        {diff.path}: ")
        line.append(shown(diff.before), style="red").append(" → ").append(shown(diff.after), style="green")
        yield line.append(note, style="magenta")
    for kept in change.kept:
        yield Text(f"        drift: {kept}; kept" if change.actual is not None else f"        {kept}", style="magenta")
    if change.changed_by:
        yield Text(f"        last changed by {change.changed_by}", style="magenta")


def shown(value: Any) -> str:
    """Return a value on one line, at most 160 characters, without tokens."""
    if value is None:
        return "(none)"
    text = json.dumps(_masked(value), ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "action": change.action,
        "kind": change.kind.name,
        "id": change.id,
        "display_name": change.display_name,
        "source": change.source,
        "name": change.name,
        "fields": [_field_json(diff) for diff in change.fields],
        "drift": [_field_json(diff) for diff in change.drift],
        "kept": list(change.kept),
        "changed_by": change.changed_by,
    }


def _field_json(diff: FieldDiff) -> dict[str, Any]:
    return {"path": diff.path, "before": _masked(diff.before), "after": _masked(diff.after)}


def _masked(value: Any) -> Any:
    """Return a value without the tokens in webhooks' addresses, which no log of a build may show."""
    if isinstance(value, str):
        return _TOKEN.sub(r"\1…", value) if value.startswith("http") else value
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value
