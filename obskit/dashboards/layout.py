"""Rows, sections and their placement on the 48-column mosaic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from obskit.dashboards.widgets import COLUMNS, Widget, span
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_flag, as_text, definition, given

__all__ = ["CollapsibleGroup", "Row", "SectionHeader", "Tile", "place"]

_ROW_HEIGHT: Final = 16
_HEADER_HEIGHT: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A widget and the blocks that it covers."""

    x: int
    y: int
    width: int
    height: int
    widget: Widget

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        place = {"xPos": self.x, "yPos": self.y, "width": self.width, "height": self.height}
        # Zero is left out, as the server does.
        return {key: value for key, value in place.items() if value} | {"widget": self.widget.to_dict(context)}


def _widgets(value: object) -> tuple[Widget, ...]:
    items = tuple(value) if isinstance(value, list | tuple) else (value,)
    for item in items:
        if not isinstance(item, Widget) or isinstance(item, CollapsibleGroup):
            raise TypeError(f"{item!r} is not a widget that fits into a row | Give charts, texts, panels")
    return items


@definition
class Row(Definition):
    """Widgets side by side.

    Attributes:
        widgets: from left to right; those without a width share what the others leave.
        height: in grid blocks, for widgets without a height of their own.
    """

    noun: ClassVar[str] = "row"

    widgets: Sequence[Widget] = given(_widgets, placeholder=())
    height: int = given(span, default=_ROW_HEIGHT)

    def tiles(self, top: int) -> list[Tile]:
        """Return the row's tiles, its upper edge at `top`."""
        tiles, left = [], 0
        for widget, width in zip(self.widgets, self._widths(), strict=True):
            tiles.append(Tile(x=left, y=top, width=width, height=widget.blocks or self.height, widget=widget))
            left += width
        return tiles

    def _widths(self) -> list[int]:
        taken = sum(widget.columns or 0 for widget in self.widgets)
        sharing = sum(1 for widget in self.widgets if widget.columns is None)
        share, rest = divmod(max(0, COLUMNS - taken), max(1, sharing))
        widths = []
        for widget in self.widgets:
            if widget.columns is not None:
                widths.append(widget.columns)
                continue
            widths.append(share + (1 if rest > 0 else 0))
            rest -= 1
        return widths

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return why the row does not fit onto the grid."""
        taken = sum(widget.columns or 0 for widget in self.widgets)
        sharing = sum(1 for widget in self.widgets if widget.columns is None)
        if not self.widgets:
            yield "the row has no widgets", "Add widgets, or leave the row out"
        elif taken + sharing > COLUMNS:
            yield (
                f"the row's widgets are {taken + sharing} blocks wide or more, the grid has {COLUMNS}",
                "Make some narrower, or begin another row",
            )


@definition
class SectionHeader(Widget):
    """A heading across the dashboard, which also appears in its table of contents.

    Attributes:
        title: the heading.
        subtitle: below it.
        has_divider: whether the table of contents draws a line below it.
        height: in grid blocks.
    """

    title: str = given(as_text, placeholder="")
    subtitle: str = given(as_text, default="")
    has_divider: bool = given(as_flag, default=False)
    height: int | None = given(span, default=_HEADER_HEIGHT)

    def shown(self, context: RenderContext) -> dict[str, Any]:  # noqa: ARG002 - the same for every widget
        """Return the REST form."""
        header: dict[str, Any] = {"subtitle": self.subtitle} if self.subtitle else {}
        return {"sectionHeader": header | ({"dividerBelow": True} if self.has_divider else {})}

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what breaks the platform's rules."""
        if not self.title.strip():
            yield "the section has no title", "Give one"


def _rows(value: object) -> tuple[Row, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(item if isinstance(item, Row) else Row(widgets=_widgets(item)) for item in items)


@definition
class CollapsibleGroup(Widget):
    """Rows under a heading that folds them away.

    Attributes:
        title: the heading.
        rows: rows, or single widgets that take a row each.
        is_collapsed: whether it is folded at first.
    """

    title: str = given(as_text, placeholder="")
    rows: Sequence[Row | Widget] = given(_rows, placeholder=())
    is_collapsed: bool = given(as_flag, default=False)

    @property
    def own_rows(self) -> tuple[Row, ...]:
        """Its rows; a single widget is a row of its own."""
        return _rows(self.rows)

    def shown(self, context: RenderContext) -> dict[str, Any]:  # noqa: ARG002 - the same for every widget
        """Return the REST form; the platform tells a group's members by where they lie."""
        return {"collapsibleGroup": {"collapsed": True} if self.is_collapsed else {}}

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what breaks the platform's rules."""
        if not self.rows:
            yield "the group has no rows", "Add rows=…, or leave the group out"


def place(items: Sequence[Row | Widget]) -> list[Tile]:
    """Return the tiles of a dashboard, row below row, none overlapping but a group and its members."""
    tiles: list[Tile] = []
    top = 0
    for item in items:
        if isinstance(item, CollapsibleGroup):
            inner: list[Tile] = []
            bottom = top
            for row in item.own_rows:
                inner += row.tiles(bottom)
                bottom = _bottom(inner, bottom)
            if bottom > top:
                tiles.append(Tile(x=0, y=top, width=COLUMNS, height=bottom - top, widget=item))
            tiles += inner
            top = bottom
            continue
        row = item if isinstance(item, Row) else Row(widgets=(item,))
        placed = row.tiles(top)
        tiles += placed
        top = _bottom(placed, top)
    return tiles


def _bottom(tiles: Sequence[Tile], otherwise: int) -> int:
    return max((tile.y + tile.height for tile in tiles), default=otherwise)
