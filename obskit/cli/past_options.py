"""What `obskit backtest` and `obskit tune` have in common: which policies, which past."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from obskit.backtest.policies import chosen
from obskit.backtest.sources import Folder, Past, Prometheus, google_past, local_past
from obskit.config import parse_duration, resolve
from obskit.errors import ConfigError, Problem
from obskit.local.run import RemoteBackend
from obskit.local.store import Store
from obskit.queries.environments import Environment

__all__ = ["Asked", "opened", "period_ms", "policies_of"]

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
    end_ms = _moment_ms(asked.until) if asked.until else time.time_ns() // 1_000_000
    return end_ms - round(length_s * 1000), end_ms


def _moment_ms(until: str) -> int:
    try:
        moment = datetime.fromisoformat(until)
    except ValueError as error:
        raise _wrong("--until", f"{until!r} is no time", "Write for example 2026-11-01T00:00Z") from error
    if moment.tzinfo is None:
        raise _wrong("--until", f"{until!r} names no time zone", f"Write for example {until}Z")
    return round(moment.timestamp() * 1000)


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
        url = asked.local if "://" in asked.local else f"http://{asked.local}"
        backend = RemoteBackend.connect(url, timeout_s=5.0)
        if backend is None:
            raise _wrong(url, "no local backend answers", "Start one with `obskit local`, or omit --local")
        yield local_past(url, asked.project or backend.project)
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
