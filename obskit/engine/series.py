"""Time series as the engine sees them, and where it gets them from."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from obskit.errors import Problem, QueryError
from obskit.queries.re2 import compiled

if TYPE_CHECKING:
    from obskit.queries.filters import Filter

__all__ = [
    "Distribution",
    "Matcher",
    "MemorySource",
    "Point",
    "Series",
    "SeriesSource",
    "TimeSeriesSource",
    "TypedSeries",
]


@dataclass(frozen=True, slots=True)
class Series:
    """One PromQL series.

    Attributes:
        labels: ``__name__`` among them.
        times_ms: milliseconds since the epoch, ascending.
        values: one for each time.
    """

    labels: Mapping[str, str]
    times_ms: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; a label that is absent counts as empty.

    Attributes:
        name: of the label.
        op: ``=``, ``!=``, ``=~`` or ``!~``; regular expressions match the whole value.
        value: text or regular expression.
    """

    name: str
    op: str
    value: str

    def matches(self, value: str) -> bool:
        """Return whether a label's value fits.

        Raises:
            QueryError: the regular expression does not compile.
        """
        if self.op in {"=", "!="}:
            return (value == self.value) is (self.op == "=")
        try:
            pattern = compiled(self.value)
        except re.error as error:
            problem = f"the regular expression {self.value!r} does not compile: {error}"
            raise QueryError(Problem(place=f"matcher of {self.name}", problem=problem, way_out="Mend it")) from error
        return (pattern.fullmatch(value) is not None) is (self.op == "=~")


class SeriesSource(Protocol):
    """Where PromQL finds its series."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Series]:
        """Return the series that fit all matchers, with their points of ``start_ms <= t <= end_ms`` at least."""


class MemorySource:
    """Series held in memory."""

    def __init__(self, series: Sequence[Series] = ()) -> None:
        self.series = list(series)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Series]:
        """Return the series that fit, cut to the window."""
        found = []
        for item in self.series:
            if all(matcher.matches(item.labels.get(matcher.name, "")) for matcher in matchers):
                low, high = bisect_left(item.times_ms, start_ms), bisect_right(item.times_ms, end_ms)
                if low < high:
                    found.append(Series(item.labels, item.times_ms[low:high], item.values[low:high]))
        return found


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram's value at one moment.

    Attributes:
        count: number of values.
        mean: of the values.
        bounds: upper bounds of the finite buckets, ascending.
        bucket_counts: counts of each bucket, not cumulative; one more than `bounds`.
    """

    count: int
    mean: float
    bounds: tuple[float, ...] = ()
    bucket_counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """One point: an interval in milliseconds since the epoch, and the value; a gauge's interval is its end alone."""

    start_ms: int
    end_ms: int
    value: float | Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedSeries:
    """One time series of Cloud Monitoring.

    Attributes:
        metric_type: e.g. ``run.googleapis.com/request_count``.
        metric_labels: of the metric.
        resource_type: of the monitored resource.
        resource_labels: of the monitored resource, ``project_id`` among them.
        kind: ``GAUGE``, ``DELTA`` or ``CUMULATIVE``.
        value_type: ``INT64``, ``DOUBLE``, ``BOOL``, ``STRING`` or ``DISTRIBUTION``.
        points: oldest first.
        unit: in UCUM notation.
    """

    metric_type: str
    metric_labels: Mapping[str, str]
    resource_type: str
    resource_labels: Mapping[str, str]
    kind: str
    value_type: str
    points: Sequence[Point]
    unit: str = "1"


class TimeSeriesSource(Protocol):
    """Where threshold conditions and charts find their series."""

    def list_series(self, filter: Filter, start_ms: int, end_ms: int) -> Sequence[TypedSeries]:  # noqa: A002
        """Return the series that fit the filter, with their points of ``start_ms < end <= end_ms``."""
