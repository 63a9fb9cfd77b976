"""What the three sync commands share: load, check, plan, print, apply."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer
from rich.console import Console

from obskit.catalog import Route
from obskit.config import resolve
from obskit.errors import BackendError, ConfigError, DefinitionError, Problem
from obskit.queries.context import RenderContext
from obskit.queries.environments import environment
from obskit.sync.apply import Applied, apply
from obskit.sync.backend import BackendFailure
from obskit.sync.google import GoogleBackend
from obskit.sync.kinds import KINDS, Kind
from obskit.sync.load import Loaded, check, load
from obskit.sync.plan import DELETE_SHARE, Plan, dangling, make_plan, refuse_unsafe
from obskit.sync.present import as_json, print_plan
from obskit.sync.secrets import SecretManager, stand_in, with_secrets

__all__ = ["Options", "synchronise"]

CHANGES = 2
"""Exit code of ``--exit-code`` when the plan has changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that the sync commands have in common."""

    project: str = ""
    stack: str = ""
    route: Route | None = None
    dry_run: bool = False
    exit_code: bool = False
    json: bool = False
    prune: bool = False
    max_delete_share: float = DELETE_SHARE
    local: str = ""


def synchronise(folders: Sequence[Path], kinds: Sequence[Kind], options: Options) -> None:
    """Plan and, unless it is a dry run, apply the definitions of some kinds.

    Raises:
        ProblemsError: of the class that fits; nothing was written unless the error says so.
        typer.Exit: with code 2 when ``--exit-code`` was given and the plan has changes.
    """
    console = Console(stderr=options.json, highlight=False)
    chosen = environment(options.stack, project=options.project, route=options.route)
    settings = resolve({"project": chosen.project or None, "local_endpoint": options.local or None}).config
    if not settings.project:
        way_out = "Give --project, set GOOGLE_CLOUD_PROJECT, or name it in [tool.obskit.stacks]"
        raise ConfigError(Problem(place="sync", problem="no project is named", way_out=way_out))
    context = replace(chosen, project=settings.project).context(os.environ)
    loaded = load(folders)
    if problems := check(loaded, context):
        raise DefinitionError(problems)
    backend = GoogleBackend(settings.project, endpoint=settings.local_endpoint)
    read = stand_in if settings.local_endpoint else SecretManager().read
    context = with_secrets(loaded.of(kinds), context, read=read)
    plan = _plan(loaded, kinds, context, backend, options)
    print_plan(plan, console)
    applied: tuple[Applied, ...] | None = None
    if not options.dry_run:
        applied = apply(plan, backend, told=console.print)
        if plan.writes:
            console.print(f"Applied: {len(applied)} writes.")
    if options.json:
        json.dump(as_json(plan, applied), sys.stdout)
        sys.stdout.write("\n")
    if options.exit_code and plan.writes:
        raise typer.Exit(CHANGES)


def _plan(
    loaded: Loaded, kinds: Sequence[Kind], context: RenderContext, backend: GoogleBackend, options: Options
) -> Plan:
    wanted = [kind for kind in KINDS if kind.order <= max(kind.order for kind in kinds)]
    try:
        existing = {kind: backend.list(kind) for kind in wanted}
    except BackendFailure as failure:
        where = options.local or "Google Cloud"
        raise BackendError(
            Problem(
                place=f"project {context.project!r} at {where}",
                problem=f"its objects cannot be listed ({failure.code}): {failure.message}",
                way_out="Grant roles/monitoring.viewer or more"
                if failure.code == "PERMISSION_DENIED"
                else "Check the address and try again; nothing was written",
            )
        ) from failure
    definitions = loaded.of(kinds)
    plan = make_plan(definitions, existing, context, kinds=kinds, prune=options.prune)
    refuse_unsafe(plan, defined=len(definitions), folders=loaded.folders, share=options.max_delete_share)
    if problems := dangling(plan):
        raise DefinitionError(problems)
    return plan
