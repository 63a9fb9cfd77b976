"""When and how often a policy's channels are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final

from obskit.alerts.channels import NotificationChannel
from obskit.alerts.lookups import ExistingChannels
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, definition, given, many
from obskit.queries.durations import DurationLike, as_duration, json_duration, shown_duration, whole_seconds
from obskit.queries.reading import read_duration, read_items, read_table, read_texts

__all__ = ["Channel", "Prompt", "Reminder", "Strategy", "channel_references", "read_strategy"]

Channel = NotificationChannel | ExistingChannels | str

_MOST_CHANNELS: Final = 16  # Unverified: Google's documentation of quotas; the API's reference does not say.
_AUTO_CLOSE: Final = (timedelta(minutes=30), timedelta(days=7))  # Unverified, as above.


class Prompt(StrEnum):
    """What the channels are told of."""

    OPENED = "opened"
    CLOSED = "closed"


_PROMPTS: Final = {prompt: prompt.name for prompt in Prompt}


def channel_references(channels: Sequence[Channel], context: RenderContext) -> list[str]:
    """Return the resource names of channels, or the references that sync resolves."""
    return [_reference(channel, context) for channel in channels]


def _reference(channel: Channel, context: RenderContext) -> str:
    if isinstance(channel, ExistingChannels):
        return channel.reference(context)
    if isinstance(channel, str) and channel.startswith("projects/"):
        return channel
    return context.channel_name(channel if isinstance(channel, str) else channel.id)


@definition
class Reminder(Definition):
    """Remind some of a policy's channels of an open incident.

    Attributes:
        channels: which ones, as in the policy.
        every: how often, whole minutes.
    """

    noun: ClassVar[str] = "reminder"

    channels: Sequence[Channel] = given(many(NotificationChannel, ExistingChannels, str), placeholder=())
    every: DurationLike = given(as_duration, placeholder=timedelta(hours=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """What a policy says of its notifications; see `AlertPolicy`."""

    channels: tuple[Channel, ...]
    auto_close: timedelta | None
    prompts: tuple[Prompt, ...]
    rate_limit: timedelta | None
    renotify: timedelta | None
    reminders: tuple[Reminder, ...]

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, empty where the platform's defaults hold."""
        found: dict[str, Any] = {}
        if self.rate_limit is not None:
            found["notificationRateLimit"] = {"period": json_duration(self.rate_limit)}
        if self.auto_close is not None:
            found["autoClose"] = json_duration(self.auto_close)
        if self.prompts:
            found["notificationPrompts"] = [_PROMPTS[prompt] for prompt in self.prompts]
        reminders = [(each.channels, each.every) for each in self.reminders]
        if self.renotify is not None:
            reminders.insert(0, (self.channels, self.renotify))
        if reminders:
            found["notificationChannelStrategy"] = [
                {
                    "notificationChannelNames": channel_references(channels, context),
                    "renotifyInterval": json_duration(every),
                }
                for channels, every in reminders
            ]
        return found

    def rules(self, *, is_log_match: bool) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules.

        Args:
            is_log_match: whether the policy has a log match condition.
        """
        if len(self.channels) > _MOST_CHANNELS:
            yield f"there are {len(self.channels)} channels, at most {_MOST_CHANNELS} are allowed", "Remove some"
        ids = [channel if isinstance(channel, str) else channel.id for channel in self.channels]
        for name in sorted({name for name in ids if ids.count(name) > 1}):
            yield f'channel "{name}" is named twice', "Name it once"
        least, most = _AUTO_CLOSE
        if self.auto_close is not None and not least <= self.auto_close <= most:
            yield (
                f"auto_close is {shown_duration(self.auto_close)}, must be 30 min to 7 days",
                'Use for example auto_close="30m"',
            )
        yield from self._reminder_rules(ids)
        yield from self._log_match_rules(is_log_match=is_log_match)

    def _reminder_rules(self, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
        if self.renotify is not None:
            yield from _interval_rules("renotify", self.renotify)
            if not self.channels:
                yield "renotify has nobody to remind", "Add channels=…"
            if self.reminders:
                yield "renotify and reminders both remind", "Leave out one of them"
        for reminder in () if self.renotify is not None else self.reminders:
            if reminder.is_broken:
                continue
            yield from _interval_rules("a reminder's every", reminder.every)
            for channel in reminder.channels:
                name = channel if isinstance(channel, str) else channel.id
                if name not in ids:
                    yield f'a reminder names channel "{name}", which is none of the policy\'s', "Add it to channels=…"

    def _log_match_rules(self, *, is_log_match: bool) -> Iterator[tuple[str, str]]:
        if is_log_match and self.rate_limit is None:
            yield "a log match condition needs a rate limit", 'Add for example rate_limit="5m"'
        if not is_log_match and self.rate_limit is not None:
            yield "rate_limit is only for policies with a log match condition", "Leave rate_limit=… out"
        if self.rate_limit is not None and self.rate_limit <= timedelta(0):
            yield "rate_limit is 0 s, must be above 0", 'Use for example rate_limit="5m"'
        if is_log_match and Prompt.CLOSED in self.prompts:
            yield "a log match condition notifies of opened incidents only", 'Write prompts="opened", or leave it out'
        elif self.prompts and Prompt.OPENED not in self.prompts:
            yield 'prompts does not name "opened"', 'Write prompts=["opened", "closed"]'


def _interval_rules(name: str, value: DurationLike) -> Iterator[tuple[str, str]]:
    if whole_seconds(value) < 60 or whole_seconds(value) % 60:
        yield f"{name} is {shown_duration(value)}, must be whole minutes", 'Use for example "1h"'


def read_strategy(document: Mapping[str, Any], channels: Sequence[str]) -> dict[str, Any]:
    """Return the fields of `AlertPolicy` that a policy's JSON says of its notifications.

    Args:
        document: the policy's JSON.
        channels: the policy's channels.
    """
    strategy = read_table(document, "alertStrategy")
    words = read_texts(strategy, "notificationPrompts")
    prompts = [prompt for word in words for prompt, name in _PROMPTS.items() if name == word]
    found: dict[str, Any] = {
        "auto_close": read_duration(strategy, "autoClose"),
        "rate_limit": read_duration(read_table(strategy, "notificationRateLimit"), "period"),
    }
    if words == ("OPENED",):
        found["notify_on_close"] = False
    elif len(prompts) == len(words):
        found["prompts"] = tuple(prompts)
    each = [
        (read_texts(item, "notificationChannelNames"), read_duration(item, "renotifyInterval"))
        for item in read_items(strategy, "notificationChannelStrategy")
    ]
    if len(each) == 1 and each[0][0] == tuple(channels) and channels and each[0][1]:
        found["renotify"] = each[0][1]
    elif all(names and every for names, every in each):
        found["reminders"] = tuple(Reminder(channels=names, every=every or 0) for names, every in each)
    return found
