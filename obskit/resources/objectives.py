"""Service level objectives: which share of the service must be good, and over which period."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from obskit.errors import Problem
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import (
    Definition,
    as_share,
    as_text,
    checked_id,
    definition,
    given,
    one,
    one_of,
)
from obskit.queries.durations import DurationLike, as_duration, json_duration, shown_duration
from obskit.queries.labels import checked_labels, label_problems
from obskit.queries.reading import (
    carrying,
    document_of,
    id_of,
    read_choice,
    read_duration,
    read_labels,
    read_number,
    read_table,
    read_text,
)
from obskit.resources.indicators import (
    BasicSLI,
    CarriedSLI,
    DistributionSLI,
    Indicator,
    RatioSLI,
    WindowsSLI,
    read_indicator,
)
from obskit.resources.rules import LONGEST_NAME, length_rules
from obskit.resources.services import Platform, Service

__all__ = ["Calendar", "ServiceLevelObjective"]

_DAY: Final = timedelta(days=1)
_LONGEST: Final = timedelta(days=30)
_HIGHEST_GOAL: Final = 0.9999  # Source: ServiceLevelObjective.goal
_BY_SERVER: Final = frozenset({"name"})


class Calendar(StrEnum):
    """A period of the calendar, in which the budget begins anew."""

    DAY = "day"
    WEEK = "week"
    FORTNIGHT = "fortnight"
    MONTH = "month"


_CALENDARS: Final = {calendar: calendar.name for calendar in Calendar}
_LENGTHS: Final = {Calendar.DAY: 1, Calendar.WEEK: 7, Calendar.FORTNIGHT: 14, Calendar.MONTH: 30}


def _service(value: object) -> Service | str:
    return value if isinstance(value, Service) else checked_id(value)


def _indicator(value: object) -> Indicator:
    return one(BasicSLI, RatioSLI, DistributionSLI, WindowsSLI, CarriedSLI)(value)  # type: ignore[no-any-return]


@definition
class ServiceLevelObjective(Definition):
    """A promise: which share of a service is good, over which period.

    Attributes:
        id: the objective's id at the platform too.
        service: whose, or its id.
        indicator: what is good: `RatioSLI`, `DistributionSLI`, `WindowsSLI` or `BasicSLI`.
        goal: the share that must be good, above 0, at most 0.9999.
        rolling: over the last so many days, 1 to 30 whole days. Give either this or `calendar`.
        calendar: over a ``day``, ``week``, ``fortnight`` or ``month`` of the calendar.
        display_name: at most 512 characters; the id when empty.
        labels: the user's own labels.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "SLO"
    named_by: ClassVar[str] = "id"
    collection: ClassVar[str] = "serviceLevelObjectives"
    labels_field: ClassVar[str] = "userLabels"

    id: str = given(checked_id, placeholder="")
    service: Service | str = given(_service, placeholder="")
    indicator: Indicator = given(_indicator, placeholder=None)
    goal: float = given(as_share, placeholder=0.99)
    rolling: DurationLike | None = given(as_duration, default=None)
    calendar: str | None = given(one_of(Calendar), default=None)
    display_name: str = given(as_text, default="")
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def service_id(self) -> str:
        """The id of the service."""
        return self.service if isinstance(self.service, str) else self.service.id

    @property
    def period(self) -> timedelta:
        """How long the error budget lasts; a month of the calendar counts as 30 days."""
        if self.rolling is not None:
            return as_duration(self.rolling)
        return timedelta(days=_LENGTHS[Calendar(self.calendar or Calendar.MONTH)])

    def parent(self, context: RenderContext) -> str:
        """Return the resource name of the service."""
        return f"projects/{context.project}/services/{self.service_id}"

    def resource_name(self, context: RenderContext) -> str:
        """Return the name under which the object is, or will be, kept."""
        return f"{self.parent(context)}/serviceLevelObjectives/{self.id}"

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without ``name``."""
        inner = self.indicator.to_dict(context)
        if isinstance(self.indicator, RatioSLI | DistributionSLI):
            inner = {"requestBased": {self.indicator.json_field: inner}}
        elif not isinstance(self.indicator, CarriedSLI):
            inner = {self.indicator.json_field: inner}
        rendered: dict[str, Any] = {
            "displayName": self.display_name or self.id,
            "serviceLevelIndicator": inner,
            "goal": self.goal,
        }
        if self.rolling is not None:
            rendered["rollingPeriod"] = json_duration(self.rolling)
        if self.calendar is not None:
            rendered["calendarPeriod"] = _CALENDARS[Calendar(self.calendar)]
        if self.labels:
            rendered["userLabels"] = dict(self.labels)
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, id: str = "", service: str = "") -> Self:  # noqa: A002
        """Return the objective that an object of the REST API is.

        Args:
            document: the object's JSON.
            id: the objective's id; that of its resource name where it is empty.
            service: the service's id; that of its resource name where it is empty.

        Raises:
            DefinitionError: it is no JSON object.
        """
        wanted = document_of(document, noun=cls.noun, without=_BY_SERVER)
        name = str(document.get("name") or "")
        owner = name.rpartition("/serviceLevelObjectives/")[0].rpartition("/")[2]
        made = cls(
            id=id_of(document, given=id or name.rpartition("/")[2], default="slo"),
            service=id_of({}, given=service or owner, default="service"),
            indicator=read_indicator(read_table(wanted, "serviceLevelIndicator")),
            goal=read_number(wanted, "goal"),
            rolling=read_duration(wanted, "rollingPeriod"),
            calendar=read_choice(wanted, "calendarPeriod", _CALENDARS),
            display_name=read_text(wanted, "displayName"),
            labels=read_labels(wanted),
        )
        if "userLabels" in wanted:
            wanted["userLabels"] = read_labels(wanted)
        return carrying(made, made.to_dict(RenderContext(project="")), wanted)

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this objective breaks."""
        if self.is_broken:
            return []
        found = list(self._rules())
        if not self.indicator.is_broken:
            found += [(f"indicator: {problem}", way_out) for problem, way_out in self.indicator.rules(context)]
        return [
            *(self.problem(problem, way_out) for problem, way_out in found),
            *label_problems(self.labels, self.place),
        ]

    def _rules(self) -> Iterator[tuple[str, str]]:
        yield from length_rules("display_name", self.display_name, LONGEST_NAME)
        if not 0 < self.goal <= _HIGHEST_GOAL:
            yield f"goal is {self.goal:g}, must be above 0 and at most {_HIGHEST_GOAL}", "Write 0.999 for 99.9 %"
        if (self.rolling is None) == (self.calendar is None):
            yield "an SLO has either a rolling or a calendar period", 'Give rolling="30d" or calendar="month"'
        if self.rolling is not None:
            period = as_duration(self.rolling)
            if period % _DAY or not _DAY <= period <= _LONGEST:
                yield f"rolling is {shown_duration(period)}, must be 1 to 30 whole days", 'Use rolling="28d"'
        is_custom = isinstance(self.service, Service) and self.service.platform == Platform.CUSTOM
        if isinstance(self.indicator, BasicSLI) and is_custom:
            yield (
                'a service on platform "custom" has no requests that the platform counts, as BasicSLI needs',
                "Use RatioSLI or DistributionSLI",
            )
