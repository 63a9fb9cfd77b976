"""Alerts on uptime checks: it does not answer, or its certificate ends soon."""

from __future__ import annotations

from collections.abc import Sequence

from obskit.alerts.policies import AlertPolicy, Severity
from obskit.alerts.ready.runbooks import runbook as written
from obskit.alerts.selectors import UptimeSelector
from obskit.alerts.strategies import Channel
from obskit.alerts.thresholds import Comparison, ThresholdCondition
from obskit.queries.aggregations import Aggregation, Aligner, Reducer
from obskit.queries.definitions import as_positive, checked, ready_made
from obskit.queries.durations import DurationLike
from obskit.resources.uptime import UptimeCheck

__all__ = ["certificate_alert", "uptime_alert"]

Channels = Sequence[Channel]

_EVERY = "20m"  # Source: the policies that Google's console makes for uptime checks.


@ready_made("policy")
def uptime_alert(
    check: UptimeCheck,
    *,
    locations: int = 1,
    for_: DurationLike = "1m",
    channels: Channels = (),
    runbook: str = "",
    severity: str = Severity.CRITICAL,
    id: str = "",  # noqa: A002 - the field's name
) -> AlertPolicy:
    """Return the policy: an uptime check fails from several places at once.

    Args:
        check: the uptime check.
        locations: it fires when it fails from more than so many locations.
        for_: for how long.
        channels: whom to tell.
        runbook: address of the runbook.
        severity: ``critical``, ``error`` or ``warning``.
        id: the policy's id; the check's with ``-down`` when empty.
    """
    name = check.display_name or check.id
    return AlertPolicy(
        id=id or f"{check.id}-down"[:63],
        display_name=f"{name} does not answer",
        severity=severity,
        conditions=ThresholdCondition(
            filter=UptimeSelector("check_passed", check.resource_type, check.id),
            threshold=float(checked(_not_negative, locations, name="locations", noun="policy", otherwise=1)),
            duration=for_,
            aggregations=[
                Aggregation(
                    period=_EVERY, aligner=Aligner.NEXT_OLDER, reducer=Reducer.COUNT_FALSE, by=["resource.label.*"]
                )
            ],
            display_name=f"{name} fails from more than {locations} location{'' if locations == 1 else 's'}",
        ),
        channels=tuple(channels),
        runbook=runbook,
        documentation=written(
            f"The uptime check `{check.id}` of {check.host or check.function or 'the service'} fails. Users from there "
            "get no answer.",
            "Ask for the page yourself: is it the service, its name (DNS), its certificate or one region?",
            "The service's latest deployment and its error logs.",
            "What it needs: database, providers, quotas.",
        ),
    )


@ready_made("policy")
def certificate_alert(
    check: UptimeCheck,
    *,
    days: float = 14,
    for_: DurationLike = "10m",
    channels: Channels = (),
    runbook: str = "",
    severity: str = Severity.ERROR,
    id: str = "",  # noqa: A002 - the field's name
) -> AlertPolicy:
    """Return the policy: the TLS certificate that an uptime check sees ends within some days.

    Args:
        check: an uptime check over HTTPS.
        days: it fires when fewer days are left.
        for_: for how long.
        channels: whom to tell.
        runbook: address of the runbook.
        severity: ``critical``, ``error`` or ``warning``.
        id: the policy's id; the check's with ``-certificate`` when empty.
    """
    name = check.display_name or check.id
    limit = checked(as_positive, days, name="days", noun=f'policy "{id or check.id}"', otherwise=14.0)
    return AlertPolicy(
        id=id or f"{check.id}-certificate"[:63],
        display_name=f"{name}: certificate ends within {limit:g} days",
        severity=severity,
        conditions=ThresholdCondition(
            filter=UptimeSelector("time_until_ssl_cert_expires", check.resource_type, check.id),
            threshold=limit,
            comparison=Comparison.BELOW,
            duration=for_,
            aggregations=[
                Aggregation(period=_EVERY, aligner=Aligner.NEXT_OLDER, reducer=Reducer.MIN, by=["resource.label.*"])
            ],
            display_name=f"fewer than {limit:g} days left",
        ),
        channels=tuple(channels),
        runbook=runbook,
        documentation=written(
            f"The TLS certificate of {check.host or check.id} is not renewed in time. When it ends, browsers and apps "
            "refuse to connect.",
            "Who renews it: a managed certificate's status says what hinders it.",
            "The name's DNS records; most renewals fail on these.",
            "Renew by hand if fewer than three days are left; this closes by itself after the renewal.",
        ),
    )


def _not_negative(value: object) -> float:
    return as_positive(value) if value else 0.0
