"""Metrics in arrays per series, as Cloud Monitoring types them and as PromQL names them."""

from __future__ import annotations

import math
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from obskit.catalog import promql_name
from obskit.engine.distributions import total
from obskit.engine.series import Distribution, Matcher, Point, Series, TypedSeries
from obskit.local.store import samples
from obskit.local.store.descriptors import Descriptor, SeriesKey
from obskit.local.store.naming import promql_labels
from obskit.local.store.selection import types_of
from obskit.queries.filters import Filter

__all__ = ["Descriptor", "MetricStore", "SeriesKey"]

_POINTS_KEPT: Final = 50_000  # per series; at one in 30 s that is 17 days
_SETTLE_MS: Final = 600_000  # how long after the newest point of all others are still expected
_BYTES_KEPT: Final = 512 * 1024 * 1024  # of all series, roughly
_POINT_BYTES: Final = 24
_DISTRIBUTION_BYTES: Final = 200


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

    def append(self, start_ms: int, end_ms: int, value: float | Distribution) -> int:
        """Add a point at its place and return about how many bytes it takes."""
        index = bisect_left(self.ends, end_ms) if self.ends and end_ms <= self.ends[-1] else len(self.ends)
        self.starts.insert(index, start_ms)
        self.ends.insert(index, end_ms)
        if not isinstance(value, Distribution):
            self.values.insert(index, float(value))
            return _POINT_BYTES
        if self.distributions and self.distributions[-1].bounds == value.bounds:
            # All points of a histogram have the same bounds: one tuple for all of them.
            value = Distribution(value.count, value.mean, self.distributions[-1].bounds, value.bucket_counts)
        self.distributions.insert(index, value)
        return self.point_bytes

    @property
    def point_bytes(self) -> int:
        """About how many bytes a point takes."""
        if not self.distributions:
            return _POINT_BYTES
        return _POINT_BYTES + _DISTRIBUTION_BYTES + 8 * len(self.distributions[-1].bucket_counts)

    def cut(self, count: int) -> int:
        """Drop the oldest points and return about how many bytes that frees."""
        freed = count * self.point_bytes
        for column in (self.starts, self.ends, self.values, self.distributions):
            del column[:count]
        return freed


