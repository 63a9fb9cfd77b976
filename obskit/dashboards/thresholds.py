"""Thresholds: lines in charts, limits of scorecards and table cells; an alert policy is one by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, ClassVar

from obskit.dashboards.widgets import Policy
from obskit.dashboards.wire import Part, Wire, choice, maybe, number, text
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_number, as_text, definition, given, one_of

__all__ = ["LIMITS", "LINES", "AxisSide", "Color", "Direction", "Threshold", "thresholds"]


class AxisSide(StrEnum):
    """Which of a chart's two value axes."""

    Y1 = "y1"
    Y2 = "y2"


class Color(StrEnum):
    """How bad it is to cross a threshold."""

    YELLOW = "yellow"
    RED = "red"


class Direction(StrEnum):
    """On which side of a threshold it is bad."""

    ABOVE = "above"
    BELOW = "below"


@definition
class Threshold(Part):
    """A line in a chart, or a limit of a scorecard or of a table's cells.

    Attributes:
        value: in the unit of what is shown.
        label: what it is.
        color: ``yellow`` or ``red``; not for charts, whose lines have no colour in the API.
        direction: ``above`` or ``below``; not for charts.
        axis: ``y1`` or ``y2``; for charts only.
    """

    noun: ClassVar[str] = "threshold"
    named_by: ClassVar[str] = "label"
    wire: ClassVar[Mapping[str, Wire]] = {
        "value": number("value", absent=0.0),
        "label": text("label"),
        "color": choice("color", Color),
        "direction": choice("direction", Direction),
        "axis": choice("targetAxis", AxisSide, absent=AxisSide.Y1),
    }

    value: float = given(as_number, placeholder=0.0)
    label: str = given(as_text, default="")
    color: str | None = given(maybe(one_of(Color)), default=Color.RED)
    direction: str | None = given(maybe(one_of(Direction)), default=Direction.ABOVE)
    axis: str = given(one_of(AxisSide), default=AxisSide.Y1)

    def line(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form for a chart, where colour and direction are not allowed."""
        shown = {"value", "label"} | ({"targetAxis"} if self.axis == AxisSide.Y2 else set()) | set(self.carried)
        return {key: value for key, value in self.to_dict(context).items() if key in shown}

    def limit(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form for a scorecard or a table, where the axis is not allowed."""
        shown = self.to_dict(context)
        return {key: value for key, value in shown.items() if key != "targetAxis" or key in self.carried}

    def as_written(self) -> object:
        """Return what a person would write for it: the number, where it has nothing else to say."""
        return self.value if self == Threshold(value=self.value) else self


def _read_line(document: Mapping[str, Any]) -> Threshold:
    return Threshold.from_json({"color": "RED", "direction": "ABOVE", **document})


LINES = Wire(
    path="thresholds",
    write=lambda value, context: [threshold.line(context) for threshold in thresholds(value)],
    read=lambda value: tuple(_read_line(item) for item in value),
)
"""How a chart's thresholds are spelled."""

LIMITS = Wire(
    path="thresholds",
    write=lambda value, context: [threshold.limit(context) for threshold in thresholds(value)],
    read=lambda value: tuple(Threshold.from_json(item) for item in value),
)
"""How the thresholds of a scorecard or of a table's column are spelled."""


def thresholds(value: object) -> tuple[Threshold, ...]:
    """Return thresholds that were given as such, as numbers, or as alert policies, whose own threshold it is."""
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(found for item in items for found in _threshold(item))


def _threshold(value: object) -> Iterator[Threshold]:
    if isinstance(value, Threshold):
        yield value
    elif isinstance(value, Policy):
        if value.threshold is None:
            raise ValueError(f'policy "{value.id}" compares with no number | Give a Threshold(value=…)')
        yield Threshold(value=value.threshold, label=f"alert: {value.display_name or value.id}")
    else:
        yield Threshold(value=as_number(value))
