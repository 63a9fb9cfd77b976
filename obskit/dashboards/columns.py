"""What charts make of the columns of a SQL result: dimensions, measures, breakdowns, and their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Final

from obskit.dashboards.wire import Part, Unreadable, Wire, choice, duration, maybe, number, parts, text, whole
from obskit.queries.definitions import as_number, as_text, as_whole, definition, given, one_of
from obskit.queries.durations import DurationLike, as_duration

__all__ = ["SLICES", "Breakdown", "Dimension", "Measure", "SortOrder", "SortedBy"]


class SortOrder(StrEnum):
    """In which order values stand."""

    NONE = "none"
    ASCENDING = "ascending"
    DESCENDING = "descending"


def _parameters(value: object) -> tuple[float | int, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(item if isinstance(item, int) and not isinstance(item, bool) else as_number(item) for item in items)


def _read_parameters(value: Any) -> tuple[float | int, ...]:
    found: list[float | int] = []
    for item in value:
        if set(item) == {"intValue"}:
            found.append(int(item["intValue"]))
        elif set(item) == {"doubleValue"}:
            found.append(float(item["doubleValue"]))
        else:
            raise Unreadable(f"{item!r} is no parameter")
    return tuple(found)


_FUNCTION: Final[Mapping[str, Wire]] = {
    "column": text("column"),
    "function": text("aggregationFunction.type"),
    "parameters": Wire(
        path="aggregationFunction.parameters",
        write=lambda value, _: [
            {"intValue": str(item)} if isinstance(item, int) else {"doubleValue": item} for item in value
        ],
        read=_read_parameters,
    ),
}


@definition
class Measure(Part):
    """A value that is computed from a column.

    Attributes:
        column: the column's name.
        function: ``none``, ``percentile``, ``average``, ``count``, ``count-distinct``, ``sum``, ``max`` or ``min``.
        parameters: of the function, e.g. 95 for ``percentile``; whole numbers and others are told apart.
    """

    noun: ClassVar[str] = "measure"
    named_by: ClassVar[str] = "column"
    wire: ClassVar[Mapping[str, Wire]] = _FUNCTION

    column: str = given(as_text, default="")
    function: str = given(as_text, default="")
    parameters: Sequence[float] | float = given(_parameters, default=())


@definition
class Breakdown(Part):
    """One part for each of a column's values.

    Attributes:
        column: the column's name.
        function: over all data of a part, as in `Measure`.
        parameters: of the function.
        limit: how many parts at most; all when 0.
        order: ``ascending``, ``descending`` or ``none``, of the column's values.
    """

    noun: ClassVar[str] = "breakdown"
    named_by: ClassVar[str] = "column"
    wire: ClassVar[Mapping[str, Wire]] = {
        **_FUNCTION,
        "limit": whole("limit"),
        "order": choice("sortOrder", SortOrder, prefix="SORT_ORDER_"),
    }

    column: str = given(as_text, default="")
    function: str = given(as_text, default="")
    parameters: Sequence[float] | float = given(_parameters, default=())
    limit: int | None = given(maybe(as_whole), default=None)
    order: str | None = given(maybe(one_of(SortOrder)), default=None)


@definition
class Dimension(Part):
    """A column whose values are the categories or the bins of a chart.

    Attributes:
        column: the column's name.
        type: the column's type, e.g. ``STRING``, ``TIMESTAMP``, ``INT64``.
        sort_column: the column that orders the bins.
        order: ``ascending``, ``descending`` or ``none``.
        most_bins: how many bins at most.
        bin_size: of a numeric column, a whole number.
        float_bin_size: of a floating-point column.
        time_bin_size: of a column of times.
        lowest: the lowest value on the axis.
        highest: the highest value on the axis.
    """

    noun: ClassVar[str] = "dimension"
    named_by: ClassVar[str] = "column"
    wire: ClassVar[Mapping[str, Wire]] = {
        "column": text("column"),
        "type": text("columnType"),
        "sort_column": text("sortColumn"),
        "order": choice("sortOrder", SortOrder, prefix="SORT_ORDER_"),
        "most_bins": whole("maxBinCount"),
        "bin_size": whole("numericBinSize"),
        "float_bin_size": number("floatBinSize"),
        "time_bin_size": duration("timeBinSize"),
        "lowest": number("xMin"),
        "highest": number("xMax"),
    }

    column: str = given(as_text, default="")
    type: str = given(as_text, default="")
    sort_column: str = given(as_text, default="")
    order: str | None = given(maybe(one_of(SortOrder)), default=None)
    most_bins: int | None = given(maybe(as_whole), default=None)
    bin_size: int | None = given(maybe(as_whole), default=None)
    float_bin_size: float | None = given(maybe(as_number), default=None)
    time_bin_size: DurationLike | None = given(maybe(as_duration), default=None)
    lowest: float | None = given(maybe(as_number), default=None)
    highest: float | None = given(maybe(as_number), default=None)


@definition
class SortedBy(Part):
    """A column that orders the data and the legend.

    Attributes:
        column: the column's name.
        order: ``ascending``, ``descending`` or ``none``.
    """

    noun: ClassVar[str] = "order"
    named_by: ClassVar[str] = "column"
    wire: ClassVar[Mapping[str, Wire]] = {
        "column": text("column"),
        "order": choice("direction", SortOrder, prefix="SORT_ORDER_"),
    }

    column: str = given(as_text, default="")
    order: str | None = given(maybe(one_of(SortOrder)), default=None)


SLICES: Final[Mapping[str, Wire]] = {
    "dimensions": parts("dimensions", Dimension),
    "measures": parts("measures", Measure),
    "breakdowns": parts("breakdowns", Breakdown),
}
"""How a model's dimensions, measures and breakdowns are spelled."""
