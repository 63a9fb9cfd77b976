"""What every widget has, and the widget that is carried as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

from obskit.dashboards.wire import Part, Wire, duration, part, text
from obskit.errors import Problem
from obskit.queries.carried import as_json_fields
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_number, as_text, definition, given, one
from obskit.queries.durations import DurationLike, as_duration, whole_seconds

__all__ = ["Policy", "RawWidget", "TextFormat", "TimeRange", "VisibleWhen", "Widget", "no_rules", "span"]

COLUMNS: Final = 48
"""Columns of the mosaic. Source: the REST reference; the Python client's comment still says 12."""

_ID_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@runtime_checkable
class Policy(Protocol):
    """What a dashboard needs to know of an alert policy: an `obskit.alerts.AlertPolicy` has it."""

    @property
    def id(self) -> str: ...
    @property
    def display_name(self) -> str: ...
    @property
    def threshold(self) -> float | None: ...


def span(value: object) -> int:
    """Return a width or height: a whole number of grid blocks."""
    size = as_number(value)
    if size != int(size) or size < 1:
        raise ValueError(f"{value!r} is not a whole number of grid blocks | Write a number from 1 on")
    return int(size)


class TextFormat(StrEnum):
    """How a text is read."""

    MARKDOWN = "markdown"
    RAW = "raw"


