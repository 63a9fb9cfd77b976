"""A background worker: does its queue grow, do its jobs fail, take long, or not run at all."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity, missed_backup
from obskit.alerts.policies import AlertPolicy
from obskit.catalog import JOB_DURATION, JOB_FAILURES, JOB_LAST_SUCCESS
from obskit.dashboards import Dashboard, Plot, Row, Scorecard
from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, only, percent
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import GoogleMetric, Query, google, growth, highest, latest, over_time, percentile, ratio, share
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import LabelList, Labels, query, select

__all__ = ["PACK", "Settings"]

_JOB: Final = "obskit.job.name"
_LEGEND: Final = "${labels.obskit_job_name}"
_DEPTH: Final = "cloudtasks.googleapis.com/queue/depth"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        service: only this one's jobs; those of all services when empty.
        queue: metric type of the queue's length: a gauge of Google's, or one declared with `known_metric`.
        queue_label: the label that tells one queue from another.
        depth: so many tasks may wait.
        failures: share of the runs that may fail.
        duration: of the 95th percentile of the runs.
        backup_job: the name given to `obskit.job` for the backup.
        backup_age: longest time between two backups that succeed. Source: 26 h.
    """

    noun: ClassVar[str] = "settings of pack background-worker"

    service: str = given(as_text, default="")
    queue: str = given(as_text, default=_DEPTH)
    queue_label: str = given(as_text, default="queue_id")
    depth: float = given(as_positive, default=1000)
    failures: float = given(as_share, default=0.1)
    duration: DurationLike = given(as_duration, default=timedelta(minutes=10))
    backup_job: str = given(as_text, default="backup")
    backup_age: DurationLike = given(as_duration, default=timedelta(hours=26))


