"""`obskit init`: a starting set of alerts, dashboards and their tests in a repository."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import typer

from obskit.cli.packs import write_new
from obskit.errors import ConfigError, Problem
from obskit.packs import pack_named
from obskit.packs.files import PYPROJECT, stacks_table, starting_files

__all__ = ["command"]


def command(
    folder: Annotated[Path, typer.Argument(help="The repository.")] = Path(),
    *,
    project: Annotated[str, typer.Option(help="Id of the Google Cloud project.")] = "my-project",
    pack: Annotated[
        list[str] | None, typer.Option(help="A pack to begin with; may be given again. service and gemini by default.")
    ] = None,
) -> None:
    """Write a starting set: alerts, dashboards, tests, a workflow and pyproject's table; never changes what exists."""
    chosen = [pack_named(name) for name in pack or ("service", "gemini")]
    has_table = _has_stacks(folder / PYPROJECT)
    for path, is_new in write_new(folder, starting_files(chosen)).items():
        typer.echo(f"{'wrote' if is_new else 'left as it is'}  {path}")
    if has_table:
        typer.echo(f"left as it is  {PYPROJECT}")
    else:
        target = folder / PYPROJECT
        before = target.read_text(encoding="utf-8") if target.exists() else ""
        gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
        with target.open("a", encoding="utf-8") as file:
            file.write(gap + stacks_table(project))
        typer.echo(f"{'added to' if before else 'wrote'}  {PYPROJECT}")
    typer.echo("Next: `obskit check`, `obskit test-alerts`, `obskit local` to see them, `obskit sync --stack prod`.")


def _has_stacks(path: Path) -> bool:
    """Return whether the file says something of obskit's stacks already."""
    if not path.exists():
        return False
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        problem = Problem(place=str(path), problem=f"does not parse: {error}", way_out="Mend it, then run init again")
        raise ConfigError(problem) from error
    return "stacks" in document.get("tool", {}).get("obskit", {})
