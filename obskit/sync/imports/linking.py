"""What refers to another object by its resource name refers to that object's definition instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import fields, is_dataclass
from typing import Any, Final

from obskit.alerts import AlertPolicy, NotificationChannel, existing
from obskit.alerts.strategies import Reminder
from obskit.dashboards import AlertChart, IncidentList
from obskit.resources import Snooze

__all__ = ["Links", "linked"]

_CHANNELS: Final = (AlertPolicy, Reminder)
_POLICIES: Final = (IncidentList, Snooze)


class Links:
    """The objects that can be referred to.

    Attributes:
        definitions: resource name, without its project → definition.
        others: resource names of objects that exist and are not imported, whole → what asks for them.
    """

    def __init__(self, channels: Sequence[Mapping[str, Any]] = ()) -> None:
        """Prepare.

        Args:
            channels: the project's channels; those that are not imported are asked for by their name.
        """
        self.definitions: dict[str, Any] = {}
        self.others = {str(channel.get("name")): _asking(channel, channels) for channel in channels}

    def add(self, name: str, definition: Any) -> None:
        """Remember the definition of an object."""
        if name:
            self.definitions[_local(name)] = definition

    def channel(self, name: Any) -> Any:
        """Return what stands for a channel: its definition, a question for it, or its name."""
        if not isinstance(name, str):
            return name
        made = self.definitions.get(_local(name))
        return made if isinstance(made, NotificationChannel) else self.others.get(name) or name

    def policy(self, name: Any) -> Any:
        """Return what stands for a policy: its definition or its name."""
        made = self.definitions.get(_local(name)) if isinstance(name, str) else None
        return made if isinstance(made, AlertPolicy) else name


def linked(value: Any, links: Links) -> Any:
    """Return a definition, or a value in one, that names definitions where it named resources; else itself."""
    if isinstance(value, list | tuple):
        items = [linked(item, links) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else tuple(items)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed = {item.name: linked(getattr(value, item.name), links) for item in fields(value) if item.init}
    if isinstance(value, _CHANNELS):
        changed["channels"] = tuple(links.channel(each) for each in value.channels)
    if isinstance(value, _POLICIES):
        named = value.policies if isinstance(value.policies, list | tuple) else (value.policies,)
        changed["policies"] = tuple(links.policy(each) for each in named)
    if isinstance(value, AlertChart):
        changed["policy"] = links.policy(value.policy)
    if all(_is_same(new, getattr(value, name)) for name, new in changed.items()):
        return value
    made = copy(value)  # its fields were checked when it was made
    for name, new in changed.items():
        object.__setattr__(made, name, new)
    return made


def _is_same(new: Any, old: Any) -> bool:
    if isinstance(new, tuple) and isinstance(old, list | tuple) and len(new) == len(old):
        return all(one is other for one, other in zip(new, old, strict=True))
    return new is old


def _asking(channel: Mapping[str, Any], channels: Sequence[Mapping[str, Any]]) -> Any:
    name, kind = channel.get("displayName"), str(channel.get("type") or "")
    same = [each for each in channels if each.get("displayName") == name]
    if not name:
        return None
    if len(same) == 1:
        return existing(display_name=str(name))
    return existing(display_name=str(name), type=kind) if sum(each.get("type") == kind for each in same) == 1 else None


def _local(name: str) -> str:
    """Return a resource name without its project, which may be an id or a number."""
    parts = name.split("/")
    return "/".join(parts[2:]) if parts[0] == "projects" and len(parts) > 3 else name
