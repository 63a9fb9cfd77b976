"""The alert policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final

from obskit.alerts.channels import NotificationChannel
from obskit.alerts.conditions import PromQLCondition
from obskit.alerts.documentation import Documentation
from obskit.alerts.thresholds import AbsenceCondition, ThresholdCondition
from obskit.errors import Problem
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_flag, as_text, checked_id, definition, given, many, one_of
from obskit.queries.durations import DurationLike, as_duration, json_duration, shown_duration, whole_seconds
from obskit.queries.labels import checked_labels, label_problems

__all__ = ["AlertPolicy", "Combiner", "Severity"]

AnyCondition = PromQLCondition | ThresholdCondition | AbsenceCondition

_MOST_CONDITIONS: Final = 6
_MOST_CHANNELS: Final = 16  # Unverified: Google's documentation of quotas; the API's reference does not say.
_AUTO_CLOSE: Final = (timedelta(minutes=30), timedelta(days=7))  # Unverified, as above.


class Severity(StrEnum):
    """How bad it is."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"


class Combiner(StrEnum):
    """Which conditions must hold."""

    ANY = "any"
    ALL = "all"
    ALL_ON_SAME_RESOURCE = "all_on_same_resource"


_COMBINERS: Final = {
    Combiner.ANY: "OR",
    Combiner.ALL: "AND",
    Combiner.ALL_ON_SAME_RESOURCE: "AND_WITH_MATCHING_RESOURCE",
}


def _conditions(value: object) -> tuple[AnyCondition, ...]:
    return many(PromQLCondition, ThresholdCondition, AbsenceCondition)(value)  # type: ignore[no-any-return]


def _documentation(value: object) -> Documentation:
    if isinstance(value, str):
        return Documentation(content=value)
    return many(Documentation)(value)[0]  # type: ignore[no-any-return]


@definition
class AlertPolicy(Definition):
    """Conditions, and whom to tell when they hold.

    Attributes:
        id: lower-case letters, digits and dashes; what sync and dashboards know it by.
        display_name: at most 512 characters; the id when empty.
        conditions: 1 to 6.
        channels: whom to tell: channels, or their ids; at most 16.
        combiner: ``any``, ``all`` or ``all_on_same_resource`` of the conditions.
        documentation: what the notification says; a text is its content.
        severity: ``critical``, ``error`` or ``warning``.
        labels: the user's own labels: at most 60, of a-z, 0-9, _ and -.
        auto_close: close an incident when there was no data for so long, 30 min to 7 days.
        notify_on_close: whether to tell when an incident closes.
        renotify: remind of an open incident so often, whole minutes; never when not given.
        enabled: whether it is evaluated at all.
    """

    noun: ClassVar[str] = "policy"
    named_by: ClassVar[str] = "id"

    id: str = given(checked_id, placeholder="")
    conditions: Sequence[AnyCondition] | AnyCondition = given(_conditions, placeholder=())
    display_name: str = given(as_text, default="")
    channels: Sequence[NotificationChannel | str] = given(many(NotificationChannel, str), default=())
    combiner: str = given(one_of(Combiner), default=Combiner.ANY)
    documentation: Documentation | str | None = given(_documentation, default=None)
    severity: str | None = given(one_of(Severity), default=None)
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)
    auto_close: DurationLike | None = given(as_duration, default=None)
    notify_on_close: bool = given(as_flag, default=True)
    renotify: DurationLike | None = given(as_duration, default=None)
    enabled: bool = given(as_flag, default=True)

    @property
    def threshold(self) -> float | None:
        """The number of the first condition that compares with one; what a chart draws as the alert's line."""
        return next((each.limit for each in _conditions(self.conditions) if each.limit is not None), None)

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without ``name``; channels that do not exist yet stand as references."""
        name = self.display_name or self.id
        channels = [self._channel(channel, context) for channel in self.channels]
        rendered: dict[str, Any] = {
            "displayName": name,
            "combiner": _COMBINERS[Combiner(self.combiner)],
            "conditions": [condition.to_dict(context, name) for condition in _conditions(self.conditions)],
            "enabled": self.enabled,
        }
        if channels:
            rendered["notificationChannels"] = channels
        if self.documentation is not None:
            rendered["documentation"] = _documentation(self.documentation).to_dict()
        if self.severity is not None:
            rendered["severity"] = Severity(self.severity).name
        if self.labels:
            rendered["userLabels"] = dict(self.labels)
        strategy = self._strategy(channels)
        if strategy:
            rendered["alertStrategy"] = strategy
        return rendered

    def _channel(self, channel: NotificationChannel | str, context: RenderContext) -> str:
        if isinstance(channel, str) and channel.startswith("projects/"):
            return channel
        return context.channel_name(channel if isinstance(channel, str) else channel.id)

    def _strategy(self, channels: list[str]) -> dict[str, Any]:
        strategy: dict[str, Any] = {}
        if self.auto_close is not None:
            strategy["autoClose"] = json_duration(self.auto_close)
        if not self.notify_on_close:
            strategy["notificationPrompts"] = ["OPENED"]
        if self.renotify is not None:
            strategy["notificationChannelStrategy"] = [
                {"notificationChannelNames": channels, "renotifyInterval": json_duration(self.renotify)}
            ]
        return strategy

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this policy breaks."""
        found = [] if self.is_broken else [self.problem(problem, way_out) for problem, way_out in self._rules()]
        for condition in _conditions(self.conditions):
            found += condition.problems(context, self.place)
        if self.documentation is not None:
            found += _documentation(self.documentation).problems(self.place)
        return [*found, *label_problems(self.labels, self.place)]

    def _rules(self) -> Iterator[tuple[str, str]]:
        if not 1 <= len(_conditions(self.conditions)) <= _MOST_CONDITIONS:
            yield (
                f"there are {len(_conditions(self.conditions))} conditions, must be 1 to {_MOST_CONDITIONS}",
                "Split the policy",
            )
        if len(self.display_name) > 512:
            yield f"display_name has {len(self.display_name)} characters, at most 512 are allowed", "Shorten it"
        names = [each.display_name for each in _conditions(self.conditions) if each.display_name]
        if len(set(names)) < len(names):
            yield "two conditions have the same display_name", "Name each condition otherwise"
        yield from self._notification_rules()

    def _notification_rules(self) -> Iterator[tuple[str, str]]:
        if len(self.channels) > _MOST_CHANNELS:
            yield f"there are {len(self.channels)} channels, at most {_MOST_CHANNELS} are allowed", "Remove some"
        ids = [channel if isinstance(channel, str) else channel.id for channel in self.channels]
        for name in sorted({name for name in ids if ids.count(name) > 1}):
            yield f'channel "{name}" is named twice', "Name it once"
        least, most = _AUTO_CLOSE
        if self.auto_close is not None and not least <= as_duration(self.auto_close) <= most:
            yield f"auto_close is {shown_duration(self.auto_close)}, must be 30 min to 7 days", 'Use for example "30m"'
        if self.renotify is not None and (whole_seconds(self.renotify) < 60 or whole_seconds(self.renotify) % 60):
            yield f"renotify is {shown_duration(self.renotify)}, must be whole minutes", 'Use for example "1h"'
        if self.renotify is not None and not self.channels:
            yield "renotify has nobody to remind", "Add channels=…"
