"""Ready-made policies for what the callers of a web service feel: latency and errors.

Source of the thresholds, targets and durations: the project's requirements, "The alert policies that must exist".
"""

from __future__ import annotations

from collections.abc import Sequence

from obskit.alerts.conditions import PromQLCondition
from obskit.alerts.policies import AlertPolicy, Severity
from obskit.alerts.ready.runbooks import runbook
from obskit.alerts.strategies import Channel
from obskit.catalog import HTTP_SERVER_DURATION
from obskit.queries.definitions import as_number, as_share, checked, ready_made
from obskit.queries.durations import DurationLike, shown_duration, whole_seconds
from obskit.queries.metrics import growth, percentile, ratio
from obskit.queries.promql import Labels, matches

__all__ = ["error_spike", "latency_p95"]

Channels = Sequence[Channel]


@ready_made("policy")
def latency_p95(
    *,
    threshold: DurationLike = "2s",
    for_: DurationLike = "5m",
    window: DurationLike = "2m",
    service: str | None = None,
    channels: Channels = (),
    id: str = "latency-p95",  # noqa: A002 - the field's name
    display_name: str = "High latency",
) -> AlertPolicy:
    """Return the policy: 95 % of the requests are not answered in time. One incident a service.

    Args:
        threshold: a duration, or seconds. Source: p95 > 2 s. The metric has a bucket bound there, so it is exact.
        for_: for how long. Source: 5 min.
        window: over which the percentile is taken. Well below `for_`, since one slow minute stays in the window for
            the window's length and must not last for all of `for_`; and at least two exports, of 30 s each.
        service: only this service; every service by itself when not given.
        channels: whom to tell. Source: PagerDuty.
        id: the policy's id.
        display_name: the policy's name.
    """
    limit_s = checked(whole_seconds, threshold, name="threshold", noun=f'policy "{id}"', otherwise=2.0)
    p95 = percentile(95, HTTP_SERVER_DURATION, where=_of(service), by="service", window=window)
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.ERROR,
        conditions=(PromQLCondition(query=p95 > limit_s, duration=for_, display_name=f"p95 above {limit_s:g} s"),),
        channels=tuple(channels),
        documentation=runbook(
            f"One request in twenty took longer than {limit_s:g} s, for {shown_duration(for_)} on end. Users feel it. "
            "The target is 0.5 s.",
            "The *service* dashboard: one route, or all? One: what that route calls. All: the process or its host.",
            "A slow trace of the last minutes: its longest span names the culprit, such as a database or an AI model.",
            "What changed: the last deployment, the traffic, the number of instances at its maximum.",
        ),
        auto_close="30m",
    )


@ready_made("policy")
def error_spike(
    *,
    threshold: float = 0.05,
    for_: DurationLike = "2m",
    window: DurationLike = "90s",
    min_requests: int = 10,
    service: str | None = None,
    channels: Channels = (),
    id: str = "error-spike",  # noqa: A002 - the field's name
    display_name: str = "Error spike",
) -> AlertPolicy:
    """Return the policy: too large a share of the requests ends in a 5xx. One incident a service.

    Args:
        threshold: share of the requests, 0 to 1. Source: 5 %.
        for_: for how long. Source: 2 min.
        window: over which the share is taken; below `for_`, so that one burst cannot last for all of it.
        min_requests: how many requests the window must hold. Without it, the one failed request of a quiet night
            is an error ratio of 100 %.
        service: only this service; every service by itself when not given.
        channels: whom to tell. Source: Slack and PagerDuty.
        id: the policy's id.
        display_name: the policy's name.
    """
    noun = f'policy "{id}"'
    limit = checked(as_share, threshold, name="threshold", noun=noun, otherwise=0.05)
    least = checked(as_number, min_requests, name="min_requests", noun=noun, otherwise=10)
    failed: Labels = {"http.response.status_code": matches("5.."), **_of(service)}
    # The series of a status code is born with its first error, which `increase` alone would not count.
    errors = growth(HTTP_SERVER_DURATION, where=failed, by="service", window=window)
    requests = growth(HTTP_SERVER_DURATION, where=_of(service), by="service", window=window)
    query = (ratio(errors, requests) > limit).when(requests >= least)
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.CRITICAL,
        conditions=(PromQLCondition(query=query, duration=for_, display_name=f"5xx above {limit * 100:g} %"),),
        channels=tuple(channels),
        documentation=runbook(
            f"More than {limit * 100:g} % of the requests ended in a 5xx, for {shown_duration(for_)} on end. "
            "The target is below 1 %.",
            "*Error Reporting*: which group is new, or grows? Its stack trace and its sample trace usually say it all.",
            "The *service* dashboard: one route, or all? All at once means the process or something that all need.",
            "The last deployment: if it came just before, roll it back first and read the logs afterwards.",
        ),
        auto_close="30m",
    )


def _of(service: str | None) -> dict[str, str]:
    return {} if service is None else {"service": service}
