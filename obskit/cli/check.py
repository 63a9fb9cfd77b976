"""`obskit check`: all problems of all definitions, before anything is sent."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from obskit.catalog import Route
from obskit.queries.context import RenderContext
from obskit.sync.load import check, load

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
    """Check definitions against the platform's rules; prints all problems at once, exits 1 if there are any."""
    chosen = folders or [folder for folder in (Path("alerts"), Path("dashboards")) if folder.is_dir()]
    loaded = load(chosen or [Path("alerts"), Path("dashboards")])
    problems = check(loaded, RenderContext(project=project, route=route, environ=dict(os.environ)))
    if as_json:
        rows = [{"place": found.place, "problem": found.problem, "way_out": found.way_out} for found in problems]
        typer.echo(json.dumps({"files": loaded.files, "definitions": len(loaded.definitions), "problems": rows}))
    else:
        console = Console(stderr=bool(problems), highlight=False)
        for problem in problems:
            console.print(str(problem), soft_wrap=True, markup=False)
        console.print(f"{loaded.files} files, {len(loaded.definitions)} definitions, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)
