"""What `obskit backtest` and `obskit tune` have in common: which policies, which past.

Annotations are read where a command is made, so they are evaluated here.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from obskit.backtest.policies import chosen
from obskit.backtest.sources import Folder, Past, Prometheus, google_past, local_past
from obskit.catalog import Route
from obskit.cli.moments import until_s
from obskit.cli.targets import running
from obskit.config import parse_duration, resolve
from obskit.errors import ConfigError, Problem
from obskit.local.store import Store
from obskit.queries.environments import Environment

__all__ = [
    "Asked",
    "DataFolder",
    "LocalPast",
    "PastProject",
    "PastRoute",
    "PoliciesFolder",
    "PoliciesStack",
    "PolicyIds",
    "PrometheusPast",
    "Since",
    "Until",
    "opened",
    "period_ms",
    "policies_of",
]

PolicyIds = Annotated[list[str] | None, typer.Argument(help="Ids of policies; all by default.")]
PoliciesFolder = Annotated[Path, typer.Option(help="Folder of the definitions.")]
Since = Annotated[str, typer.Option(help="Length of the period, 1 min to 400 d.")]
Until = Annotated[str, typer.Option(help="End of the period, as 2026-11-01T00:00Z; now by default.")]
PastProject = Annotated[str, typer.Option(help="Project; the stack's own, or GOOGLE_CLOUD_PROJECT by default.")]
LocalPast = Annotated[str, typer.Option(help="HTTP address of a local backend that runs.")]
DataFolder = Annotated[Path | None, typer.Option(help="Folder of `obskit local --data`.")]
PrometheusPast = Annotated[str, typer.Option(help="Address of a server with Prometheus' query API.")]
PastRoute = Annotated[
    Route | None, typer.Option(help="Export route that the metrics came by; the stack's own by default.")
]
PoliciesStack = Annotated[
    str, typer.Option(help="Stack of pyproject.toml that the policies are rendered for; `default` by default.")
]

_PROJECT = "local-project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options.

    Attributes:
        ids: of the policies; all of the folder where there is none.
        folder: of the definitions.
        since: length of the period.
        until: its end; empty for now.
        local: address of a local backend.
        data: folder of a local backend.
        prometheus: address of a server with Prometheus' query API.
        project: of Google Cloud, where it is named.
        environment: the stack of the definitions, with its project and its export route.
    """

    ids: tuple[str, ...]
    folder: Path
    since: str
    until: str
    local: str
    data: Path | None
    prometheus: str
    project: str
    environment: Environment


def period_ms(asked: Asked) -> tuple[int, int]:
    """Return begin and end of the period in milliseconds since the epoch.

    Raises:
        ConfigError: a time cannot be used.
    """
    try:
        length_s = parse_duration(asked.since).total_seconds()
    except (ValueError, TypeError) as error:
        raise _wrong("--since", str(error).partition(" | ")[0], "Write for example 30d") from error
    if not 60 <= length_s <= 400 * 86_400:
        raise _wrong("--since", f"{asked.since!r} is not 1 min to 400 d", "Write for example 30d")
    end_ms = round(until_s(asked.until) * 1000) if asked.until else time.time_ns() // 1_000_000
    return end_ms - round(length_s * 1000), end_ms


@contextmanager
def opened(asked: Asked) -> Iterator[Past]:
    """Open the past that the options name.

    Raises:
        ConfigError: they name none, or several.
        BackendError: it cannot be reached.
    """
    named = [name for name in ("local", "data", "prometheus") if getattr(asked, name)]
    if len(named) > 1:
        options = " and ".join(f"--{name}" for name in named)
        raise _wrong(options, "name several pasts", "Give one of them")
    if asked.prometheus:
        yield Prometheus.at(asked.prometheus)
    elif asked.data is not None:
        yield from _folder(asked.data, asked.project or _PROJECT)
    elif asked.local:
        backend = running(asked.local)
        yield local_past(backend.http_url, asked.project or backend.project)
    else:
        project = asked.project or asked.environment.project or resolve({}).config.project
        if not project:
            way_out = "Give --project, name it in [tool.obskit.stacks], or give --local, --data or --prometheus"
            raise _wrong("backtest", "no past is named", way_out)
        yield google_past(project)


def _folder(folder: Path, project: str) -> Iterator[Past]:
    if not (folder / "obskit.sqlite").is_file():
        way_out = "Name the folder of `obskit local --data`"
        raise _wrong(str(folder), "is no folder of a local backend", way_out)
    store = Store(path=folder, project=project, is_saved=False)
    try:
        yield Folder(store, f"folder {folder}")
    finally:
        store.close()


def policies_of(asked: Asked) -> list[tuple[str, Mapping[str, Any]]]:
    """Return id and JSON of the policies.

    Raises:
        DefinitionError: the folder cannot be loaded, or has no such policy.
    """
    project = asked.project or asked.environment.project or _PROJECT
    return chosen(asked.ids, asked.folder, replace(asked.environment, project=project).context(os.environ))


def _wrong(place: str, problem: str, way_out: str) -> ConfigError:
    return ConfigError(Problem(place=place, problem=problem, way_out=way_out))