def _make(settings: Settings) -> Objects:
    long, failing, slow, backup = alerts = (_long(settings), _failing(settings), _slow(settings), _backup(settings))
    dashboard = Dashboard(
        id="background-worker",
        display_name="Background worker",
        rows=(
            cards(*_numbers(settings, long, failing, slow), policies=alerts),
            _symptoms(settings, long, failing, backup),
            *_causes(settings, slow),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _where(settings: Settings) -> Labels:
    return only("service", settings.service)


def _queue(settings: Settings) -> GoogleMetric:
    return google(settings.queue)


def _p95(settings: Settings) -> Query:
    return percentile(95, JOB_DURATION, where=_where(settings), by=_JOB, window="15m")


def _long(settings: Settings) -> AlertPolicy:
    waiting = over_time(_queue(settings), "min", by=settings.queue_label, window="10m")
    return alert(
        "worker-queue",
        "Worker: long queue",
        waiting > settings.depth,
        to=settings.receivers.team,
        for_="10m",
        condition=f"more than {settings.depth:g} tasks wait",
        means=f"More than {settings.depth:g} tasks have waited for twenty minutes: the worker does not keep up. What "
        "they are for happens late.",
        looks=(
            "The *background-worker* dashboard: do fewer runs end than usual, or do more tasks come?",
            "Is the worker there at all? Its instances, and its log since the last deployment.",
            "An open *Worker: slow jobs* or *Worker: jobs fail*? Then go on with its runbook.",
        ),
    )


def _runs(settings: Settings) -> Query:
    return growth(JOB_DURATION, where=_where(settings), by=_JOB, window="15m")


def _failed(settings: Settings) -> Query:
    return growth(JOB_FAILURES, where=_where(settings), by=_JOB, window="15m")


def _failing(settings: Settings) -> AlertPolicy:
    failed = _failed(settings)
    return alert(
        "worker-failures",
        "Worker: jobs fail",
        (ratio(failed, _runs(settings)) > settings.failures).when(failed >= 3),
        to=settings.receivers.team,
        severity=Severity.ERROR,
        condition=f"more than {percent(settings.failures)} of the runs",
        means=f"More than {percent(settings.failures)} of the runs of a job end with an exception.",
        looks=(
            "*Error Reporting*: the exception, and since when it comes.",
            "A trace with a span of the job's name: what failed last within it?",
            "One kind of task only? Then it is what is in it; set it aside, and the others go on.",
        ),
    )


def _slow(settings: Settings) -> AlertPolicy:
    return alert(
        "worker-duration",
        "Worker: slow jobs",
        _p95(settings) > whole_seconds(settings.duration),
        to=settings.receivers.mail,
        for_="15m",
        condition=f"p95 above {shown_duration(settings.duration)}",
        means=f"One run in twenty of a job takes longer than {shown_duration(settings.duration)}. The queue grows, and "
        "what times out is done again.",
        looks=(
            "A slow trace of the job: its longest span names the culprit.",
            "The *background-worker* dashboard: all jobs or one, slowly or at once?",
            "The database and the providers that it calls; their dashboards at the same time.",
        ),
    )


def _backup(settings: Settings) -> AlertPolicy:
    return missed_backup(
        job=settings.backup_job,
        max_age=settings.backup_age,
        service=settings.service or None,
        channels=settings.receivers.mail,
    )


def _numbers(settings: Settings, long: AlertPolicy, failing: AlertPolicy, slow: AlertPolicy) -> tuple[Scorecard, ...]:
    where = _where(settings)
    return (
        card(
            "Longest queue",
            highest(latest(_queue(settings), by=settings.queue_label)),
            unit="1",
            limits=(long, early(long, 0.5)),
        ),
        card(
            "Failed runs",
            share(growth(JOB_FAILURES, where=where, window="15m"), growth(JOB_DURATION, where=where, window="15m")),
            unit=PERCENT,
            limits=(failing,),
        ),
        card("p95 of the slowest job", highest(_p95(settings)), unit="s", limits=(slow,)),
    )


def _symptoms(settings: Settings, long: AlertPolicy, failing: AlertPolicy, backup: AlertPolicy) -> Row:
    by = settings.queue_label
    age = query(
        "time() - max by (",
        LabelList((_JOB,)),
        ") (max_over_time(",
        select(JOB_LAST_SUCCESS, where=_where(settings), window=as_duration(settings.backup_age) * 1.5),
        "))",
    )
    return charts(
        chart(
            "Queues", {f"${{labels.{by}}}": latest(_queue(settings), by=by)}, unit="1", label="tasks", limits=(long,)
        ),
        chart(
            "Failed runs, share",
            {_LEGEND: share(_failed(settings), _runs(settings))},
            unit=PERCENT,
            label="share of the runs, 15 min",
            limits=(failing,),
        ),
        chart("Time since the last success", {_LEGEND: age}, unit="s", label="seconds", limits=(backup,)),
    )


def _causes(settings: Settings, slow: AlertPolicy) -> tuple[Row, ...]:
    where = _where(settings)
    return (
        charts(
            chart(
                "Runs",
                {_LEGEND: growth(JOB_DURATION, where=where, by=_JOB, window="5m")},
                unit="1",
                label="in 5 min",
                plot=Plot.STACKED_BAR,
            ),
            chart(
                "Failed runs",
                {
                    "${labels.obskit_job_name} ${labels.error_type}": growth(
                        JOB_FAILURES, where=where, by=(_JOB, "error.type"), window="5m"
                    )
                },
                unit="1",
                label="in 5 min",
                plot=Plot.STACKED_BAR,
            ),
            chart("Duration of a run, p95", {_LEGEND: _p95(settings)}, unit="s", label="seconds", limits=(slow,)),
        ),
    )


_QUEUE: Final = {"queue_id": "mails", "location": "europe-west1"}
_WORKER: Final = {"service": "worker"}
_MAIL: Final = {**_WORKER, _JOB: "send-mail"}
_BACKUP: Final = {**_WORKER, _JOB: "backup"}
_GAUGE: Final = google(_DEPTH)
_DAY: Final = 86_400


def _job(name: str, a_second: float, seconds: float, *bumps: Bump) -> tuple[Signal, ...]:
    labels = {**_WORKER, _JOB: name}
    return (
        Signal(metric=JOB_DURATION, level=a_second, labels=labels, median=seconds, noise=0.2, bumps=bumps),
        Signal(
            metric=JOB_FAILURES,
            level=a_second / 90,
            labels={**labels, "error.type": "TimeoutError"},
            noise=0.5,
            bumps=tuple(Bump(at=each.at, lasts=each.lasts, level=20) for each in bumps),
        ),
    )


PACK: Final = Pack(
    name="background-worker",
    title="A background worker",
    summary="Queues, runs, failures and durations of jobs that `obskit.job` observes, and the backup among them.",
    needs=("obskit", "cloudtasks.googleapis.com"),
    logs="severity>=WARNING AND jsonPayload.service:*",
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="The mail provider answers slowly for an hour: runs take long and fail, and the queue grows.",
        signals=(
            *_job("send-mail", 0.8, 1.2, Bump(at=0.55, lasts=0.2, level=0.4, size=14)),
            *_job("resize-image", 0.3, 4),
            *_job("report", 0.01, 45),
            Signal(metric=JOB_LAST_SUCCESS, labels=_BACKUP, every_s=_DAY),
            Signal(metric=JOB_LAST_SUCCESS, labels={**_WORKER, _JOB: "report"}, every_s=900),
            Signal(metric=_GAUGE, level=40, labels=_QUEUE, noise=0.4, bumps=(Bump(at=0.57, lasts=0.26, level=45),)),
            Signal(metric=_GAUGE, level=12, labels={**_QUEUE, "queue_id": "images"}, noise=0.5),
        ),
    ),
    cases=(
        Case(
            alert="worker-queue",
            says="it grows for an hour",
            given=Points(_GAUGE, "0+50x60", _QUEUE),
            open_at=("50m",),
            silent_at=("20m", "30m"),
            labels={"queue_id": "mails"},
            tells={"slack": 1},
        ),
        Case(
            alert="worker-queue",
            says="a batch of two thousand, done within ten minutes",
            given=Points(_GAUGE, "20x10 2000-180x10 20x40", _QUEUE),
        ),
        Case(
            alert="worker-failures",
            says="one run in four fails",
            given=(
                Sizes(JOB_DURATION, {1: "0+4x60"}, _MAIL),
                Points(JOB_FAILURES, "_x20 1+1x39", {**_MAIL, "error.type": "TimeoutError"}),
            ),
            open_at=("40m",),
            silent_at=("19m",),
            tells={"slack": 1},
        ),
        Case(
            alert="worker-failures",
            says="two runs of a night fail",
            given=(
                Sizes(JOB_DURATION, {1: "0+0.1x60"}, _MAIL),
                Points(JOB_FAILURES, "_x20 1x10 2x29", {**_MAIL, "error.type": "TimeoutError"}),
            ),
        ),
        Case(
            alert="worker-duration",
            says="one run in ten takes half an hour",
            given=Sizes(JOB_DURATION, {30: "0+9x60", 1800: "0+1x60"}, _MAIL),
            open_at=("40m",),
            tells={"email": 1},
        ),
        Case(
            alert="worker-duration",
            says="one in a hundred does",
            given=Sizes(JOB_DURATION, {30: "0+99x60", 1800: "0+1x60"}, _MAIL),
        ),
        Case(
            alert="missed-backup",
            says="it succeeds once, and then never again",
            given=Points(JOB_LAST_SUCCESS, "3600x360", _BACKUP),
            every="10m",
            lasts="59h",
            open_at=("28h", "50h"),
            silent_at=("20h", "26h"),
        ),
        Case(
            alert="missed-backup",
            says="it succeeds every day",
            given=Points(JOB_LAST_SUCCESS, f"0x144 {_DAY}x144", _BACKUP),
            every="10m",
            lasts="40h",
        ),
    ),
)
