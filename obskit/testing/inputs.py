"""What a test of an alert is given: series in promtool's notation, metrics, histograms, recordings, log entries."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from obskit.catalog import Kind, Metric, Route
from obskit.engine.logs import MemoryLogs
from obskit.engine.objectives import burn_rate
from obskit.engine.selectors import slo_metric
from obskit.engine.series import Distribution, Matcher, MemorySource, Series, TypedSeries
from obskit.local.store.metrics import Descriptor, MetricStore, SeriesKey
from obskit.queries.filters import Filter

__all__ = ["Budget", "Clock", "Entries", "Given", "Measured", "Observed", "Sources", "Written"]

Cells = Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """When a test's values are: the first at `start_ms`, one every `every_ms`."""

    start_ms: int
    every_ms: int
    route: Route


class Sources:
    """Where the engine finds what a test was given: a source for both of its languages, and of log entries."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.plain = MemorySource()
        self.store = MetricStore("test-project")
        self.entries: list[tuple[int, Mapping[str, Any]]] = []
        self.last_ms = clock.start_ms

    @property
    def logs(self) -> MemoryLogs:
        """The log entries."""
        return MemoryLogs(self.entries)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Series]:
        """Return the series of PromQL."""
        return [*self.plain.select(matchers, start_ms, end_ms), *self.store.select(matchers, start_ms, end_ms)]

    def list_series(self, filter: Filter, start_ms: int, end_ms: int) -> Sequence[TypedSeries]:  # noqa: A002
        """Return the series of a filter."""
        return self.store.list_series(filter, start_ms, end_ms)

    def everything(self) -> list[Series]:
        """Return all series as PromQL sees them."""
        far = 1 << 60
        return list(self.select([Matcher("__name__", "!=", "")], -far, far))

    def at(self, index: int) -> int:
        """Return the time of a value, and note that the test lasts so long."""
        moment = self.clock.start_ms + index * self.clock.every_ms
        self.last_ms = max(self.last_ms, moment)
        return moment


class Given(Protocol):
    """One thing that a test is given."""

    def feed(self, sources: Sources) -> None:
        """Put it where the engine finds it."""


@dataclass(frozen=True, slots=True)
class Written:
    """A PromQL series by its labels, ``__name__`` among them."""

    labels: Mapping[str, str]
    values: Cells

    def feed(self, sources: Sources) -> None:
        """Put it where the engine finds it."""
        pairs = [(sources.at(index), value) for index, value in enumerate(self.values) if value is not None]
        series = Series(dict(self.labels), [at for at, _ in pairs], [value for _, value in pairs])
        sources.plain.series.append(series)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A metric of the catalog, or of Google's: seen by PromQL and by filters alike."""

    metric: Metric | str
    labels: Mapping[str, str]
    values: Cells
    resource_type: str = ""
    resource: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    value_type: str = ""

    def feed(self, sources: Sources) -> None:
        """Put it where the engine finds it."""
        kind = self.kind or _kind(self.metric)
        is_int = isinstance(self.metric, Metric) and self.metric.is_int
        value_type = self.value_type or ("INT64" if is_int else "DOUBLE")
        key = _key(self, sources.clock.route)
        points = [(sources.at(index), value) for index, value in enumerate(self.values) if value is not None]
        described = Descriptor(type=key.metric_type, kind=kind, value_type=value_type)
        sources.store.put(key, described, _with_starts(points, kind, sources.clock.every_ms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A histogram of the catalog, or a distribution of Google's: how many values of each size there were so far."""

    metric: Metric | str
    labels: Mapping[str, str]
    counts: Mapping[float, Cells]
    bounds: tuple[float, ...]
    resource_type: str = ""
    resource: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""

    def feed(self, sources: Sources) -> None:
        """Put it where the engine finds it."""
        kind = self.kind or _kind(self.metric)
        key = _key(self, sources.clock.route)
        described = Descriptor(type=key.metric_type, kind=kind, value_type="DISTRIBUTION")
        points = [
            (sources.at(index), distribution)
            for index, distribution in enumerate(_distributions(self.counts, self.bounds))
            if distribution is not None
        ]
        sources.store.put(key, described, _with_starts(points, kind, sources.clock.every_ms))


@dataclass(frozen=True, slots=True)
class Budget:
    """An SLO's error budget: how many events were good and how many there were, and the burn rates that follow.

    Attributes:
        goal: the share that must be good.
        good: so far.
        total: so far.
        selectors: of burn rates: function, SLO, window in seconds.
    """

    goal: float
    good: Cells
    total: Cells
    selectors: tuple[tuple[str, str, int], ...]

    @classmethod
    def of(cls, goal: float, good: Cells, total: Cells, selectors: Sequence[tuple[str, str, int]]) -> Budget:
        """Return the budget.

        Raises:
            ValueError: the numbers do not fit each other, or nobody asks for burn rates; ``reason | way out``.
        """
        if not selectors:
            raise ValueError("the policy has no burn rate of an SLO | Give its metric with .metric(…)")
        if not 0 < goal < 1:
            raise ValueError(f"the goal {goal!r} is not between 0 and 1 | Write 0.999 for 99.9 %")
        return cls(goal, good, total, tuple(selectors))

    def feed(self, sources: Sources) -> None:
        """Put the burn rates where the engine finds them."""
        every_ms = sources.clock.every_ms
        for name, slo, window_s in self.selectors:
            back = max(1, window_s * 1000 // every_ms)
            rates = [self._rate(max(0, index - back), index) for index in range(min(len(self.good), len(self.total)))]
            measured = Measured(metric=slo_metric(name, slo, window_s), labels={}, values=rates)
            measured.feed(sources)

    def _rate(self, first: int, last: int) -> float | None:
        """How many times faster than allowed the budget is spent, None without an event."""
        good, total = (self._gain(cells, first, last) for cells in (self.good, self.total))
        return burn_rate(good, total, self.goal)

    def _gain(self, cells: Cells, first: int, last: int) -> float:
        return (cells[last] or 0.0) - (cells[first] or 0.0)


@dataclass(frozen=True, slots=True)
class Entries:
    """One log entry, at several times, in milliseconds since the test's beginning."""

    entry: Mapping[str, Any]
    at_ms: tuple[int, ...]

    def feed(self, sources: Sources) -> None:
        """Put them where the engine finds them."""
        for at in self.at_ms:
            moment = sources.clock.start_ms + at
            sources.last_ms = max(sources.last_ms, moment)
            sources.entries.append((moment, self.entry))


def _kind(metric: Metric | str) -> str:
    return "GAUGE" if isinstance(metric, str) or metric.kind is Kind.GAUGE else "CUMULATIVE"


# Where each route keeps what every catalog metric has from its resource.
_RESOURCE: Mapping[Route, Mapping[str, str]] = {
    Route.GCP: {"service": "job", "instance": "task_id", "location": "location", "namespace": "namespace"},
    Route.OTLP: {"service": "job", "instance": "instance", "location": "location", "namespace": "namespace"},
}


def _key(given: Measured | Observed, route: Route) -> SeriesKey:
    if isinstance(given.metric, str):
        return SeriesKey(given.metric, _pairs(given.labels), given.resource_type or "global", _pairs(given.resource))
    known = _RESOURCE[route]
    resource = {known[name]: value for name, value in given.labels.items() if name in known}
    labels = {given.metric.label_key(n, route): value for n, value in given.labels.items() if n not in known}
    return SeriesKey(
        given.metric.metric_type(route),
        _pairs(labels),
        given.resource_type or given.metric.resource_type(route),
        _pairs({**resource, **given.resource}),
    )


def _pairs(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _with_starts(
    points: Sequence[tuple[int, float | Distribution]], kind: str, every_ms: int
) -> list[tuple[int, int, float | Distribution]]:
    """Return points with the begin of their interval: a counter counts from one export before its first."""
    found: list[tuple[int, int, float | Distribution]] = []
    begin, before = (points[0][0] - every_ms if points else 0), 0.0
    for position, (at, value) in enumerate(points):
        size = float(value.count) if isinstance(value, Distribution) else value
        if kind == "GAUGE":
            begin = at
        elif kind == "DELTA":
            begin = at - every_ms
        elif size < before:
            begin = points[position - 1][0]
        found.append((begin, at, value))
        before = size
    return found


def _distributions(counts: Mapping[float, Cells], bounds: tuple[float, ...]) -> list[Distribution | None]:
    sizes = sorted(counts)
    latest: dict[float, float] = dict.fromkeys(sizes, 0.0)
    found: list[Distribution | None] = []
    for index in range(max((len(cells) for cells in counts.values()), default=0)):
        row = {size: counts[size][index] if index < len(counts[size]) else None for size in sizes}
        if all(cell is None for cell in row.values()):
            found.append(None)
            continue
        latest |= {size: cell for size, cell in row.items() if cell is not None}
        buckets = [0] * (len(bounds) + 1)
        for size, many in latest.items():
            buckets[bisect_left(bounds, size)] += round(many)
        count: int = sum(buckets)
        total = sum(size * round(each) for size, each in latest.items())
        found.append(Distribution(count, total / count if count else 0.0, bounds, tuple(buckets)))
    return found
