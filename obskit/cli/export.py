"""`obskit export`: definitions as JSON, Terraform, Prometheus' rules or Grafana's dashboards."""

import os
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from obskit.catalog import Route
from obskit.cli.folders import FOLDERS, Folders, existing
from obskit.errors import DefinitionError, Problem
from obskit.queries.environments import environment
from obskit.sync.exports.grafana import as_grafana
from obskit.sync.exports.items import Export, Item, rendered
from obskit.sync.exports.plain import as_json
from obskit.sync.exports.prometheus import as_prometheus
from obskit.sync.exports.terraform import as_terraform
from obskit.sync.load import load

__all__ = ["command"]


class Format(StrEnum):
    """What definitions are exported as."""

    JSON = "json"
    TERRAFORM = "terraform"
    PROMETHEUS = "prometheus"
    GRAFANA = "grafana"


def command(
    folders: Folders = None,
    *,
    as_format: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.JSON,
    output: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("export"),
    project: Annotated[str, typer.Option(help="Project to render for; the stack's own by default.")] = "",
    stack: Annotated[str, typer.Option(help="Stack to render for.")] = "",
    route: Annotated[
        Route | None, typer.Option(help="Export route that the queries are written for; the stack's own by default.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only the definition with this id; may be repeated.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if the format cannot say all of it.")] = False,
) -> None:
    """Write definitions in another tool's format.

    Nothing is dropped silently: what the format cannot say is printed with its place and the reason. No secret is
    written: each stands as a variable. Files of the same names in the folder are replaced.
    """
    found = environment(stack, project=project, route=route)
    context = replace(found, project=found.project or os.environ.get("GOOGLE_CLOUD_PROJECT") or "my-project").context(
        os.environ
    )
    items = _only(rendered(load(folders or existing() or FOLDERS), context), only or [])
    export = _exported(items, as_format, context.project)
    for name, text in export.files.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    errors = Console(stderr=True, highlight=False)
    for loss in export.losses:
        errors.print(str(loss), soft_wrap=True, markup=False)
    console = Console(highlight=False)
    console.print(f"{len(items)} definitions, {len(export.files)} files in {output}, {len(export.losses)} losses.")
    if strict and export.losses:
        sys.exit(1)


def _exported(items: tuple[Item, ...], as_format: Format, project: str) -> Export:
    match as_format:
        case Format.TERRAFORM:
            return as_terraform(items, project=project)
        case Format.PROMETHEUS:
            return as_prometheus(items)
        case Format.GRAFANA:
            return as_grafana(items, project=project)
        case _:
            return as_json(items)


def _only(items: tuple[Item, ...], ids: list[str]) -> tuple[Item, ...]:
    unknown = [name for name in ids if name not in {item.definition.id for item in items}]
    if unknown:
        raise DefinitionError(
            Problem(
                place="--only",
                problem=f"no definition has the id {', '.join(unknown)}",
                way_out="Compare it with the ids in the folders",
            )
        )
    return tuple(item for item in items if not ids or item.definition.id in ids)
