"""`obskit check`: all problems of all definitions, in every stack, before anything is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from obskit.catalog import Route
from obskit.cli.folders import Folders, existing
from obskit.errors import ConfigError, Problem, ProblemsError
from obskit.queries.context import RenderContext
from obskit.queries.environments import declared_environments, environment
from obskit.sync.load import Loaded, check, doubts_about, load, uncollected, unset_variables

__all__ = ["CheckFormat", "command"]


class CheckFormat(StrEnum):
    """How problems and notes are printed on stdout."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    GITLAB = "gitlab"


def command(
    folders: Folders = None,
    *,
    stack: Annotated[
        str, typer.Option(help="Stack to check; all that pyproject.toml declares, where none is named.")
    ] = "",
    project: Annotated[str, typer.Option(help="Project to render for; the stack's own by default.")] = "",
    route: Annotated[
        Route | None, typer.Option(help="Export route that the queries are written for; the stack's own by default.")
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        CheckFormat,
        typer.Option(
            help="What is on stdout: text for people, JSON, GitHub's annotations, GitLab's code quality report. "
            "The last two have the text on stderr."
        ),
    ] = CheckFormat.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Check definitions against the platform's rules; prints all problems at once, exits 1 if there are any.

    Metrics, labels, aligners and PromQL are checked against obskit's catalog and an index of Google's metrics.
    A metric that the index lacks, or an environment variable that is not set here, is only a note.
    """
    form = CheckFormat.JSON if as_json else format
    try:
        contexts = _contexts(stack, project, route)
        with uncollected():
            found = _found(folders or _by_default(), contexts)
    except ProblemsError as error:
        _annotate(error.problems, (), form)
        raise
    _print(found, form)
    if found.problems:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a check found, over all stacks."""

    loaded: Loaded
    stacks: tuple[str, ...]
    problems: Sequence[Problem]
    notes: Sequence[Problem]


def _by_default() -> list[Path]:
    if chosen := existing():
        return chosen
    raise ConfigError(
        Problem(
            place=str(Path.cwd()),
            problem="has neither a folder alerts nor a folder dashboards",
            way_out="Go to the folder that has them, or name the folders: obskit check FOLDER",
        )
    )


def _found(folders: Sequence[Path], contexts: Sequence[RenderContext]) -> _Found:
    loaded = load(folders)
    unset = {each.stack: unset_variables(loaded, each) for each in contexts}
    wrong = {
        each.stack: [found for found in check(loaded, each) if found not in unset[each.stack]] for each in contexts
    }
    doubtful = {each.stack: [*unset[each.stack], *doubts_about(loaded, each)] for each in contexts}
    return _Found(loaded=loaded, stacks=tuple(wrong), problems=_joined(wrong), notes=_joined(doubtful))


def _print(found: _Found, form: CheckFormat) -> None:
    loaded, problems, notes = found.loaded, found.problems, found.notes
    if form is CheckFormat.JSON:
        report = {"files": loaded.files, "definitions": len(loaded.definitions), "stacks": list(found.stacks)}
        typer.echo(json.dumps({**report, "problems": _rows(problems), "notes": _rows(notes)}))
        return
    _annotate(problems, notes, form)
    is_aside = bool(problems) or form is not CheckFormat.TEXT
    for problem in problems:
        typer.echo(str(problem), err=is_aside)
    for note in notes:
        typer.echo(f"note: {note}", err=is_aside)
    counts = [(loaded.files, "file"), (len(loaded.definitions), "definition"), (len(problems), "problem")]
    counts += [(len(found.stacks), "stack")] if len(found.stacks) > 1 else []
    typer.echo(", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts), err=is_aside)


def _annotate(problems: Sequence[Problem], notes: Sequence[Problem], form: CheckFormat) -> None:
    if form in {CheckFormat.GITHUB, CheckFormat.GITLAB}:
        from obskit.cli.annotations import annotate  # noqa: PLC0415 - for a CI's job; people do not wait for it

        annotate(problems, form, notes)


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
            found[problem if is_shared else problem.but(place=f'{problem.place}, stack "{stack}"')] = None
    return list(found)


def _rows(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"place": found.place, "problem": found.problem, "way_out": found.way_out} for found in problems]
