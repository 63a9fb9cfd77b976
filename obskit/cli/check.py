"""`obskit check`: all problems of all definitions, before anything is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from obskit.catalog import Route
from obskit.errors import Problem
from obskit.queries.context import RenderContext
from obskit.sync.load import check, load, unset_variables

__all__ = ["command"]


def command(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of definitions; `alerts` and `dashboards` by default.")
    ] = None,
    *,
    project: Annotated[str, typer.Option(help="Project to render for.")] = "check-project",
    route: Annotated[Route, typer.Option(help="Export route that the queries are written for.")] = Route.GCP,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Check definitions against the platform's rules; prints all problems at once, exits 1 if there are any.

    An environment variable that a channel reads and that is not set here is only a note: sync needs it.
    """
    chosen = folders or [folder for folder in (Path("alerts"), Path("dashboards")) if folder.is_dir()]
    loaded = load(chosen or [Path("alerts"), Path("dashboards")])
    context = RenderContext(project=project, route=route, environ=dict(os.environ))
    notes = unset_variables(loaded, context)
    problems = [found for found in check(loaded, context) if found not in notes]
    if as_json:
        report = {"files": loaded.files, "definitions": len(loaded.definitions)}
        typer.echo(json.dumps({**report, "problems": _rows(problems), "notes": _rows(notes)}))
    else:
        console = Console(stderr=bool(problems), highlight=False)
        for problem in problems:
            console.print(str(problem), soft_wrap=True, markup=False)
        for note in notes:
            console.print(f"note: {note}", soft_wrap=True, markup=False)
        counts = ((loaded.files, "file"), (len(loaded.definitions), "definition"), (len(problems), "problem"))
        console.print(", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts))
    if problems:
        raise typer.Exit(1)


def _rows(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"place": found.place, "problem": found.problem, "way_out": found.way_out} for found in problems]
