"""The dashboard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from obskit.dashboards.layout import CollapsibleGroup, Row, place
from obskit.dashboards.widgets import COLUMNS, Widget
from obskit.errors import Problem
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_text, checked_id, definition, given, many
from obskit.queries.labels import checked_labels, label_problems

__all__ = ["Dashboard"]


@definition
class Dashboard(Definition):
    """Widgets on a grid of 48 columns, placed row by row.

    Attributes:
        id: lower-case letters, digits and dashes; what sync knows it by.
        rows: rows, single widgets that take a row each, section headers and collapsible groups, from top to bottom.
        display_name: shown in the console; the id when empty.
        labels: the user's own labels.
    """

    noun: ClassVar[str] = "dashboard"
    named_by: ClassVar[str] = "id"

    id: str = given(checked_id, placeholder="")
    rows: Sequence[Row | Widget] = given(many(Row, Widget), placeholder=())
    display_name: str = given(as_text, default="")
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without ``name``."""
        rendered: dict[str, Any] = {
            "displayName": self.display_name or self.id,
            "mosaicLayout": {
                "columns": COLUMNS,
                "tiles": [tile.to_dict(context) for tile in place(self.rows)],
            },
        }
        if self.labels:
            rendered["labels"] = dict(self.labels)
        return rendered

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this dashboard breaks."""
        found = [] if self.is_broken else [self.problem(problem, way_out) for problem, way_out in self._rules()]
        for widget in self._widgets():
            found += widget.problems(context, self.place)
        _, _, name = self.place.partition(": ")
        for source, row in self._own_rows():
            rules = () if row.is_broken else row.rules()
            found += [Problem(place=f"{source}: {name}, row", problem=problem, way_out=way) for problem, way in rules]
        return [*found, *label_problems(self.labels, self.place)]

    def _rules(self) -> Iterator[tuple[str, str]]:
        if not self.rows:
            yield "the dashboard has no widgets", "Add rows=[…]"

    def _own_rows(self) -> Iterator[tuple[str, Row]]:
        for item in self.rows:
            if isinstance(item, CollapsibleGroup):
                yield from ((row.source, row) for row in item.own_rows)
            elif isinstance(item, Row):
                yield item.source, item
            else:
                yield item.source, Row(widgets=(item,))

    def _widgets(self) -> Iterator[Widget]:
        yield from (item for item in self.rows if isinstance(item, CollapsibleGroup))
        for _, row in self._own_rows():
            yield from row.widgets
