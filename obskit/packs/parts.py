"""What packs are put together from: an alert with its runbook, a chart, a row of scorecards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from obskit.alerts import AlertPolicy, PromQLCondition, Severity
from obskit.alerts.ready.runbooks import runbook
from obskit.alerts.strategies import Channel
from obskit.catalog import PROVIDER_STATUS
from obskit.dashboards import DataSet, IncidentList, Plot, Row, Scorecard, Threshold, XyChart
from obskit.dashboards.charts import Color, Direction, Spark
from obskit.dashboards.widgets import Policy
from obskit.queries import ratio
from obskit.queries.durations import DurationLike
from obskit.queries.promql import LabelList, Labels, Query, query, select

__all__ = [
    "PERCENT",
    "alarm",
    "alert",
    "card",
    "cards",
    "chart",
    "charts",
    "early",
    "entries",
    "healthy",
    "line",
    "more_than",
    "only",
    "percent",
    "warning",
]

PERCENT = "10^2.%"
"""The unit of a share of 0 to 1 that is shown in percent."""

Limits = Sequence[Threshold | Policy | float]


def only(label: str, name: str) -> Labels:
    """Return the labels that narrow a query down to one thing, e.g. a queue; none where the name is empty."""
    return {label: name} if name else {}


def entries(of: str, label: str, name: str) -> str:
    """Return Cloud Logging's filter of one thing's entries; of all where the name is empty."""
    return f'{of} AND resource.labels.{label}="{name}"' if name else of


def percent(share: float) -> str:
    """Return a share of 0 to 1 as people write it, e.g. ``5 %``."""
    return f"{share * 100:g} %"


def more_than(share: float, part: Query, *, of: Query, least: float) -> Query:
    """Return the query of an alert: the part is more than a share of the whole.

    Args:
        share: 0 to 1.
        part: what there should be little of, such as failed requests.
        of: the whole.
        least: so much there must be of the whole, as a share of little says nothing.
    """
    return (ratio(part, of) > share).when(of >= least)


def healthy(where: Labels) -> Query:
    """Return the share of the processes that find a provider healthy, as `obskit.alerts.provider_down` takes it."""
    found = select(PROVIDER_STATUS, where=where, window="3m")
    return query("avg by (", LabelList(("provider",)), ") (last_over_time(", found, "))")


def alert(
    name: str,
    title: str,
    when: Query,
    *,
    to: Sequence[Channel],
    means: str,
    looks: Sequence[str],
    for_: DurationLike = "0s",
    severity: str = Severity.WARNING,
    condition: str = "",
    interval: DurationLike | None = None,
    auto_close: DurationLike = "30m",
) -> AlertPolicy:
    """Return a policy on one PromQL query.

    Args:
        name: the policy's id.
        title: its display name.
        when: the query with its comparison, e.g. ``cpu > 0.85``.
        to: the channels.
        means: what has happened and who feels it.
        looks: the first things to look at, the most telling first; three.
        for_: for how long it must hold.
        severity: ``critical``, ``error`` or ``warning``.
        condition: what the incident says; the title when empty.
        interval: how often it is evaluated; the platform's default when not given.
        auto_close: as in `AlertPolicy`.
    """
    return AlertPolicy(
        id=name,
        display_name=title,
        severity=severity,
        conditions=(PromQLCondition(query=when, duration=for_, interval=interval, display_name=condition or title),),
        channels=tuple(to),
        documentation=runbook(means, *looks),
        auto_close=auto_close,
    )


def chart(
    title: str,
    lines: Mapping[str, Query] | Query,
    *,
    unit: str,
    label: str,
    limits: Limits = (),
    plot: Plot = Plot.LINE,
) -> XyChart:
    """Return a chart over time.

    Args:
        title: above it.
        lines: legend (``${labels.NAME}`` stands for a label's value) → query; or one query without a legend.
        unit: in UCUM notation, e.g. ``s``, ``By``, ``1/s``; `PERCENT` for shares.
        label: of the value axis: what is counted, per what.
        limits: lines: alert policies (whose own threshold is drawn), `Threshold`s with a label, or numbers.
        plot: how it is drawn.
    """
    named = lines.items() if isinstance(lines, Mapping) else [("", lines)]
    data = [DataSet(query=query, legend=legend, plot=plot) for legend, query in named]
    return XyChart(title=title, data=data, unit=unit, label=label, thresholds=tuple(limits))


def charts(*widgets: XyChart) -> Row:
    """Return charts side by side."""
    return Row(widgets=widgets)


def card(
    title: str,
    query: Query,
    *,
    unit: str,
    limits: Limits = (),
    spark: Spark | None = Spark.LINE,
) -> Scorecard:
    """Return a number in a card; the query must give one series.

    Args:
        title: above it.
        query: what it shows.
        unit: in UCUM notation.
        limits: what colours it: alert policies (red), or what `warning` returns (yellow).
        spark: the small chart in it.
    """
    return Scorecard(title=title, query=query, unit=unit, thresholds=tuple(limits), spark=spark)


def cards(*widgets: Scorecard, policies: Sequence[Policy]) -> Row:
    """Return the dashboard's first row: at most four numbers, and the open incidents of the pack's alerts."""
    width = 32 // len(widgets) if len(widgets) > 2 else 10
    sized = [
        Scorecard(
            title=each.title,
            query=each.query,
            unit=each.unit,
            thresholds=each.thresholds,
            spark=each.spark,
            width=width,
        )
        for each in widgets
    ]
    return Row(height=8, widgets=(*sized, IncidentList(policies=tuple(policies))))


def alarm(policy: AlertPolicy) -> Threshold:
    """Return the red limit of a card that is bad below what an alert allows; above it, the policy itself is one."""
    return Threshold(value=_number(policy), color=Color.RED, direction=Direction.BELOW)


def early(policy: AlertPolicy, share: float) -> Threshold:
    """Return the yellow limit of a card, at a share of what an alert allows."""
    return warning(round(_number(policy) * share, 9))


def line(policy: AlertPolicy, share: float, label: str) -> Threshold:
    """Return a line of a chart, such as a target, at a share of what an alert allows."""
    return Threshold(value=round(_number(policy) * share, 9), label=label)


def _number(policy: AlertPolicy) -> float:
    if policy.threshold is None:
        raise ValueError(f"policy {policy.id} compares with no number")
    return policy.threshold


def warning(value: float, *, is_below: bool = False) -> Threshold:
    """Return the yellow limit of a card that has no alert's threshold to go by."""
    return Threshold(value=value, color=Color.YELLOW, direction=Direction.BELOW if is_below else Direction.ABOVE)
