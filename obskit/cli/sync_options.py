"""The sync commands: one signature, three scopes.

Annotations are evaluated here, because the help of an argument names the folders of its command.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from obskit.catalog import Route
from obskit.cli.synchronise import Format, Options, synchronise
from obskit.sync.journal import FOLDER
from obskit.sync.kinds import Kind
from obskit.sync.plan import DELETE_SHARE

__all__ = ["sync_command"]


def sync_command(kinds: Sequence[Kind], *, folders: Sequence[str], summary: str) -> Callable[..., None]:
    """Return a command that plans and applies the definitions of some kinds, from those folders by default."""

    def command(  # the options of a command are its parameters
        folder: Annotated[
            list[Path] | None, typer.Argument(help=f"Folders of definitions; by default {' and '.join(folders)}.")
        ] = None,
        *,
        project: Annotated[
            str, typer.Option(help="Project to write to; the stack's own, or GOOGLE_CLOUD_PROJECT by default.")
        ] = "",
        stack: Annotated[
            str,
            typer.Option(
                help="Stack to write: one of pyproject.toml's, or any name that separates sets of definitions in one "
                "project; `default` where none is named."
            ),
        ] = "",
        route: Annotated[
            Route | None,
            typer.Option(help="Export route that the queries are written for; the stack's own by default."),
        ] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and write nothing.")] = False,
        exit_code: Annotated[
            bool, typer.Option("--exit-code", help="Exit with 2 when the plan has changes, 0 when it has none.")
        ] = False,
        format: Annotated[  # noqa: A002 - the option's name
            Format,
            typer.Option(
                help="How the plan is printed on stdout: for people, for programs, as a pull request's comment, as "
                "GitHub's annotations, as GitLab's code quality report. All but `text` send the text to stderr."
            ),
        ] = Format.TEXT,
        json: Annotated[
            bool, typer.Option("--json", help="Print the plan as JSON on stdout; the same as --format json.")
        ] = False,
        target: Annotated[
            list[str] | None,
            typer.Option(
                help="Only this id, or pattern of ids, and what it needs; KIND:ID where two kinds share an id. "
                "May be given several times."
            ),
        ] = None,
        prune: Annotated[
            bool, typer.Option("--prune", help="Delete this stack's objects whose definition is gone.")
        ] = False,
        max_delete_share: Annotated[
            float, typer.Option(min=0.0, max=1.0, help="Largest share of the stack's objects that --prune may delete.")
        ] = DELETE_SHARE,
        overrule: Annotated[
            bool,
            typer.Option(
                "--overrule",
                help="Set back what was decided in the console too: policies that were switched off, channels that "
                "were added.",
            ),
        ] = False,
        adopt: Annotated[
            bool,
            typer.Option(
                "--adopt",
                help="Take over objects that exist under a definition's name or display name and that nobody owns; "
                "the plan shows them as updates of their ownership labels.",
            ),
        ] = False,
        saved: Annotated[
            Path, typer.Option(help="Folder in which each apply is saved as JSON, for `obskit rollback`.")
        ] = Path(FOLDER),
        local: Annotated[
            str,
            typer.Option(
                help="A local backend instead of Google Cloud: HOST:PORT of its gRPC services, or the URL of its "
                "HTTP services."
            ),
        ] = "",
    ) -> None:
        options = Options(
            project=project,
            stack=stack,
            route=route,
            is_dry_run=dry_run,
            is_told_by_exit_code=exit_code,
            format=Format.JSON if json else format,
            targets=tuple(target or ()),
            is_pruning=prune,
            max_delete_share=max_delete_share,
            is_overruling=overrule,
            is_adopting=adopt,
            saved=saved,
            local=local,
        )
        synchronise(folder or _by_default(folders, is_pruned=prune), kinds, options)

    command.__doc__ = summary
    return command


def _by_default(names: Sequence[str], *, is_pruned: bool) -> list[Path]:
    """Return those folders that exist; all of them where a missing one must be an error, not a reason to delete."""
    folders = [Path(name) for name in names]
    existing = [folder for folder in folders if folder.is_dir()]
    return folders if is_pruned or not existing else existing
