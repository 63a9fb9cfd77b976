"""Cloud Scheduler: do jobs fail, does one no longer run. It has no metrics; its log entries are counted."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, LogsPanel, Plot, Row, Scorecard
from obskit.packs.cases import Case, Points
from obskit.packs.log_alerts import entries_alert, entries_missing
from obskit.packs.logs import log_metric
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, card, cards, chart, charts, entries, only, warning
from obskit.packs.scenarios import Bump, LogLine, Scenario, Signal
from obskit.queries import differs, increase, share
from obskit.queries.definitions import as_number, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_FINISHED: Final = "type.googleapis.com/google.cloud.scheduler.logging.AttemptFinished"
_ENTRIES: Final = (
    'resource.type="cloud_scheduler_job" AND logName:"cloudscheduler.googleapis.com%2Fexecutions"'
    f' AND jsonPayload."@type"="{_FINISHED}"'
)
# Source: entries of Cloud Scheduler in public repositories: `severity` is INFO for what was taken, else ERROR, and
# `jsonPayload.status` then says why, e.g. PERMISSION_DENIED, URL_UNREACHABLE_5xx in `debugInfo`.
_ATTEMPTS, _SERIES = log_metric(
    "cloud-scheduler-attempts",
    counts=_ENTRIES,
    resource="cloud_scheduler_job",
    labels={"severity": "EXTRACT(severity)", "status": "EXTRACT(jsonPayload.status)"},
    description="Attempts of Cloud Scheduler's jobs, by how they ended.",
)
_RESOURCE: Final = "cloud_scheduler_job"
_BY: Final = "job_id"
_LEGEND: Final = "${labels.job_id}"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        job: only this one; every job by itself when empty.
        failures: so many failed attempts of a job within an hour are no alert: its retries may mend it.
        silence: alert when a job that has run before has not succeeded for so long, at most 25 h; more than the
            longest time between two runs of the jobs that are watched.
    """

    noun: ClassVar[str] = "settings of pack cloud-scheduler"

    job: str = given(as_text, default="")
    failures: float = given(as_number, default=2)
    silence: DurationLike = given(as_duration, default=timedelta(hours=25))


