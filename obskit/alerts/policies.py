"""The alert policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from obskit.alerts.channels import NotificationChannel
from obskit.alerts.conditions import PromQLCondition
from obskit.alerts.documentation import Documentation, Link
from obskit.alerts.foreign import CarriedCondition
from obskit.alerts.logs import LogMatchCondition, SQLCondition
from obskit.alerts.lookups import ExistingChannels
from obskit.alerts.strategies import Prompt, Reminder, Strategy, channel_references, read_strategy
from obskit.alerts.thresholds import AbsenceCondition, ThresholdCondition
from obskit.errors import Problem
from obskit.queries.aggregations import Reducer
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_flag, as_text, checked_id, definition, given, many, one, one_of
from obskit.queries.durations import DurationLike, as_duration
from obskit.queries.labels import checked_labels, label_problems
from obskit.queries.reading import (
    carrying,
    document_of,
    id_of,
    read_choice,
    read_flag,
    read_items,
    read_labels,
    read_text,
    read_texts,
)

__all__ = ["AlertPolicy", "AnyCondition", "Combiner", "Severity"]

AnyCondition = (
    PromQLCondition | ThresholdCondition | AbsenceCondition | LogMatchCondition | SQLCondition | CarriedCondition
)

_KINDS: Final = (PromQLCondition, ThresholdCondition, AbsenceCondition, LogMatchCondition, SQLCondition)
_MOST_CONDITIONS: Final = 6
_BY_SERVER: Final = frozenset({"name", "creationRecord", "mutationRecord", "validity"})


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
_SEVERITIES: Final = {severity: severity.name for severity in Severity}


def _conditions(value: object) -> tuple[AnyCondition, ...]:
    return many(*_KINDS, CarriedCondition)(value)  # type: ignore[no-any-return]


def _documentation(value: object) -> Documentation:
    if isinstance(value, str):
        return Documentation(content=value)
    return one(Documentation)(value)  # type: ignore[no-any-return]


def _read_condition(document: Mapping[str, Any]) -> AnyCondition:
    wanted = {key: value for key, value in document.items() if key != "name"}
    kinds = [kind for kind in _KINDS if kind.json_field in wanted]
    return kinds[0].from_json(wanted) if len(kinds) == 1 else CarriedCondition.from_json(wanted)


@definition
class AlertPolicy(Definition):
    """Conditions, and whom to tell when they hold.

    Attributes:
        id: lower-case letters, digits and dashes; what sync and dashboards know it by.
        display_name: at most 512 characters; the id when empty.
        conditions: 1 to 6; one in log entries or in MQL stands alone.
        channels: whom to tell: channels, their ids, their resource names, or `existing` ones; at most 16.
        combiner: ``any``, ``all`` or ``all_on_same_resource`` of the conditions.
        documentation: what the notification says; a text is its content.
        runbook: address of the runbook, the first of the notification's links.
        severity: ``critical``, ``error`` or ``warning``.
        labels: the user's own labels: at most 60, of a-z, 0-9, _ and -.
        auto_close: close an incident when there was no data for so long, 30 min to 7 days.
        notify_on_close: whether to tell when an incident closes.
        prompts: when to tell, ``opened`` and ``closed``; instead of `notify_on_close`.
        rate_limit: tell at most once in so long; for log match conditions, and needed there.
        renotify: remind of an open incident so often, whole minutes; never when not given.
        reminders: reminders for some of the channels only, instead of `renotify`.
        enabled: whether it is evaluated at all.
        carried: fields of the REST API that this model does not know, merged into what it renders.
    """

    noun: ClassVar[str] = "policy"
    named_by: ClassVar[str] = "id"
    collection: ClassVar[str] = "alertPolicies"
    labels_field: ClassVar[str] = "userLabels"

    id: str = given(checked_id, placeholder="")
    conditions: Sequence[AnyCondition] | AnyCondition = given(_conditions, placeholder=())
    display_name: str = given(as_text, default="")
    channels: Sequence[NotificationChannel | ExistingChannels | str] = given(
        many(NotificationChannel, ExistingChannels, str), default=()
    )
    combiner: str = given(one_of(Combiner), default=Combiner.ANY)
    documentation: Documentation | str | None = given(_documentation, default=None)
    runbook: str = given(as_text, default="")
    severity: str | None = given(one_of(Severity), default=None)
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)
    auto_close: DurationLike | None = given(as_duration, default=None)
    notify_on_close: bool = given(as_flag, default=True)
    prompts: Sequence[str] = given(many(str, parse=one_of(Prompt)), default=())
    rate_limit: DurationLike | None = given(as_duration, default=None)
    renotify: DurationLike | None = given(as_duration, default=None)
    reminders: Sequence[Reminder] = given(many(Reminder), default=())
    enabled: bool = given(as_flag, default=True)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def threshold(self) -> float | None:
        """The number of the first condition that compares with one; what a chart draws as the alert's line."""
        return next((each.limit for each in _conditions(self.conditions) if each.limit is not None), None)

    @property
    def _strategy(self) -> Strategy:
        prompts = tuple(Prompt(each) for each in self.prompts)
        return Strategy(
            channels=tuple(self.channels),
            auto_close=None if self.auto_close is None else as_duration(self.auto_close),
            prompts=prompts or (() if self.notify_on_close else (Prompt.OPENED,)),
            rate_limit=None if self.rate_limit is None else as_duration(self.rate_limit),
            renotify=None if self.renotify is None else as_duration(self.renotify),
            reminders=tuple(self.reminders),
        )

    @property
    def _documented(self) -> Documentation | None:
        said = None if self.documentation is None else _documentation(self.documentation)
        if not self.runbook:
            return said
        said = said or Documentation()
        return replace(said, links=[Link(name="Runbook", url=self.runbook), *said.links])

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without ``name``; channels that do not exist yet stand as references."""
        name = self.display_name or self.id
        rendered: dict[str, Any] = {
            "displayName": name,
            "combiner": _COMBINERS[Combiner(self.combiner)],
            "conditions": [condition.to_dict(context, name) for condition in _conditions(self.conditions)],
            "enabled": self.enabled,
        }
        if self.channels:
            rendered["notificationChannels"] = channel_references(self.channels, context)
        if (said := self._documented) is not None:
            rendered["documentation"] = said.to_dict()
        if self.severity is not None:
            rendered["severity"] = _SEVERITIES[Severity(self.severity)]
        if self.labels:
            rendered["userLabels"] = dict(self.labels)
        if strategy := self._strategy.to_dict(context):
            rendered["alertStrategy"] = strategy
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, id: str = "") -> Self:  # noqa: A002 - the field's name
        """Return the policy that an object of the REST API is.

        What the server alone writes (names, records of changes, ``validity``) is left out, and so are the labels that
        sync writes. Every other field that the model does not know is carried.

        Args:
            document: the object's JSON.
            id: the policy's id; made from its display name where it is empty.

        Raises:
            DefinitionError: it is no JSON object.
        """
        wanted = document_of(document, noun=cls.noun, without=_BY_SERVER)
        items = read_items(wanted, "conditions")
        if "userLabels" in wanted:
            wanted["userLabels"] = read_labels(wanted)
        if items:
            wanted["conditions"] = [{key: value for key, value in item.items() if key != "name"} for item in items]
        said = wanted.get("documentation")
        channels = read_texts(wanted, "notificationChannels")
        made = cls(
            id=id_of(document, given=id, default="policy"),
            display_name=read_text(wanted, "displayName"),
            conditions=[_read_condition(item) for item in items],
            channels=channels,
            combiner=read_choice(wanted, "combiner", _COMBINERS) or Combiner.ANY,
            documentation=Documentation.from_json(said) if isinstance(said, Mapping) else None,
            severity=read_choice(wanted, "severity", _SEVERITIES),
            labels=read_labels(wanted),
            enabled=read_flag(wanted, "enabled", default=True),
            **read_strategy(wanted, channels),
        )
        return carrying(made, made.to_dict(RenderContext(project="")), wanted)

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this policy breaks."""
        found = [] if self.is_broken else [self.problem(problem, way_out) for problem, way_out in self._rules()]
        for condition in _conditions(self.conditions):
            found += condition.problems(context, self.place)
        if (said := self._documented) is not None:
            found += said.problems(self.place, self._variable_keys())
        for channel in self.channels:
            found += channel.problems(self.place) if isinstance(channel, ExistingChannels) else []
        return [*found, *label_problems(self.labels, self.place)]

    def _rules(self) -> Iterator[tuple[str, str]]:
        conditions = _conditions(self.conditions)
        if not 1 <= len(conditions) <= _MOST_CONDITIONS:
            way_out = "Split the policy" if conditions else "Add conditions=…"
            yield f"there are {len(conditions)} conditions, must be 1 to {_MOST_CONDITIONS}", way_out
        if len(self.display_name) > 512:
            yield f"display_name has {len(self.display_name)} characters, at most 512 are allowed", "Shorten it"
        names = [each.display_name for each in conditions if each.display_name]
        if len(set(names)) < len(names):
            yield "two conditions have the same display_name", "Give each a name of its own"
        is_log_match = any(isinstance(each, LogMatchCondition) for each in conditions)
        is_mql = any(isinstance(each, CarriedCondition) and each.is_mql for each in conditions)
        if (is_log_match or is_mql) and len(conditions) > 1:
            kind = "a log match" if is_log_match else "an MQL"
            yield f"{kind} condition must be alone in its policy", "Put the others into another policy"
        if self.prompts and not self.notify_on_close:
            yield "prompts= and notify_on_close=False both say when to notify", "Leave out one of them"
        yield from self._strategy.rules(is_log_match=is_log_match)

    def _variable_keys(self) -> dict[str, frozenset[str]]:
        """Return the keys that a documentation's variables may have, for the tables where they are known."""
        conditions = _conditions(self.conditions)
        keys = {"policy.user_label": frozenset(self.labels)}
        if not any(isinstance(each, CarriedCondition) for each in conditions):
            extractors = [set(each.label_extractors) for each in conditions if isinstance(each, LogMatchCondition)]
            keys["log.extracted_label"] = frozenset[str]().union(*extractors)
        kept = [_kept_metric_labels(each) for each in conditions]
        if kept and all(each is not None for each in kept):
            keys["metric.label"] = frozenset[str]().union(*(each or () for each in kept))
        return keys


def _kept_metric_labels(condition: AnyCondition) -> frozenset[str] | None:
    """Return the metric labels that a condition's reduced series still have; None where any may be left."""
    if not isinstance(condition, ThresholdCondition | AbsenceCondition) or condition.carried:
        return None
    reduced = [each for each in condition.aggregations if each.reducer != Reducer.NONE]
    if not reduced:
        return None
    prefixes = ("metric.labels.", "metric.label.")
    return frozenset(
        label.removeprefix(each) for each in prefixes for label in reduced[-1].by if label.startswith(each)
    )
