"""Checks of Monitoring filters as they will be sent: do they parse, are metrics, labels and resources spelled right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from obskit.errors import QueryError, nearest
from obskit.queries import filters
from obskit.queries.google_metrics import declarations, google_metrics
from obskit.queries.series import Finding, Series, label_findings, series_of_type, unknown_type

__all__ = ["check_filter", "field_findings", "filter_findings", "filter_series"]

_LONGEST_FILTER: Final = 2048  # Source: AlertPolicy.Condition.MetricThreshold.filter
_ANY_RESOURCE: Final = ("project_id", "resource_container", "monitored_resource_container")
_PLACEHOLDER: Final = "${"  # of a template that is filled before it is sent


def check_filter(text: str, *, needs_resource: bool) -> tuple[list[tuple[str, str]], tuple[Series, ...]]:
    """Return what is wrong with a filter, and what is known of the series that it selects.

    Args:
        text: the filter as it will be sent.
        needs_resource: whether it must name a resource type, as in an alert's condition.
    """
    found: list[tuple[str, str]] = []
    if len(text) > _LONGEST_FILTER:
        found.append((f"the filter has {len(text)} characters, at most {_LONGEST_FILTER} are allowed", "Shorten it"))
    try:
        parsed = filters.parse(text)
    except QueryError as error:
        return [(f"{problem.place}: {problem.problem}", problem.way_out) for problem in error.problems], ()
    if not parsed.metric_types():
        found.append(("the filter names no metric type", 'Add metric.type="…"'))
    if needs_resource and "resource.type" not in text:
        found.append(("the filter names no resource type", 'Add AND resource.type="…"'))
    found += [(each.problem, each.way_out) for each in filter_findings(text) if not each.is_note]
    return found, filter_series(text)


def filter_series(text: str) -> tuple[Series, ...]:
    """Return what is known of the series that a filter selects; nothing where it does not parse or one is unknown."""
    return _series(text, declarations())


def filter_findings(text: str) -> tuple[Finding, ...]:
    """Return what is wrong or doubtful about the names in a filter; nothing where it does not parse."""
    return _found(text, declarations())


@lru_cache(maxsize=4096)
def _series(text: str, declared: int) -> tuple[Series, ...]:
    del declared  # a metric that is declared later changes what is known
    try:
        types = filters.parse(text).metric_types()
    except QueryError:
        return ()
    known = [series_of_type(name) for name in types]
    return tuple(each for each in known if each is not None) if None not in known else ()


@lru_cache(maxsize=4096)
def _found(text: str, declared: int) -> tuple[Finding, ...]:
    del declared
    try:
        parsed = filters.parse(text)
    except QueryError:
        return ()
    all_series = filter_series(text)
    found = [finding for name in parsed.metric_types() if (finding := _type_finding(name)) is not None]
    found += _resource_findings(parsed, all_series)
    for comparison in parsed.comparisons():
        found += field_findings(comparison.field, all_series, parsed.resource_types())
    return tuple(dict.fromkeys(found))


def field_findings(field: str, all_series: Sequence[Series], resource_types: Sequence[str] = ()) -> Iterator[Finding]:
    """Return what is wrong with ``metric.labels.X`` or ``resource.labels.X`` for some series.

    Args:
        field: as in a filter or in ``groupByFields``.
        all_series: the series; nothing is said where none is known.
        resource_types: the monitored resource types that the filter names.
    """
    scope, dot, label = field.replace(".label.", ".labels.", 1).partition(".labels.")
    label = label.strip('"')
    if not dot or scope not in {"metric", "resource"} or label == "*" or _PLACEHOLDER in label:
        return
    if scope == "metric":
        own = [name for series in all_series for name in series.labels]
        for finding in label_findings(label, own, all_series):
            in_resource = any(label in series.resource_labels for series in all_series)
            way_out = f"Write resource.labels.{label}" if in_resource else finding.way_out
            yield Finding(finding.problem, way_out, is_note=finding.is_note and not in_resource)
        return
    yield from _resource_label(label, all_series, resource_types)


def _resource_label(label: str, all_series: Sequence[Series], resource_types: Sequence[str]) -> Iterator[Finding]:
    index = google_metrics()
    named = [index.resources.get(name) for name in resource_types]
    resources = [each for each in named if each is not None]
    if resources and len(resources) == len(named):
        labels = list(dict.fromkeys(name for each in resources for name in each.labels))
        if label in labels or label in _ANY_RESOURCE:
            return
        like = nearest(label, labels)
        names = " or ".join(each.name for each in resources)
        is_metrics = any(label in series.labels for series in all_series)
        hint = f'Did you mean "{like}"' if like else f"Its labels are {', '.join(labels)}"
        is_doubt = like is None and not is_metrics and not all(each.is_confirmed for each in resources)
        yield Finding(
            f'resource {names} has no label "{label}"', f"Write metric.labels.{label}" if is_metrics else hint, is_doubt
        )
        return
    written = {name for series in all_series for name in series.resources}
    if not all(nearest(name, written) for name in resource_types):  # no slips: resources that the index does not know
        return
    if all_series and all(series.metric is None and series.resources for series in all_series):
        known = [name for series in all_series for name in series.resource_labels]
        yield from label_findings(label, known, all_series, noun="resource label", also=_ANY_RESOURCE)


def _type_finding(metric_type: str) -> Finding | None:
    if _PLACEHOLDER in metric_type or series_of_type(metric_type) is not None:
        return None
    return unknown_type(metric_type)


def _resource_findings(parsed: filters.Filter, all_series: Sequence[Series]) -> Iterator[Finding]:
    written = {name for series in all_series for name in series.resources}
    if not all_series or not all(series.resources for series in all_series):
        return
    for name in parsed.resource_types():
        if name not in written and _PLACEHOLDER not in name:
            metrics = ", ".join(series.name for series in all_series)
            like = nearest(name, written)
            is_known = name in google_metrics().resources
            yield Finding(
                f'{metrics} is not written against resource "{name}"',
                f'Did you mean "{like}"' if like else f"Write {' or '.join(sorted(written))}",
                is_note=like is None and not is_known,
            )
