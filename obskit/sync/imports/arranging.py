"""Which definition goes into which file, and what the files say."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from obskit.alerts import AlertPolicy, NotificationChannel
from obskit.dashboards import Dashboard
from obskit.resources import (
    BillingBudget,
    LogMetric,
    MetricDescriptor,
    Service,
    ServiceLevelObjective,
    Snooze,
    UptimeCheck,
)
from obskit.sync.source import module, variables

__all__ = ["Layout", "Module", "arranged"]


class Layout(StrEnum):
    """How definitions are spread over files."""

    OBJECTS = "objects"
    """A file for each policy and each dashboard; one for each of the other kinds."""
    KINDS = "kinds"
    """A file for each kind."""


# Kind → its folder (alerts or dashboards), its file, and what the file says of itself.
_GROUPS: Final[Mapping[type[Any], tuple[str, str, str]]] = {
    NotificationChannel: ("alerts", "channels", "Who is told. Secrets come from the environment."),
    MetricDescriptor: ("alerts", "metric_descriptors", "Metrics of our own."),
    LogMetric: ("alerts", "log_metrics", "Metrics made of log entries."),
    Service: ("alerts", "services", "What the objectives are of."),
    ServiceLevelObjective: ("alerts", "objectives", "Service level objectives."),
    UptimeCheck: ("alerts", "uptime", "What is asked from outside whether it is up."),
    AlertPolicy: ("alerts", "policies", "Alert policies."),
    Snooze: ("alerts", "snoozes", "When alerts are quiet."),
    BillingBudget: ("alerts", "billing", "What may be spent."),
    Dashboard: ("dashboards", "dashboards", "Dashboards."),
}
_ALONE: Final = (AlertPolicy, Dashboard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One file that is to be written.

    Attributes:
        path: where.
        text: the Python.
        definitions: what it makes.
    """

    path: Path
    text: str
    definitions: tuple[Any, ...]


def arranged(
    definitions: Sequence[Any], *, alerts: Path, dashboards: Path, layout: Layout = Layout.OBJECTS
) -> tuple[Module, ...]:
    """Return the files of some definitions.

    Args:
        definitions: of any kind; those that others name are among them.
        alerts: the folder of everything but dashboards.
        dashboards: the folder of dashboards.
        layout: how they are spread.

    Raises:
        DefinitionError: something in them has no Python form.
    """
    folders = {"alerts": alerts, "dashboards": dashboards}
    grouped: dict[tuple[str, str], list[Any]] = {}
    taken = {(folder, stem) for folder, stem, _ in _GROUPS.values()}
    for kind in _GROUPS:
        for made in (each for each in definitions if type(each) is kind):
            folder, stem, _ = _GROUPS[kind]
            if layout is Layout.OBJECTS and kind in _ALONE:
                stem = _stem(made.id, {name for place, name in taken if place == folder})
                taken.add((folder, stem))
            grouped.setdefault((folder, stem), []).append(made)
    names: dict[int, tuple[str, str]] = {}
    modules = []
    for (folder, stem), several in grouped.items():
        text = module(several, doc=_says(several), elsewhere=names)
        taken_here = {name for _, name in names.values()}
        home = f"{folders[folder].resolve().name}.{stem}"
        names |= {key: (home, name) for key, name in variables(several, taken=taken_here).items()}
        modules.append(Module(path=folders[folder] / f"{stem}.py", text=text, definitions=tuple(several)))
    return tuple(modules)


def _says(several: Sequence[Any]) -> str:
    kind = type(several[0])
    if len(several) > 1 or kind not in _ALONE:
        return _GROUPS[kind][2]
    name = " ".join(str(several[0].display_name or several[0].id).split())
    plain = "".join(char for char in name if char.isprintable()).replace("\\", "/").replace('"', "'")
    said = plain[:90].rstrip() + ("…" if len(plain) > 90 else "")
    return said if said.endswith((".", "?", "!", "…")) else f"{said}."


def _stem(name: str, taken: Iterable[str]) -> str:
    stem = name.replace("-", "_")
    # A file whose name begins so is a test, and is not loaded.
    if stem.startswith("test_") or keyword.iskeyword(stem):
        stem = f"policy_{stem}"
    several = (f"{stem}_{number}" for number in range(2, 100_000))
    return stem if stem not in taken else next(each for each in several if each not in taken)
