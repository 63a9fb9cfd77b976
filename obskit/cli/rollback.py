"""`obskit rollback`: the last apply undone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from obskit.cli.synchronise import Options, carry_out
from obskit.cli.targets import target
from obskit.errors import ConfigError, Problem
from obskit.sync.journal import FOLDER, newest, read, reversal
from obskit.sync.present import print_plan

__all__ = ["command"]


def command(
    file: Annotated[
        Path | None, typer.Argument(help="What an apply saved; the newest of the stack by default.")
    ] = None,
    *,
    project: Annotated[str, typer.Option(help="Project; the stack's own, or GOOGLE_CLOUD_PROJECT by default.")] = "",
    stack: Annotated[str, typer.Option(help="Stack whose last apply is meant.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also set back what was changed since that apply.")] = False,
    saved: Annotated[Path, typer.Option(help="Folder in which applies are saved.")] = Path(FOLDER),
    local: Annotated[
        str, typer.Option(help="A local backend, by HOST:PORT of its gRPC services or the URL of its HTTP services.")
    ] = "",
) -> None:
    """Undo an apply from what it saved: what it made is deleted, what it changed or deleted is as it was.

    Objects that somebody changed since are a reason to stop. Secrets are not in the file: a channel that was deleted
    with its secret comes back from its definition, by `obskit sync` at the commit before.
    """
    named = None if file is None else read(file)
    found = target(
        "rollback", project=project, stack=stack, local=local, otherwise="" if named is None else named.project
    )
    journal = named or read(newest(saved, found.project, found.environment.stack))
    if journal.project != found.project:
        problem = f"it is of project {journal.project!r}, not {found.project!r}"
        raise ConfigError(Problem(place=str(file), problem=problem, way_out=f"Add --project {journal.project}"))
    console = Console(highlight=False)
    backend = found.backend()
    plan = reversal(journal, backend, is_forced=force)
    print_plan(plan, console)
    carry_out(plan, backend, Options(is_dry_run=dry_run, saved=saved), console)