@definition
class VisibleWhen(Part):
    """When a widget is shown: when a variable of the dashboard has a value.

    Attributes:
        variable: the template variable's name.
        matches: an RE2 pattern that its whole value must match.
    """

    noun: ClassVar[str] = "condition"
    named_by: ClassVar[str] = "variable"
    wire: ClassVar[Mapping[str, Wire]] = {
        "variable": text("templateVariableCondition.templateVariable"),
        "matches": text("templateVariableCondition.templateVariableValue"),
    }

    variable: str = given(as_text, placeholder="")
    matches: str = given(as_text, placeholder="")

    def written(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, with the only comparison that there is."""
        document = Part.written(self, context)
        document["templateVariableCondition"]["comparator"] = "REGEX_FULL_MATCH"
        return document


def _time(value: object) -> str:
    shown = as_text(value)
    if not shown:
        return shown
    try:
        datetime.fromisoformat(shown)
    except ValueError:
        raise ValueError(f'{shown!r} is not a time | Write for example "2026-11-21T12:00:00Z"') from None
    return shown


@definition
class TimeRange(Part):
    """A widget's own time range, instead of the dashboard's: the last so long, or from one time to another.

    Attributes:
        last: how long before now.
        start: RFC 3339, inclusive.
        end: RFC 3339, exclusive.
    """

    noun: ClassVar[str] = "time range"
    wire: ClassVar[Mapping[str, Wire]] = {
        "last": duration("relativeDuration"),
        "start": text("absoluteWindow.startTime"),
        "end": text("absoluteWindow.endTime"),
    }

    last: DurationLike | None = given(as_duration, default=None)
    start: str = given(_time, default="")
    end: str = given(_time, default="")

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if self.last is not None and (self.start or self.end):
            yield "the time range has both last= and start= or end=", "Give one of the two"
        elif self.last is None and not (self.start and self.end) and not self.carried:
            yield "the time range has neither last= nor start= and end=", 'Write for example last="7d"'
        elif self.last is not None and whole_seconds(self.last) <= 0:
            yield "the time range is 0 s long", 'Write for example last="7d"'

    def as_written(self) -> object:
        """Return what a person would write for it: how long before now, where it has nothing else to say."""
        return self.last if self.last is not None and self == TimeRange(last=self.last) else self


def _condition(value: object) -> VisibleWhen:
    return one(VisibleWhen)(value)  # type: ignore[no-any-return]


def _time_range(value: object) -> TimeRange:
    return value if isinstance(value, TimeRange) else TimeRange(last=as_duration(value))


def no_rules() -> Iterator[tuple[str, str]]:
    """Return nothing: for widgets in which nothing can be wrong that the constructor would not see."""
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget(Part):
    """What every widget has.

    Attributes:
        title: above it.
        id: letters, digits, dashes and underscores; for those who refer to it.
        visible_when: shown only when a variable has a value.
        time_range: its own time range, as a `TimeRange` or as how long before now.
        width: in grid blocks (the grid is 48 blocks wide); shares what its row leaves when not given.
        height: in grid blocks; its row's when not given.
    """

    noun: ClassVar[str] = "widget"
    named_by: ClassVar[str] = "title"
    key: ClassVar[str] = ""
    """The kind's key in the REST form of a widget; the spellings in `wire` are below it."""

    title: str = given(as_text, default="")
    id: str = given(as_text, default="")
    visible_when: VisibleWhen | None = given(_condition, default=None)  # noqa: RUF009
    time_range: TimeRange | DurationLike | None = given(_time_range, default=None)  # noqa: RUF009
    width: int | None = given(span, default=None)
    height: int | None = given(span, default=None)

    @classmethod
    @cache
    def spellings(cls) -> Mapping[str, Wire]:
        """Return the table: field → where and how it stands in the JSON of the whole widget."""
        own = {name: replace(wire, path=f"{cls.key}.{wire.path}") for name, wire in cls.wire.items()}
        return {"title": text("title", absent=""), **own, **_OF_EVERY_WIDGET}

    def written(self, context: RenderContext) -> dict[str, Any]:
        """Return what the fields say in the REST form."""
        document = Part.written(self, context)
        document.setdefault(self.key, {})
        return document

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        raise NotImplementedError

    def texts(self, context: RenderContext) -> Iterator[str]:  # noqa: ARG002 - for those that have queries
        """Return the texts in which the dashboard's variables may stand."""
        yield from ()

    @property
    def columns(self) -> int | None:
        """Its width in grid blocks; None shares what its row leaves."""
        return self.width

    @property
    def blocks(self) -> int | None:
        """Its height in grid blocks; None takes its row's."""
        return self.height

    def problems(self, context: RenderContext, dashboard_place: str) -> list[Problem]:
        """Return what breaks the platform's rules, at this widget of a dashboard."""
        if self.is_broken:
            return []
        _, _, dashboard = dashboard_place.partition(": ")
        place = f"{self.source}: {dashboard}" + (f', widget "{self.title}"' if self.title else "")
        rules = (*self.rules(context), *self._own_rules())
        return [Problem(place=place, problem=problem, way_out=way_out) for problem, way_out in rules]

    def _own_rules(self) -> Iterator[tuple[str, str]]:
        if not set(self.id) <= _ID_CHARACTERS:
            yield f'id "{self.id}" has characters beside A-Z, a-z, 0-9, - and _', "Leave them out"
        if isinstance(self.time_range, TimeRange) and not self.time_range.is_broken:
            yield from self.time_range.rules()


_OF_EVERY_WIDGET: Final[Mapping[str, Wire]] = {
    "id": text("id"),
    "visible_when": part("visibilityCondition", VisibleWhen),
    "time_range": part("timeRange", TimeRange),
}


@definition
class RawWidget(Widget):
    """A widget in the REST API's own form, carried unchanged; for kinds that have no class here.

    Attributes:
        json: the Widget document, its title included.
    """

    named_by: ClassVar[str] = ""

    json: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    def written(self, context: RenderContext) -> dict[str, Any]:  # noqa: ARG002 - the same for every widget
        """Return the document."""
        return dict(self.json)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RawWidget:
        """Return a widget that carries the document."""
        return cls(json=document)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what is surely wrong."""
        if not set(self.json) - {"title", "id", "visibilityCondition", "timeRange"}:
            yield "the widget shows nothing", 'Give its kind, for example {"pieChart": {…}}'

    def texts(self, context: RenderContext) -> Iterator[str]:  # noqa: ARG002
        """Return the whole document."""
        yield str(dict(self.json))
