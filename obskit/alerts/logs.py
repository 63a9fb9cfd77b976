"""Conditions on log entries: one that fits a filter, and SQL over Log Analytics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from obskit.alerts.conditions import Condition
from obskit.alerts.extractors import label_extractor_rules, log_filter_rules
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_text, as_whole, definition, given, one_of
from obskit.queries.labels import checked_labels
from obskit.queries.reading import carrying, read_choice, read_number, read_table, read_text

__all__ = ["LogMatchCondition", "RowComparison", "SQLCondition"]


@definition
class LogMatchCondition(Condition):
    """A log entry fits a filter. Alone in its policy, which needs a `rate_limit`.

    Attributes:
        filter: Cloud Logging's query, e.g. ``severity>=ERROR AND resource.type="cloud_run_revision"``.
        label_extractors: label → what to take from the entry, ``EXTRACT(field)`` or ``REGEXP_EXTRACT(field, "…(…)…")``;
            each combination of values is an incident of its own, and ``${log.extracted_label.KEY}`` tells them.
        display_name: shown in incidents; the policy's name when empty.
        carried: fields of the REST API that this model does not know.
    """

    json_field: ClassVar[str] = "conditionMatchedLog"

    filter: str = given(as_text, placeholder="")
    label_extractors: Mapping[str, str] = given(checked_labels, default_factory=dict)
    display_name: str = given(as_text, default="")
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    def to_dict(self, context: RenderContext, default_name: str) -> dict[str, Any]:  # noqa: ARG002 - the same everywhere
        """Return the REST form."""
        body: dict[str, Any] = {"filter": self.filter}
        if self.label_extractors:
            body["labelExtractors"] = dict(self.label_extractors)
        return merged({"displayName": self.display_name or default_name, self.json_field: body}, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the condition that an object of the REST API is."""
        body = read_table(document, cls.json_field)
        extractors = read_table(body, "labelExtractors")
        made = cls(
            filter=read_text(body, "filter"),
            label_extractors={key: value for key, value in extractors.items() if isinstance(value, str)},
            display_name=read_text(document, "displayName"),
        )
        return carrying(made, made.to_dict(RenderContext(project=""), ""), document)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - the same everywhere
        """Return what breaks the platform's rules."""
        yield from log_filter_rules(self.filter)
        yield from label_extractor_rules(self.label_extractors)


