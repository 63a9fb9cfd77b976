"""Widgets that say something: texts and their style, headings, links to where to look next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Final
from urllib.parse import quote

from obskit.dashboards.widgets import TextFormat, Widget, no_rules, span
from obskit.dashboards.wire import Part, Wire, choice, flag, maybe, part, text
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_flag, as_text, definition, given, one, one_of, shown

__all__ = ["Blank", "Links", "SectionHeader", "Text", "TextStyle"]

_HEADER_HEIGHT: Final = 4
_COLOR: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_CONSOLE: Final = "https://console.cloud.google.com"


class Align(StrEnum):
    """Where a text stands between left and right."""

    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"


class VerticalAlign(StrEnum):
    """Where a text stands between top and bottom."""

    TOP = "top"
    CENTER = "center"
    BOTTOM = "bottom"


class Size(StrEnum):
    """Of a padding or a font."""

    EXTRA_SMALL = "extra_small"
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    EXTRA_LARGE = "extra_large"


class Pointer(StrEnum):
    """Where a text's pointer sticks out."""

    TOP = "top"
    RIGHT = "right"
    BOTTOM = "bottom"
    LEFT = "left"
    TOP_LEFT = "top_left"
    TOP_RIGHT = "top_right"
    RIGHT_TOP = "right_top"
    RIGHT_BOTTOM = "right_bottom"
    BOTTOM_RIGHT = "bottom_right"
    BOTTOM_LEFT = "bottom_left"
    LEFT_BOTTOM = "left_bottom"
    LEFT_TOP = "left_top"


def _color(value: object) -> str:
    shown = as_text(value)
    if shown and not _COLOR.fullmatch(shown):
        raise ValueError(f'{shown!r} is not a colour | Write for example "#FFFFFF"')
    return shown


@definition
class TextStyle(Part):
    """How a text looks.

    Attributes:
        background: a colour such as ``#FFFFFF``.
        color: of the text.
        align: ``left``, ``center`` or ``right``.
        vertical_align: ``top``, ``center`` or ``bottom``.
        padding: ``extra_small`` to ``extra_large``.
        font_size: likewise.
        pointer: ``top``, ``top_left`` and so on: where a pointer sticks out.
    """

    noun: ClassVar[str] = "style"
    wire: ClassVar[Mapping[str, Wire]] = {
        "background": text("backgroundColor"),
        "color": text("textColor"),
        "align": choice("horizontalAlignment", Align, prefix="H_"),
        "vertical_align": choice("verticalAlignment", VerticalAlign, prefix="V_"),
        "padding": choice("padding", Size, prefix="P_"),
        "font_size": choice("fontSize", Size, prefix="FS_"),
        "pointer": choice("pointerLocation", Pointer, prefix="PL_"),
    }

    background: str = given(_color, default="")
    color: str = given(_color, default="")
    align: str | None = given(maybe(one_of(Align)), default=None)
    vertical_align: str | None = given(maybe(one_of(VerticalAlign)), default=None)
    padding: str | None = given(maybe(one_of(Size)), default=None)
    font_size: str | None = given(maybe(one_of(Size)), default=None)
    pointer: str | None = given(maybe(one_of(Pointer)), default=None)


@definition
class Text(Widget):
    """A text.

    Attributes:
        content: what it says; Markdown unless `format` says otherwise. May be empty where there is a title.
        format: ``markdown`` or ``raw``.
        style: how it looks.
    """

    key: ClassVar[str] = "text"
    wire: ClassVar[Mapping[str, Wire]] = {
        "content": text("content"),
        "format": choice("format", TextFormat),
        "style": part("style", TextStyle),
    }

    content: str = given(as_text, default="")
    format: str | None = given(maybe(one_of(TextFormat)), default=TextFormat.MARKDOWN)
    style: TextStyle | None = given(one(TextStyle), default=None)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what breaks the platform's rules."""
        if not self.content.strip() and not self.title:
            yield "the text is empty", "Write something, or leave the widget out"


@definition
class SectionHeader(Widget):
    """A heading across the dashboard, which also appears in its table of contents.

    Attributes:
        title: the heading.
        subtitle: below it.
        has_divider: whether the table of contents draws a line below it.
    """

    key: ClassVar[str] = "sectionHeader"
    wire: ClassVar[Mapping[str, Wire]] = {"subtitle": text("subtitle"), "has_divider": flag("dividerBelow")}

    title: str = given(as_text, placeholder="")
    subtitle: str = given(as_text, default="")
    has_divider: bool = given(as_flag, default=False)
    height: int | None = given(maybe(span), default=_HEADER_HEIGHT)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what breaks the platform's rules."""
        if not self.title.strip():
            yield "the section has no title", "Give one"


@definition
class Blank(Widget):
    """Nothing: an empty place."""

    key: ClassVar[str] = "blank"

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return nothing."""
        return no_rules()


def _table(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError(f'{shown(value)} is not a table of links | Write {{"What to do": "https://…"}}')
    return {as_text(name): as_text(target) for name, target in value.items()}


@definition
class Links(Widget):
    """Where to look next: runbooks, log queries and trace searches, as a list of links.

    It becomes a text, and is a `Text` when it is read back.

    Attributes:
        title: above it.
        pages: name → https address, of runbooks and the like.
        logs: name → filter in Cloud Logging's query language.
        traces: name → service whose traces are listed, or an empty text for all.
    """

    key: ClassVar[str] = "text"

    title: str = given(as_text, default="Where to look")
    pages: Mapping[str, str] = given(_table, default_factory=dict)
    logs: Mapping[str, str] = given(_table, default_factory=dict)
    traces: Mapping[str, str] = given(_table, default_factory=dict)

    def written(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form: a text of links into the project's console."""
        document = Widget.written(self, context)
        listed = "\n".join(f"- [{name}]({address})" for name, address in self._addresses(context.project))
        document["text"] = {"content": listed, "format": TextFormat.MARKDOWN.name}
        return document

    def _addresses(self, project: str) -> Iterator[tuple[str, str]]:
        yield from self.pages.items()
        for name, found in self.logs.items():
            yield name, f"{_CONSOLE}/logs/query;query={quote(found, safe='')}?project={quote(project)}"
        for name, service in self.traces.items():
            where = f";query={quote(f'service.name:{service}', safe='')}" if service else ""
            yield name, f"{_CONSOLE}/traces/explorer{where}?project={quote(project)}"

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what breaks the platform's rules."""
        if not (self.pages or self.logs or self.traces):
            yield "there are no links", 'Add for example pages={"Runbook": "https://…"}'
        for name, address in self.pages.items():
            if not address.startswith(("https://", "http://")) or any(char in address for char in " ()"):
                yield (
                    f'"{name}": {address!r} is no http or https address without blanks and parentheses',
                    'Write the full address, "https://…"',
                )
        for name in (*self.pages, *self.logs, *self.traces):
            if not name.strip() or any(char in name for char in "[]"):
                yield f"a link has the name {name!r}", "Give it a name without [ and ]"
