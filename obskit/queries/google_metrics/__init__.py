"""Google's own metrics: type, kind, value type, unit, labels and monitored resources, from an index in the package.

The index (``index.txt``, beside this file, says its source and its date) is read when it is first asked for. It covers
the services that obskit has packs for. `known_metric` adds what it lacks: a metric that is newer, or your own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Final

from obskit.catalog import Kind, Route, promql_name

__all__ = [
    "GoogleMetric",
    "Index",
    "MetricKind",
    "Resource",
    "Service",
    "ValueType",
    "declarations",
    "google_metrics",
    "known_metric",
]


class MetricKind(StrEnum):
    """How a metric's points relate to time. Source: ``google.api.MetricDescriptor.MetricKind``."""

    GAUGE = "gauge"
    DELTA = "delta"
    CUMULATIVE = "cumulative"


class ValueType(StrEnum):
    """What a point holds. Source: ``google.api.MetricDescriptor.ValueType``."""

    INT64 = "int64"
    DOUBLE = "double"
    BOOL = "bool"
    STRING = "string"
    DISTRIBUTION = "distribution"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleMetric:
    """One metric type of Cloud Monitoring.

    Attributes:
        type: e.g. ``run.googleapis.com/request_count``.
        kind: gauge, delta or cumulative.
        value: the type of a point.
        unit: in UCUM notation; empty where it has none.
        labels: the metric's own labels.
        resources: the monitored resource types that it is written against; empty for any.
        is_confirmed: whether it stands in Google's list, or was declared with `known_metric`.
    """

    type: str
    kind: MetricKind
    value: ValueType
    unit: str = ""
    labels: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    is_confirmed: bool = True

    @property
    def name(self) -> str:
        """The metric type: what queries call it."""
        return self.type

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels that a query may use: the metric's own, then those of its resources."""
        known = google_metrics().resources
        of_resources = (label for each in self.resources if each in known for label in known[each].labels)
        return tuple(dict.fromkeys((*self.labels, *of_resources)))

    @property
    def role(self) -> Kind:
        """What PromQL makes of it: what grows is a counter there."""
        if self.value is ValueType.DISTRIBUTION:
            return Kind.HISTOGRAM
        return Kind.GAUGE if self.kind is MetricKind.GAUGE else Kind.COUNTER

    def metric_type(self, route: Route) -> str:
        """Return the metric type, the same on every route."""
        del route
        return self.type

    @property
    def promql_names(self) -> tuple[str, ...]:
        """What PromQL calls its series: the mapped name and the quoted one, each with a distribution's suffixes."""
        suffixes = ("_bucket", "_sum", "_count") if self.value is ValueType.DISTRIBUTION else ("",)
        return tuple(name + suffix for name in (promql_name(self.type), self.type) for suffix in suffixes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A monitored resource type and its labels."""

    name: str
    labels: tuple[str, ...]
    is_confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service of Google Cloud, by the prefix of its metric types.

    Attributes:
        prefix: e.g. ``run.googleapis.com``.
        title: e.g. ``Cloud Run``.
        is_complete: whether the index has all its metrics (of the index's date).
        instead: what to use, where it has no metrics at all.
    """

    prefix: str
    title: str
    is_complete: bool = True
    instead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """All that is known.

    Attributes:
        source: where the facts are from.
        date: of the source, ``YYYY-MM-DD``.
        metrics: by metric type.
        resources: by name.
        services: by prefix.
    """

    source: str
    date: str
    metrics: Mapping[str, GoogleMetric]
    resources: Mapping[str, Resource]
    services: Mapping[str, Service]
    _by_promql: Mapping[str, GoogleMetric] = field(repr=False)

    def of_type(self, metric_type: str) -> GoogleMetric | None:
        """Return a metric by its type; also one that was declared with `known_metric`."""
        return _declared.get(metric_type) or self.metrics.get(metric_type)

    def of_promql(self, name: str) -> GoogleMetric | None:
        """Return a metric by the name of its series in PromQL."""
        return _declared_names.get(name) or self._by_promql.get(name)

    def service_of(self, metric_type: str) -> Service | None:
        """Return the service that a metric type belongs to, by its prefix."""
        return self.services.get(metric_type.partition("/")[0])

    def types_of(self, service: Service) -> tuple[str, ...]:
        """Return the metric types of a service."""
        return tuple(name for name in self.metrics if name.startswith(f"{service.prefix}/"))


_declared: dict[str, GoogleMetric] = {}
_declared_names: dict[str, GoogleMetric] = {}
_count = [0]


def known_metric(
    type: str,  # noqa: A002 - what the API calls it
    *,
    kind: MetricKind | str,
    value: ValueType | str,
    unit: str = "",
    labels: Sequence[str] = (),
    resources: Sequence[str] = (),
) -> GoogleMetric:
    """Declare a metric that the index lacks: one that is newer, or your own; checks then know it.

    Args:
        type: the metric type, e.g. ``custom.googleapis.com/orders/count``.
        kind: ``gauge``, ``delta`` or ``cumulative``.
        value: ``int64``, ``double``, ``bool``, ``string`` or ``distribution``.
        unit: in UCUM notation.
        labels: the metric's own labels.
        resources: the monitored resource types; any when empty.

    Raises:
        ValueError: `kind` or `value` is none of those.
    """
    metric = GoogleMetric(
        type=type,
        kind=MetricKind(kind),
        value=ValueType(value),
        unit=unit,
        labels=tuple(labels),
        resources=tuple(resources),
    )
    _declared[type] = metric
    _count[0] += 1
    _declared_names.update(dict.fromkeys(metric.promql_names, metric))
    return metric


def declarations() -> int:
    """Return how many metrics were declared: what was found out about a query holds as long as it stays the same."""
    return _count[0]


@lru_cache(maxsize=1)
def google_metrics() -> Index:
    """Return the index; the first call reads it."""
    text = files(__package__).joinpath("index.txt").read_text(encoding="utf-8")
    return _Reader().read(text)


_KINDS: Final = {"G": MetricKind.GAUGE, "D": MetricKind.DELTA, "C": MetricKind.CUMULATIVE}
_VALUES: Final = {
    "I": ValueType.INT64,
    "F": ValueType.DOUBLE,
    "B": ValueType.BOOL,
    "S": ValueType.STRING,
    "X": ValueType.DISTRIBUTION,
}


class _Reader:
    """Reads the index, line by line; the format stands in the file."""

    def __init__(self) -> None:
        self.header: dict[str, str] = {}
        self.metrics: dict[str, GoogleMetric] = {}
        self.resources: dict[str, Resource] = {}
        self.services: dict[str, Service] = {}
        self.sets: dict[str, list[str]] = {}
        self.prefix = ""

    def read(self, text: str) -> Index:
        for line in text.splitlines():
            word, _, rest = line.strip().partition(" ")
            if word == "#":
                key, _, value = rest.partition(" ")
                if key in {"source", "date"}:
                    self.header[key] = value
            elif word:
                self._line(word, rest)
        return Index(
            source=self.header["source"],
            date=self.header["date"],
            metrics=self.metrics,
            resources=self.resources,
            services=self.services,
            _by_promql={name: metric for metric in self.metrics.values() for name in metric.promql_names},
        )

    def _line(self, word: str, rest: str) -> None:
        match word:
            case "resource":
                name, *labels = rest.split()
                found = Resource(name=name.rstrip("?"), labels=tuple(labels), is_confirmed=not name.endswith("?"))
                self.resources[found.name] = found
            case "set":
                name, *labels = rest.split()
                self.sets[name] = labels
            case "service":
                prefix, _, title = rest.partition(" ")
                self.prefix = prefix.rstrip("?")
                self._service(Service(prefix=self.prefix, title=title, is_complete=not prefix.endswith("?")))
            case "without":
                prefix, _, title = rest.partition(" ")
                title, _, instead = title.partition(" | ")
                self._service(Service(prefix=prefix, title=title, instead=instead))
            case "quota":
                self._quota(*rest.split())
            case _:
                self._metric(word, *rest.split())

    def _service(self, service: Service) -> None:
        self.services[service.prefix] = service

    def _metric(self, path: str, kind: str, value: str, unit: str, resources: str, *labels: str) -> None:
        metric_type = f"{self.prefix}/{path.rstrip('?')}"
        self.metrics[metric_type] = GoogleMetric(
            type=metric_type,
            kind=_KINDS[kind],
            value=_VALUES[value],
            unit="" if unit == "-" else unit.replace("~", " "),
            labels=tuple(self._labels(labels)),
            resources=() if resources == "*" else tuple(resources.split(",")),
            is_confirmed=not path.endswith("?"),
        )

    def _quota(self, name: str, resource: str, *labels: str) -> None:
        unsure = "?" if name.endswith("?") else ""
        name = name.rstrip("?")
        self._metric(f"quota/{name}/exceeded{unsure}", "D", "I", "1", resource, "limit_name", *labels)
        self._metric(f"quota/{name}/limit{unsure}", "G", "I", "1", resource, "limit_name", *labels)
        # What is allocated is a level, what is spent on requests is an increase.
        kind = "G" if name in {"budget_count", "composite_indexes_per_database"} else "D"
        own = () if kind == "G" else ("method",)
        self._metric(f"quota/{name}/usage{unsure}", kind, "I", "1", resource, "limit_name", *own, *labels)

    def _labels(self, labels: Sequence[str]) -> Iterator[str]:
        for label in labels:
            if label.startswith("$"):
                yield from self.sets[label[1:]]
            else:
                yield label
