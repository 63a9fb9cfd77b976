"""Rows, columns, groups and what they hold, and their placement on the mosaic: nobody counts blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from obskit.dashboards.widgets import COLUMNS, Widget, span
from obskit.dashboards.wire import Wire, choice, flag, maybe
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_flag, as_text, definition, given, one_of, shown

__all__ = ["CollapsibleGroup", "Column", "Item", "Placed", "Row", "SingleViewGroup", "Space", "fit", "place", "within"]

_ROW_HEIGHT: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A widget, or a space, and the blocks that it covers."""

    x: int
    y: int
    width: int
    height: int
    widget: Widget | Space

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Its blocks."""
        return self.x, self.y, self.width, self.height


@definition
class Space(Definition):
    """An empty place.

    Attributes:
        width: in grid blocks.
        height: in grid blocks.
    """

    noun: ClassVar[str] = "space"

    width: int | None = given(span, default=None)
    height: int | None = given(span, default=None)


def _items(value: object) -> tuple[Item, ...]:
    items = tuple(value) if isinstance(value, list | tuple) else (value,)
    for item in items:
        if not isinstance(item, Widget | Row | Column | Space) or isinstance(item, CollapsibleGroup):
            raise TypeError(
                f"{shown(item)} does not fit into a row | Give charts, texts and other widgets, or a Column"
            )
    return items


@definition
class Row(Definition):
    """Widgets side by side.

    Attributes:
        widgets: widgets, columns of such and spaces, from left to right; those without a width share what the others
            leave.
        height: in grid blocks, for widgets without a height of their own; in a column, its share when not given.
        width: in grid blocks; in a column, all of it when not given.
    """

    noun: ClassVar[str] = "row"

    widgets: Sequence[Item] = given(_items, placeholder=())
    height: int | None = given(span, default=None)
    width: int | None = given(span, default=None)


@definition
class Column(Definition):
    """Widgets below each other, next to other widgets of a row.

    Attributes:
        widgets: widgets, rows of such and spaces, from top to bottom; those without a height share what the others
            leave.
        width: in grid blocks; its share of the row when not given.
        height: in grid blocks; the row's when not given.
    """

    noun: ClassVar[str] = "column"

    widgets: Sequence[Item] = given(_items, placeholder=())
    width: int | None = given(span, default=None)
    height: int | None = given(span, default=None)


Item = Widget | Row | Column | Space


def _rows(value: object) -> tuple[Row, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(item if isinstance(item, Row) else Row(widgets=_items(item)) for item in items)


@definition
class CollapsibleGroup(Widget):
    """Rows under a heading that folds them away.

    Attributes:
        title: the heading.
        rows: rows, or single widgets that take a row each.
        is_collapsed: whether it is folded at first.
    """

    key: ClassVar[str] = "collapsibleGroup"
    wire: ClassVar[Mapping[str, Wire]] = {"is_collapsed": flag("collapsed")}

    title: str = given(as_text, placeholder="")
    rows: Sequence[Row | Widget] = given(_rows, default=())
    is_collapsed: bool = given(as_flag, default=False)

    @property
    def own_rows(self) -> tuple[Row, ...]:
        """Its rows; a single widget is a row of its own."""
        return _rows(self.rows)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what breaks the platform's rules."""
        if not self.rows:
            yield "the group has no rows", "Add rows=…, or leave the group out"
        if self.width is not None or self.height is not None:
            yield "width= and height= do not fit a group, which is as large as its rows", "Leave them out"


class Selector(StrEnum):
    """How one of a group's widgets is chosen."""

    DROPDOWN = "dropdown"
    TAB = "tab"


def _views(value: object) -> tuple[Widget, ...]:
    items = _items(value)
    for item in items:
        if not isinstance(item, Widget):
            raise TypeError(f"{shown(item)} is not a widget | Give charts, texts and other widgets")
    return items  # type: ignore[return-value] # checked just now


@definition
class SingleViewGroup(Widget):
    """Widgets in one place, of which one is shown at a time.

    Attributes:
        title: above it.
        widgets: those to choose from.
        selector: ``dropdown`` or ``tab``; the platform's choice when not given.
    """

    key: ClassVar[str] = "singleViewGroup"
    wire: ClassVar[Mapping[str, Wire]] = {"selector": choice("displayType", Selector)}

    widgets: Sequence[Widget] = given(_views, default=())
    selector: str | None = given(maybe(one_of(Selector)), default=None)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what breaks the platform's rules."""
        if not self.widgets:
            yield "the group has no widgets", "Add widgets=[…]"


# --------------------------------------------------------------------------- placement


