"""Metrics in arrays per series, as Cloud Monitoring types them and as PromQL names them."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obskit.catalog import prometheus_label, promql_name
from obskit.engine.series import Distribution, Matcher, Point, Series, TypedSeries
from obskit.queries.filters import Filter

__all__ = ["Descriptor", "MetricStore", "SeriesKey"]

_POINTS_KEPT: Final = 50_000  # per series; at one in 30 s that is 17 days


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What is known of a metric type."""

    type: str
    kind: str
    value_type: str
    unit: str = ""
    description: str = ""
    display_name: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What tells one series from another."""

    metric_type: str
    metric_labels: tuple[tuple[str, str], ...]
    resource_type: str
    resource_labels: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Stored:
    key: SeriesKey
    descriptor: Descriptor
    starts: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    distributions: list[Distribution] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    utf8_names: dict[str, str] = field(default_factory=dict)

    def append(self, start_ms: int, end_ms: int, value: float | Distribution) -> None:
        index = bisect_left(self.ends, end_ms) if self.ends and end_ms <= self.ends[-1] else len(self.ends)
        self.starts.insert(index, start_ms)
        self.ends.insert(index, end_ms)
        if isinstance(value, Distribution):
            self.distributions.insert(index, value)
        else:
            self.values.insert(index, float(value))
        if len(self.ends) > _POINTS_KEPT:
            cut = slice(0, len(self.ends) - _POINTS_KEPT)
            for column in (self.starts, self.ends, self.values, self.distributions):
                del column[cut]


class MetricStore:
    """All series of the backend; safe for threads.

    It is a source for both of the engine's languages: `select` for PromQL, `list_series` for filters.

    Args:
        project: the value of ``project_id`` where a series does not say it.
    """

    def __init__(self, project: str = "local-project") -> None:
        self._project = project
        self._lock = threading.RLock()
        self._series: dict[SeriesKey, _Stored] = {}
        self._by_type: dict[str, list[_Stored]] = {}
        self._by_name: dict[str, list[tuple[_Stored, str]]] = {}
        self.descriptors: dict[str, Descriptor] = {}

    def __len__(self) -> int:
        return len(self._series)

    # ------------------------------------------------------------------ writing

    def describe(self, descriptor: Descriptor) -> Descriptor:
        """Keep a descriptor; one that is there stays as it is."""
        with self._lock:
            return self.descriptors.setdefault(descriptor.type, descriptor)

    def forget(self, metric_type: str) -> bool:
        """Delete a descriptor and the series of its type, and return whether it was there."""
        with self._lock:
            known = self.descriptors.pop(metric_type, None) is not None
            for stored in self._by_type.pop(metric_type, ()):
                del self._series[stored.key]
            for name, entries in list(self._by_name.items()):
                kept = [entry for entry in entries if entry[0].key.metric_type != metric_type]
                if len(kept) != len(entries):
                    self._by_name[name] = kept
            return known

    def last_interval(self, key: SeriesKey) -> tuple[int, int] | None:
        """Return start and end of the newest point of a series, None when there is none."""
        with self._lock:
            stored = self._series.get(key)
            return (stored.starts[-1], stored.ends[-1]) if stored is not None and stored.ends else None

    def put(
        self, key: SeriesKey, descriptor: Descriptor, points: Iterable[tuple[int, int, float | Distribution]]
    ) -> None:
        """Add points to a series: start and end in milliseconds since the epoch, and the value."""
        with self._lock:
            stored = self._series.get(key) or self._new(key, descriptor)
            for start_ms, end_ms, value in points:
                stored.append(start_ms, end_ms, value)

    def _new(self, key: SeriesKey, descriptor: Descriptor) -> _Stored:
        stored = _Stored(key, self.describe(descriptor))
        labels = {"project_id": self._project, "monitored_resource": key.resource_type}
        for name, value in (*key.resource_labels, *key.metric_labels):
            plain = prometheus_label(name)
            # Google gives way to the metric's label where both have one of a name.
            labels[plain] = value
            if plain != name:
                stored.utf8_names[name] = plain
        stored.labels = {name: value for name, value in labels.items() if value}
        self._series[key] = stored
        self._by_type.setdefault(key.metric_type, []).append(stored)
        suffixes = ("_bucket", "_count", "_sum") if descriptor.value_type == "DISTRIBUTION" else ("",)
        utf8 = key.metric_type
        if utf8.startswith("prometheus.googleapis.com/"):
            utf8 = utf8.removeprefix("prometheus.googleapis.com/").rpartition("/")[0]
        for base in {promql_name(key.metric_type), utf8}:
            for suffix in suffixes:
                self._by_name.setdefault(base + suffix, []).append((stored, suffix))
        return stored

    # ------------------------------------------------------------------ PromQL

    def names(self) -> list[str]:
        """Return every PromQL name."""
        with self._lock:
            return sorted(name for name, entries in self._by_name.items() if entries and "/" not in name)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Sequence[Series]:
        """Return the series that fit, with the points of the window."""
        with self._lock:
            found: list[Series] = []
            names = [matcher for matcher in matchers if matcher.name == "__name__"]
            others = [matcher for matcher in matchers if matcher.name not in {"__name__", "le"}]
            bounds = [matcher for matcher in matchers if matcher.name == "le"]
            for name in self._named(names):
                for stored, suffix in self._by_name[name]:
                    labels = stored.labels
                    if all(m.matches(labels.get(stored.utf8_names.get(m.name, m.name), "")) for m in others):
                        found += _as_promql(stored, name, suffix, bounds, start_ms, end_ms)
            return found

    def _named(self, matchers: Sequence[Matcher]) -> Sequence[str]:
        exact = [matcher.value for matcher in matchers if matcher.op == "="]
        if exact:
            return [exact[0]] if exact[0] in self._by_name and len(set(exact)) == 1 else []
        # The UTF-8 spelling is a second name of the same series: listed once only.
        return [n for n in self._by_name if "/" not in n and "." not in n and all(m.matches(n) for m in matchers)]

    # ------------------------------------------------------------------ filters

    def list_series(self, filter: Filter, start_ms: int, end_ms: int) -> Sequence[TypedSeries]:  # noqa: A002
        """Return the series that fit a filter, with the points of the window."""
        with self._lock:
            types = filter.metric_types()
            candidates = [s for t in types for s in self._by_type.get(t, ())] if types else list(self._series.values())
            found = []
            for stored in candidates:
                key = stored.key
                resource = dict(key.resource_labels)
                resource.setdefault("project_id", self._project)
                if filter.matches(key.metric_type, dict(key.metric_labels), key.resource_type, resource):
                    item = _as_typed(stored, resource, start_ms, end_ms)
                    if item.points:
                        found.append(item)
            return found

    def dump(self) -> Iterator[dict[str, Any]]:
        """Yield everything as plain data, for a file."""
        with self._lock:
            for stored in self._series.values():
                key, described = stored.key, stored.descriptor
                yield {
                    "key": [key.metric_type, key.metric_labels, key.resource_type, key.resource_labels],
                    "descriptor": [
                        described.type,
                        described.kind,
                        described.value_type,
                        described.unit,
                        described.description,
                    ],
                    "starts": stored.starts.tolist(),
                    "ends": stored.ends.tolist(),
                    "values": stored.values.tolist(),
                    "distributions": [[d.count, d.mean, d.bounds, d.bucket_counts] for d in stored.distributions],
                }

    def restore(self, row: Mapping[str, Any]) -> None:
        """Put back a row of `dump`."""
        metric_type, metric_labels, resource_type, resource_labels = row["key"]
        key = SeriesKey(metric_type, _pairs(metric_labels), resource_type, _pairs(resource_labels))
        name, kind, value_type, unit, description = row["descriptor"]
        described = Descriptor(type=name, kind=kind, value_type=value_type, unit=unit, description=description)
        values: Iterable[float | Distribution] = row["values"] or [
            Distribution(count, mean, tuple(bounds), tuple(counts))
            for count, mean, bounds, counts in row["distributions"]
        ]
        self.put(key, described, zip(row["starts"], row["ends"], values, strict=True))


def _pairs(items: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in items)


def _as_promql(
    stored: _Stored, name: str, suffix: str, bounds: Sequence[Matcher], start_ms: int, end_ms: int
) -> list[Series]:
    low, high = bisect_left(stored.ends, start_ms), bisect_right(stored.ends, end_ms)
    if low >= high:
        return []
    labels = {**stored.labels, "__name__": name}
    times = stored.ends[low:high]
    if not suffix:
        values = stored.values[low:high]
        if stored.descriptor.kind == "DELTA":
            values = _running(stored.values, low, high)
        return [] if not all(m.matches("") for m in bounds) else [Series(labels, times, values)]
    cut = stored.distributions[low:high]
    if suffix == "_count":
        return [Series(labels, times, array("d", [d.count for d in cut]))]
    if suffix == "_sum":
        return [Series(labels, times, array("d", [d.mean * d.count for d in cut]))]
    return [
        Series({**labels, "le": le}, times, values)
        for le, values in _buckets(cut)
        if all(matcher.matches(le) for matcher in bounds)
    ]


def _running(values: array[float], low: int, high: int) -> array[float]:
    """A delta metric is a counter to PromQL: its points add up."""
    total = sum(values[:low])
    found = array("d")
    for value in values[low:high]:
        total += value
        found.append(total)
    return found


def _buckets(points: Sequence[Distribution]) -> list[tuple[str, array[float]]]:
    bounds = sorted({bound for point in points for bound in point.bounds})
    columns: list[array[float]] = [array("d") for _ in range(len(bounds) + 1)]
    for point in points:
        running, cumulative = 0, {}
        for bound, count in zip(point.bounds, point.bucket_counts, strict=False):
            running += count
            cumulative[bound] = running
        latest = 0
        for index, bound in enumerate(bounds):
            latest = cumulative.get(bound, latest)
            columns[index].append(latest)
        columns[-1].append(point.count)
    return list(zip([*(_le(bound) for bound in bounds), "+Inf"], columns, strict=True))


def _le(bound: float) -> str:
    """Write a bound as Prometheus does: the shortest text that reads back the same."""
    return str(int(bound)) if bound == int(bound) and abs(bound) < 1e15 else repr(bound)


def _as_typed(stored: _Stored, resource: Mapping[str, str], start_ms: int, end_ms: int) -> TypedSeries:
    low, high = bisect_right(stored.ends, start_ms), bisect_right(stored.ends, end_ms)
    is_distribution = stored.descriptor.value_type == "DISTRIBUTION"
    values: Sequence[Any] = stored.distributions if is_distribution else stored.values
    points = [Point(stored.starts[i], stored.ends[i], values[i]) for i in range(low, high)]
    return TypedSeries(
        metric_type=stored.key.metric_type,
        metric_labels=dict(stored.key.metric_labels),
        resource_type=stored.key.resource_type,
        resource_labels=resource,
        kind=stored.descriptor.kind,
        value_type=stored.descriptor.value_type,
        points=points,
        unit=stored.descriptor.unit,
    )
