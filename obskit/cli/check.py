"""`obskit check`: all problems of all definitions, in every stack, before anything is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from obskit.catalog import Route
from obskit.errors import ConfigError, Problem
from obskit.queries.context import RenderContext
from obskit.queries.environments import declared_environments, environment
from obskit.sync.load import check, doubts_about, load, unset_variables

__all__ = ["command"]


def command(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of definitions; `alerts` and `dashboards` by default.")
    ] = None,
    *,
    stack: Annotated[
        str, typer.Option(help="Stack to check; all that pyproject.toml declares, where none is named.")
    ] = "",
    project: Annotated[str, typer.Option(help="Project to render for; the stack's own by default.")] = "",
    route: Annotated[
        Route | None, typer.Option(help="Export route that the queries are written for; the stack's own by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Check definitions against the platform's rules; prints all problems at once, exits 1 if there are any.

    Metrics, labels, aligners and PromQL are checked against obskit's catalog and an index of Google's metrics.
    A metric that the index lacks, or an environment variable that is not set here, is only a note.
    """
    contexts = _contexts(stack, project, route)
    chosen = folders or [folder for folder in (Path("alerts"), Path("dashboards")) if folder.is_dir()]
    if not chosen:
        raise ConfigError(
            Problem(
                place=str(Path.cwd()),
                problem="has neither a folder alerts nor a folder dashboards",
                way_out="Go to the folder that has them, or name the folders: obskit check FOLDER",
            )
        )
    loaded = load(chosen)
    unset = {each.stack: unset_variables(loaded, each) for each in contexts}
    wrong = {
        each.stack: [found for found in check(loaded, each) if found not in unset[each.stack]] for each in contexts
    }
    notes = _joined({each.stack: [*unset[each.stack], *doubts_about(loaded, each)] for each in contexts})
    problems = _joined(wrong)
    if as_json:
        report = {"files": loaded.files, "definitions": len(loaded.definitions), "stacks": list(wrong)}
        typer.echo(json.dumps({**report, "problems": _rows(problems), "notes": _rows(notes)}))
    else:
        console = Console(stderr=bool(problems), highlight=False)
        for problem in problems:
            console.print(str(problem), soft_wrap=True, markup=False)
        for note in notes:
            console.print(f"note: {note}", soft_wrap=True, markup=False)
        counts = [(loaded.files, "file"), (len(loaded.definitions), "definition"), (len(problems), "problem")]
        counts += [(len(contexts), "stack")] if len(contexts) > 1 else []
        console.print(", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts))
    if problems:
        raise typer.Exit(1)


def _contexts(stack: str, project: str, route: Route | None) -> list[RenderContext]:
    declared = [] if stack else [each.stack for each in declared_environments()]
    found = [environment(name, project=project, route=route) for name in declared or [stack]]
    return [replace(each, project=each.project or "check-project").context(os.environ) for each in found]


def _joined(by_stack: Mapping[str, Sequence[Problem]]) -> list[Problem]:
    """Return the problems of all stacks: one that every stack has once, any other with the stack's name."""
    found: dict[Problem, None] = {}
    for stack, problems in by_stack.items():
        for problem in problems:
            is_shared = all(problem in others for others in by_stack.values())
            found[problem if is_shared else replace(problem, place=f'{problem.place}, stack "{stack}"')] = None
    return list(found)


def _rows(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"place": found.place, "problem": found.problem, "way_out": found.way_out} for found in problems]
