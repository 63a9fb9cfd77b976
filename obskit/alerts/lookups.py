"""Notification channels that exist already, found by their name, kind or labels when a project is synced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlencode

from obskit.errors import Problem
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_text, definition, given
from obskit.queries.labels import checked_labels

__all__ = ["ExistingChannels", "channels_found", "existing", "mobile_app"]

_PREFIX: Final = "find?"
_LABEL: Final = "userLabels."


@definition
class ExistingChannels(Definition):
    """Every channel of the project that has what is asked for. Made by `existing` and `mobile_app`.

    Attributes:
        display_name: the channel's whole name in the console.
        type: the platform's type, e.g. ``email``.
        labels: user labels that it must have.
    """

    noun: ClassVar[str] = "existing channel"
    named_by: ClassVar[str] = "display_name"

    display_name: str = given(as_text, default="")
    type: str = given(as_text, default="")
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)

    @property
    def id(self) -> str:
        """The question as a reference, which `channels_found` answers."""
        asked = {"displayName": self.display_name, "type": self.type}
        pairs = [(key, value) for key, value in asked.items() if value]
        return _PREFIX + urlencode(pairs + [(_LABEL + key, value) for key, value in sorted(self.labels.items())])

    def reference(self, context: RenderContext) -> str:
        """Return the resource name that stands for the channels until sync has found them."""
        return context.channel_name(self.id)

    def problems(self, place: str) -> list[Problem]:
        """Return what is wrong, at the place of the policy."""
        if self.is_broken or self.display_name or self.labels:
            return []
        return [
            Problem(
                place=place,
                problem="an existing channel is asked for without a name or a label",
                way_out='Write existing(display_name="On call") or existing(labels={"team": "search"})',
            )
        ]


def channels_found(reference: str, channels: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the resource names of the channels that a reference asks for.

    Args:
        reference: what `ExistingChannels.id` gives, or a resource name that ends in it.
        channels: the project's channels as the REST API returns them.
    """
    question = reference.partition(_PREFIX)[2]
    asked = dict(parse_qsl(question))
    return tuple(str(channel["name"]) for channel in channels if asked and _fits(channel, asked))


def _fits(channel: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    labels = channel.get("userLabels") or {}
    return all(
        (labels.get(key.removeprefix(_LABEL)) if key.startswith(_LABEL) else channel.get(key)) == value
        for key, value in asked.items()
    )


def existing(
    *,
    display_name: str = "",
    type: str = "",  # noqa: A002 - the API's name
    labels: Mapping[str, str] | None = None,
) -> ExistingChannels:
    """Return the channels of the project that have a name, a type and labels; all of them are told.

    Args:
        display_name: the channel's whole name in the console.
        type: the platform's type, e.g. ``email``; any when empty.
        labels: user labels that it must have.
    """
    return ExistingChannels(display_name=display_name, type=type, labels=labels or {})


def mobile_app(device: str) -> ExistingChannels:
    """Return the channel of a device with the Cloud mobile app, which registers itself and cannot be made by others.

    Args:
        device: the name that the console shows for it.
    """
    return ExistingChannels(display_name=device)
