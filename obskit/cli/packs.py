"""`obskit packs`: ready-made dashboards and alerts for a service: list them, look at one, put one into a repository."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from obskit.catalog import Route
from obskit.dashboards import LogsPanel
from obskit.errors import ConfigError, Problem, nearest
from obskit.packs import Pack, pack_named, packs
from obskit.packs.files import RECEIVERS, pack_files, settings_table
from obskit.packs.registry import pack_names
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition
from obskit.sync.source import module

__all__ = ["command", "write_new"]

_PROJECT = "expanded"


class Action(StrEnum):
    """What to do."""

    LIST = "list"
    SHOW = "show"
    ADD = "add"


def command(
    action: Annotated[str, typer.Argument(help="list, show NAME, or add NAME.")] = Action.LIST,
    name: Annotated[str, typer.Argument(help="The pack's name.")] = "",
    *,
    folder: Annotated[Path, typer.Option(help="The repository to add it to.")] = Path(),
    expand: Annotated[
        bool, typer.Option("--expand", help="Write the definitions themselves, to be changed at will.")
    ] = False,
    route: Annotated[Route, typer.Option(help="Export route that expanded queries are written for.")] = Route.GCP,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List ready-made packs, show one, or add one to a repository; files that exist are never changed."""
    _refuse_unknown(action, name)
    if action == Action.LIST:
        rows = [{"name": each.name, "title": each.title, "summary": each.summary} for each in packs()]
        width = max(len(row["name"]) for row in rows)
        typer.echo(json.dumps(rows) if as_json else "\n".join(f"{r['name']:{width}}  {r['summary']}" for r in rows))
        return
    pack = pack_named(name)
    if action == Action.SHOW:
        typer.echo(json.dumps(_described(pack)) if as_json else _shown(pack))
        return
    files = _expanded(pack, route) if expand else pack_files(pack)
    _say(write_new(folder, files))
    typer.echo(f"`obskit check` checks it; {RECEIVERS} says who is told.")


def _refuse_unknown(action: str, name: str) -> None:
    """Refuse what is no action: a pack's name, mostly, without the word before it; and an action without a name."""
    if action in set(Action):
        if name or action == Action.LIST:
            return
        problem, way_out = "a pack's name is missing", f"Write `obskit packs {action} NAME`; `obskit packs` lists them"
    elif action in pack_names():
        problem, way_out = (
            f'"{action}" is a pack, no action',
            f"Write `obskit packs show {action}`, or add instead of show",
        )
    else:
        problem = f'there is neither an action nor a pack "{action}"'
        guess = nearest(action, [*Action, *pack_names()])
        meant = f"obskit packs {guess}" if guess in set(Action) else f"obskit packs show {guess}"
        way_out = (
            f"Did you mean `{meant}`? `obskit packs` lists all packs" if guess else "`obskit packs` lists all packs"
        )
    raise ConfigError(Problem(place="packs", problem=problem, way_out=way_out))


def write_new(folder: Path, files: Mapping[str, str]) -> dict[str, bool]:
    """Write files where there are none yet, and return for each path whether it was written."""
    written: dict[str, bool] = {}
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            written[path] = False
        else:
            written[path] = True
    return written


def _say(written: Mapping[str, bool]) -> None:
    for path, is_new in written.items():
        typer.echo(f"{'wrote' if is_new else 'left as it is'}  {path}")


def _described(pack: Pack[Any]) -> dict[str, Any]:
    objects = pack.objects()
    return {
        "name": pack.name,
        "title": pack.title,
        "summary": pack.summary,
        "needs": list(pack.needs),
        "settings": settings_table(pack),
        "dashboards": [each.id for each in objects.dashboards],
        "alerts": [{"id": each.id, "title": each.display_name, "to": _receivers(each)} for each in objects.alerts],
        "resources": [f"{each.noun} {each.id}" for each in objects.resources],
        "scenario": pack.scenario.says,
    }


def _receivers(policy: Any) -> list[str]:
    return [each if isinstance(each, str) else str(each) for each in policy.channels]


def _shown(pack: Pack[Any]) -> str:
    told = _described(pack)
    alerts = told["alerts"]
    width = max((len(each["id"]) for each in alerts), default=0)
    lines = [f"{pack.title} ({pack.name})", pack.summary, f"Data: {', '.join(pack.needs)}", ""]
    lines += [f"Dashboards: {', '.join(told['dashboards'])}", "Alerts:"]
    lines += [f"  {each['id']:{width}}  {each['title']}, to {', '.join(each['to'])}" for each in alerts]
    if told["resources"]:
        lines += ["Others:", *(f"  {each}" for each in told["resources"])]
    lines += ["Settings:", *(f"  {line}" for line in told["settings"]), "", f"obskit packs add {pack.name}"]
    return "\n".join(lines)


def _expanded(pack: Pack[Any], route: Route) -> dict[str, str]:
    """Return files with the definitions themselves: what the pack renders to, read back."""
    context = RenderContext(project=_PROJECT, route=route)
    objects = pack.objects()
    name = pack.name.replace("-", "_")

    def written(made: tuple[Any, ...], what: str) -> str:
        back = [_at_home(type(each).from_json(each.to_dict(context), id=each.id)) for each in made]
        return module(back, doc=f"{pack.title}: {what}")

    return {
        RECEIVERS: pack_files(pack)[RECEIVERS],
        f"alerts/{name}.py": written((*objects.resources, *objects.alerts), "alerts."),
        f"dashboards/{name}.py": written(objects.dashboards, "dashboards."),
    }


def _at_home(value: Any) -> Any:
    """Return what was read back without the project: its objects by their ids, its own logs as nobody's else."""
    if isinstance(value, str):
        return re.sub(rf"^projects/{_PROJECT}/\w+/obskit:", "", value)
    if isinstance(value, list | tuple):
        return tuple(_at_home(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _at_home(item) for key, item in value.items() if (key, item) != ("project_id", _PROJECT)}
    if isinstance(value, LogsPanel) and value.projects == (_PROJECT,):
        return replace(value, projects=None)
    if not isinstance(value, Definition):
        return value
    found = {item.name: getattr(value, item.name) for item in fields(value) if item.init}
    return replace(value, **{name: _at_home(item) for name, item in found.items()})
