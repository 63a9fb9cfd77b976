"""`obskit permissions`: the least that each step may do."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from obskit.alerts import NotificationChannel
from obskit.cli.folders import Folders, existing
from obskit.queries.context import Secret
from obskit.resources import UptimeCheck
from obskit.sync.kinds import BUDGET, CHANNEL, KINDS, POLICY, SNOOZE
from obskit.sync.load import kind_of, load
from obskit.sync.permissions import SECRETS, STEPS, needed_by

__all__ = ["command"]


def command(
    folders: Folders = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="For every kind of object, whatever is defined.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """Print the permissions that planning, applying, pruning and rolling back these definitions need, and no more.

    Those of billing budgets are needed on the billing account, those of secrets on each secret, all others on the
    project. What is missing is told before the first write.
    """
    loaded = load(folders or existing())
    defined = {kind_of(each) for each in loaded.definitions}
    kinds = [kind for kind in KINDS if every or kind in defined]
    if POLICY in kinds:
        kinds += [kind for kind in (CHANNEL,) if kind not in kinds]
    holders = [each for each in loaded.definitions if isinstance(each, NotificationChannel | UptimeCheck)]
    has_secrets = any(isinstance(setting, Secret) for each in holders for setting in each.secrets)
    table = {step: list(needed_by(step, kinds)) for step in STEPS}
    if POLICY in kinds:
        table = {step: sorted({*found, f"{SNOOZE.permissions}.list"}) for step, found in table.items()}
    if has_secrets:
        for step in ("plan", "apply", "prune"):
            table[step].append(SECRETS)
    if as_json:
        typer.echo(json.dumps(table))
        return
    for step, permissions in table.items():
        typer.echo(f"{step}:")
        for permission in permissions:
            on = " (on the billing account)" if permission.startswith(BUDGET.permissions) else ""
            typer.echo(f"  {permission}{' (on each secret)' if permission == SECRETS else on}")
