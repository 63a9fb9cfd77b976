"""Walk a parsed PromQL expression and work out its value for all steps of a grid at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import promql_parser as pp

from obskit.engine.promql.aggregations import aggregate
from obskit.engine.promql.arithmetic import CALENDAR, MATH
from obskit.engine.promql.columns import Cell, Column, Columns, Grid, Number, Result, merged, refuse, without_name
from obskit.engine.promql.histograms import histogram_quantile
from obskit.engine.promql.joins import binary
from obskit.engine.promql.labelling import label_join, label_replace, labels_of_absent
from obskit.engine.promql.parsing import milliseconds, unwrapped
from obskit.engine.promql.selecting import LOOKBACK_MS, Windows, fetch, instants, windows_of
from obskit.engine.promql.windows import CHANGES, OVER_TIME, changes, holt_winters, over_time, quantiles, trend
from obskit.engine.series import Series, SeriesSource

__all__ = ["MOST_STEPS", "Evaluation", "grid_between"]

MOST_STEPS: Final = 250_000
"""Most steps of one range or subquery; a week in steps of 3 s fits."""

_DEFAULT_STEP_MS: Final = 60_000  # of a subquery that names none; Prometheus' default evaluation interval


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One expression over one source, on one grid of moments.

    Attributes:
        source: where series come from.
        grid: the moments.
        start_ms: what ``@ start()`` means: the first moment of the whole query, also within a subquery.
        end_ms: what ``@ end()`` means.
    """

    source: SeriesSource
    grid: Grid
    start_ms: int
    end_ms: int

    def value(self, node: Any) -> Result:
        """Return the value of an expression.

        Raises:
            QueryError: the expression cannot be evaluated, or uses something that is not supported here.
        """
        match node:
            case pp.NumberLiteral():
                return self._constant(float(node.val))
            case pp.StringLiteral():
                return str(node.val)
            case pp.ParenExpr():
                return self.value(node.expr)
            case pp.UnaryExpr():
                return self._negated(self.value(node.expr))
            case pp.VectorSelector():
                return self._instants(node)
            case pp.AggregateExpr():
                return self._aggregate(node)
            case pp.BinaryExpr():
                return binary(str(node.op), node.modifier, self.value(node.lhs), self.value(node.rhs))
            case pp.Call():
                return self._call(node)
        raise refuse("gives ranges, not one value a series", "Wrap the range in a function such as rate()")

    def _constant(self, value: float) -> Number:
        return Number([value] * self.grid.count)

    def _negated(self, value: Result) -> Result:
        if isinstance(value, str):
            raise refuse("a text cannot be negated", "Use a number")
        if isinstance(value, Number):
            return Number([-each for each in value.values])
        return _mapped(value, lambda each: -each)

    def columns(self, node: Any) -> Columns:
        """Return the value of an expression that must be a vector."""
        value = self.value(node)
        if not isinstance(value, list):
            raise refuse("a vector is needed here", "Wrap the number in vector()")
        return value

    def numbers(self, node: Any) -> Sequence[float]:
        """Return the value of an expression that must be a number, for each step."""
        value = self.value(node)
        if not isinstance(value, Number):
            raise refuse("a number is needed here", "Use a number, or scalar() of a vector")
        return value.values

    def text(self, node: Any) -> str:
        """Return the value of an expression that must be a text."""
        value = self.value(node)
        if not isinstance(value, str):
            raise refuse("a text is needed here", "Put it in quotes")
        return value

    # ------------------------------------------------------------------ selecting

    def _moments(self, node: Any) -> Sequence[int]:
        """The grid as a selector or subquery sees it: pinned by ``@``, moved by ``offset``."""
        offset = milliseconds(node.offset)
        if node.at is None:
            return [moment - offset for moment in self.grid.moments]
        kind = str(node.at.type)
        if kind.endswith("At"):
            pinned = round(node.at.at.timestamp() * 1000)
        else:
            pinned = self.start_ms if kind.endswith("Start") else self.end_ms
        return [pinned - offset] * self.grid.count

    def _series(self, node: Any, moments: Sequence[int], back_ms: int) -> Sequence[Series]:
        return fetch(self.source, node, moments[0] - back_ms, moments[-1]) if moments else ()

    def _instants(self, node: Any, *, wants_times: bool = False) -> Columns:
        moments = self._moments(node)
        return instants(self._series(node, moments, LOOKBACK_MS), moments, wants_times=wants_times)

    def windows(self, node: Any) -> Windows:
        """Return the windows of a range selector or a subquery."""
        node = unwrapped(node)
        if isinstance(node, pp.SubqueryExpr):
            return self._subquery(node)
        if not isinstance(node, pp.MatrixSelector):
            raise refuse("a range is needed here", "Write for example rate(metric[5m])")
        selector, width = node.vector_selector, milliseconds(node.range)
        ends = self._moments(selector)
        return windows_of(self._series(selector, ends, width), ends, width)

    def _subquery(self, node: Any) -> Windows:
        ends, width = self._moments(node), milliseconds(node.range)
        step = milliseconds(node.step) or _DEFAULT_STEP_MS
        first = -(-(ends[0] - width) // step) * step
        grid = grid_between(first, ends[-1], step)
        inner = Evaluation(self.source, grid, self.start_ms, self.end_ms)
        value = inner.value(node.expr)
        if not isinstance(value, list):
            raise refuse("has a subquery over what is no vector", "Wrap the number in vector()")
        return windows_of([_as_series(column, grid) for column in value], ends, width)

    # ------------------------------------------------------------------ aggregations and functions

    def _aggregate(self, node: Any) -> Columns:
        name, parameter = str(node.op).lower(), None
        if node.param is not None:
            parameter = self.text(node.param) if name == "count_values" else self.numbers(node.param)
        names = tuple(node.modifier.labels) if node.modifier is not None else ()
        is_by = node.modifier is None or str(node.modifier.type).endswith("By")
        return aggregate(name, self.columns(node.expr), parameter, names, is_by=is_by)

    def _call(self, node: Any) -> Result:
        name, args = str(node.func.name), node.args
        if name in CHANGES:
            is_counter, is_rate = CHANGES[name]
            return merged(_filled(changes(self.windows(args[0]), is_counter=is_counter, is_rate=is_rate)))
        if name in OVER_TIME:
            return merged(_filled(over_time(name, self.windows(args[0]))))
        if name in MATH:
            return _mapped(self.columns(args[0]), MATH[name])
        if name in CALENDAR:
            times = [Column({}, [moment / 1000 for moment in self.grid.moments])]
            return _mapped(self.columns(args[0]) if args else times, CALENDAR[name])
        function = _CALLS.get(name)
        if function is None:
            raise refuse(f"function {name}() is not supported", "Use a function of Prometheus 2.44")
        return function(self, args)


def grid_between(first_ms: int, last_ms: int, step_ms: int) -> Grid:
    """Return the moments from the first, and as many steps as fit before the last or end on it.

    Raises:
        QueryError: there would be more than `MOST_STEPS`, or the step is not positive.
    """
    if step_ms <= 0:
        raise refuse(f"has a step of {step_ms} ms", "Give one of at least 1 ms")
    count = max(0, (last_ms - first_ms) // step_ms + 1)
    if count > MOST_STEPS:
        raise refuse(f"has {count:,} steps, more than {MOST_STEPS:,}", "Make the step longer or the range shorter")
    return Grid(first_ms, step_ms, count)


def _as_series(column: Column, grid: Grid) -> Series:
    values = column.values
    if None not in values:
        return Series(column.labels, grid.moments, [cell for cell in values if cell is not None])
    pairs = [(moment, cell) for moment, cell in zip(grid.moments, values, strict=True) if cell is not None]
    return Series(column.labels, [moment for moment, _ in pairs], [cell for _, cell in pairs])


def _filled(columns: Columns) -> Columns:
    return [column for column in columns if any(cell is not None for cell in column.values)]


def _mapped(columns: Columns, function: Callable[[float], float]) -> Columns:
    return merged(
        [
            Column(without_name(column.labels), [None if cell is None else function(cell) for cell in column.values])
            for column in columns
        ]
    )


def _stepwise(columns: Columns, function: Callable[..., Cell], *numbers: Sequence[float]) -> Columns:
    """Apply a function of a value and of numbers that may differ from step to step."""
    return merged(
        _filled(
            [
                Column(
                    without_name(column.labels),
                    [None if row[0] is None else function(*row) for row in zip(column.values, *numbers, strict=True)],
                )
                for column in columns
            ]
        )
    )


# --------------------------------------------------------------------------- the other functions


def _absent(run: Evaluation, args: Sequence[Any]) -> Columns:
    return _absence(run, args[0], [column.values for column in run.columns(args[0])])


def _absent_over_time(run: Evaluation, args: Sequence[Any]) -> Columns:
    return _absence(
        run, args[0], [[None if low >= high else 1.0 for low, high in row.spans] for row in run.windows(args[0]).rows]
    )


def _absence(run: Evaluation, node: Any, rows: Sequence[Sequence[Cell]]) -> Columns:
    cells: list[Cell] = [1.0] * run.grid.count
    for row in rows:
        cells = [one if cell is None else None for one, cell in zip(cells, row, strict=True)]
    return _filled([Column(labels_of_absent(node), cells)])


def _scalar(run: Evaluation, args: Sequence[Any]) -> Number:
    columns = run.columns(args[0])
    values = []
    for step in range(run.grid.count):
        present = [cell for column in columns if (cell := column.values[step]) is not None]
        values.append(present[0] if len(present) == 1 else math.nan)
    return Number(values)


def _timestamp(run: Evaluation, args: Sequence[Any]) -> Columns:
    node = unwrapped(args[0])
    if isinstance(node, pp.VectorSelector):
        found = run._instants(node, wants_times=True)  # noqa: SLF001 - this module's own
        return merged([Column(without_name(column.labels), column.values) for column in found])
    return _stepwise(run.columns(node), lambda _, now: now, [moment / 1000 for moment in run.grid.moments])


def _lesser(a: float, b: float) -> float:
    """Go's ``math.Min``: NaN wins over every number but -Inf."""
    return math.nan if math.isnan(a + b) and -math.inf not in {a, b} else b if math.isnan(a) else min(a, b)


def _greater(a: float, b: float) -> float:
    return -_lesser(-a, -b)


def _clamped(value: float, low: float, high: float) -> Cell:
    return None if high < low else _greater(low, _lesser(high, value))


def _rounded(value: float, unit: float) -> float:
    inverse = 1 / unit if unit else math.copysign(math.inf, unit)
    scaled = value * inverse + 0.5
    if not math.isfinite(scaled):
        return scaled / inverse if not math.isinf(inverse) else math.nan
    return math.floor(scaled) / inverse if not math.isnan(inverse) else math.nan


def _round(run: Evaluation, args: Sequence[Any]) -> Columns:
    units = run.numbers(args[1]) if len(args) > 1 else [1.0] * run.grid.count
    return _stepwise(run.columns(args[0]), _rounded, units)


def _sorted(run: Evaluation, args: Sequence[Any], sign: int) -> Columns:
    """A range has no order: only an instant query's result is sorted."""

    def rank(column: Column) -> tuple[bool, float]:
        value = column.values[0]
        return value is None or math.isnan(value), 0.0 if value is None else sign * value

    columns = run.columns(args[0])
    return sorted(columns, key=rank) if run.grid.count == 1 else columns


def _label_replace(run: Evaluation, args: Sequence[Any]) -> Columns:
    target, replacement, source, pattern = (run.text(arg) for arg in args[1:5])
    return label_replace(run.columns(args[0]), target, replacement, source, pattern)


def _label_join(run: Evaluation, args: Sequence[Any]) -> Columns:
    target, separator, *sources = (run.text(arg) for arg in args[1:])
    return label_join(run.columns(args[0]), target, separator, sources)


_CALLS: Final[Mapping[str, Callable[[Evaluation, Sequence[Any]], Result]]] = {
    "absent": _absent,
    "absent_over_time": _absent_over_time,
    "clamp": lambda run, args: _stepwise(run.columns(args[0]), _clamped, run.numbers(args[1]), run.numbers(args[2])),
    "clamp_max": lambda run, args: _stepwise(run.columns(args[0]), _lesser, run.numbers(args[1])),
    "clamp_min": lambda run, args: _stepwise(run.columns(args[0]), _greater, run.numbers(args[1])),
    "histogram_quantile": lambda run, args: histogram_quantile(run.numbers(args[0]), run.columns(args[1])),
    "holt_winters": lambda run, args: merged(
        _filled(holt_winters(run.windows(args[0]), run.numbers(args[1]), run.numbers(args[2])))
    ),
    "label_join": _label_join,
    "label_replace": _label_replace,
    "pi": lambda run, _: Number([math.pi] * run.grid.count),
    "predict_linear": lambda run, args: merged(
        _filled(trend(run.windows(args[0]), run.grid.moments, run.numbers(args[1])))
    ),
    "quantile_over_time": lambda run, args: merged(_filled(quantiles(run.windows(args[1]), run.numbers(args[0])))),
    "round": _round,
    "scalar": _scalar,
    "sort": lambda run, args: _sorted(run, args, 1),
    "sort_desc": lambda run, args: _sorted(run, args, -1),
    "time": lambda run, _: Number([moment / 1000 for moment in run.grid.moments]),
    "timestamp": _timestamp,
    "vector": lambda run, args: [Column({}, run.numbers(args[0]))],
}
