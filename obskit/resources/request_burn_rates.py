"""Burn-rate alerts in PromQL over obskit's own request metric: without a service or an SLO at the platform.

They say what `obskit.resources.burn_rate_alerts` says, but each service's requests are counted by the query itself, so
that `obskit test-alerts` and the local backend evaluate them too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from obskit.alerts.conditions import PromQLCondition
from obskit.alerts.policies import AlertPolicy, Severity
from obskit.alerts.ready.runbooks import runbook as written
from obskit.alerts.strategies import Channel
from obskit.catalog import HTTP_SERVER_DURATION
from obskit.errors import DefinitionError, Problem, report
from obskit.queries.definitions import as_share, caller, checked, ready_made
from obskit.queries.durations import DurationLike, as_duration, promql_duration, shown_duration, whole_seconds
from obskit.queries.metrics import growth, ratio
from obskit.queries.promql import LabelList, Labels, Match, Matching, Query, Selector, matches, query
from obskit.resources.burn_rates import WORKBOOK, BurnRate, report_unreachable

__all__ = ["availability_burn_rates", "failed_share", "latency_burn_rates", "slow_share"]

Channels = Sequence[Channel]
BadShare = Callable[[timedelta], Query]

_BY: Final = "service"


def availability_burn_rates(
    *,
    goal: float = 0.999,
    period: DurationLike = "30d",
    service: str | None = None,
    page: Channels = (),
    ticket: Channels = (),
    rates: Sequence[BurnRate] = WORKBOOK,
    runbook: str = "",
    id: str = "availability",  # noqa: A002 - the field's name
) -> tuple[AlertPolicy, ...]:
    """Return a policy for each rate: 5xx spend the error budget too fast. One incident a service.

    Args:
        goal: the share of requests that must not fail.
        period: how long the error budget must last.
        service: only this service; every service by itself when not given.
        page: whom to wake up for the fast rates.
        ticket: whom to tell of the slow ones.
        rates: the rows of the table; the workbook's by default.
        runbook: address of the runbook.
        id: the beginning of the policies' ids.
    """
    return tuple(
        _policy(
            id=f"{id}-burn-{promql_duration(rate.long)}",
            rate=rate,
            goal=goal,
            period=period,
            bad_share=lambda window: failed_share(window, service=service),
            channels=page if rate.is_page else ticket,
            runbook=runbook,
            promise="requests do not fail",
        )
        for rate in rates
        if as_duration(rate.long) < as_duration(period)
    )


def latency_burn_rates(
    *,
    threshold: DurationLike = "500ms",
    goal: float = 0.95,
    period: DurationLike = "30d",
    service: str | None = None,
    page: Channels = (),
    ticket: Channels = (),
    rates: Sequence[BurnRate] = WORKBOOK,
    runbook: str = "",
    id: str = "latency",  # noqa: A002 - the field's name
) -> tuple[AlertPolicy, ...]:
    """Return a policy for each rate: slow requests spend the error budget too fast. One incident a service.

    Args:
        threshold: what is fast enough: one of the histogram's bounds, so that no request is guessed.
        goal: the share of requests that must be fast enough.
        period: how long the error budget must last.
        service: only this service; every service by itself when not given.
        page: whom to wake up for the fast rates.
        ticket: whom to tell of the slow ones.
        rates: the rows of the table; the workbook's by default.
        runbook: address of the runbook.
        id: the beginning of the policies' ids.

    Raises:
        DefinitionError: outside `errors.collecting`: `threshold` is none of the histogram's bounds.
    """
    bound = _bound(whole_seconds(threshold), id)
    return tuple(
        _policy(
            id=f"{id}-burn-{promql_duration(rate.long)}",
            rate=rate,
            goal=goal,
            period=period,
            bad_share=lambda window: slow_share(window, bound_s=bound, service=service),
            channels=page if rate.is_page else ticket,
            runbook=runbook,
            promise=f"requests are answered within {shown_duration(threshold)}",
        )
        for rate in rates
        if as_duration(rate.long) < as_duration(period)
    )


def failed_share(window: DurationLike, *, service: str | None = None) -> Query:
    """Return what `availability_burn_rates` compares: the share of each service's requests that ended in a 5xx.

    Args:
        window: over which it is taken.
        service: only this service; every service by itself when not given.
    """
    own = _of(service)
    failed: Labels = {"http.response.status_code": matches("5.."), **own}
    errors = growth(HTTP_SERVER_DURATION, where=failed, by=_BY, window=window)
    return ratio(errors, growth(HTTP_SERVER_DURATION, where=own, by=_BY, window=window))


def slow_share(window: DurationLike, *, bound_s: float, service: str | None = None) -> Query:
    """Return what `latency_burn_rates` compares: the share of each service's requests that took longer.

    Args:
        window: over which it is taken.
        bound_s: longer than so many seconds, one of the histogram's bounds.
        service: only this service; every service by itself when not given.
    """
    span = as_duration(window)
    labels = tuple((label, Matching(Match.EQUAL, value)) for label, value in _of(service).items())
    # Bounds are written "1" by some exporters and "1.0" by others.
    le = Matching(Match.MATCHES, f"{bound_s:g}".replace(".", "\\.") + (r"(\.0)?" if bound_s.is_integer() else ""))
    fast = Selector(metric=HTTP_SERVER_DURATION, suffix="_bucket", where=(*labels, ("le", le)), window=span)
    good = query("sum by (", LabelList((_BY,)), ") (increase(", fast, "))")
    every = Selector(metric=HTTP_SERVER_DURATION, suffix="_count", where=labels, window=span)
    total = query("sum by (", LabelList((_BY,)), ") (increase(", every, "))")
    return query("1 - ", good / total, level=2)


@ready_made("policy")
def _policy(
    *,
    id: str,  # noqa: A002 - the field's name
    rate: BurnRate,
    goal: float,
    period: DurationLike,
    bad_share: BadShare,
    channels: Channels,
    runbook: str,
    promise: str,
) -> AlertPolicy:
    good = checked(as_share, goal, name="goal", noun=f'policy "{id}"', otherwise=0.999)
    factor = rate.factor(as_duration(period))
    limit = round(factor * (1 - good), 9)
    report_unreachable(factor, good, f'policy "{id}"')
    over = (bad_share(as_duration(rate.long)) > limit).when(bad_share(as_duration(rate.short)) > limit)
    long, spent = shown_duration(rate.long), f"{rate.budget:.0%}"
    return AlertPolicy(
        id=id,
        display_name=f"{spent} of the error budget within {long}: {promise}",
        severity=Severity.CRITICAL if rate.is_page else Severity.WARNING,
        conditions=PromQLCondition(query=over, display_name=f"burn rate above {factor:g} over {long}"),
        channels=tuple(channels),
        runbook=runbook,
        documentation=written(
            f"The promise is that {good * 100:g} % of the {promise}. More than {limit * 100:g} % did not, over {long} "
            f"and still over {shown_duration(rate.short)}: {spent} of the error budget of {shown_duration(period)} "
            f"went within {long}, at {factor:g} times the pace that spends it just in time.",
            "The service's dashboard: one route or all, since when, and does it still go on?",
            "What changed then: deployments, configuration, traffic, a provider.",
            "Undo it, or shed the load that fails; find the cause afterwards. The budget that is spent stays spent.",
        ),
    )


def _of(service: str | None) -> dict[str, str]:
    return {} if service is None else {"service": service}


def _bound(seconds: float, name: str) -> float:
    bounds = HTTP_SERVER_DURATION.buckets
    if seconds not in bounds:
        nearest = min(bounds, key=lambda bound: abs(bound - seconds))
        report(
            Problem(
                place=f'{caller()}: policies "{name}"',
                problem=f"threshold is {shown_duration(seconds)}, which is no bound of the metric's histogram",
                way_out=f'Use threshold="{nearest:g}s"; the bounds are {", ".join(f"{bound:g}" for bound in bounds)} s',
            ),
            error=DefinitionError,
        )
        return nearest
    return seconds
