"""Ready-made policies for what should run and does not: providers, jobs, backups, and the service itself.

Source of the thresholds: the project's requirements, "The alert policies that must exist".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from obskit.alerts.conditions import PromQLCondition
from obskit.alerts.policies import AlertPolicy, Severity
from obskit.alerts.ready.runbooks import runbook
from obskit.alerts.strategies import Channel
from obskit.catalog import JOB_LAST_SUCCESS, PROVIDER_STATUS
from obskit.queries.definitions import as_share, as_text, checked, ready_made
from obskit.queries.durations import DurationLike, promql_duration, whole_seconds
from obskit.queries.promql import LabelList, Labels, Query, promql, query, select

__all__ = ["endpoint_down", "missed_backup", "missed_job", "provider_down"]

Channels = Sequence[Channel]

_JOB: Final = "obskit.job.name"
_LONGEST: Final = timedelta(days=10).total_seconds()
# Source: Cloud Monitoring's shortest evaluation interval by how far a PromQL alert looks back.
_INTERVALS: Final = ((timedelta(hours=25), "1m"), (timedelta(days=8), "5m"), (timedelta(days=16), "1h"))


@ready_made("policy")
def provider_down(
    *,
    threshold: float = 0.5,
    for_: DurationLike = "1m",
    window: DurationLike = "3m",
    provider: str | None = None,
    service: str | None = None,
    channels: Channels = (),
    id: str = "provider-down",  # noqa: A002 - the field's name
    display_name: str = "Provider down",
) -> AlertPolicy:
    """Return the policy: a provider's health check fails (`obskit.health`). One incident a provider.

    Args:
        threshold: it fires while less than this share of the processes that check the provider find it healthy, above
            0, up to 1. One process with a network of its own is no outage of the provider; with 1.0 it fires.
        for_: for how long.
        window: how long a process's last word counts; more than the interval of the checks and of the export.
        provider: only the check of that name; every one by itself when not given.
        service: only this service's checks.
        channels: whom to tell. Source: Slack and PagerDuty.
        id: the policy's id.
        display_name: the policy's name.
    """
    share = checked(as_share, threshold, name="threshold", noun=f'policy "{id}"', otherwise=0.5)
    where: Labels = _where(service=service, provider=provider)
    healthy = query(
        "avg by (",
        LabelList(("provider",)),
        ") (last_over_time(",
        select(PROVIDER_STATUS, where=where, window=window),
        "))",
    )
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.CRITICAL,
        conditions=(PromQLCondition(query=healthy < share, duration=for_, display_name="health check fails"),),
        channels=tuple(channels),
        documentation=runbook(
            "The health check of a provider fails: what needs it fails too, or falls back to another.",
            "The label `provider` names the check. Its log line says with which exception it fails, and since when.",
            "The provider's own status page; calls to it in a trace of the last minutes.",
            "All providers at once: the network or the DNS of this service, not the providers.",
        ),
        auto_close="30m",
    )


@ready_made("policy")
def missed_job(
    *,
    job: str,
    max_age: DurationLike = "26h",
    for_: DurationLike = "0s",
    service: str | None = None,
    channels: Channels = (),
    severity: Severity = Severity.ERROR,
    id: str = "missed-job",  # noqa: A002 - the field's name
    display_name: str = "Job missed",
) -> AlertPolicy:
    """Return the policy: a job observed with `obskit.job` has not succeeded for too long, or never has.

    It asks when the job last succeeded, and so sees a job that fails, one that hangs and one that nobody starts.

    Args:
        job: the name given to `obskit.job`.
        max_age: longest time between two successes, up to 10 days: the job's interval, its duration and some leeway.
        for_: for how long.
        service: only the runs in this service.
        channels: whom to tell.
        severity: of the incident.
        id: the policy's id.
        display_name: the policy's name.
    """
    noun = f'policy "{id}"'
    name = checked(as_text, job, name="job", noun=noun, otherwise="job")
    age_s = checked(_age, max_age, name="max_age", noun=noun, otherwise=93_600.0)
    # So long must the last success stay in sight for its age to be known; beyond, it is absent, which fires as well.
    window = timedelta(seconds=max(1.5 * age_s, age_s + 3600))
    interval = next(interval for longest, interval in _INTERVALS if window <= longest)
    seen = select(JOB_LAST_SUCCESS, where=_where(service=service, **{_JOB: name}), window=window)
    age = query("time() - max by (", LabelList((_JOB,)), ") (max_over_time(", seen, "))", level=2)
    never = query("absent_over_time(", seen, ")")
    late = age > age_s
    shown = promql_duration(timedelta(seconds=age_s))
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=severity,
        conditions=(
            PromQLCondition(
                query=replace(late.otherwise(never), threshold=late.threshold, comparison=late.comparison),
                duration=for_,
                interval=interval,
                display_name=f"no success of {name} for {shown}",
            ),
        ),
        channels=tuple(channels),
        documentation=runbook(
            f"The job `{name}` has not succeeded for {shown}. What it makes is missing or out of date.",
            f"Traces with a span `{name}`: are there any since? With an error: its exception says why it fails.",
            "None at all: the scheduler, the queue, or the deployment that no longer contains the job.",
            "A span that has not ended yet is not exported: is the process still at work, or does it hang?",
        ),
        auto_close="1d",
    )


@ready_made("policy")
def missed_backup(
    *,
    job: str = "backup",
    max_age: DurationLike = "26h",
    for_: DurationLike = "0s",
    service: str | None = None,
    channels: Channels = (),
    id: str = "missed-backup",  # noqa: A002 - the field's name
    display_name: str = "Backup missed",
) -> AlertPolicy:
    """Return the policy: no successful backup, as observed with ``obskit.job("backup")``.

    Args:
        job: the name given to `obskit.job`.
        max_age: longest time between two successes, up to 10 days. Source: 26 h.
        for_: for how long.
        service: only the runs in this service.
        channels: whom to tell. Source: email.
        id: the policy's id.
        display_name: the policy's name.
    """
    return missed_job(
        job=job,
        max_age=max_age,
        for_=for_,
        service=service,
        channels=channels,
        severity=Severity.CRITICAL,
        id=id,
        display_name=display_name,
    )


@ready_made("policy")
def endpoint_down(
    *,
    check_id: str,
    for_: DurationLike = "1m",
    window: DurationLike = "5m",
    channels: Channels = (),
    id: str = "endpoint-down",  # noqa: A002 - the field's name
    display_name: str = "Endpoint down",
) -> AlertPolicy:
    """Return the policy: an uptime check of Cloud Monitoring, of ``/health`` say, fails from most of its places.

    Args:
        check_id: the id of the uptime check, as ``gcloud monitoring uptime list-configs`` prints it.
        for_: for how long.
        window: over which the share of checks that passed is taken; at least two periods of the check.
        channels: whom to tell. Source: PagerDuty.
        id: the policy's id.
        display_name: the policy's name.
    """
    noun = f'policy "{id}"'
    check = checked(as_text, check_id, name="check_id", noun=noun, otherwise="check")
    span = promql_duration(timedelta(seconds=checked(whole_seconds, window, name="window", noun=noun, otherwise=300.0)))
    quoted = check.replace("\\", "\\\\").replace('"', '\\"')
    passed: Query = promql(
        f'avg(avg_over_time(monitoring_googleapis_com:uptime_check_check_passed{{check_id="{quoted}",'
        f'monitored_resource="uptime_url"}}[{span}]))'
    )
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.CRITICAL,
        conditions=(PromQLCondition(query=passed < 0.5, duration=for_, display_name="uptime check fails"),),
        channels=tuple(channels),
        documentation=runbook(
            "The service does not answer from outside, or answers 503 because it is not ready. Users see an error.",
            "An open *Provider down*? Then the service is up, and waits for what it needs.",
            "The instances: are there any, do they start, what is in the logs of the last start?",
            "The load balancer, the DNS and the TLS certificate, if the instances answer from inside.",
        ),
        auto_close="30m",
    )


def _where(**labels: str | None) -> Labels:
    return {name: value for name, value in labels.items() if value is not None}


def _age(value: DurationLike) -> float:
    seconds = whole_seconds(value)
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"{value!r} is not above 0 and up to 10 days | Write for example 26h")
    return seconds
