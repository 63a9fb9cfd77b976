"""The dashboard of the guard of AI calls: who waits, who is refused, and what takes a call's place."""

from __future__ import annotations

from collections.abc import Sequence

from obskit.catalog import (
    AI_FALLBACKS,
    AI_GUARD_CIRCUIT,
    AI_GUARD_REFUSED,
    AI_GUARD_RETRIES,
    AI_GUARD_THROTTLED,
    AI_GUARD_WAIT,
    Metric,
)
from obskit.dashboards.charts import Color, DataSet, Plot, Scorecard, Threshold, XyChart
from obskit.dashboards.dashboards import Dashboard
from obskit.dashboards.layout import Row
from obskit.dashboards.panels import IncidentList
from obskit.dashboards.widgets import Policy
from obskit.queries.definitions import ready_made
from obskit.queries.metrics import growth, percentile
from obskit.queries.promql import LabelList, Labels, Query, labels_of, query, select

__all__ = ["llm_guard"]

_MODEL = "gen_ai.request.model"


@ready_made("dashboard")
def llm_guard(
    *,
    service: str | None = None,
    circuit: Policy | None = None,
    waits: Policy | None = None,
    policies: Sequence[Policy | str] = (),
    id: str = "llm-guard",  # noqa: A002 - the field's name
    display_name: str = "Guard of AI calls",
) -> Dashboard:
    """Return the dashboard of the guards of one service, or of all services together.

    Args:
        service: the service's name; all services together when not given.
        circuit: the policy on open circuits, whose threshold is drawn, e.g. `obskit.alerts.ai_circuit_open`.
        waits: the policy on the waits of interactive calls, whose threshold is drawn.
        policies: more policies whose incidents are listed.
        id: the dashboard's id.
        display_name: the dashboard's name.
    """
    where: Labels = {} if service is None else {"service": service}
    listed = [policy for policy in (circuit, waits) if policy is not None]
    return Dashboard(
        id=id,
        display_name=display_name,
        rows=(
            _cards(where, [*listed, *policies]),
            Row(widgets=(_waits(where, waits), _circuit(where, circuit))),
            Row(
                widgets=(
                    _count(where, AI_GUARD_THROTTLED, "Refused by the provider (429)", "obskit.quota"),
                    _count(where, AI_GUARD_REFUSED, "Not made by the guard", "obskit.reason"),
                )
            ),
            Row(
                widgets=(
                    _count(where, AI_GUARD_RETRIES, "Made again", "error.type"),
                    _count(where, AI_FALLBACKS, "Handed to a fallback", "obskit.fallback"),
                )
            ),
        ),
    )


def _state(where: Labels, by: Sequence[str] = ()) -> Query:
    series = select(AI_GUARD_CIRCUIT, where=where)
    labels = LabelList(labels_of(AI_GUARD_CIRCUIT, by))
    return query("max by (", labels, ") (", series, ")") if by else query("max(", series, ")")


def _cards(where: Labels, policies: Sequence[Policy | str]) -> Row:
    counts = (("429s", AI_GUARD_THROTTLED), ("Not made", AI_GUARD_REFUSED), ("Fallbacks", AI_FALLBACKS))
    return Row(
        height=8,
        widgets=(
            Scorecard(
                title="Circuit (0 closed, 2 open)",
                query=_state(where).otherwise(0),
                unit="1",
                thresholds=(Threshold(value=0.5, color=Color.RED),),
                width=8,
            ),
            *(
                Scorecard(
                    title=f"{title}, last hour",
                    query=growth(metric, where=where, window="1h").otherwise(0),
                    unit="1",
                    width=8,
                )
                for title, metric in counts
            ),
            IncidentList(policies=policies),
        ),
    )


def _waits(where: Labels, limit: Policy | None) -> XyChart:
    return XyChart(
        title="Waits of the calls that had to",
        data=[
            DataSet(
                query=percentile(percent, AI_GUARD_WAIT, where=where, by="obskit.priority", window="5m"),
                legend=f"p{percent} ${{labels.obskit_priority}}",
            )
            for percent in (50, 95)
        ],
        thresholds=() if limit is None else (limit,),
        unit="s",
        label="seconds",
    )


def _circuit(where: Labels, limit: Policy | None) -> XyChart:
    return XyChart(
        title="Circuit by model: 0 closed, 1 half-open, 2 open",
        data=[DataSet(query=_state(where, (_MODEL,)), legend="${labels.gen_ai_request_model}")],
        thresholds=() if limit is None else (limit,),
        unit="1",
        label="state",
    )


def _count(where: Labels, metric: Metric, title: str, by: str) -> XyChart:
    label = by.replace(".", "_")
    return XyChart(
        title=title,
        data=[
            DataSet(
                query=growth(metric, where=where, by=by, window="2m") / 2,
                legend=f"${{labels.{label}}}",
                plot=Plot.STACKED_BAR,
            )
        ],
        unit="1",
        label="calls per minute",
    )
