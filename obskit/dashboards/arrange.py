"""From tiles by position back to rows, columns and groups, as a person would have written them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from obskit.dashboards.layout import CollapsibleGroup, Column, Item, Placed, Row, SingleViewGroup, Space, place, shares
from obskit.dashboards.widgets import Widget

__all__ = ["arranged"]

_ROW_HEIGHT: Final = 16


class _Knotted(Exception):
    """The tiles cannot be cut into rows and columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    x: int
    y: int
    width: int
    height: int
    widget: Widget
    members: tuple[_Box, ...] = ()

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    def holds(self, other: _Box) -> bool:
        return self.x <= other.x and self.y <= other.y and other.right <= self.right and other.bottom <= self.bottom


def arranged(tiles: Sequence[Placed], columns: int) -> tuple[Row | Widget, ...] | None:
    """Return rows that place the same widgets on the same blocks; None where rows and columns cannot say it.

    Args:
        tiles: widgets on their places.
        columns: of the mosaic.
    """
    boxes = [
        _Box(x=tile.x, y=tile.y, width=tile.width, height=tile.height, widget=tile.widget)
        for tile in tiles
        if isinstance(tile.widget, Widget)
    ]
    try:
        rows = tuple(_rows(_grouped(_with_views(boxes), columns), columns))
    except _Knotted:
        return None
    # The widgets were given sizes on the way, and are told by what they were.
    found = Counter(each.box for each in place(rows, columns) if isinstance(each.widget, Widget))
    return rows if found == Counter(tile.box for tile in tiles) else None


def _with_views(boxes: Sequence[_Box]) -> list[_Box]:
    """Put the members of each single-view group into it: the widgets on its very blocks."""
    taken: set[int] = set()
    found: list[_Box] = []
    groups = [box for box in boxes if isinstance(box.widget, SingleViewGroup)]
    for group in groups:
        members = [
            box
            for box in boxes
            if _blocks(box) == _blocks(group) and not isinstance(box.widget, SingleViewGroup | CollapsibleGroup)
        ]
        if any(id(member) in taken for member in members):
            raise _Knotted
        taken |= {id(member) for member in members} | {id(group)}
        views = tuple(member.widget for member in members)
        found.append(replace(group, widget=replace(group.widget, widgets=views)))  # type: ignore[call-arg]
    return [*(box for box in boxes if id(box) not in taken), *found]


def _blocks(box: _Box) -> tuple[int, int, int, int]:
    return box.x, box.y, box.width, box.height


def _grouped(boxes: Sequence[_Box], columns: int) -> list[_Box]:
    """Put what lies within a collapsible group into it."""
    groups = [box for box in boxes if isinstance(box.widget, CollapsibleGroup)]
    rest = [box for box in boxes if not isinstance(box.widget, CollapsibleGroup)]
    found: list[_Box] = []
    for group in groups:
        members = [box for box in rest if group.holds(box)]
        if group.x != 0 or group.width != columns or not members:
            raise _Knotted
        rest = [box for box in rest if box not in members]
        found.append(replace(group, members=tuple(members)))
    return [*rest, *found]


def _rows(boxes: Sequence[_Box], columns: int) -> list[Row | Widget]:
    rows: list[Row | Widget] = []
    top = 0
    for band in _cut(boxes, lambda box: (box.y, box.bottom)):
        start = min(box.y for box in band)
        if start > top:
            rows.append(_gap(start - top))
        top = max(box.bottom for box in band)
        if len(band) == 1 and band[0].members:
            rows.append(_group(band[0], columns))
        elif any(box.members for box in band):
            raise _Knotted
        else:
            rows.append(_alone(_row(band, 0, columns, start, top)))
    return rows


def _gap(height: int) -> Row:
    return Row(widgets=(Space(),), height=height)


def _group(box: _Box, columns: int) -> Widget:
    inner = [replace(member, y=member.y - box.y) for member in box.members]
    rows: list[Row | Widget] = _rows(inner, columns)
    missing = box.height - max(member.bottom for member in inner)
    if missing:
        rows.append(_gap(missing))
    return replace(box.widget, rows=tuple(rows))  # type: ignore[call-arg] # it is a group


def _cut(boxes: Sequence[_Box], edges: Callable[[_Box], tuple[int, int]]) -> list[list[_Box]]:
    """Cut boxes into bands that no box crosses."""
    bands: list[list[_Box]] = []
    end = -1
    for box in sorted(boxes, key=edges):
        start, stop = edges(box)
        if bands and start < end:
            bands[-1].append(box)
        else:
            bands.append([box])
        end = max(end, stop)
    return bands


def _row(boxes: Sequence[_Box], left: int, right: int, top: int, bottom: int) -> Row:
    """Return boxes side by side, all of the width from `left` to `right`."""
    parts = _cut(boxes, lambda box: (box.x, box.right))
    if len(parts) == 1 and len(boxes) > 1:
        raise _Knotted
    height = bottom - top
    items: list[Item] = []
    x = left
    for part in parts:
        start, stop = min(box.x for box in part), max(box.right for box in part)
        if start > x:
            items.append(Space(width=start - x))
        items.append(_resized(_part(part, start, stop, top, bottom), width=stop - start))
        x = stop
    widths = [item.width for item in items]
    if x == right and shares(right - left, [None] * len(items)) == widths:
        items = [_resized(item, width=None) for item in items]
    return Row(widgets=tuple(items), height=height)


def _part(boxes: Sequence[_Box], left: int, right: int, top: int, bottom: int) -> Item:
    """Return what stands in a row, between its upper and lower edge."""
    (first, *others) = boxes
    if not others and first.y == top:
        own: Item = _resized(first.widget, height=None if first.height == bottom - top else first.height)
        return own
    return _column(boxes, left, right, top, bottom)


def _column(boxes: Sequence[_Box], left: int, right: int, top: int, bottom: int) -> Column:
    items: list[Item] = []
    y = top
    for band in _cut(boxes, lambda box: (box.y, box.bottom)):
        start, stop = min(box.y for box in band), max(box.bottom for box in band)
        if start > y:
            items.append(Space(height=start - y))
        if len(band) == 1 and band[0].x == left:
            widget = _resized(band[0].widget, height=stop - start)
            items.append(widget if band[0].right == right else _resized(widget, width=band[0].width))
        else:
            items.append(_row(band, left, right, start, stop))
        y = stop
    heights = [item.height for item in items]
    if y == bottom and shares(bottom - top, [None] * len(items)) == heights:
        items = [_resized(item, height=None) for item in items]
    return Column(widgets=tuple(items))


def _resized(item: Any, **sizes: int | None) -> Any:
    return replace(item, **sizes)


def _alone(row: Row) -> Row | Widget:
    """Return a row's only widget, where the row says nothing else."""
    row = replace(row, height=None) if row.height == _ROW_HEIGHT else row
    (first, *others) = row.widgets
    if others or not isinstance(first, Widget) or isinstance(first, SingleViewGroup):
        return row
    if first.height is None and row.height is not None:
        return replace(first, height=row.height)
    return first
