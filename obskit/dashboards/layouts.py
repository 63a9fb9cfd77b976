"""The API's own layouts, for dashboards whose author counts: grid, weighted rows or columns, and tiles by position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar, Final

from obskit.dashboards.kinds import WIDGET, WIDGETS
from obskit.dashboards.layout import CollapsibleGroup, SingleViewGroup
from obskit.dashboards.widgets import COLUMNS, Widget, span
from obskit.dashboards.wire import Part, Unreadable, Wire, parts, whole
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_number, definition, given, many, one

__all__ = ["ColumnLayout", "GridLayout", "Layout", "MosaicLayout", "RowLayout", "Tile", "Weighted"]

_GROUPS: Final = (CollapsibleGroup, SingleViewGroup)


def _position(value: object) -> int:
    place = as_number(value)
    if place != int(place) or place < 0:
        raise ValueError(f"{value!r} is not a position on the grid | Write a whole number from 0 on")
    return int(place)


@definition
class Tile(Part):
    """A widget and the blocks that it covers.

    Attributes:
        x: blocks from the left.
        y: blocks from the top.
        width: in blocks.
        height: in blocks.
        widget: what is there.
    """

    noun: ClassVar[str] = "tile"
    wire: ClassVar[Mapping[str, Wire]] = {
        "x": whole("xPos", absent=0),
        "y": whole("yPos", absent=0),
        "width": whole("width"),
        "height": whole("height"),
        "widget": WIDGET,
    }

    x: int = given(_position, default=0)
    y: int = given(_position, default=0)
    width: int = given(span, placeholder=1)
    height: int = given(span, placeholder=1)
    widget: Widget = given(one(Widget), placeholder=None)

    def written(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form; a position of zero is left out, as the server does."""
        document = Part.written(self, context)
        return {key: value for key, value in document.items() if value != 0}

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Its blocks."""
        return self.x, self.y, self.width, self.height

    def overlaps(self, other: Tile) -> bool:
        """Return whether two tiles cover a block both."""
        beside = self.x + self.width <= other.x or other.x + other.width <= self.x
        return not (beside or self.y + self.height <= other.y or other.y + other.height <= self.y)


@definition
class GridLayout(Part):
    """Widgets of one size, row after row.

    Attributes:
        widgets: from left to right, then down.
        columns: how many stand side by side; the platform's choice when not given.
    """

    noun: ClassVar[str] = "grid"
    key: ClassVar[str] = "gridLayout"
    wire: ClassVar[Mapping[str, Wire]] = {"columns": whole("columns", as_text=True), "widgets": WIDGETS}

    widgets: Sequence[Widget] = given(many(Widget), placeholder=())
    columns: int | None = given(span, default=None)

    def all_widgets(self) -> Iterator[Widget]:
        """Return every widget."""
        yield from self.widgets

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if not self.widgets:
            yield "the grid has no widgets", "Add widgets=[…]"


@definition
class Weighted(Part):
    """A row or a column of a layout, as large as its weight among the others.

    Attributes:
        widgets: of one size.
        weight: relative to its neighbours; the platform's choice when not given.
    """

    noun: ClassVar[str] = "strip"
    wire: ClassVar[Mapping[str, Wire]] = {"weight": whole("weight", as_text=True), "widgets": WIDGETS}

    widgets: Sequence[Widget] = given(many(Widget), placeholder=())
    weight: int | None = given(span, default=None)

    def as_written(self) -> object:
        """Return what a person would write for it: the widgets, where it has nothing else to say."""
        return list(self.widgets) if self == Weighted(widgets=self.widgets) else self


def _strips(value: object) -> tuple[Weighted, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(item if isinstance(item, Weighted) else Weighted(widgets=item) for item in items)


@definition
class RowLayout(Part):
    """Rows of widgets that share the height.

    Attributes:
        rows: lists of widgets, or `Weighted` ones, from top to bottom.
    """

    noun: ClassVar[str] = "row layout"
    key: ClassVar[str] = "rowLayout"
    wire: ClassVar[Mapping[str, Wire]] = {"rows": parts("rows", Weighted)}

    rows: Sequence[Weighted | Sequence[Widget]] = given(_strips, placeholder=())

    def all_widgets(self) -> Iterator[Widget]:
        """Return every widget."""
        for row in _strips(self.rows):
            yield from row.widgets

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if not self.rows:
            yield "the layout has no rows", "Add rows=[…]"


@definition
class ColumnLayout(Part):
    """Columns of widgets that share the width.

    Attributes:
        columns: lists of widgets, or `Weighted` ones, from left to right.
    """

    noun: ClassVar[str] = "column layout"
    key: ClassVar[str] = "columnLayout"
    wire: ClassVar[Mapping[str, Wire]] = {"columns": parts("columns", Weighted)}

    columns: Sequence[Weighted | Sequence[Widget]] = given(_strips, placeholder=())

    def all_widgets(self) -> Iterator[Widget]:
        """Return every widget."""
        for column in _strips(self.columns):
            yield from column.widgets

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if not self.columns:
            yield "the layout has no columns", "Add columns=[…]"


@definition
class MosaicLayout(Part):
    """Tiles by position, for what rows and columns cannot say.

    Attributes:
        tiles: in any order; members of a group lie on it.
        columns: how many blocks wide the grid is, 1 to 48.
    """

    noun: ClassVar[str] = "mosaic"
    key: ClassVar[str] = "mosaicLayout"
    wire: ClassVar[Mapping[str, Wire]] = {"columns": whole("columns"), "tiles": parts("tiles", Tile)}

    tiles: Sequence[Tile] = given(many(Tile), placeholder=())
    columns: int = given(span, default=COLUMNS)

    @classmethod
    def hoisted(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values; without a number of columns there is none that fits."""
        if values.get("columns") is None or "tiles" not in values:
            raise Unreadable("the mosaic has no columns or no tiles")
        return values

    def all_widgets(self) -> Iterator[Widget]:
        """Return every widget."""
        yield from (tile.widget for tile in self.tiles)

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if not self.tiles:
            yield "the mosaic has no tiles", "Add tiles=[…]"
        if self.columns > COLUMNS:
            yield f"the mosaic is {self.columns} blocks wide, at most {COLUMNS} are allowed", f"Use columns={COLUMNS}"
        for tile in self.tiles:
            if tile.x + tile.width > self.columns:
                yield (
                    f"a tile ends at block {tile.x + tile.width}, the mosaic has {self.columns}",
                    f"Move the tile at x={tile.x}, y={tile.y} to the left, or make it narrower",
                )
        members = self._members()
        tiles = [tile for tile in self.tiles if not tile.is_broken and not isinstance(tile.widget, _GROUPS)]
        for first, other in combinations(tiles, 2):
            if first.overlaps(other) and not (first.box in members and other.box in members):
                yield (
                    f"the tiles at x={first.x}, y={first.y} and x={other.x}, y={other.y} overlap",
                    "Move one of them, or put both into a SingleViewGroup",
                )

    def _members(self) -> set[tuple[int, int, int, int]]:
        return {tile.box for tile in self.tiles if isinstance(tile.widget, SingleViewGroup)}


Layout = GridLayout | RowLayout | ColumnLayout | MosaicLayout
