"""The dashboard of what should run: providers' health checks, and background jobs."""

from __future__ import annotations

from collections.abc import Sequence

from obskit.catalog import JOB_DURATION, JOB_FAILURES, JOB_LAST_SUCCESS, PROVIDER_STATUS
from obskit.dashboards.charts import DataSet, XyChart
from obskit.dashboards.dashboards import Dashboard
from obskit.dashboards.layout import Row
from obskit.dashboards.panels import IncidentList
from obskit.dashboards.widgets import Policy
from obskit.queries.definitions import ready_made
from obskit.queries.metrics import growth, percentile
from obskit.queries.promql import LabelList, Labels, query, select

__all__ = ["health"]

_JOB = "obskit.job.name"
_BY_JOB = "${labels.obskit_job_name}"


@ready_made("dashboard")
def health(
    *,
    service: str | None = None,
    policies: Sequence[Policy | str] = (),
    id: str = "health",  # noqa: A002 - the field's name
    display_name: str = "Providers and jobs",
) -> Dashboard:
    """Return the dashboard of the health checks and the jobs of one service, or of all of them.

    Args:
        service: the service's name; all services together when not given.
        policies: the policies whose incidents are listed, e.g. `provider_down` and `missed_job`.
        id: the dashboard's id.
        display_name: the dashboard's name.
    """
    where: Labels = {} if service is None else {"service": service}
    return Dashboard(
        id=id,
        display_name=display_name,
        rows=(
            Row(height=14, widgets=(_status(where), IncidentList(policies=policies))),
            Row(widgets=(_age(where), _failures(where))),
            Row(widgets=(_runs(where), _duration(where))),
        ),
    )


def _status(where: Labels) -> XyChart:
    status = query("avg by (", LabelList(("provider",)), ") (", select(PROVIDER_STATUS, where=where), ")")
    return XyChart(title="Providers, share of healthy", data=[DataSet(query=status, legend="${labels.provider}")])


def _age(where: Labels) -> XyChart:
    seen = select(JOB_LAST_SUCCESS, where=where, window="1d")
    age = query("time() - max by (", LabelList((_JOB,)), ") (max_over_time(", seen, "))")
    return XyChart(title="Time since the last success", data=[DataSet(query=age, legend=_BY_JOB)], unit="s")


def _failures(where: Labels) -> XyChart:
    failed = growth(JOB_FAILURES, where=where, by=_JOB, window="1h")
    return XyChart(title="Failed runs an hour", data=[DataSet(query=failed, legend=_BY_JOB)])


def _runs(where: Labels) -> XyChart:
    runs = growth(JOB_DURATION, where=where, by=_JOB, window="1h")
    return XyChart(title="Runs an hour", data=[DataSet(query=runs, legend=_BY_JOB)])


def _duration(where: Labels) -> XyChart:
    p95 = percentile(95, JOB_DURATION, where=where, by=_JOB, window="1h")
    return XyChart(title="Duration of a run, p95", data=[DataSet(query=p95, legend=_BY_JOB)], unit="s")
