"""Evaluate a parsed PromQL expression at one moment, over series that are selected once for a whole range."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import promql_parser as pp

from obskit.engine.promql.joins import binary
from obskit.engine.promql.vectors import (
    CALENDAR,
    MATH,
    Sample,
    Vector,
    aggregate,
    histogram_quantile,
    key_of,
    without_name,
)
from obskit.engine.promql.windows import OVER_TIME, extrapolated, instant_change, quantile, slope
from obskit.engine.series import Matcher, Series, SeriesSource
from obskit.errors import Problem, QueryError

__all__ = ["Evaluation", "Window"]

LOOKBACK_MS: Final = 300_000
_MATCH_OPS: Final = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}
_RATES: Final = {"rate": (True, True), "increase": (True, False), "delta": (False, False)}


def _ms(span: timedelta | None) -> int:
    return 0 if span is None else round(span.total_seconds() * 1000)


def refuse(problem: str, way_out: str) -> QueryError:
    """Return the error of a query that cannot be evaluated."""
    return QueryError(Problem(place="query", problem=problem, way_out=way_out))


@dataclass(frozen=True, slots=True)
class Window:
    """The points of one series in a range."""

    labels: Mapping[str, str]
    times_ms: Sequence[int]
    values: Sequence[float]
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class Evaluation:
    """One query over one source, at moments between `first_ms` and `last_ms`.

    Attributes:
        source: where series come from.
        first_ms: earliest moment that will be asked for, also what ``@ start()`` means.
        last_ms: latest moment that will be asked for, also what ``@ end()`` means.
    """

    source: SeriesSource
    first_ms: int
    last_ms: int
    _selected: dict[Any, Sequence[Series]] = field(default_factory=dict)

    def at(self, node: Any, now_ms: int) -> float | str | Vector:
        """Return the value of an expression at one moment.

        Raises:
            QueryError: the expression uses something that is not supported here.
        """
        match node:
            case pp.NumberLiteral():
                return float(node.val)
            case pp.StringLiteral():
                return str(node.val)
            case pp.ParenExpr():
                return self.at(node.expr, now_ms)
            case pp.UnaryExpr():
                return self._negated(self.at(node.expr, now_ms))
            case pp.VectorSelector():
                return self._instant(node, now_ms)
            case pp.AggregateExpr():
                return self._aggregate(node, now_ms)
            case pp.BinaryExpr():
                return binary(str(node.op), node.modifier, self.at(node.lhs, now_ms), self.at(node.rhs, now_ms))
            case pp.Call():
                return self._call(node, now_ms)
        raise refuse(f"a {type(node).__name__} cannot stand here", "Wrap the range in a function such as rate()")

    @staticmethod
    def _negated(value: float | str | Vector) -> float | str | Vector:
        if isinstance(value, str):
            raise refuse("a text cannot be negated", "Use a number")
        if isinstance(value, float):
            return -value
        return [Sample(without_name(sample.labels), -sample.value) for sample in value]

    # ------------------------------------------------------------------ selecting

    def _moment(self, node: Any, now_ms: int) -> int:
        at = node.at
        if at is not None:
            kind = str(at.type)
            now_ms = self.first_ms if "Start" in kind else self.last_ms if "End" in kind else self._timestamp(at)
        return now_ms - _ms(node.offset)

    @staticmethod
    def _timestamp(at: Any) -> int:
        moment = at.at
        return round((float(moment) if isinstance(moment, int | float) else float(moment.timestamp())) * 1000)

    def _series(self, selector: Any, back_ms: int) -> Sequence[Series]:
        # By text: every access to a part of the tree makes a new object, whose id would not last.
        key = (selector.prettify(), back_ms)
        found = self._selected.get(key)
        if found is None:
            matchers = [Matcher(m.name, _MATCH_OPS[str(m.op)], str(m.value)) for m in selector.matchers.matchers]
            if selector.name:
                matchers.insert(0, Matcher("__name__", "=", selector.name))
            if selector.matchers.or_matchers:
                raise refuse("`or` between matchers is not supported", "Use a regular expression, or two selectors")
            low, high = self._moment(selector, self.first_ms), self._moment(selector, self.last_ms)
            found = self._selected[key] = self.source.select(matchers, min(low, high) - back_ms, max(low, high))
        return found

    def _instant(self, selector: Any, now_ms: int) -> Vector:
        moment = self._moment(selector, now_ms)
        vector: Vector = []
        for series in self._series(selector, LOOKBACK_MS):
            index = bisect_right(series.times_ms, moment) - 1
            if index >= 0 and series.times_ms[index] > moment - LOOKBACK_MS:
                vector.append(Sample(series.labels, series.values[index]))
        return vector

    def windows(self, node: Any, now_ms: int) -> list[Window]:
        """Return the points of a range selector or a subquery."""
        if isinstance(node, pp.ParenExpr):
            return self.windows(node.expr, now_ms)
        if isinstance(node, pp.SubqueryExpr):
            return self._subquery(node, now_ms)
        if not isinstance(node, pp.MatrixSelector):
            raise refuse("a range is needed here", "Write for example rate(metric[5m])")
        selector = node.vector_selector
        width = _ms(node.range)
        end = self._moment(selector, now_ms)
        found = []
        for series in self._series(selector, width):
            # Prometheus before 3.0 includes both edges of the window.
            low = bisect_right(series.times_ms, end - width - 1)
            high = bisect_right(series.times_ms, end)
            if low < high:
                cut = slice(low, high)
                found.append(Window(series.labels, series.times_ms[cut], series.values[cut], end - width, end))
        return found

    def _subquery(self, node: Any, now_ms: int) -> list[Window]:
        end = self._moment(node, now_ms)
        width, step = _ms(node.range), _ms(node.step) or 60_000
        start = end - width
        first = -(-start // step) * step
        inner = Evaluation(self.source, first, end)
        points: dict[tuple[tuple[str, str], ...], tuple[Mapping[str, str], list[int], list[float]]] = {}
        for moment in range(first, end + 1, step):
            value = inner.at(node.expr, moment)
            for sample in [Sample({}, value)] if isinstance(value, float) else value:
                if not isinstance(sample, Sample):
                    raise refuse("a subquery over a text", "Use an expression of numbers")
                entry = points.setdefault(key_of(sample.labels), (sample.labels, [], []))
                entry[1].append(moment)
                entry[2].append(sample.value)
        return [Window(labels, times, values, start, end) for labels, times, values in points.values()]

    # ------------------------------------------------------------------ aggregations and functions

    def _aggregate(self, node: Any, now_ms: int) -> Vector:
        parameter = None if node.param is None else self.at(node.param, now_ms)
        names = set(node.modifier.labels) if node.modifier is not None else set()
        is_by = node.modifier is None or "By" in str(node.modifier.type)

        def grouping(labels: Mapping[str, str]) -> dict[str, str]:
            if is_by:
                return {name: labels[name] for name in names if labels.get(name)}
            return {name: value for name, value in labels.items() if name not in names and name != "__name__"}

        vector = self.at(node.expr, now_ms)
        if not isinstance(vector, list):
            raise refuse(f"{node.op}() needs a vector", "Wrap the number in vector()")
        return aggregate(str(node.op), vector, parameter, grouping)

    def _call(self, node: Any, now_ms: int) -> float | str | Vector:
        name, args = node.func.name, node.args
        if name in _RANGED or name in OVER_TIME or name in _RATES:
            return self._ranged(name, args, now_ms)
        if name in MATH:
            return _mapped(self._vector(args[0], now_ms), MATH[name])
        if name in CALENDAR:
            vector = self._vector(args[0], now_ms) if args else [Sample({}, now_ms / 1000)]
            return _mapped(vector, CALENDAR[name])
        if name not in _CALLS:
            raise refuse(f"function {name}() is not supported by this evaluation", "Use another function")
        found: float | str | Vector = getattr(self, _CALLS[name])(args, now_ms)
        return found

    def _vector(self, node: Any, now_ms: int) -> Vector:
        value = self.at(node, now_ms)
        if not isinstance(value, list):
            raise refuse("a vector is needed here", "Wrap the number in vector()")
        return value

    def _number(self, node: Any, now_ms: int) -> float:
        value = self.at(node, now_ms)
        if not isinstance(value, float):
            raise refuse("a number is needed here", "Use a number, or scalar() of a vector")
        return value

    def _ranged(self, name: str, args: Sequence[Any], now_ms: int) -> Vector:
        found: Vector = []
        is_quantile = name == "quantile_over_time"
        share = self._number(args[0], now_ms) if is_quantile else 0.0
        ahead = self._number(args[1], now_ms) if name == "predict_linear" else 0.0
        for window in self.windows(args[1] if is_quantile else args[0], now_ms):
            if is_quantile:
                value: float | None = quantile(share, window.values)
            elif name in OVER_TIME:
                value = OVER_TIME[name](window.values)
            elif name in _RATES:
                is_counter, is_rate = _RATES[name]
                value = extrapolated(
                    window.times_ms,
                    window.values,
                    window.start_ms,
                    window.end_ms,
                    is_counter=is_counter,
                    is_rate=is_rate,
                )
            else:
                value = _RANGED[name](window, now_ms, ahead)
            if value is not None:
                keeps_name = name == "last_over_time"
                found.append(Sample(window.labels if keeps_name else without_name(window.labels), value))
        return found

    # ------------------------------------------------------------------ the other functions

    def _histogram_quantile(self, args: Sequence[Any], now_ms: int) -> Vector:
        return histogram_quantile(self._number(args[0], now_ms), self._vector(args[1], now_ms))

    def _pi(self, _args: Sequence[Any], _now_ms: int) -> float:
        return math.pi

    def _scalar(self, args: Sequence[Any], now_ms: int) -> float:
        vector = self._vector(args[0], now_ms)
        return vector[0].value if len(vector) == 1 else math.nan

    def _to_vector(self, args: Sequence[Any], now_ms: int) -> Vector:
        return [Sample({}, self._number(args[0], now_ms))]

    def _time(self, _args: Sequence[Any], now_ms: int) -> float:
        return now_ms / 1000

    def _timestamps(self, args: Sequence[Any], now_ms: int) -> Vector:
        node = args[0].expr if isinstance(args[0], pp.ParenExpr) else args[0]
        if not isinstance(node, pp.VectorSelector):
            return [Sample(without_name(s.labels), now_ms / 1000) for s in self._vector(node, now_ms)]
        moment = self._moment(node, now_ms)
        found = []
        for series in self._series(node, LOOKBACK_MS):
            index = bisect_right(series.times_ms, moment) - 1
            if index >= 0 and series.times_ms[index] > moment - LOOKBACK_MS:
                found.append(Sample(without_name(series.labels), series.times_ms[index] / 1000))
        return found

    def _absent(self, args: Sequence[Any], now_ms: int) -> Vector:
        return [] if self._vector(args[0], now_ms) else [Sample(_told(args[0]), 1.0)]

    def _absent_over_time(self, args: Sequence[Any], now_ms: int) -> Vector:
        if self.windows(args[0], now_ms):
            return []
        return [Sample(_told(getattr(args[0], "vector_selector", None)), 1.0)]

    def _clamp(self, args: Sequence[Any], now_ms: int) -> Vector:
        low, high = self._number(args[1], now_ms), self._number(args[2], now_ms)
        vector = self._vector(args[0], now_ms)
        return [] if low > high else _mapped(vector, lambda value: max(low, min(high, value)))

    def _clamp_min(self, args: Sequence[Any], now_ms: int) -> Vector:
        low = self._number(args[1], now_ms)
        return _mapped(self._vector(args[0], now_ms), lambda value: max(low, value))

    def _clamp_max(self, args: Sequence[Any], now_ms: int) -> Vector:
        high = self._number(args[1], now_ms)
        return _mapped(self._vector(args[0], now_ms), lambda value: min(high, value))

    def _round(self, args: Sequence[Any], now_ms: int) -> Vector:
        unit = self._number(args[1], now_ms) if len(args) > 1 else 1.0
        return _mapped(
            self._vector(args[0], now_ms),
            lambda value: math.floor(value / unit + 0.5) * unit if math.isfinite(value) else value,
        )

    def _sort(self, args: Sequence[Any], now_ms: int) -> Vector:
        return sorted(self._vector(args[0], now_ms), key=lambda sample: sample.value)

    def _sort_desc(self, args: Sequence[Any], now_ms: int) -> Vector:
        return sorted(self._vector(args[0], now_ms), key=lambda sample: -sample.value)

    def _label_replace(self, args: Sequence[Any], now_ms: int) -> Vector:
        target, replacement, source, pattern = (str(self.at(arg, now_ms)) for arg in args[1:5])
        template = re.sub(r"\$(\d+|\{\w+\})", lambda m: "\\g<" + m[1].strip("{}") + ">", replacement)
        found = []
        for sample in self._vector(args[0], now_ms):
            match = re.fullmatch(pattern, sample.labels.get(source, ""), re.DOTALL)
            labels = dict(sample.labels)
            if match:
                labels[target] = match.expand(template)
            found.append(Sample({name: value for name, value in labels.items() if value}, sample.value))
        return found

    def _label_join(self, args: Sequence[Any], now_ms: int) -> Vector:
        target, separator, *sources = (str(self.at(arg, now_ms)) for arg in args[1:])
        return [
            Sample({**s.labels, target: separator.join(s.labels.get(name, "") for name in sources)}, s.value)
            for s in self._vector(args[0], now_ms)
        ]


def _mapped(vector: Vector, function: Callable[[float], float]) -> Vector:
    return [Sample(without_name(sample.labels), function(sample.value)) for sample in vector]


def _told(selector: Any) -> dict[str, str]:
    """The labels that a selector names exactly, which is what an absent series would have had."""
    if not isinstance(selector, pp.VectorSelector):
        return {}
    return {
        m.name: str(m.value)
        for m in selector.matchers.matchers
        if str(m.op) == "MatchOp.Equal" and m.name != "__name__"
    }


def _deriv(window: Window, now_ms: int, _ahead: float) -> float | None:
    line = slope(window.times_ms, window.values, now_ms)
    return None if line is None else line[0]


def _predict(window: Window, now_ms: int, ahead: float) -> float | None:
    line = slope(window.times_ms, window.values, now_ms)
    return None if line is None else line[0] * ahead + line[1]


_RANGED: Final[dict[str, Callable[[Window, int, float], float | None]]] = {
    "irate": lambda window, _now, _ahead: instant_change(window.times_ms, window.values, is_rate=True),
    "idelta": lambda window, _now, _ahead: instant_change(window.times_ms, window.values, is_rate=False),
    "deriv": _deriv,
    "predict_linear": _predict,
    "quantile_over_time": lambda _window, _now, _ahead: None,
}
_CALLS: Final = {
    "absent": "_absent",
    "absent_over_time": "_absent_over_time",
    "clamp": "_clamp",
    "clamp_max": "_clamp_max",
    "clamp_min": "_clamp_min",
    "histogram_quantile": "_histogram_quantile",
    "label_join": "_label_join",
    "label_replace": "_label_replace",
    "pi": "_pi",
    "round": "_round",
    "scalar": "_scalar",
    "sort": "_sort",
    "sort_desc": "_sort_desc",
    "time": "_time",
    "timestamp": "_timestamps",
    "vector": "_to_vector",
}