def _make(settings: Settings) -> Objects:
    failing, missing = alerts = (_failing(settings), _missing(settings))
    dashboard = Dashboard(
        id="cloud-scheduler",
        display_name="Cloud Scheduler",
        rows=(
            cards(*_numbers(settings), policies=alerts),
            _symptoms(settings, failing),
            *_causes(settings, missing),
            LogsPanel(
                title="Failed attempts",
                filter=entries(f"{_ENTRIES} AND severity>=WARNING", _BY, settings.job),
                height=14,
            ),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts, resources=(_ATTEMPTS,))


def _where(settings: Settings) -> Labels:
    return only(_BY, settings.job)


def _good(settings: Settings) -> Labels:
    return {**_where(settings), "severity": "INFO"}


def _bad(settings: Settings) -> Labels:
    return {**_where(settings), "severity": differs("INFO")}


def _failing(settings: Settings) -> AlertPolicy:
    return entries_alert(
        "cloud-scheduler-failing",
        "Scheduled job fails",
        _SERIES,
        to=settings.receivers.team,
        more_than=settings.failures,
        within="1h",
        where=_bad(settings),
        by=_BY,
        severity=Severity.ERROR,
        means=f"A job's target has refused more than {settings.failures:g} attempts within an hour, or did not answer. "
        "What the job should do has not been done.",
        looks=(
            (
                "The entry's `jsonPayload.status` and `debugInfo`: PERMISSION_DENIED and UNAUTHENTICATED are the "
                "service account's role on the target, DEADLINE_EXCEEDED a target that takes too long."
            ),
            "The target's own errors at that minute: its traces and its error groups.",
            "Run it by hand with `gcloud scheduler jobs run` once it is mended; the next run is at its usual time.",
        ),
    )


def _missing(settings: Settings) -> AlertPolicy:
    return entries_missing(
        "cloud-scheduler-missed",
        "Scheduled job does not run",
        _SERIES,
        to=settings.receivers.team,
        within=settings.silence,
        where=_good(settings),
        by=_BY,
        means=f"A job that has run before has not succeeded for {shown_duration(settings.silence)}. What it makes is "
        "missing or out of date.",
        looks=(
            "`gcloud scheduler jobs describe`: is it paused, or was it deleted? Then this alert closes by itself.",
            "Is *Scheduled job fails* open too? Then it runs, and fails; go on with its runbook.",
            "Its schedule and its time zone: is it due less often than this alert expects?",
        ),
    )


def _numbers(settings: Settings) -> tuple[Scorecard, ...]:
    attempts = increase(_SERIES, where=_where(settings), window="1h")
    ok = increase(_SERIES, where=_good(settings), window="1h")
    return (
        card(
            "Failed attempts, last hour",
            increase(_SERIES, where=_bad(settings), window="1h").otherwise(0),
            unit="1",
            limits=(warning(0.5),),
        ),
        card("Attempts, last hour", attempts, unit="1"),
        card(
            "Success, last hour",
            share(ok, attempts),
            unit=PERCENT,
            limits=(warning(0.99, is_below=True),),
        ),
    )


def _symptoms(settings: Settings, failing: AlertPolicy) -> Row:
    bad = _bad(settings)
    return charts(
        chart(
            "Failed attempts an hour",
            {_LEGEND: increase(_SERIES, where=bad, by=_BY, window="1h")},
            unit="1",
            label="attempts an hour",
            limits=[failing],
        ),
        chart(
            "Failed attempts by reason",
            {f"{_LEGEND} ${{labels.status}}": increase(_SERIES, where=bad, by=(_BY, "status"), window="10m")},
            unit="1",
            label="attempts in 10 minutes",
            plot=Plot.STACKED_BAR,
        ),
    )


def _causes(settings: Settings, missing: AlertPolicy) -> tuple[Row, ...]:
    good = _good(settings)
    return (
        charts(
            chart(
                "Successful runs",
                {_LEGEND: increase(_SERIES, where=good, by=_BY, window="10m")},
                unit="1",
                label="runs in 10 minutes",
                plot=Plot.STACKED_BAR,
            ),
            chart(
                f"Successful runs, last {shown_duration(settings.silence)}",
                {_LEGEND: increase(_SERIES, where=good, by=_BY, window=settings.silence)},
                unit="1",
                label="runs",
                limits=[missing],
            ),
        ),
    )


def _job(name: str) -> dict[str, str]:
    return {"job_id": name, "location": "europe-west1"}


def _signal(job: str, level: float, status: str = "", bumps: tuple[Bump, ...] = ()) -> Signal:
    severity = "ERROR" if status else "INFO"
    labels = {**_job(job), "severity": severity, "status": status}
    return Signal(metric=_SERIES, level=level, labels=labels, noise=0.0, bumps=bumps, resource_type=_RESOURCE)


def _attempts(job: str, values: str, status: str = "") -> Points:
    labels = {**_job(job), "severity": "ERROR" if status else "INFO", "status": status}
    return Points(_SERIES, values, labels, resource_type=_RESOURCE)


PACK: Final = Pack(
    name="cloud-scheduler",
    title="Cloud Scheduler",
    summary="Failed and missing runs of scheduled jobs, counted from log entries, as there is no metric.",
    needs=("logging.googleapis.com",),
    logs=_ENTRIES,
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="After a change of roles, the target of one job refuses it.",
        signals=(
            _signal("every-minute-mail", 1 / 60),
            _signal("sync-orders", 1 / 60, bumps=(Bump(at=0.66, lasts=0.4, level=0.02),)),
            _signal("sync-orders", 1 / 60000, "PERMISSION_DENIED", bumps=(Bump(at=0.66, lasts=0.4, level=1000.0),)),
            _signal("rebuild-index", 1 / 600),
        ),
        logs=(
            LogLine(
                entry={
                    "logName": "projects/gallery/logs/cloudscheduler.googleapis.com%2Fexecutions",
                    "severity": "ERROR",
                    "resource": {"type": _RESOURCE, "labels": _job("sync-orders")},
                    "httpRequest": {"status": 403},
                    "jsonPayload": {
                        "@type": _FINISHED,
                        "jobName": "projects/gallery/locations/europe-west1/jobs/sync-orders",
                        "status": "PERMISSION_DENIED",
                        "targetType": "HTTP",
                        "url": "https://orders.example/sync",
                        "debugInfo": "URL_ERROR-ERROR_AUTHENTICATION. Original HTTP response code number = 403",
                    },
                },
                at=(0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
            ),
        ),
    ),
    cases=(
        Case(
            alert="cloud-scheduler-failing",
            says="a job fails every six minutes",
            given=_attempts("sync", "_x10 1 0x4 1 0x4 1 0x4 1 0x4 1 0x30", "INTERNAL"),
            opens="22m",
            within="1m",
            labels={"job_id": "sync"},
            tells={"slack": 1},
            lasts="50m",
        ),
        Case(
            alert="cloud-scheduler-failing",
            says="an attempt fails, and its retry does not",
            given=(_attempts("sync", "_x10 1 0x30", "INTERNAL"), _attempts("sync", "_x11 1 0x30")),
        ),
        Case(
            alert="cloud-scheduler-missed",
            says="an hourly job is paused",
            given=_attempts("hourly", "1 0x59 1 0x59 1"),
            opens="27h2m",
            within="2m",
            labels={"job_id": "hourly"},
            lasts="28h",
        ),
        Case(
            alert="cloud-scheduler-missed",
            says="a daily job is one hour late",
            given=_attempts("daily", "_x60 1 _x1499 1 0x60"),
            lasts="27h",
        ),
    ),
)
