"""What an examination finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Examined", "Finding", "Kind", "SettingInForce", "State", "info", "ok", "problem", "warning"]


class State(StrEnum):
    """How bad it is. Only a problem makes the command fail: something that was asked for does not work."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    PROBLEM = "problem"


class Kind(StrEnum):
    """What was looked at, in the order in which it is shown."""

    APP = "app"
    PLATFORM = "platform"
    PROJECT = "project"
    CREDENTIALS = "credentials"
    PERMISSIONS = "permissions"
    EXPORTERS = "exporters"
    RECORD = "test record"
    LOGS = "logs"
    CLOCK = "clock"
    LIBRARIES = "libraries"
    SETTINGS = "settings"
    TRAPS = "traps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: what was looked at.
        name: which of them; stays the same from version to version, for programs.
        state: how bad it is.
        text: what was found, for people; holds no secret.
        way_out: what to do about it, as an imperative sentence without a full stop; empty where nothing is to be done.
    """

    kind: Kind
    name: str
    state: State
    text: str
    way_out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingInForce:
    """One setting as the app would have it.

    Attributes:
        name: as in the configuration reference.
        value: as text; secrets are masked.
        source: ``code``, the environment variable's name, a file, or ``default``.
    """

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """All that was found.

    Attributes:
        target: ``MODULE:APP``, empty for the environment alone.
        version: of obskit.
        findings: in the order in which they are shown.
        settings: all of them.
        seconds: how long it took.
    """

    target: str
    version: str
    findings: Sequence[Finding]
    settings: Sequence[SettingInForce] = ()
    seconds: float = 0.0
    counts: Mapping[State, int] = field(init=False)

    def __post_init__(self) -> None:
        """Bring the findings in order, and count them."""
        order = {kind: place for place, kind in enumerate(Kind)}
        object.__setattr__(self, "findings", tuple(sorted(self.findings, key=lambda found: order[found.kind])))
        object.__setattr__(self, "counts", Counter(found.state for found in self.findings))

    @property
    def exit_code(self) -> int:
        """1 where something that was asked for does not work, else 0."""
        return 1 if self.counts[State.PROBLEM] else 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "target": self.target,
            "version": self.version,
            "exit_code": self.exit_code,
            "seconds": round(self.seconds, 2),
            "counts": {str(state): self.counts[state] for state in State},
            "findings": [
                {
                    "kind": str(found.kind),
                    "name": found.name,
                    "state": str(found.state),
                    "text": found.text,
                    "way_out": found.way_out,
                }
                for found in self.findings
            ],
            "settings": [
                {"name": setting.name, "value": setting.value, "source": setting.source} for setting in self.settings
            ],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Examined:
        """Return what `to_dict` has made plain data of."""
        return cls(
            target=document["target"],
            version=document["version"],
            seconds=document["seconds"],
            findings=[
                Finding(**{**found, "kind": Kind(found["kind"]), "state": State(found["state"])})
                for found in document["findings"]
            ],
            settings=[SettingInForce(**setting) for setting in document["settings"]],
        )


def ok(kind: Kind, name: str, text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(kind=kind, name=name, state=State.OK, text=text)


def info(kind: Kind, name: str, text: str, way_out: str = "") -> Finding:
    """Return a finding that is neither good nor bad."""
    return Finding(kind=kind, name=name, state=State.INFO, text=text, way_out=way_out)


def warning(kind: Kind, name: str, text: str, way_out: str) -> Finding:
    """Return a finding that somebody will probably want to change."""
    return Finding(kind=kind, name=name, state=State.WARNING, text=text, way_out=way_out)


def problem(kind: Kind, name: str, text: str, way_out: str) -> Finding:
    """Return a finding that something which was asked for does not work."""
    return Finding(kind=kind, name=name, state=State.PROBLEM, text=text, way_out=way_out)