def place(items: Sequence[Row | Widget], columns: int = COLUMNS) -> list[Placed]:
    """Return the widgets of a dashboard on their places, row below row, none overlapping but a group and its members.

    Args:
        items: rows, groups, and widgets that take a row each.
        columns: of the mosaic.
    """
    placed: list[Placed] = []
    top = 0
    for item in items:
        if isinstance(item, CollapsibleGroup):
            inner = place(item.own_rows, columns)
            bottom = max((each.y + each.height for each in inner), default=0)
            if bottom:
                placed.append(Placed(x=0, y=top, width=columns, height=bottom, widget=item))
            placed += [_moved(each, top) for each in inner]
            top += bottom
            continue
        row = list(_laid(item if isinstance(item, Row) else Row(widgets=(item,)), 0, top, columns, None))
        placed += row
        top = max((each.y + each.height for each in row), default=top)
    return placed


def _moved(placed: Placed, down: int) -> Placed:
    return Placed(x=placed.x, y=placed.y + down, width=placed.width, height=placed.height, widget=placed.widget)


def _laid(item: Item, x: int, y: int, width: int, height: int | None) -> Iterator[Placed]:
    """Place an item into a box; its own size is heeded by who calls."""
    if isinstance(item, Row):
        tall = item.height or height or _ROW_HEIGHT
        for child, wide in zip(item.widgets, shares(width, [_width(each) for each in item.widgets]), strict=True):
            yield from _laid(child, x, y, wide, _height(child) or tall)
            x += wide
    elif isinstance(item, Column):
        own = [_height(each) for each in item.widgets]
        available = height if height is not None else _ROW_HEIGHT * len(own)
        for child, tall in zip(item.widgets, shares(available, own), strict=True):
            yield from _laid(child, x, y, _width(child) or width, tall)
            y += tall
    else:
        yield Placed(x=x, y=y, width=width, height=height or _ROW_HEIGHT, widget=item)
        if isinstance(item, SingleViewGroup):
            for view in item.widgets:
                yield from _laid(view, x, y, width, height)


def _width(item: Item) -> int | None:
    return item.columns if isinstance(item, Widget) else item.width


def _height(item: Item) -> int | None:
    return item.blocks if isinstance(item, Widget) else item.height


def shares(available: int, sizes: Sequence[int | None]) -> list[int]:
    """Return sizes in which those that are None share what the others leave, the first ones a block more."""
    sharing = sum(1 for size in sizes if size is None)
    share, rest = divmod(max(0, available - sum(size or 0 for size in sizes)), max(1, sharing))
    found = []
    for size in sizes:
        found.append(size if size is not None else share + (1 if rest > 0 else 0))
        rest -= size is None
    return found


def within(items: Sequence[Item]) -> Iterator[Item]:
    """Return items and everything in them, outermost first."""
    for item in items:
        yield item
        if isinstance(item, Row | Column | SingleViewGroup):
            yield from within(item.widgets)
        elif isinstance(item, CollapsibleGroup):
            yield from within(item.own_rows)


def fit(item: Item, width: int, height: int | None = None) -> Iterator[tuple[Definition, str, str]]:
    """Return why a row or what is in it does not fit: the item, the problem, the way out.

    Args:
        item: the row, or a widget that takes a row.
        width: of the place for it.
        height: of the place for it; None where it may be as high as it likes.
    """
    if isinstance(item, Row):
        widths = [_width(each) for each in item.widgets]
        yield from ((item, *found) for found in _fitting(widths, width, "row", "wide", "grid"))
        tall = item.height or height or _ROW_HEIGHT
        for child, wide in zip(item.widgets, shares(width, widths), strict=True):
            yield from fit(child, wide, _height(child) or tall)
    elif isinstance(item, Column):
        heights = [_height(each) for each in item.widgets]
        available = height if height is not None else _ROW_HEIGHT * len(heights)
        yield from ((item, *found) for found in _fitting(heights, available, "column", "high", "row"))
        for child, tall in zip(item.widgets, shares(available, heights), strict=True):
            own = _width(child) or width
            if own > width:
                way_out = "Make it narrower, or the column wider"
                yield item, f"a widget is {own} blocks wide, the column has {width}", way_out
            yield from fit(child, own, tall)


def _fitting(sizes: Sequence[int | None], available: int, noun: str, how: str, where: str) -> Iterator[tuple[str, str]]:
    taken = sum(size or 0 for size in sizes)
    sharing = sum(1 for size in sizes if size is None)
    if not sizes:
        yield f"the {noun} has no widgets", f"Add widgets, or leave the {noun} out"
    elif taken + sharing > available and (how == "wide" or sharing):
        yield (
            f"the {noun}'s widgets are {taken + sharing} blocks {how} or more, the {where} has {available}",
            "Make some narrower, or begin another row" if how == "wide" else f"Make some lower, or the {where} higher",
        )
