"""The dashboard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from obskit.dashboards.arrange import arranged
from obskit.dashboards.filters import DashboardFilter, EventAnnotation, events
from obskit.dashboards.layout import CollapsibleGroup, Item, Placed, Row, SingleViewGroup, fit, place, within
from obskit.dashboards.layouts import ColumnLayout, GridLayout, Layout, MosaicLayout, RowLayout
from obskit.dashboards.panels import FilterControl
from obskit.dashboards.widgets import COLUMNS, Widget, span
from obskit.dashboards.wire import Part, Unreadable, Wire, parts, texts, tidied
from obskit.errors import Problem, nearest
from obskit.queries.carried import patch_between
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_text, checked_id, definition, given, many, shown
from obskit.queries.labels import checked_labels, label_problems
from obskit.queries.reading import document_of, id_of, read_labels

__all__ = ["Dashboard"]

_SERVERS_OWN: Final = frozenset({"name", "etag"})
_LAYOUTS: Final[tuple[type[GridLayout | RowLayout | ColumnLayout | MosaicLayout], ...]] = (
    GridLayout,
    RowLayout,
    ColumnLayout,
    MosaicLayout,
)
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][\w-]*)(?:\.value)?\}")


def _layout(value: object) -> Any:
    if not isinstance(value, _LAYOUTS):
        raise TypeError(f"{shown(value)} is not a layout | Give rows=[…], or for example GridLayout(widgets=[…])")
    return value


@definition
class Dashboard(Part):
    """Widgets on a grid of 48 columns, placed row by row.

    Attributes:
        id: lower-case letters, digits and dashes; what sync knows it by.
        rows: rows, single widgets that take a row each, section headers and collapsible groups, from top to bottom.
        display_name: shown in the console; the id when empty.
        labels: the user's own labels.
        filters: filters and variables above the dashboard.
        annotations: events that its charts mark, or their names, e.g. ``cloud_run_deployment``.
        annotation_projects: resource names of the projects whose events are marked, where an annotation names none.
        columns: how many grid blocks wide it is, 1 to 48.
        layout: one of the API's own layouts, instead of rows.
    """

    noun: ClassVar[str] = "dashboard"
    named_by: ClassVar[str] = "id"
    wire: ClassVar[Mapping[str, Wire]] = {
        "filters": parts("dashboardFilters", DashboardFilter),
        "annotations": parts("annotations.eventAnnotations", EventAnnotation),
        "annotation_projects": texts("annotations.defaultResourceNames"),
        "labels": Wire(path="labels", write=lambda value, _: dict(value), read=dict),
    }

    id: str = given(checked_id, placeholder="")
    rows: Sequence[Row | Widget] = given(many(Row, Widget), default=())
    display_name: str = given(as_text, default="")
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)
    filters: Sequence[DashboardFilter] = given(many(DashboardFilter), default=())
    annotations: Sequence[EventAnnotation | str] = given(events, default=())
    annotation_projects: Sequence[str] = given(many(str, parse=as_text), default=())
    columns: int = given(span, default=COLUMNS)
    layout: Layout | None = given(_layout, default=None)

    def written(self, context: RenderContext) -> dict[str, Any]:
        """Return what the fields say in the REST form, without ``name``."""
        document: dict[str, Any] = {"displayName": self.display_name or self.id}
        if self.layout is not None:
            document[self.layout.key] = self.layout.to_dict(context)
        else:
            tiles = [_tile(each, context) for each in self._placed() if isinstance(each.widget, Widget)]
            document["mosaicLayout"] = {"columns": self.columns, "tiles": tiles}
        return document | Part.written(self, context)

    def _placed(self) -> list[Placed]:
        return place(self.rows, self.columns)

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, id: str = "") -> Self:  # noqa: A002 - the field's name
        """Return the dashboard that a document of the REST API is; what has no field is carried.

        Args:
            document: as the API returns it.
            id: the definition's id; the one that sync gave it, or one made from its name, when empty.

        Raises:
            DefinitionError: it is no JSON object.
        """
        found = tidied(document_of(document, noun="dashboard", without=_SERVERS_OWN))
        own = {"id": id_of(document, given=id, labels_field="labels", default="dashboard")}
        labels = read_labels(found, "labels")
        found = {key: value for key, value in found.items() if key != "labels"} | ({"labels": labels} if labels else {})
        if (name := found.get("displayName")) != own["id"] and isinstance(name, str):
            own["display_name"] = name
        values = cls.values(found) | own
        for way in (_by_rows, _by_layout):
            try:
                made = cls.made(values | way(found), found)
            except Unreadable:
                continue
            if "tiles" not in made.carried.get("mosaicLayout", {}):
                return made
        return cls.made(values, found)

    @classmethod
    def beside(cls, rendered: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the merge patch between the two; in which order tiles are listed says nothing."""
        return patch_between(_in_order(rendered), _in_order(wanted))

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this dashboard breaks."""
        found = [] if self.is_broken else [self.problem(problem, way_out) for problem, way_out in self._rules()]
        for widget in self._widgets():
            found += widget.problems(context, self.place)
        _, _, name = self.place.partition(": ")
        for item, problem, way_out in self._misfits():
            if not item.is_broken:
                noun = item.noun if not isinstance(item, Widget) else "row"
                found.append(Problem(place=f"{item.source}: {name}, {noun}", problem=problem, way_out=way_out))
        for each in (*self.filters, *events(self.annotations)):
            rules = each.rules() if isinstance(each, DashboardFilter) and not each.is_broken else ()
            found += [each.problem(problem, way_out) for problem, way_out in rules]
        found += self._variable_problems(context)
        return [*found, *label_problems(self.labels, self.place)]

    def _rules(self) -> Iterator[tuple[str, str]]:
        if self.layout is not None and self.rows:
            yield "the dashboard has both rows= and layout=", "Give one of the two"
        elif self.layout is not None:
            yield from self.layout.rules()
        elif not self.rows:
            yield "the dashboard has no widgets", "Add rows=[…]"
        if self.columns > COLUMNS:
            yield f"the grid is {self.columns} blocks wide, at most {COLUMNS} are allowed", f"Use columns={COLUMNS}"
        names = [each.variable for each in self.filters if each.variable]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f'two filters have the variable "{name}"', "Rename one of them"
        ids = [widget.id for widget in self._widgets() if widget.id]
        for name in sorted({name for name in ids if ids.count(name) > 1}):
            yield f'two widgets have the id "{name}"', "Give each an id of its own"

    def _misfits(self) -> Iterator[tuple[Any, str, str]]:
        for item in self.rows:
            rows = item.own_rows if isinstance(item, CollapsibleGroup) else (item,)
            for row in rows:
                if isinstance(row, Row):
                    yield from fit(row, self.columns)
                elif isinstance(row, Widget):
                    yield from ((row, *found[1:]) for found in fit(Row(widgets=(row,)), self.columns))

    def _widgets(self) -> Iterator[Widget]:
        items: list[Item] = list(within(list(self.rows)))
        yield from (item for item in items if isinstance(item, CollapsibleGroup))
        yield from (item for item in items if isinstance(item, Widget) and not isinstance(item, CollapsibleGroup))
        if self.layout is not None:
            # There, a group's members are told by where they lie.
            groups = (CollapsibleGroup, SingleViewGroup)
            yield from (widget for widget in self.layout.all_widgets() if not isinstance(widget, groups))

    def _variable_problems(self, context: RenderContext) -> Iterator[Problem]:
        known = {each.variable for each in self.filters if each.variable}
        for widget in self._widgets():
            if widget.is_broken:
                continue
            named = [name for found in widget.texts(context) for name in _VARIABLE.findall(found)]
            if isinstance(widget, FilterControl) and widget.variable:
                named.append(widget.variable)
            if widget.visible_when is not None:
                named.append(widget.visible_when.variable)
            for name in dict.fromkeys(named):
                if name not in known and not name.startswith("__"):
                    guess = nearest(name, known)
                    way_out = f'Did you mean "{guess}"' if guess else f'Add DashboardFilter(variable="{name}", …)'
                    _, _, own = self.place.partition(": ")
                    place = f"{widget.source}: {own}" + (f', widget "{widget.title}"' if widget.title else "")
                    yield Problem(place=place, problem=f'the dashboard has no variable "{name}"', way_out=way_out)


def _by_rows(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a mosaic that rows can say."""
    mosaic = MosaicLayout.from_json(document.get("mosaicLayout"))  # type: ignore[arg-type] # it refuses None
    if mosaic.carried or any(tile.carried for tile in mosaic.tiles):
        raise Unreadable("the mosaic says more than rows can")
    tiles = [
        Placed(x=tile.x, y=tile.y, width=tile.width, height=tile.height, widget=tile.widget) for tile in mosaic.tiles
    ]
    rows = arranged(tiles, mosaic.columns)
    if rows is None:
        raise Unreadable("rows cannot say where the tiles lie")
    return {"rows": rows, "columns": mosaic.columns}


