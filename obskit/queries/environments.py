"""The stacks that one set of definitions is written for: each with its project and its export route.

They stand in ``pyproject.toml``::

    [tool.obskit.stacks.dev]
    project = "shop-dev"

    [tool.obskit.stacks.prod]
    project = "shop-prod"
    route = "otlp"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from obskit.catalog import Route
from obskit.config.sources import read_table
from obskit.errors import ConfigError, Problem, nearest
from obskit.queries.context import RenderContext
from obskit.queries.values import shown

__all__ = ["Environment", "declared_environments", "environment"]

_FIELDS: Final = ("project", "route", "resource_type")
_STACK: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")  # it becomes a label's value on what sync makes
# Source: "Creating and managing projects": 6 to 30 characters; older ones have a domain in front.
_PROJECT_HINT: Final = "Write its id: 6 to 30 lower-case letters, digits and dashes"
_PROJECT: Final = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One stack.

    Attributes:
        stack: its name, which `per_stack` chooses by and under which sync owns what it makes.
        project: Google Cloud project id; empty where only the command line tells it.
        route: how metrics reach Cloud Monitoring there; every query is spelled for it.
        resource_type: as in `RenderContext`.
    """

    stack: str
    project: str = ""
    route: Route = Route.GCP
    resource_type: str = ""

    def context(self, environ: Mapping[str, str] | None = None) -> RenderContext:
        """Return the context that definitions are rendered in for this stack."""
        return RenderContext(
            project=self.project,
            route=self.route,
            stack=self.stack,
            resource_type=self.resource_type,
            environ=dict(environ or {}),
        )


def declared_environments(directory: Path | None = None) -> tuple[Environment, ...]:
    """Return the stacks of ``[tool.obskit.stacks]``, in their order; none where there is no such table.

    Args:
        directory: where the search for ``pyproject.toml`` starts (it goes upwards), the working directory by default.

    Raises:
        ConfigError: with every problem of the table.
    """
    table, found_at, problems = read_table(Path.cwd() if directory is None else directory)
    place = _relative(found_at)
    stacks = table.get("stacks", {})
    found: list[Environment] = []
    if not isinstance(stacks, Mapping):
        problems.append(_problem(place, "stacks", "is not a table of stacks", "Write [tool.obskit.stacks.prod]"))
        stacks = {}
    usual = _usual_route(table)
    for name, fields in stacks.items():
        wrong = list(_wrong(place, str(name), fields))
        problems += wrong
        if not wrong:
            route = Route(fields.get("route", usual))
            rest = {key: str(fields[key]) for key in ("project", "resource_type") if key in fields}
            found.append(Environment(stack=str(name), route=route, **rest))
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def environment(
    stack: str = "", *, project: str = "", route: Route | None = None, directory: Path | None = None
) -> Environment:
    """Return one stack: as declared, and with what is given here instead.

    Args:
        stack: its name; ``default`` when empty.
        project: project id, which wins over the declared one.
        route: export route, which wins over the declared one.
        directory: as in `declared_environments`.

    Raises:
        ConfigError: the table has problems, or it declares stacks and this one is not among them.
    """
    declared = {each.stack: each for each in declared_environments(directory)}
    name = stack or "default"
    if declared and stack and stack not in declared:
        guess = nearest(stack, declared)
        way_out = f'Did you mean "{guess}"' if guess else f"Use one of {', '.join(declared)}, or add it to the table"
        raise ConfigError(_problem("pyproject.toml", "stacks", f'has no stack "{stack}"', way_out))
    table, _, _ = read_table(Path.cwd() if directory is None else directory)
    found = declared.get(name, Environment(stack=name, route=_usual_route(table)))
    return Environment(
        stack=name,
        project=project or found.project,
        route=route or found.route,
        resource_type=found.resource_type,
    )


def _relative(path: str) -> str:
    """Return a path from the working directory, where it lies below it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _usual_route(table: Mapping[str, Any]) -> Route:
    """Return the route of the app's own exporters: one setting for what is sent and for what is asked."""
    exporters = table.get("exporters", ())
    names = exporters.split(",") if isinstance(exporters, str) else exporters
    chosen = {str(name).strip() for name in names} if isinstance(names, list | tuple) else set()
    return Route.OTLP if "otlp" in chosen and "gcp" not in chosen else Route.GCP


def _wrong(place: str, name: str, fields: object) -> Iterator[Problem]:
    where = f"stacks.{name}"
    if not _STACK.fullmatch(name):
        hint = "Use lower-case letters, digits, - and _, and start with a letter"
        yield _problem(place, where, "is no name of a stack", hint)
    if not isinstance(fields, Mapping):
        yield _problem(place, where, f"is {shown(fields)}, not a table", f"Write [tool.obskit.stacks.{name}]")
        return
    for key, value in fields.items():
        if key not in _FIELDS:
            guess = nearest(str(key), _FIELDS)
            hint = f'Did you mean "{guess}"' if guess else f"Remove it; the fields are {', '.join(_FIELDS)}"
            yield _problem(place, where, f'has an unknown field "{key}"', hint)
        elif not isinstance(value, str):
            yield _problem(place, where, f"has {key} = {value!r}, which is not a text", "Put it into quotes")
        elif key == "project" and not _PROJECT.fullmatch(value):
            yield _problem(place, where, f'has project "{value}", which is no project id', _PROJECT_HINT)
        elif key == "route" and value not in set(Route):
            yield _problem(place, where, f'has route "{value}", which is none', 'Write "gcp" or "otlp"')


def _problem(place: str, where: str, problem: str, way_out: str) -> Problem:
    return Problem(place=f"{place}: [tool.obskit.{where}]", problem=problem, way_out=way_out)
