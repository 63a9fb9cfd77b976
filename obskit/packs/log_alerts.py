"""Alerts on metrics that are made from log entries.

Such a metric has no series before its first entry, and PromQL's ``increase`` does not see a series' first point. An
alert on it is therefore a filter's condition, whose aligner does.
"""

from __future__ import annotations

from collections.abc import Sequence

from obskit.alerts import AlertPolicy, Comparison, MissingData, Severity, ThresholdCondition
from obskit.alerts.ready.runbooks import runbook
from obskit.alerts.strategies import Channel
from obskit.queries import GoogleMetric, measure
from obskit.queries.durations import DurationLike
from obskit.queries.promql import Labels

__all__ = ["entries_alert", "entries_missing"]


def entries_alert(
    name: str,
    title: str,
    metric: GoogleMetric,
    *,
    resource_type: str = "",
    to: Sequence[Channel],
    means: str,
    looks: Sequence[str],
    more_than: float = 0,
    within: DurationLike = "5m",
    where: Labels | None = None,
    by: Sequence[str] | str = (),
    severity: str = Severity.WARNING,
    auto_close: DurationLike = "30m",
) -> AlertPolicy:
    """Return a policy: there were more log entries than allowed.

    Args:
        name: the policy's id.
        title: its display name.
        metric: what `obskit.packs.logs.log_metric` returns.
        resource_type: of the log entries; the one that the metric was made for when empty.
        to: the channels.
        means: what has happened and who feels it.
        looks: the first things to look at, the most telling first; three.
        more_than: so many entries are no alert.
        within: over which they are counted, 1 min to 25 h.
        where: labels that they must have.
        by: labels of which each combination is an incident by itself.
        severity: ``critical``, ``error`` or ``warning``.
        auto_close: as in `AlertPolicy`.
    """
    asked = measure(metric, "increase", where=where, by=by, period=within, resource_type=resource_type)
    condition = ThresholdCondition(**asked.threshold_fields(), threshold=more_than, display_name=title)
    return _policy(name, title, condition, to=to, text=(means, *looks), severity=severity, auto_close=auto_close)


def entries_missing(
    name: str,
    title: str,
    metric: GoogleMetric,
    *,
    resource_type: str = "",
    to: Sequence[Channel],
    means: str,
    looks: Sequence[str],
    within: DurationLike,
    where: Labels | None = None,
    by: Sequence[str] | str = (),
    severity: str = Severity.ERROR,
    auto_close: DurationLike = "1d",
) -> AlertPolicy:
    """Return a policy: a log entry that should come regularly did not come, whether zeros are written or nothing.

    Args:
        name: the policy's id.
        title: its display name.
        metric: what `obskit.packs.logs.log_metric` returns.
        resource_type: of the log entries; the one that the metric was made for when empty.
        to: the channels.
        means: what has happened and who feels it.
        looks: the first things to look at, the most telling first; three.
        within: for how long there was none, 1 min to 25 h.
        where: labels that they must have.
        by: labels of which each combination is waited for by itself, once it was seen.
        severity: ``critical``, ``error`` or ``warning``.
        auto_close: as in `AlertPolicy`.
    """
    asked = measure(metric, "increase", where=where, by=by, period=within, resource_type=resource_type)
    condition = ThresholdCondition(
        **asked.threshold_fields(),
        threshold=1,
        comparison=Comparison.BELOW,
        duration="1m",
        missing_data=MissingData.TRUE,
        display_name=title,
    )
    return _policy(name, title, condition, to=to, text=(means, *looks), severity=severity, auto_close=auto_close)


def _policy(
    name: str,
    title: str,
    condition: ThresholdCondition,
    *,
    to: Sequence[Channel],
    text: Sequence[str],
    severity: str,
    auto_close: DurationLike,
) -> AlertPolicy:
    return AlertPolicy(
        id=name,
        display_name=title,
        severity=severity,
        conditions=(condition,),
        channels=tuple(to),
        documentation=runbook(*text),
        auto_close=auto_close,
    )
