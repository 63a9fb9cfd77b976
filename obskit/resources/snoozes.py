"""Snoozes: policies that stay silent for a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Self

from obskit.alerts.policies import AlertPolicy
from obskit.errors import Problem
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_text, checked_id, definition, given, many
from obskit.queries.durations import DurationLike, as_duration
from obskit.queries.reading import carrying, document_of, id_of, read_table, read_text, read_texts
from obskit.resources.rules import LONGEST_NAME, as_moment, length_rules, shown_moment

__all__ = ["Snooze"]

_MOST_POLICIES: Final = 16  # Source: Snooze.Criteria.policies
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


@definition
class Snooze(Definition):
    """Policies that open no incidents for a time. The platform cannot delete one, only end it.

    Attributes:
        id: what sync knows it by.
        policies: 1 to 16 policies, their ids or their resource names.
        start: when it begins, with its time zone; the platform refuses one in the past.
        end: when it ends. Give either this or `lasting`.
        lasting: how long it lasts.
        filter: only incidents of these resources, e.g. ``resource.labels.zone="europe-west1-b"``; then with one policy.
        display_name: at most 512 characters; the id when empty.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "snooze"
    named_by: ClassVar[str] = "id"
    collection: ClassVar[str] = "snoozes"
    labels_field: ClassVar[str] = ""

    id: str = given(checked_id, placeholder="")
    policies: Sequence[AlertPolicy | str] | AlertPolicy | str = given(many(AlertPolicy, str), placeholder=())
    start: datetime | str = given(as_moment, placeholder=_EPOCH)
    end: datetime | str | None = given(as_moment, default=None)
    lasting: DurationLike | None = given(as_duration, default=None)
    filter: str = given(as_text, default="")
    display_name: str = given(as_text, default="")
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def interval(self) -> tuple[datetime, datetime]:
        """From when until when."""
        start = as_moment(self.start)
        lasting = timedelta(0) if self.lasting is None else as_duration(self.lasting)
        return start, start + lasting if self.end is None else as_moment(self.end)

    @property
    def _policies(self) -> tuple[AlertPolicy | str, ...]:
        return tuple(many(AlertPolicy, str)(self.policies))

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without ``name``."""
        start, end = self.interval
        criteria: dict[str, Any] = {"policies": [_reference(policy, context) for policy in self._policies]}
        if self.filter:
            criteria["filter"] = self.filter
        return merged(
            {
                "displayName": self.display_name or self.id,
                "criteria": criteria,
                "interval": {"startTime": shown_moment(start), "endTime": shown_moment(end)},
            },
            self.carried,
        )

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, id: str = "") -> Self:  # noqa: A002 - the field's name
        """Return the snooze that an object of the REST API is.

        Raises:
            DefinitionError: it is no JSON object.
        """
        wanted = document_of(document, noun=cls.noun, without=frozenset({"name"}))
        criteria, interval = read_table(wanted, "criteria"), read_table(wanted, "interval")
        made = cls(
            id=id_of(document, given=id, default="snooze"),
            policies=read_texts(criteria, "policies"),
            start=_moment(interval, "startTime") or _EPOCH,
            end=_moment(interval, "endTime") or _EPOCH,
            filter=read_text(criteria, "filter"),
            display_name=read_text(wanted, "displayName"),
        )
        return carrying(made, made.to_dict(RenderContext(project="")), wanted)

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this snooze breaks."""
        del context
        return [] if self.is_broken else [self.problem(problem, way_out) for problem, way_out in self._rules()]

    def _rules(self) -> Iterator[tuple[str, str]]:
        count = len(self._policies)
        if not 1 <= count <= _MOST_POLICIES:
            yield (
                f"there are {count} policies, must be 1 to {_MOST_POLICIES}",
                "Make several snoozes" if count else "Add policies=…",
            )
        if self.filter and count != 1:
            yield f"a filter goes with one policy, there are {count}", "Make a snooze for each policy"
        if (self.end is None) == (self.lasting is None):
            yield "a snooze has either end= or lasting=", 'Give end=… or lasting="2h"'
        else:
            start, end = self.interval
            if end <= start:
                yield f"it ends at {shown_moment(end)}, which is not after its start", "Give a later end"
        yield from length_rules("display_name", self.display_name, LONGEST_NAME)


def _reference(policy: AlertPolicy | str, context: RenderContext) -> str:
    if isinstance(policy, str) and policy.startswith("projects/"):
        return policy
    return context.policy_name(policy if isinstance(policy, str) else policy.id)


def _moment(table: Mapping[str, Any], key: str) -> datetime | None:
    try:
        return as_moment(table.get(key))
    except (ValueError, TypeError):
        return None