class RowComparison(StrEnum):
    """How a query's number of rows is compared."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="
    EQUAL = "="
    DIFFERS = "!="


_ROWS: Final = {
    RowComparison.ABOVE: "COMPARISON_GT",
    RowComparison.AT_LEAST: "COMPARISON_GE",
    RowComparison.BELOW: "COMPARISON_LT",
    RowComparison.AT_MOST: "COMPARISON_LE",
    RowComparison.EQUAL: "COMPARISON_EQ",
    RowComparison.DIFFERS: "COMPARISON_NE",
}
# Source: AlertPolicy.Condition.SqlCondition: field → its name in the API, least, most.
_SCHEDULES: Final = {"minutes": ("minutes", 5, 1440), "hours": ("hourly", 1, 48), "days": ("daily", 1, 31)}
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@definition
class SQLCondition(Condition):
    """A SQL query over logs, run on a schedule, gives too many rows or a row that says true.

    Attributes:
        query: GoogleSQL over a log view; it must not restrict the time itself.
        minutes: run every so many minutes, 5 to 1,440. Give one of the three.
        hours: run every so many hours, 1 to 48.
        days: run every so many days, 1 to 31.
        at: with `days` the time of day in UTC, ``"06:30"``; with `hours` the minute, ``":15"``. The platform
            chooses when it is empty.
        rows: compare the number of rows with this. Give either this or `column`.
        comparison: how, ``>``, ``>=``, ``<``, ``<=``, ``=`` or ``!=``.
        column: the name of a Boolean column; a row that has true in it is a violation.
        display_name: shown in incidents; the policy's name when empty.
        carried: fields of the REST API that this model does not know.
    """

    json_field: ClassVar[str] = "conditionSql"

    query: str = given(as_text, placeholder="")
    minutes: int | None = given(as_whole, default=None)
    hours: int | None = given(as_whole, default=None)
    days: int | None = given(as_whole, default=None)
    at: str = given(as_text, default="")
    rows: int | None = given(as_whole, default=None)
    comparison: str = given(one_of(RowComparison), default=RowComparison.ABOVE)
    column: str = given(as_text, default="")
    display_name: str = given(as_text, default="")
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def limit(self) -> float | None:
        """The number of rows."""
        return self.rows

    def to_dict(self, context: RenderContext, default_name: str) -> dict[str, Any]:  # noqa: ARG002 - the same everywhere
        """Return the REST form."""
        body: dict[str, Any] = {"query": self.query}
        for name, (field, _, _) in _SCHEDULES.items():
            if (every := getattr(self, name)) is not None:
                body[field] = {"periodicity": every}
        if self.hours is not None and self.at.startswith(":"):
            body["hourly"]["minuteOffset"] = int(self.at[1:] or 0)
        if self.days is not None and (match := _CLOCK.fullmatch(self.at)):
            body["daily"]["executionTime"] = {"hours": int(match[1]), "minutes": int(match[2])}
        if self.rows is not None:
            comparison = _ROWS[RowComparison(self.comparison)]
            body["rowCountTest"] = {"comparison": comparison, "threshold": str(self.rows)}
        if self.column:
            body["booleanTest"] = {"column": self.column}
        return merged({"displayName": self.display_name or default_name, self.json_field: body}, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the condition that an object of the REST API is."""
        body = read_table(document, cls.json_field)
        rows = read_table(body, "rowCountTest")
        every = {name: read_table(body, field) for name, (field, _, _) in _SCHEDULES.items()}
        made = cls(
            query=read_text(body, "query"),
            minutes=read_number(every["minutes"], "periodicity", None),
            hours=read_number(every["hours"], "periodicity", None),
            days=read_number(every["days"], "periodicity", None),
            at=_at(every),
            rows=read_number(rows, "threshold", 0) if rows else None,
            comparison=read_choice(rows, "comparison", _ROWS) or RowComparison.ABOVE,
            column=read_text(read_table(body, "booleanTest"), "column"),
            display_name=read_text(document, "displayName"),
        )
        return carrying(made, made.to_dict(RenderContext(project=""), ""), document)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - the same everywhere
        """Return what breaks the platform's rules."""
        if not self.query.strip():
            yield "the query is empty", "Write SELECT … FROM `PROJECT.global._Default._AllLogs` WHERE …"
        schedules = {name: every for name in _SCHEDULES if (every := getattr(self, name)) is not None}
        if len(schedules) != 1:
            yield f"there are {len(schedules)} schedules, must be one", "Give one of minutes=, hours= and days="
        for name, every in schedules.items():
            _, least, most = _SCHEDULES[name]
            if not least <= every <= most:
                yield f"{name} is {every}, must be {least} to {most}", f"Use {name}={min(max(every, least), most)}"
        if (self.rows is None) == (not self.column):
            yield "a SQL condition tests either the number of rows or a column", "Give rows=… or column=…"
        if self.rows is not None and self.rows < 0:
            yield f"rows is {self.rows}, must be 0 or more", "Use rows=0"
        yield from self._at_rules()

    def _at_rules(self) -> Iterator[tuple[str, str]]:
        if not self.at:
            return
        if self.days is not None and not _CLOCK.fullmatch(self.at):
            yield f"at is {self.at!r}, must be a time of day", 'Write at="06:30", in UTC'
        if self.hours is not None and not re.fullmatch(r":[0-5]?\d", self.at):
            yield f"at is {self.at!r}, must be a minute of the hour", 'Write at=":15"'
        if self.minutes is not None:
            yield "at has no meaning for a schedule in minutes", "Leave at=… out"


def _at(every: Mapping[str, Mapping[str, Any]]) -> str:
    minute = every["hours"].get("minuteOffset")
    if isinstance(minute, int):
        return f":{minute:02d}"
    if "executionTime" in every["days"]:
        time = read_table(every["days"], "executionTime")
        return f"{int(read_number(time, 'hours')):02d}:{int(read_number(time, 'minutes')):02d}"
    return ""