class MetricStore:
    """All series of the backend; safe for threads.

    It is a source for both of the engine's languages: `select` for PromQL, `list_series` for filters.

    Args:
        project: the value of ``project_id`` where a series does not say it.
        most_bytes: about how much the points may take; beyond it the longest series lose their oldest points.
        now_ms: the backend's clock; a point from a wrong clock, far in the future, makes no others late.

    Attributes:
        descriptors: of metric types, by type.
        writes: how often something was written; it tells whether there can be anything new.
    """

    def __init__(
        self,
        project: str = "local-project",
        *,
        most_bytes: int = _BYTES_KEPT,
        now_ms: Callable[[], float] | None = None,
    ) -> None:
        self._project = project
        self._now_ms = now_ms or (lambda: math.inf)
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lock = threading.RLock()
        self._series: dict[SeriesKey, _Stored] = {}
        self._by_type: dict[str, list[_Stored]] = {}
        self._by_name: dict[str, list[tuple[_Stored, str]]] = {}
        self._newest_ms = 0
        self.writes = 0
        self._late: Counter[str] = Counter()
        self.descriptors: dict[str, Descriptor] = {}

    def __len__(self) -> int:
        return len(self._series)

    # ------------------------------------------------------------------ writing

    def redescribe(self, descriptor: Descriptor) -> Descriptor:
        """Keep a descriptor and return it; one that is there gets the new texts, and keeps its labels."""
        with self._lock:
            known = self.descriptors.get(descriptor.type, descriptor)
            labels = tuple(sorted({*known.labels, *descriptor.labels}))
            texts = {**known.label_texts, **descriptor.label_texts}
            self.descriptors[descriptor.type] = replace(descriptor, labels=labels, label_texts=texts)
            return self.descriptors[descriptor.type]

    def describe(self, descriptor: Descriptor) -> Descriptor:
        """Keep a descriptor and return it; of one that is there only the labels grow, and empty texts are filled."""
        with self._lock:
            known = self.descriptors.get(descriptor.type, descriptor)
            if known is not descriptor:
                known = replace(
                    known,
                    unit=known.unit or descriptor.unit,
                    description=known.description or descriptor.description,
                    display_name=known.display_name or descriptor.display_name,
                    labels=tuple(sorted({*known.labels, *descriptor.labels})),
                )
            self.descriptors[descriptor.type] = known
            return known

    def forget(self, metric_type: str) -> bool:
        """Delete a descriptor and the series of its type, and return whether it was there."""
        with self._lock:
            known = self.descriptors.pop(metric_type, None) is not None
            for stored in self._by_type.pop(metric_type, ()):
                self._bytes -= stored.cut(len(stored.ends))
                del self._series[stored.key]
            self.writes += 1
            self._late[metric_type] += 1
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
            self.writes += 1
            most_ms = self._now_ms() + _SETTLE_MS
            for start_ms, end_ms, value in points:
                self._bytes += stored.append(start_ms, end_ms, value)
                if end_ms <= self._newest_ms - _SETTLE_MS:
                    self._late[key.metric_type] += 1
                if end_ms <= most_ms:
                    self._newest_ms = max(self._newest_ms, end_ms)
                if len(stored.ends) > _POINTS_KEPT:
                    self._bytes -= stored.cut(len(stored.ends) - _POINTS_KEPT)
            while self._bytes > self._most_bytes:
                longest = max(self._series.values(), key=lambda each: len(each.ends) * each.point_bytes)
                self._bytes -= longest.cut(len(longest.ends) // 4 or 1)

    def grow(
        self, key: SeriesKey, descriptor: Descriptor, start_ms: int, end_ms: int, value: float | Distribution
    ) -> None:
        """Add to the point of a delta series that ends at `end_ms`, or make it."""
        with self._lock:
            stored = self._series.get(key)
            index = bisect_left(stored.ends, end_ms) if stored is not None else 0
            if stored is None or index == len(stored.ends) or stored.ends[index] != end_ms:
                self.put(key, descriptor, [(start_ms, end_ms, value)])
                return
            if isinstance(value, Distribution):
                stored.distributions[index] = total((stored.distributions[index], value))
            else:
                stored.values[index] += value
            self.writes += 1
            self._late[key.metric_type] += end_ms <= self._newest_ms - _SETTLE_MS

    def _new(self, key: SeriesKey, descriptor: Descriptor) -> _Stored:
        stored = _Stored(key, self.describe(descriptor))
        stored.labels, stored.utf8_names = promql_labels(key, self._project)
        self._series[key] = stored
        self._by_type.setdefault(key.metric_type, []).append(stored)
        suffixes = samples.SUFFIXES if descriptor.value_type == "DISTRIBUTION" else ("",)
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
                        found += _as_promql(stored, name, suffix, bounds, (start_ms, end_ms))
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
        return self._listed(filter, start_ms, end_ms, 0)

    def list_with_leads(self, filter: Filter, start_ms: int, end_ms: int) -> Sequence[TypedSeries]:  # noqa: A002
        """Return the same, with the newest point before the window too, where there is one."""
        return self._listed(filter, start_ms, end_ms, 1)

    def settled(self, types: Iterable[str]) -> tuple[int, int]:
        """Return up to when points of some metric types have settled, and how many have come later than that.

        Whoever has worked something out of settled points has to do so again when the second number changes.
        """
        with self._lock:
            return self._newest_ms - _SETTLE_MS, sum(self._late[each] for each in types)

    def _listed(self, filter: Filter, start_ms: int, end_ms: int, leads: int) -> Sequence[TypedSeries]:  # noqa: A002
        with self._lock:
            types = types_of(filter.root)
            candidates = (
                list(self._series.values())
                if types is None
                else [stored for each in sorted(types) for stored in self._by_type.get(each, ())]
            )
            found = []
            for stored in candidates:
                key = stored.key
                resource = dict(key.resource_labels)
                resource.setdefault("project_id", self._project)
                if filter.matches(key.metric_type, dict(key.metric_labels), key.resource_type, resource):
                    item = _as_typed(stored, resource, (start_ms, end_ms), leads)
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
                    "descriptor": asdict(described),
                    "starts": stored.starts.tolist(),
                    "ends": stored.ends.tolist(),
                    "values": stored.values.tolist(),
                    "distributions": [[d.count, d.mean, d.bounds, d.bucket_counts] for d in stored.distributions],
                }

    def restore(self, row: Mapping[str, Any]) -> None:
        """Put back a row of `dump`."""
        metric_type, metric_labels, resource_type, resource_labels = row["key"]
        key = SeriesKey(metric_type, _pairs(metric_labels), resource_type, _pairs(resource_labels))
        described = Descriptor(**{**row["descriptor"], "labels": tuple(row["descriptor"]["labels"])})
        values: Iterable[float | Distribution] = row["values"] or [
            Distribution(count, mean, tuple(bounds), tuple(counts))
            for count, mean, bounds, counts in row["distributions"]
        ]
        self.put(key, described, zip(row["starts"], row["ends"], values, strict=True))


def _pairs(items: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in items)


def _as_promql(
    stored: _Stored, name: str, suffix: str, bounds: Sequence[Matcher], window_ms: tuple[int, int]
) -> list[Series]:
    low, high = bisect_left(stored.ends, window_ms[0]), bisect_right(stored.ends, window_ms[1])
    if low >= high:
        return []
    labels, times = {**stored.labels, "__name__": name}, stored.ends[low:high]
    is_delta = stored.descriptor.kind == "DELTA"
    if not suffix:
        if not all(matcher.matches("") for matcher in bounds):
            return []
        return [Series(labels, times, samples.numbers(stored.values, low, high, is_delta=is_delta))]
    columns = samples.histogram(stored.distributions, low, high, suffix, is_delta=is_delta)
    return [
        Series({**labels, "le": le} if le else labels, times, values)
        for le, values in columns
        if all(matcher.matches(le) for matcher in bounds)
    ]


def _as_typed(stored: _Stored, resource: Mapping[str, str], window_ms: tuple[int, int], leads: int) -> TypedSeries:
    low, high = max(0, bisect_right(stored.ends, window_ms[0]) - leads), bisect_right(stored.ends, window_ms[1])
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
