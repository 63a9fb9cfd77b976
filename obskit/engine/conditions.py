"""The kinds of conditions: what each measures at one moment, series by series."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import promql_parser as pp

from obskit.engine.promql import Sample, evaluate, evaluate_range, parse
from obskit.engine.reduce import ratio
from obskit.engine.series import Series, SeriesSource, TimeSeriesSource
from obskit.errors import Problem, QueryError

if TYPE_CHECKING:
    from obskit.engine.logs import LogSource

__all__ = [
    "Condition",
    "Key",
    "Measurement",
    "PromQL",
    "UnsupportedError",
    "compared_with",
    "key_of",
    "ratio",
    "seconds_ms",
]

Key = tuple[tuple[str, str], ...]


class UnsupportedError(QueryError):
    """A condition is of a kind that is not evaluated here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a condition found for one series.

    Attributes:
        labels: that tell the series from the others.
        value: that was compared, None for a series that has no value.
        is_violating: whether the comparison holds.
    """

    labels: Mapping[str, str]
    value: float | None
    is_violating: bool


class Condition(Protocol):
    """A condition of a policy."""

    name: str
    """Resource name, or the display name while it has none."""
    display_name: str
    """As shown to people."""
    duration_ms: int
    """How long a series must violate."""
    interval_ms: int
    """Time between two evaluations."""
    threshold: float | None
    """The number that values are compared with, None where there is none."""
    closes_without_data: bool
    """Whether a series that is not measured any more does not violate; else nothing is known of it."""

    def measure(
        self, now_ms: int, series: SeriesSource, typed: TimeSeriesSource, logs: LogSource | None = None
    ) -> Sequence[Measurement]:
        """Return what is known of each series at a moment."""

    def is_met(self, violating: int, known: int) -> bool:
        """Return whether enough series have violated for the whole duration, of those that are known."""


def key_of(labels: Mapping[str, str]) -> Key:
    """Return labels as a key."""
    return tuple(sorted(labels.items()))


def seconds_ms(value: object, default_ms: int = 0) -> int:
    """Return milliseconds of a duration in the API's form, ``"300s"``.

    Raises:
        QueryError: it is no such duration.
    """
    if value is None or value == "":
        return default_ms
    try:
        return round(float(str(value).removesuffix("s")) * 1000)
    except (ValueError, OverflowError) as error:
        raise QueryError(
            Problem(place="condition", problem=f"{value!r} is not a duration", way_out='Write for example "300s"')
        ) from error


# A range query pins these to its own ends, an alert's evaluation to each moment.
_PINNED: Final = re.compile(r"@\s*(start|end)\s*\(")
_INTERVAL_MS: Final = 30_000  # Source: PrometheusQueryLanguageCondition.evaluation_interval, "the default is 30s"


@dataclass(slots=True)
class PromQL:
    """A query whose every result violates."""

    name: str
    display_name: str
    query: str
    duration_ms: int
    interval_ms: int
    extra_labels: Mapping[str, str]
    threshold: float | None = field(init=False, default=None)
    closes_without_data: bool = field(init=False, default=True)
    _ahead: dict[int, list[Sample]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.threshold = compared_with(parse(self.query))

    @classmethod
    def of(cls, name: str, display: str, body: Mapping[str, Any]) -> PromQL:
        """Return the condition of a ``PrometheusQueryLanguageCondition``.

        Raises:
            QueryError: the query does not parse, or a duration is none.
        """
        labels = {str(label): str(value) for label, value in (body.get("labels") or {}).items()}
        interval = seconds_ms(body.get("evaluationInterval"), _INTERVAL_MS) or _INTERVAL_MS
        return cls(name, display, str(body.get("query") or ""), seconds_ms(body.get("duration")), interval, labels)

    def look_ahead(self, series: SeriesSource, start_ms: int, end_ms: int) -> None:
        """Work out in one go what `measure` will be asked for; only for series that do not change any more."""
        self._ahead = {}
        if self.is_pinned:
            return
        try:
            found = evaluate_range(self.query, series, start_ms, end_ms, self.interval_ms)
        except QueryError:  # `measure` will raise it at the moment that it belongs to
            return
        self.provide(found, start_ms, end_ms)

    @property
    def is_pinned(self) -> bool:
        """Whether a range query would not be the same as a query at each of its moments."""
        return _PINNED.search(self.query) is not None

    def provide(self, found: Sequence[Series], start_ms: int, end_ms: int) -> None:
        """Take the result of a range query, at every `interval_ms`, for what `measure` will be asked for."""
        ahead: dict[int, list[Sample]] = {at: [] for at in range(start_ms, end_ms + 1, self.interval_ms)}
        for item in found:
            for at_ms, value in zip(item.times_ms, item.values, strict=True):
                ahead[at_ms].append(Sample(item.labels, value))
        self._ahead = ahead

    def finds(self, at_ms: int) -> bool:
        """Return whether the query finds anything at a moment that was provided for; True for another moment."""
        return bool(self._ahead.get(at_ms, True))

    def measure(
        self, now_ms: int, series: SeriesSource, typed: TimeSeriesSource, logs: LogSource | None = None
    ) -> Sequence[Measurement]:
        """Return one violating measurement for each series of the result; a number is one, whatever it is.

        Raises:
            QueryError: the query cannot be evaluated, or gives a text.
        """
        del typed, logs
        found = self._ahead[now_ms] if now_ms in self._ahead else evaluate(self.query, series, now_ms)
        if isinstance(found, str):
            raise QueryError(
                Problem(
                    place=f'condition "{self.display_name}"',
                    problem="the query gives a text",
                    way_out="Write an expression of series that are compared with a number",
                )
            )
        return [
            Measurement(labels={**sample.labels, **self.extra_labels}, value=sample.value, is_violating=True)
            for sample in ([Sample({}, found)] if isinstance(found, float) else found)
        ]

    def is_met(self, violating: int, known: int) -> bool:
        """Return whether any series violates."""
        del known
        return violating > 0


def compared_with(node: Any) -> float | None:
    """Return the number on the right of the outermost comparison, None where there is none."""
    node = _bare(node)
    if not isinstance(node, pp.BinaryExpr):
        return None
    if str(node.op) in {">", "<", ">=", "<=", "==", "!="}:
        right = _bare(node.rhs)
        return float(right.val) if isinstance(right, pp.NumberLiteral) else None
    return compared_with(node.lhs) if str(node.op) in {"and", "unless"} else None


def _bare(node: Any) -> Any:
    while isinstance(node, pp.ParenExpr):
        node = node.expr
    return node
