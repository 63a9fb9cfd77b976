"""Widgets without numbers, and what every widget has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

from obskit.errors import Problem
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_number, as_text, definition, given, many, one_of

__all__ = ["IncidentList", "LogsPanel", "Policy", "RawWidget", "Text", "TextFormat", "Widget", "span"]

COLUMNS: Final = 48
"""Columns of the mosaic. Source: the REST reference; the Python client's comment still says 12."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget(Definition):
    """What every widget has: a title, a width and a height in grid blocks (the grid is 48 blocks wide)."""

    noun: ClassVar[str] = "widget"
    named_by: ClassVar[str] = "title"

    def shown(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form of what the widget shows, under its kind's key."""
        raise NotImplementedError

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        raise NotImplementedError

    @property
    def columns(self) -> int | None:
        """Its width in grid blocks; None shares what its row leaves."""
        return getattr(self, "width", None)

    @property
    def blocks(self) -> int | None:
        """Its height in grid blocks; None takes its row's."""
        return getattr(self, "height", None)

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        title = getattr(self, "title", "")
        return ({"title": title} if title else {}) | self.shown(context)

    def problems(self, context: RenderContext, dashboard_place: str) -> list[Problem]:
        """Return what breaks the platform's rules, at this widget of a dashboard."""
        if self.is_broken:
            return []
        _, _, dashboard = dashboard_place.partition(": ")
        title = getattr(self, "title", "")
        place = f"{self.source}: {dashboard}" + (f', widget "{title}"' if title else "")
        return [Problem(place=place, problem=problem, way_out=way_out) for problem, way_out in self.rules(context)]


class TextFormat(StrEnum):
    """How a text is read."""

    MARKDOWN = "markdown"
    RAW = "raw"


@definition
class Text(Widget):
    """A text.

    Attributes:
        content: what it says; Markdown unless `format` says otherwise.
        title: above it.
        format: ``markdown`` or ``raw``.
        width: in grid blocks.
        height: in grid blocks.
    """

    content: str = given(as_text, placeholder="")
    title: str = given(as_text, default="")
    format: str = given(one_of(TextFormat), default=TextFormat.MARKDOWN)
    width: int | None = given(span, default=None)
    height: int | None = given(span, default=None)

    def shown(self, context: RenderContext) -> dict[str, Any]:  # noqa: ARG002 - the same for every widget
        """Return the REST form."""
        return {"text": {"content": self.content, "format": TextFormat(self.format).name}}

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what breaks the platform's rules."""
        if not self.content.strip():
            yield "the text is empty", "Write something, or leave the widget out"


@definition
class LogsPanel(Widget):
    """Log entries that a filter selects.

    Attributes:
        filter: in Cloud Logging's query language; all entries when empty.
        title: above it.
        projects: ids of the projects whose logs are shown; the definition's own when empty.
        width: in grid blocks.
        height: in grid blocks.
    """

    filter: str = given(as_text, default="")
    title: str = given(as_text, default="")
    projects: Sequence[str] = given(many(str, parse=as_text), default=())
    width: int | None = given(span, default=None)
    height: int | None = given(span, default=None)

    def shown(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        projects = self.projects or (context.project,)
        return {"logsPanel": {"filter": self.filter, "resourceNames": [f"projects/{project}" for project in projects]}}

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - the same for every widget
        """Return what breaks the platform's rules."""
        quotes = self.filter.replace("\\\\", "").replace('\\"', "").count('"')
        if quotes % 2:
            yield "the filter has a quote without its pair", f"Mend this filter: {self.filter}"
        for opening, closing in ("()", "[]"):
            if not quotes and self.filter.count(opening) != self.filter.count(closing):
                yield f'the filter has "{opening}" without "{closing}"', f"Mend this filter: {self.filter}"


def _policies(value: object) -> tuple[Policy | str, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    for item in items:
        if not isinstance(item, str | Policy):
            raise TypeError(f"{item!r} is not an alert policy | Give AlertPolicy objects, or their ids")
    return tuple(items)


@definition
class IncidentList(Widget):
    """Open incidents.

    Attributes:
        policies: the policies whose incidents are shown, or their ids; all when empty.
        title: above it.
        width: in grid blocks.
        height: in grid blocks.
    """

    policies: Sequence[Policy | str] = given(_policies, default=())
    title: str = given(as_text, default="Open incidents")
    width: int | None = given(span, default=None)
    height: int | None = given(span, default=None)

    def shown(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        names = [context.policy_name(policy if isinstance(policy, str) else policy.id) for policy in self.policies]
        return {"incidentList": {"policyNames": names} if names else {}}

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - the same for every widget
        """Return nothing: there is nothing to get wrong that the constructor would not see."""
        return iter(())


def _json(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is not a table | Give the widget as the REST API shows it")
    return value


@definition
class RawWidget(Widget):
    """A widget in the REST API's own form, carried unchanged; for kinds and fields that have no class here.

    Attributes:
        json: the Widget document, its title included.
        width: in grid blocks.
        height: in grid blocks.
    """

    named_by: ClassVar[str] = ""

    json: Mapping[str, Any] = given(_json, default_factory=dict)
    width: int | None = given(span, default=None)
    height: int | None = given(span, default=None)

    def shown(self, context: RenderContext) -> dict[str, Any]:  # noqa: ARG002 - the same for every widget
        """Return the document."""
        return dict(self.json)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what is surely wrong."""
        if not set(self.json) - {"title", "id", "visibilityCondition"}:
            yield "the widget shows nothing", 'Give its kind, for example {"pieChart": {…}}'
