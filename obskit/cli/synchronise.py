"""What the three sync commands share: load, check, plan, print, apply, save."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import typer
from rich.console import Console

from obskit.catalog import Route
from obskit.cli.annotations import annotate, folder_in_repository
from obskit.cli.targets import target
from obskit.errors import ConfigError, DefinitionError, Problem, ProblemsError
from obskit.sync.apply import Applied, ApplyError, apply, refuse_ailing
from obskit.sync.backend import Backend
from obskit.sync.google import GoogleBackend
from obskit.sync.journal import FOLDER, save
from obskit.sync.kinds import Kind
from obskit.sync.load import check, load, uncollected
from obskit.sync.permissions import refuse_missing
from obskit.sync.plan import DELETE_SHARE, Plan, make_plan
from obskit.sync.present import as_json, print_plan
from obskit.sync.reports import github_lines, gitlab_report, markdown
from obskit.sync.secrets import SecretManager, stand_in, with_secrets
from obskit.sync.survey import survey
from obskit.sync.verdicts import dangling, impossible, is_torn, narrowed, refuse_unsafe

__all__ = ["CHANGES", "Format", "Options", "carry_out", "synchronise"]

CHANGES = 2
"""Exit code of ``--exit-code`` when the plan has changes."""

_PLANS: Final = 3
_LOOKS: Final = 3
_BETWEEN_LOOKS_S: Final = 0.5
_pause = time.sleep


class Format(StrEnum):
    """How a plan is printed on stdout."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"
    GITLAB = "gitlab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that the sync commands have in common."""

    project: str = ""
    stack: str = ""
    route: Route | None = None
    is_dry_run: bool = False
    is_told_by_exit_code: bool = False
    format: Format = Format.TEXT
    targets: tuple[str, ...] = ()
    is_pruning: bool = False
    max_delete_share: float = DELETE_SHARE
    is_overruling: bool = False
    is_adopting: bool = False
    saved: Path = Path(FOLDER)
    local: str = ""


def synchronise(folders: Sequence[Path], kinds: Sequence[Kind], options: Options) -> None:
    """Plan and, unless it is a dry run, apply the definitions of some kinds.

    Raises:
        ProblemsError: of the class that fits; nothing was written unless the error says so.
        typer.Exit: with code 2 when ``--exit-code`` was given and the plan has changes.
    """
    console = Console(stderr=options.format is not Format.TEXT, highlight=False)
    try:
        for left in reversed(range(_PLANS)):
            with uncollected():
                backend, plan = _plan(folders, kinds, options, console)
            print_plan(plan, console)
            try:
                carry_out(plan, backend, options, console)
            except ApplyError as error:
                if not error.is_outdated or not left:
                    raise
                console.print(
                    f"{error}\nThe project was changed meanwhile; planning again.", markup=False, soft_wrap=True
                )
            else:
                break
    except ProblemsError as error:
        annotate(error.problems, options.format)
        raise
    if options.is_told_by_exit_code and plan.writes:
        raise typer.Exit(CHANGES)


def _plan(
    folders: Sequence[Path], kinds: Sequence[Kind], options: Options, console: Console
) -> tuple[GoogleBackend, Plan]:
    found = target("sync", project=options.project, stack=options.stack, route=options.route, local=options.local)
    context = found.environment.context(os.environ)
    loaded = load(folders)
    if wrong := check(loaded, context):
        raise DefinitionError(wrong)
    backend = found.backend()
    definitions = loaded.of(kinds)
    read = stand_in if found.endpoint else SecretManager().read
    context = with_secrets(definitions, context, read=read)
    for left in reversed(range(_LOOKS)):
        seen = survey(backend, definitions, context, kinds=kinds, is_pruning=options.is_pruning)
        plan = make_plan(
            definitions,
            seen.objects,
            context,
            kinds=kinds,
            prune=options.is_pruning,
            is_overruling=options.is_overruling,
            is_adopting=options.is_adopting,
        )
        refuse_unsafe(plan, defined=len(definitions), folders=loaded.folders, share=options.max_delete_share)
        if options.targets:
            plan = _narrowed(plan, options.targets)
        problems = (*impossible(plan), *dangling(plan, seen.objects))
        if not problems or not left or not is_torn(seen.objects):
            break
        _pause(_BETWEEN_LOOKS_S)
    for note in seen.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    if problems:
        raise DefinitionError(problems)
    return backend, plan


def _narrowed(plan: Plan, targets: Sequence[str]) -> Plan:
    found = narrowed(plan, targets)
    if not found.changes:
        way_out = "Name an id, or a pattern of ids, that the plan without --target shows"
        raise ConfigError(Problem(place="--target", problem="nothing has such an id", way_out=way_out))
    return found


def carry_out(plan: Plan, backend: Backend, options: Options, console: Console) -> None:
    """Apply a plan unless it is a dry run, save what was done, and print the plan in its format on stdout.

    Raises:
        BackendError: a permission is missing, a write was refused, or something is there and does not work.
    """
    applied: tuple[Applied, ...] | None = None
    if not options.is_dry_run and plan.writes:
        for note in refuse_missing(plan, backend):
            console.print(f"note: {note}", markup=False, soft_wrap=True)
        try:
            applied = apply(
                plan, backend, told=lambda line: console.print(line, markup=False, soft_wrap=True), pause=_pause
            )
        except ApplyError as error:
            _saved(plan, error.applied, options, console)
            raise
        _saved(plan, applied, options, console)
        console.print(f"Applied: {len(applied)} writes.")
    elif not options.is_dry_run:
        applied = ()
    _print_format(plan, applied, options.format)
    if applied is not None:
        refuse_ailing(plan, applied)


def _saved(plan: Plan, applied: Sequence[Applied], options: Options, console: Console) -> None:
    try:
        path = save(plan, applied, options.saved)
    except OSError as error:
        console.print(f"note: what was done could not be saved in {options.saved}: {error}", markup=False)
        return
    if path is not None:
        console.print(f"Saved for a rollback: {path}", markup=False, soft_wrap=True)


def _print_format(plan: Plan, applied: Sequence[Applied] | None, form: Format) -> None:
    within = folder_in_repository(os.environ)
    match form:
        case Format.JSON:
            sys.stdout.write(json.dumps(as_json(plan, applied)) + "\n")
        case Format.MARKDOWN:
            sys.stdout.write(markdown(plan))
        case Format.GITHUB:
            sys.stdout.write("".join(f"{line}\n" for line in github_lines(plan, within=within)))
        case Format.GITLAB:
            sys.stdout.write(gitlab_report(plan, within=within) + "\n")
