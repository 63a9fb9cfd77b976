"""The dashboard of AI budgets: what is used, what is left, who is refused, and whether the store works."""

from __future__ import annotations

from collections.abc import Sequence

from obskit.catalog import (
    BUDGET_COST,
    BUDGET_REJECTIONS,
    BUDGET_REMAINING,
    BUDGET_STORE_FAILURES,
    BUDGET_TOKENS,
    BUDGET_WARNINGS,
    Metric,
)
from obskit.dashboards.charts import Color, DataSet, Direction, Plot, Scorecard, Spark, Threshold, XyChart
from obskit.dashboards.dashboards import Dashboard
from obskit.dashboards.layout import Row
from obskit.dashboards.panels import IncidentList
from obskit.dashboards.widgets import Policy
from obskit.queries.definitions import ready_made
from obskit.queries.metrics import growth, rate
from obskit.queries.promql import LabelList, Labels, Query, labels_of, query, select

__all__ = ["budgets"]

_PERCENT = "10^2.%"
_TIER = "user.tier"
_BY_TIER = "${labels.user_tier}"
_KINDS = (_TIER, "obskit.budget.period", "obskit.budget.unit")


@ready_made("dashboard")
def budgets(
    *,
    service: str | None = None,
    policies: Sequence[Policy | str] = (),
    id: str = "budgets",  # noqa: A002 - the field's name
    display_name: str = "AI budgets",
) -> Dashboard:
    """Return the dashboard of the budgets of one service, or of all services together.

    Args:
        service: the service's name; all services together when not given.
        policies: policies whose incidents are listed, e.g. `obskit.alerts.budget_exceeded`.
        id: the dashboard's id.
        display_name: the dashboard's name.
    """
    where: Labels = {} if service is None else {"service": service}
    return Dashboard(
        id=id,
        display_name=display_name,
        rows=(
            _cards(where, policies),
            Row(widgets=(_left(where, "caller", "Least left of any one caller's budget"), _left_of_tiers(where))),
            Row(widgets=(_pace(where, BUDGET_TOKENS, "Tokens by tier", "{token}"), _cost(where))),
            Row(
                widgets=(
                    _count(where, BUDGET_REJECTIONS, "Calls refused", ("obskit.budget.scope", "obskit.budget.period")),
                    _count(where, BUDGET_WARNINGS, "Budgets that reached their warning", ("obskit.budget.period",)),
                    _store(where),
                )
            ),
        ),
    )


def _least(where: Labels, by: Sequence[str] = ()) -> Query:
    """The least of what the processes have seen: each knows the callers that it serves."""
    series = select(BUDGET_REMAINING, where=where)
    labels = LabelList(labels_of(BUDGET_REMAINING, by))
    return query("min by (", labels, ") (", series, ")") if by else query("min(", series, ")")


def _cards(where: Labels, policies: Sequence[Policy | str]) -> Row:
    below = Direction.BELOW
    return Row(
        height=8,
        widgets=(
            Scorecard(
                title="Least left of any budget",
                query=_least(where),
                unit=_PERCENT,
                thresholds=(
                    Threshold(value=0.05, color=Color.RED, direction=below),
                    Threshold(value=0.2, color=Color.YELLOW, direction=below),
                ),
                spark=Spark.LINE,
                width=8,
            ),
            Scorecard(
                title="Calls refused, last 24 h",
                query=growth(BUDGET_REJECTIONS, where=where, window="1d").otherwise(0),
                unit="1",
                width=8,
            ),
            Scorecard(
                title="Tokens settled, last 24 h",
                query=growth(BUDGET_TOKENS, where=where, window="1d"),
                unit="{token}",
                width=8,
            ),
            Scorecard(
                title="Cost settled, last 24 h",
                query=growth(BUDGET_COST, where=where, window="1d"),
                unit="USD",
                width=8,
            ),
            IncidentList(policies=policies),
        ),
    )


def _left(where: Labels, scope: str, title: str) -> XyChart:
    return XyChart(
        title=title,
        data=[
            DataSet(
                query=_least({**where, "obskit.budget.scope": scope}, _KINDS),
                legend=f"{_BY_TIER} ${{labels.obskit_budget_period}} ${{labels.obskit_budget_unit}}",
            )
        ],
        thresholds=(Threshold(value=0.2, label="warning"),),
        unit=_PERCENT,
        label="share that is left",
    )


def _left_of_tiers(where: Labels) -> XyChart:
    return _left(where, "tier", "Left of a tier's total")


def _pace(where: Labels, metric: Metric, title: str, unit: str) -> XyChart:
    return XyChart(
        title=title,
        data=[
            DataSet(
                query=rate(metric, where=where, by=_TIER, window="5m") * 60, legend=_BY_TIER, plot=Plot.STACKED_AREA
            )
        ],
        unit=unit,
        label="per minute",
    )


def _cost(where: Labels) -> XyChart:
    return XyChart(
        title="Cost by tier, per hour",
        data=[
            DataSet(
                query=rate(BUDGET_COST, where=where, by=_TIER, window="10m") * 3600,
                legend=_BY_TIER,
                plot=Plot.STACKED_AREA,
            )
        ],
        unit="USD",
        label="USD per hour",
    )


def _count(where: Labels, metric: Metric, title: str, more: tuple[str, ...]) -> XyChart:
    legend = " ".join([_BY_TIER, *(f"${{labels.{name.replace('.', '_')}}}" for name in more)])
    return XyChart(
        title=title,
        data=[
            DataSet(
                query=growth(metric, where=where, by=(_TIER, *more), window="1m"), legend=legend, plot=Plot.STACKED_BAR
            )
        ],
        unit="1",
        label="in a minute",
    )


def _store(where: Labels) -> XyChart:
    by = "obskit.budget.outcome"
    return XyChart(
        title="Calls while the store was down",
        data=[
            DataSet(
                query=growth(BUDGET_STORE_FAILURES, where=where, by=by, window="1m"),
                legend="${labels.obskit_budget_outcome}",
                plot=Plot.STACKED_BAR,
            )
        ],
        unit="1",
        label="in a minute",
    )
