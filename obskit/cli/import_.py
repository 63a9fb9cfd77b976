"""`obskit import`: what a project or a file has, as Python."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from obskit.cli.targets import target
from obskit.errors import ConfigError, Problem, nearest
from obskit.sync.imports.arranging import Layout, Module, arranged
from obskit.sync.imports.documents import read_files
from obskit.sync.imports.project import Project, read_project
from obskit.sync.imports.proving import differences
from obskit.sync.imports.reading import Reading, read
from obskit.sync.imports.writing import write
from obskit.sync.kinds import BUDGET, KINDS, Kind

__all__ = ["command"]


def command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="JSON or YAML files, or folders of them: objects, lists of them, answers of gcloud and the REST API, "
            "Terraform's states. A project's objects when none is named."
        ),
    ] = None,
    *,
    project: Annotated[
        str, typer.Option(help="Project to read; the stack's, or GOOGLE_CLOUD_PROJECT by default.")
    ] = "",
    stack: Annotated[str, typer.Option(help="Stack of pyproject.toml whose project is read.")] = "",
    local: Annotated[
        str,
        typer.Option(
            help="A local backend instead of Google Cloud, by HOST:PORT of its gRPC services or the URL of its HTTP "
            "services."
        ),
    ] = "",
    alerts: Annotated[Path, typer.Option(help="Folder to write everything but dashboards to.")] = Path("alerts"),
    dashboards: Annotated[Path, typer.Option(help="Folder to write dashboards to.")] = Path("dashboards"),
    layout: Annotated[
        Layout, typer.Option(help="A file for each policy and dashboard, or one for each kind.")
    ] = Layout.OBJECTS,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind of a project's objects, as alertPolicies; may be repeated.")
    ] = None,
    containing: Annotated[str, typer.Option(help="Only objects of a project with this text in their name.")] = "",
    billing_account: Annotated[str, typer.Option(help="Account whose budgets are imported too.")] = "",
    owned: Annotated[bool, typer.Option("--owned", help="Also objects that definitions own already.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be written, and write nothing.")] = False,
) -> None:
    """Write what a project or some files have as Python definitions.

    What is written is loaded and rendered again, and compared with the objects: nothing is lost, or it is told and the
    exit code is 1. The objects themselves are not touched; `obskit sync --adopt` makes the definitions their owner.
    """
    source = Project(found=(), channels=(), owned=0, problems=())
    name = ""
    if files:
        found, problems = read_files(files)
        source = Project(found=found, channels=(), owned=0, problems=problems)
    else:
        way_out = "Name JSON files, give --project, or set GOOGLE_CLOUD_PROJECT"
        backend = target("import", project=project, stack=stack, local=local, way_out=way_out).backend()
        name = backend.project
        source = read_project(
            backend,
            kinds=_kinds(kind or (), billing_account),
            containing=containing,
            with_owned=owned,
            billing_account=billing_account,
        )
    reading = read(source.found, channels=source.channels)
    modules = arranged(reading.definitions, alerts=alerts, dashboards=dashboards, layout=layout)
    lost = differences(reading, modules, project=name, channels=source.channels)
    if not dry_run:
        write(modules, overwrite=overwrite)
    wrong = (*source.problems, *reading.problems, *lost)
    errors = Console(stderr=True, highlight=False)
    for problem in wrong:
        errors.print(str(problem), soft_wrap=True, markup=False)
    _tell(reading, modules, source, dry_run=dry_run)
    if wrong:
        sys.exit(1)


def _kinds(names: Sequence[str], billing_account: str) -> tuple[Kind, ...]:
    known = {kind.collection: kind for kind in KINDS}
    for name in names:
        if name not in known:
            guess = nearest(name, known)
            way_out = f"Did you mean {guess}" if guess else f"Use one of {', '.join(known)}"
            raise ConfigError(Problem(place="--kind", problem=f'"{name}" is no kind that is known', way_out=way_out))
    if BUDGET.collection in names and not billing_account:
        way_out = "Add --billing-account 000000-111111-222222"
        raise ConfigError(Problem(place="--kind", problem="budgets are of a billing account", way_out=way_out))
    return tuple(known[name] for name in names)


def _tell(reading: Reading, modules: Sequence[Module], source: Project, *, dry_run: bool) -> None:
    console = Console(highlight=False)
    for each in modules:
        console.print(f"{each.path}: {', '.join(made.id for made in each.definitions)}", soft_wrap=True, markup=False)
    for name, readers in reading.variables.items():
        console.print(f"set {name}, which {', '.join(readers)} reads", soft_wrap=True, markup=False)
    if source.owned:
        console.print(f"{source.owned} objects have definitions already (--owned takes them too)")
    verb = "would be written" if dry_run else "written"
    console.print(f"{len(reading.imported)} objects in {len(modules)} files {verb}.")
    if modules and not dry_run:
        console.print("Next: obskit check, then obskit sync --dry-run --adopt")
