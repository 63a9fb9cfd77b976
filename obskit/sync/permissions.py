"""Which permissions each step needs, exactly, and whether they are there before the first write.

Source: "Access control with IAM" of Cloud Monitoring, Cloud Logging and Cloud Billing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from obskit.errors import BackendError, Problem
from obskit.sync.backend import Backend, BackendFailure
from obskit.sync.kinds import BUDGET, DESCRIPTOR, SNOOZE, Kind
from obskit.sync.plan import Plan

__all__ = ["SECRETS", "STEPS", "needed_by", "refuse_missing", "required"]

SECRETS: Final = "secretmanager.versions.access"
"""Needed on each secret that a definition reads with `secret(…)`."""

_VERBS: Final = {"create": ("create", "list"), "update": ("get", "update"), "delete": ("delete",)}
STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "plan": ("list",),
    "apply": ("list", "create", "get", "update"),
    "prune": ("list", "create", "get", "update", "delete"),
    "rollback": ("list", "create", "get", "update", "delete"),
    "import": ("list",),
}
"""Step → what it does with every kind."""


def _of(kind: Kind, verb: str) -> str:
    if kind is SNOOZE and verb == "delete":
        verb = "update"  # it is ended
    if kind is DESCRIPTOR and verb == "update":
        verb = "create"
    return f"{kind.permissions}.{verb}"


def needed_by(step: str, kinds: Sequence[Kind]) -> tuple[str, ...]:
    """Return the permissions that a step needs for some kinds, sorted."""
    return tuple(sorted({_of(kind, verb) for kind in kinds for verb in STEPS[step]}))


def required(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the permissions that carrying out a plan needs, by project or billing account."""
    found: dict[str, set[str]] = {}
    for change in plan.writes:
        account = (change.parent or change.name).partition("/budgets/")[0]
        place = account if change.kind is BUDGET else f"projects/{plan.project}"
        verbs = _VERBS[change.action]
        found.setdefault(place, set()).update(_of(change.kind, verb) for verb in verbs)
    return {place: tuple(sorted(permissions)) for place, permissions in found.items()}


def refuse_missing(plan: Plan, backend: Backend) -> tuple[str, ...]:
    """Refuse a plan that cannot be carried out whole for want of permissions.

    Returns:
        What could not be checked, in words.

    Raises:
        BackendError: permissions are missing; each is named, and nothing was written.
    """
    problems, notes = [], []
    for place, permissions in required(plan).items():
        try:
            granted = backend.granted(place, permissions)
        except BackendFailure as failure:
            notes.append(f"the permissions on {place} could not be checked beforehand ({failure.code})")
            continue
        for permission in permissions:
            if permission not in granted:
                users = [
                    f'{change.kind.name} "{change.id}"'
                    for change in plan.writes
                    if permission in {_of(change.kind, verb) for verb in _VERBS[change.action]}
                ]
                others = f" and {len(users) - 1} more" if len(users) > 1 else ""
                problems.append(
                    Problem(
                        place=place,
                        problem=f"permission {permission} is missing, needed for {users[0]}{others}",
                        way_out="Grant it (`obskit permissions` lists all that are needed); nothing was written",
                    )
                )
    if problems:
        raise BackendError(problems)
    return tuple(notes)
