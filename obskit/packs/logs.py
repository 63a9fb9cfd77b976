"""What Cloud Monitoring has no metric for, counted from log entries: events, and that one of them is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from obskit.queries import GoogleMetric, Query, growth, known_metric
from obskit.queries.durations import DurationLike, as_duration, promql_duration
from obskit.queries.promql import LabelList, Labels, query, select
from obskit.resources import LogMetric

__all__ = ["log_distribution", "log_metric", "missed"]

_LOOK: Final = timedelta(hours=1)


def log_metric(
    name: str,
    *,
    counts: str,
    description: str,
    resource: str = "",
    labels: Mapping[str, str] | None = None,
) -> tuple[LogMetric, GoogleMetric]:
    """Return a log-based counter, and the same as queries know it.

    Args:
        name: the metric's name and the definition's id.
        counts: Cloud Logging's filter of the entries that are counted.
        description: what one of them says.
        resource: the monitored resource type that the entries are written against; any when empty.
        labels: label → its extractor.
    """
    made = LogMetric(id=name, filter=counts, description=description, labels=dict(labels or {}))
    return made, _known(made, "int64", "1", resource)


def log_distribution(
    name: str,
    *,
    of: str,
    counts: str,
    unit: str,
    description: str,
    resource: str = "",
    labels: Mapping[str, str] | None = None,
) -> tuple[LogMetric, GoogleMetric]:
    """Return a log-based distribution, and the same as queries know it.

    Args:
        name: the metric's name and the definition's id.
        of: the extractor of the value, e.g. ``EXTRACT(jsonPayload.seconds)``.
        counts: Cloud Logging's filter of the entries.
        unit: of the values.
        description: what one of them says.
        resource: as for `log_metric`.
        labels: label → its extractor.
    """
    made = LogMetric(id=name, filter=counts, value=of, unit=unit, description=description, labels=dict(labels or {}))
    return made, _known(made, "distribution", unit, resource)


def _known(made: LogMetric, value: str, unit: str, resource: str) -> GoogleMetric:
    resources = (resource,) if resource else ()
    return known_metric(
        made.metric_type, kind="delta", value=value, unit=unit, labels=tuple(made.labels), resources=resources
    )


def missed(
    metric: GoogleMetric,
    *,
    max_age: DurationLike,
    by: Sequence[str] | str = (),
    where: Labels | None = None,
    memory: DurationLike = "7d",
) -> Query:
    """Return a query that has a series for what did not happen for too long, and one without labels if it never did.

    Args:
        metric: a counter that grows whenever it happens.
        max_age: longest time between two times, more than an hour.
        by: the labels that tell one thing from another.
        where: labels that the series must have.
        memory: for how long something that stopped is still known to be missing; longer than `max_age`.
    """
    # Hour by hour, so that an event is told from the one before it also where a counter has points only when it grows.
    happened = growth(metric, where=where, by=by, window=_LOOK) > 0
    back = promql_duration(as_duration(max_age) - _LOOK)
    lately = query("max_over_time((", happened, f")[{back}:30m])")
    names = (by,) if isinstance(by, str) else tuple(by)
    seen = select(metric, where=where, window=memory)
    kept: tuple[str | LabelList, ...] = ("max by (", LabelList(names, is_google=True), ") (") if names else ("max(",)
    known = query(*kept, "present_over_time(", seen, "))")
    return known.excluding(lately).otherwise(query("absent_over_time(", seen, ")"))