def _by_layout(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field of one of the API's own layouts."""
    kind = next((kind for kind in _LAYOUTS if kind.key in document), None)
    if kind is None:
        raise Unreadable("the dashboard has no layout that is known")
    return {"layout": kind.from_json(document[kind.key])}


def _in_order(document: Mapping[str, Any]) -> Mapping[str, Any]:
    mosaic = document.get("mosaicLayout")
    if not isinstance(mosaic, Mapping) or not isinstance(mosaic.get("tiles"), list):
        return document
    tiles = sorted(mosaic["tiles"], key=lambda tile: (tile.get("yPos", 0), tile.get("xPos", 0), not _is_group(tile)))
    return {**document, "mosaicLayout": {**mosaic, "tiles": tiles}}


def _is_group(tile: Mapping[str, Any]) -> bool:
    return any(kind.key in tile.get("widget", {}) for kind in (CollapsibleGroup, SingleViewGroup))


def _tile(placed: Placed, context: RenderContext) -> dict[str, Any]:
    widget = placed.widget.to_dict(context)  # type: ignore[union-attr] # spaces were left out
    found = {"xPos": placed.x, "yPos": placed.y, "width": placed.width, "height": placed.height}
    # Zero is left out, as the server does.
    return {key: value for key, value in found.items() if value} | {"widget": widget}
