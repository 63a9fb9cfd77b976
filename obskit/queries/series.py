"""What is known of the series that a query names: obskit's own metrics and Google's, in one form, and their labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from obskit.catalog import METRICS, Kind, Metric, Route, promql_label, promql_name
from obskit.errors import nearest
from obskit.queries.google_metrics import GoogleMetric, Index, MetricKind, ValueType, google_metrics
from obskit.queries.likeness import is_slip

__all__ = ["Finding", "Series", "label_findings", "series_of_promql", "series_of_type", "unknown_type"]

_CLOSE: Final = 0.8
"""How much alike two names must be for the one to count as the other, misspelt."""
# Prefixes of metrics that users write themselves; nobody but them knows the names.
_USERS_OWN: Final = (
    "custom.googleapis.com/",
    "external.googleapis.com/",
    "workload.googleapis.com/",
    "prometheus.googleapis.com/",
    "agent.googleapis.com/",
    "logging.googleapis.com/user/",
)
_OWN_RESOURCE_LABELS: Final = frozenset(
    {"project_id", "location", "namespace", "job", "task_id", "node_id", "cluster", "instance"}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a query, or only doubtful.

    Attributes:
        problem: what is wrong, as a clause.
        way_out: what to write instead.
        is_note: whether it is only a doubt, which stops nothing.
    """

    problem: str
    way_out: str
    is_note: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The series of one metric.

    Attributes:
        name: as the user names it.
        kind: gauge, delta or cumulative.
        value: the type of a point.
        unit: in UCUM notation.
        labels: the metric's labels as a filter spells them; in PromQL as PromQL does.
        resource_labels: labels of the monitored resources that it is written against.
        resources: those resources; empty for any.
        is_open: whether it may have more labels than these.
        suffix: ``_bucket``, ``_sum`` or ``_count``, where PromQL names a part of a distribution.
        metric: of the catalog, if it is one.
    """

    name: str
    kind: MetricKind
    value: ValueType
    unit: str = ""
    labels: tuple[str, ...] = ()
    resource_labels: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    is_open: bool = False
    suffix: str = ""
    metric: Metric | None = None

    @property
    def shape(self) -> str:
        """Kind and value type in words: ``a delta distribution``."""
        return (
            f"a {self.kind} {self.value}" if self.value is ValueType.DISTRIBUTION else f"a {self.kind} of {self.value}"
        )


def series_of_type(metric_type: str) -> Series | None:
    """Return what is known of a metric type; None for one that is not known."""
    ours = _catalog_types().get(metric_type)
    if ours is not None:
        return ours
    google = google_metrics().of_type(metric_type)
    return None if google is None else _of_google(google, metric_type, google_metrics())


def series_of_promql(name: str, route: Route) -> Series | None:
    """Return what is known of the series that PromQL names so on a route; None where nothing is."""
    ours = _catalog_names(route).get(name)
    if ours is not None:
        return ours
    google = google_metrics().of_promql(name)
    if google is None:
        return None
    suffix = next((each for each in _suffixes(google) if each and name.endswith(each)), "")
    return _of_google(google, name, google_metrics(), suffix=suffix)


@cache
def _catalog_types() -> Mapping[str, Series]:
    found = {}
    for route in Route:
        for metric in METRICS:
            labels = tuple(metric.label_key(label, route) for label in metric.label_names)
            name = metric.metric_type(route)
            found[name] = _of_catalog(metric, name, labels)
    return found


@cache
def _catalog_names(route: Route) -> Mapping[str, Series]:
    found = {}
    for metric in METRICS:
        labels = tuple(promql_label(label) for label in metric.label_names)
        for name, suffix in _names(metric, route):
            found[name] = _of_catalog(metric, name, labels, suffix=suffix)
    return found


def _suffixes(metric: GoogleMetric) -> tuple[str, ...]:
    return ("_bucket", "_sum", "_count") if metric.value is ValueType.DISTRIBUTION else ("",)


def _names(metric: Metric, route: Route) -> Iterator[tuple[str, str]]:
    metric_type = metric.metric_type(route)
    quoted = metric.name if route is Route.OTLP else metric_type
    for suffix in ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",):
        yield promql_name(metric_type) + suffix, suffix
        yield quoted + suffix, suffix


def _of_catalog(metric: Metric, name: str, labels: tuple[str, ...], *, suffix: str = "") -> Series:
    kind = MetricKind.GAUGE if metric.kind is Kind.GAUGE else MetricKind.CUMULATIVE
    number = ValueType.INT64 if metric.is_int else ValueType.DOUBLE
    return Series(
        name=name,
        kind=kind,
        value=ValueType.DISTRIBUTION if metric.kind is Kind.HISTOGRAM else number,
        unit=metric.unit,
        labels=labels,
        resource_labels=tuple(sorted(_OWN_RESOURCE_LABELS)),
        suffix=suffix,
        metric=metric,
    )


def _of_google(metric: GoogleMetric, name: str, index: Index, *, suffix: str = "") -> Series:
    known = [index.resources[each] for each in metric.resources if each in index.resources]
    is_sure = metric.is_confirmed and len(known) == len(metric.resources) and all(each.is_confirmed for each in known)
    return Series(
        name=name,
        kind=metric.kind,
        value=metric.value,
        unit=metric.unit,
        labels=metric.labels,
        resource_labels=tuple(dict.fromkeys(label for each in known for label in each.labels)),
        resources=metric.resources,
        is_open=not is_sure or not metric.resources,
        suffix=suffix,
    )


def unknown_type(metric_type: str) -> Finding | None:
    """Return what is wrong with a metric type that is not known; None for users' own metrics and other services."""
    index = google_metrics()
    prefix, slash, _ = metric_type.partition("/")
    if not slash:
        return Finding(f'"{metric_type}" is no metric type', 'Write for example "run.googleapis.com/request_count"')
    slips = [name for metric in METRICS for route in Route if is_slip(metric_type, name := metric.metric_type(route))]
    if slips:
        return Finding(f"obskit records no metric {metric_type}", f'Did you mean "{slips[0]}"')
    if metric_type.startswith(_USERS_OWN):
        return None
    service = index.services.get(prefix)
    if service is None:
        like = next((each for each in index.services if is_slip(prefix, each, most=1)), None)
        return (
            Finding(f'no service of Google Cloud has metrics "{prefix}/…"', f'Did you mean "{like}"') if like else None
        )
    if service.instead:
        return Finding(f"{service.title} has no metrics of its own in Cloud Monitoring", service.instead)
    like = nearest(metric_type, index.types_of(service), _CLOSE)
    if like is not None and not service.is_complete and not is_slip(metric_type, like):
        like = None
    way_out = f'Did you mean "{like}"' if like else f"See {index.source}"
    newer = f"if it is newer than {index.date}, declare it with known_metric(…)"
    return Finding(
        f"{service.title} has no metric {metric_type}"
        if like
        else f"{metric_type} is not in the index of {index.date}",
        f"{way_out}; {newer}",
        is_note=like is None,
    )


def label_findings(
    label: str, known: Iterable[str], all_series: Sequence[Series], *, noun: str = "label", also: Sequence[str] = ()
) -> Iterator[Finding]:
    """Return what is wrong with a label that some series are selected or grouped by.

    Args:
        label: as written.
        known: the labels that they have.
        all_series: the series; all must be known, else there is nothing to say.
        noun: what the label is called in the message.
        also: labels that are allowed but not worth being proposed.
    """
    labels = list(dict.fromkeys(known))
    if label in labels or label in also or not all_series:
        return
    names = ", ".join(dict.fromkeys(series.metric.name if series.metric else series.name for series in all_series))
    like = nearest(label, labels) or _last_part(label, labels)
    is_open = any(series.is_open for series in all_series) and like is None
    listed = f"Its labels are {', '.join(labels)}" if labels else "It has no labels of its own"
    yield Finding(
        f'metric {names} has no {noun} "{label}"', f'Did you mean "{like}"' if like else listed, is_note=is_open
    )


def _last_part(label: str, labels: Sequence[str]) -> str | None:
    guess = nearest(label, {re.split(r"[._]", name)[-1] for name in labels})
    return next((name for name in labels if guess and re.split(r"[._]", name)[-1] == guess), None)
