"""What of a billing account's spending counts towards a budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from obskit.queries.carried import as_json_fields, merged
from obskit.queries.definitions import Definition, as_text, definition, given, many, one_of
from obskit.queries.labels import checked_labels
from obskit.queries.reading import carrying, read_choice, read_number, read_table, read_texts

__all__ = ["BudgetPeriod", "Credits", "Scope"]


class BudgetPeriod(StrEnum):
    """How long a budget lasts before it begins anew."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Credits(StrEnum):
    """Which credits are subtracted from the cost."""

    ALL = "all"
    NONE = "none"
    SPECIFIED = "specified"


_PERIODS: Final = {period: period.name for period in BudgetPeriod}
_CREDITS: Final = {
    Credits.ALL: "INCLUDE_ALL_CREDITS",
    Credits.NONE: "EXCLUDE_ALL_CREDITS",
    Credits.SPECIFIED: "INCLUDE_SPECIFIED_CREDITS",
}


def _date(value: object) -> date:
    if isinstance(value, datetime) or not isinstance(value, date | str):
        raise TypeError(f'{value!r} is not a date | Write "2026-12-31"')
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f'{value!r} is not a date | Write "2026-12-31"') from None


def _name(prefix: str, value: str) -> str:
    return value if "/" in value else f"{prefix}/{value}"


@definition
class Scope(Definition):
    """What counts towards a budget. What is not given does not narrow it.

    Attributes:
        projects: project ids or numbers; the API gives back numbers.
        ancestors: ``folders/ID`` or ``organizations/ID``.
        services: ids of Cloud Billing's services, e.g. ``152E-C115-5142`` for Cloud Run.
        subaccounts: billing accounts.
        labels: one label that resources must have.
        credits: which credits are subtracted: ``all``, ``none`` or ``specified``.
        credit_types: which ones, where they are specified.
        period: ``month``, ``quarter`` or ``year``; a month when neither it nor `start` is given.
        start: first day of a budget that does not begin anew.
        end: its last day; open when not given.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "scope"

    projects: Sequence[str] = given(many(str, parse=as_text), default=())
    ancestors: Sequence[str] = given(many(str, parse=as_text), default=())
    services: Sequence[str] = given(many(str, parse=as_text), default=())
    subaccounts: Sequence[str] = given(many(str, parse=as_text), default=())
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)
    credits: str | None = given(one_of(Credits), default=None)
    credit_types: Sequence[str] = given(many(str, parse=as_text), default=())
    period: str | None = given(one_of(BudgetPeriod), default=None)
    start: date | str | None = given(_date, default=None)
    end: date | str | None = given(_date, default=None)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def is_once(self) -> bool:
        """Whether it has dates of its own and does not begin anew."""
        return self.start is not None

    def to_dict(self) -> dict[str, Any]:
        """Return the REST form."""
        rendered: dict[str, Any] = {
            "projects": [_name("projects", each) for each in self.projects],
            "resourceAncestors": list(self.ancestors),
            "services": [_name("services", each) for each in self.services],
            "subaccounts": [_name("billingAccounts", each) for each in self.subaccounts],
            "labels": {key: [value] for key, value in self.labels.items()},
            "creditTypes": list(self.credit_types),
        }
        rendered = {key: value for key, value in rendered.items() if value}
        if self.credits is not None:
            rendered["creditTypesTreatment"] = _CREDITS[Credits(self.credits)]
        if self.period is not None:
            rendered["calendarPeriod"] = _PERIODS[BudgetPeriod(self.period)]
        if self.start is not None:
            days = {"startDate": self.start, "endDate": self.end}
            rendered["customPeriod"] = {key: _date_json(_date(day)) for key, day in days.items() if day is not None}
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the scope that an object of the REST API is."""
        labels = read_table(document, "labels")
        custom = read_table(document, "customPeriod")
        made = cls(
            projects=read_texts(document, "projects"),
            ancestors=read_texts(document, "resourceAncestors"),
            services=read_texts(document, "services"),
            subaccounts=read_texts(document, "subaccounts"),
            labels={key: read_texts(labels, key)[0] for key in labels if len(read_texts(labels, key)) == 1},
            credits=read_choice(document, "creditTypesTreatment", _CREDITS),
            credit_types=read_texts(document, "creditTypes"),
            period=read_choice(document, "calendarPeriod", _PERIODS),
            start=_read_date(read_table(custom, "startDate")),
            end=_read_date(read_table(custom, "endDate")),
        )
        return carrying(made, made.to_dict(), document)

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if self.period is not None and self.start is not None:
            yield "the scope has both period= and start=", "Leave out one of them"
        if self.end is not None and (self.start is None or _date(self.end) <= _date(self.start)):
            yield f"end is {self.end}, must come after start", "Give a later end, or an earlier start"
        if len(self.labels) > 1:
            yield f"there are {len(self.labels)} labels, at most one is allowed", "Keep one"
        if bool(self.credit_types) != (self.credits == Credits.SPECIFIED):
            yield (
                'credit_types and credits="specified" go together',
                'Give credits="specified" and credit_types=[…], or neither',
            )
        for each in self.ancestors:
            if not each.startswith(("folders/", "organizations/")):
                yield f"ancestor {each!r} is no folder or organization", "Write folders/ID or organizations/ID"


def _date_json(day: date) -> dict[str, int]:
    return {"year": day.year, "month": day.month, "day": day.day}


def _read_date(document: Mapping[str, Any]) -> date | None:
    try:
        return date(*(int(read_number(document, key)) for key in ("year", "month", "day")))
    except ValueError:
        return None
