"""Alerts on how fast an SLO's error budget is spent: several windows, several rates.

Source: "Alerting on SLOs" in The Site Reliability Workbook, table 5-8 and approach 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts.policies import AlertPolicy, Combiner, Severity
from obskit.alerts.ready.runbooks import runbook as written
from obskit.alerts.selectors import BurnRateSelector
from obskit.alerts.strategies import Channel
from obskit.alerts.thresholds import ThresholdCondition
from obskit.errors import Problem, report
from obskit.queries.definitions import Definition, as_flag, as_share, caller, definition, given
from obskit.queries.durations import DurationLike, as_duration, promql_duration, shown_duration
from obskit.queries.stacks import varying
from obskit.resources.objectives import ServiceLevelObjective

__all__ = ["WORKBOOK", "BurnRate", "burn_rate_alerts", "report_unreachable"]

Channels = Sequence[Channel]


@definition
class BurnRate(Definition):
    """One row of the workbook's table.

    Attributes:
        budget: the share of the error budget that may be spent within the long window.
        long: the window that decides.
        short: the window that shows that it still goes on, a twelfth of the long one.
        is_page: whether somebody is woken up, else it can wait for the morning.
    """

    noun: ClassVar[str] = "burn rate"

    budget: float = given(as_share, placeholder=0.02)
    long: DurationLike = given(as_duration, placeholder=timedelta(hours=1))
    short: DurationLike = given(as_duration, placeholder=timedelta(minutes=5))
    is_page: bool = given(as_flag, placeholder=True)

    def factor(self, period: timedelta) -> float:
        """Return how many times faster than allowed that is; 14.4, 6, 3 and 1 for the workbook's rows and 30 days."""
        return round(self.budget * (period / as_duration(self.long)), 6)


WORKBOOK: Final = (
    BurnRate(budget=0.02, long=timedelta(hours=1), short=timedelta(minutes=5), is_page=True),
    BurnRate(budget=0.05, long=timedelta(hours=6), short=timedelta(minutes=30), is_page=True),
    BurnRate(budget=0.10, long=timedelta(days=1), short=timedelta(hours=2), is_page=False),
    BurnRate(budget=0.10, long=timedelta(days=3), short=timedelta(hours=6), is_page=False),
)
"""The workbook's recommendation."""


def burn_rate_alerts(
    slo: ServiceLevelObjective,
    *,
    page: Channels = (),
    ticket: Channels = (),
    rates: Sequence[BurnRate] = WORKBOOK,
    runbook: str = "",
) -> tuple[AlertPolicy, ...]:
    """Return a policy for each rate: the error budget is spent too fast, over a long window and still over a short one.

    A rate whose long window is not shorter than the SLO's period is left out.

    Args:
        slo: the objective.
        page: whom to wake up for the fast rates.
        ticket: whom to tell of the slow ones.
        rates: the rows of the table; the workbook's by default. The rates follow from the SLO's period.
        runbook: address of the runbook.
    """
    fitting = [rate for rate in rates if as_duration(rate.long) < slo.period]
    return tuple(_policy(slo, rate, page if rate.is_page else ticket, runbook) for rate in fitting)


def report_unreachable(factor: float, goal: float, noun: str) -> None:
    """Report a burn rate that cannot be reached even if all fails, so that its alert would never fire.

    Args:
        factor: the burn rate.
        goal: of the objective.
        noun: what is reported, e.g. ``policy "checkout-burn-1h"``.

    Raises:
        DefinitionError: outside `errors.collecting`: it cannot be reached.
    """
    highest = 1 / (1 - goal) if goal < 1 else float("inf")
    if factor >= highest:
        report(
            Problem(
                place=f"{caller()}: {noun}",
                problem=f"with a goal of {goal:g} the burn rate is at most {highest:g}, and never reaches {factor:g}",
                way_out="Raise the goal, or leave that rate out of rates=…",
            )
        )


@varying
def _policy(slo: ServiceLevelObjective, rate: BurnRate, channels: Channels, runbook: str) -> AlertPolicy:
    name, factor, long = slo.display_name or slo.id, rate.factor(slo.period), shown_duration(rate.long)
    spent = f"{rate.budget:.0%}"
    report_unreachable(factor, slo.goal, f'SLO "{slo.id}"')
    conditions = [
        ThresholdCondition(
            filter=BurnRateSelector(slo.service_id, slo.id, window),
            threshold=factor,
            display_name=f"burn rate over {shown_duration(window)} above {factor:g}",
        )
        for window in (as_duration(rate.long), as_duration(rate.short))
    ]
    return AlertPolicy(
        id=f"{slo.service_id}-{slo.id}"[:50].rstrip("-") + f"-burn-{promql_duration(rate.long)}",
        display_name=f"{name}: {spent} of the error budget within {long}",
        severity=Severity.CRITICAL if rate.is_page else Severity.WARNING,
        combiner=Combiner.ALL,
        conditions=conditions,
        channels=tuple(channels),
        runbook=runbook,
        documentation=written(
            f"`{slo.service_id}` breaks its promise `{slo.id}` ({slo.goal * 100:g} % good) so fast that {spent} of the "
            f"error budget of {shown_duration(slo.period)} is gone within {long}: {factor:g} times the pace that "
            "spends it just in time.",
            "The SLO's page: since when, and does it still go on?",
            "What changed then: deployments, configuration, traffic, a provider.",
            "Undo it, or shed the load that fails; find the cause afterwards. The budget that is spent stays spent.",
        ),
    )
