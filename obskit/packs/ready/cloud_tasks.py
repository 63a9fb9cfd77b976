"""Cloud Tasks: are tasks carried out in time, do attempts fail, does a queue grow."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, LogsPanel, Plot, Row, Scorecard
from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, entries, more_than, only, percent
from obskit.packs.scenarios import Bump, LogLine, Scenario, Signal
from obskit.queries import Query, differs, google, highest, increase, latest, percentile, rate, share
from obskit.queries.definitions import as_number, as_positive, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_DEPTH: Final = google("cloudtasks.googleapis.com/queue/depth")
_ATTEMPTS: Final = google("cloudtasks.googleapis.com/queue/task_attempt_count")
_DELAYS: Final = google("cloudtasks.googleapis.com/queue/task_attempt_delays")
_CALLS: Final = google("cloudtasks.googleapis.com/api/request_count")
_WARNINGS: Final = 'resource.type="cloud_tasks_queue" AND severity>=WARNING'
_BY: Final = "queue_id"
_LEGEND: Final = "${labels.queue_id}"
# Source: the metric's values in Metrics Explorer are gRPC codes in lower case, `ok` for what the handler took.
_FAILED: Final = differs("ok")


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        queue: only this queue; every queue by itself when empty.
        failed: share of the attempts that may fail.
        least_attempts: so many attempts in 5 minutes are too few to judge a queue by.
        depth: so many tasks may wait. Tasks that are scheduled for later count too.
        delay: how late the attempts may be, at the 95th percentile.
    """

    noun: ClassVar[str] = "settings of pack cloud-tasks"

    queue: str = given(as_text, default="")
    failed: float = given(as_share, default=0.1)
    least_attempts: float = given(as_number, default=20)
    depth: float = given(as_positive, default=1000)
    delay: DurationLike = given(as_duration, default=timedelta(minutes=1))


def _make(settings: Settings) -> Objects:
    failing, slow, waiting = alerts = (_failing(settings), _slow(settings), _waiting(settings))
    dashboard = Dashboard(
        id="cloud-tasks",
        display_name="Cloud Tasks",
        rows=(
            cards(*_numbers(settings, failing, slow, waiting), policies=alerts),
            _symptoms(settings, failing, slow),
            *_causes(settings, waiting),
            LogsPanel(
                title="What the queues say (where their logging is on)",
                filter=entries(_WARNINGS, _BY, settings.queue),
                height=12,
            ),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _where(settings: Settings) -> Labels:
    return only(_BY, settings.queue)


def _bad(settings: Settings) -> Labels:
    return {**_where(settings), "response_code": _FAILED}


def _attempts(settings: Settings) -> Query:
    return increase(_ATTEMPTS, where=_where(settings), by=_BY, window="5m")


def _failed(settings: Settings) -> Query:
    return increase(_ATTEMPTS, where=_bad(settings), by=_BY, window="5m")


def _depth(settings: Settings) -> Query:
    return latest(_DEPTH, where=_where(settings), by=_BY)


def _late(settings: Settings) -> Query:
    return percentile(95, _DELAYS, where=_where(settings), by=_BY, window="5m") / 1000


def _failing(settings: Settings) -> AlertPolicy:
    return alert(
        "cloud-tasks-failing",
        "Tasks fail",
        more_than(settings.failed, _failed(settings), of=_attempts(settings), least=settings.least_attempts),
        to=settings.receivers.team,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"more than {percent(settings.failed)} of the attempts fail",
        means=f"More than {percent(settings.failed)} of a queue's attempts fail. Cloud Tasks tries again, until the "
        "queue's retry limit; what the tasks should do happens late or never.",
        looks=(
            (
                "The *cloud-tasks* dashboard, attempts by response: `unavailable` and `deadline_exceeded` are a "
                "handler that is down or slow, `permission_denied` and `unauthenticated` its IAM."
            ),
            "The handler's own errors: its traces and its error groups of these minutes.",
            "The handler's last deployment: a new path, a changed payload that old tasks do not have.",
        ),
    )


def _waiting(settings: Settings) -> AlertPolicy:
    return alert(
        "cloud-tasks-backlog",
        "Tasks pile up",
        _depth(settings) > settings.depth,
        to=settings.receivers.team,
        for_="10m",
        condition=f"more than {settings.depth:g} tasks in a queue",
        means=f"More than {settings.depth:g} tasks have been in a queue for ten minutes: more come in than are "
        "carried out, or the queue is paused.",
        looks=(
            "Is *Tasks fail* open too? Then the retries are the backlog; go on with its runbook.",
            (
                "The queue's state and limits: `gcloud tasks queues describe`: paused, `maxDispatchesPerSecond`, "
                "`maxConcurrentDispatches`."
            ),
            "The *cloud-tasks* dashboard, tasks created: does one caller create many more than it used to?",
        ),
    )


def _slow(settings: Settings) -> AlertPolicy:
    return alert(
        "cloud-tasks-late",
        "Tasks are late",
        _late(settings) > whole_seconds(settings.delay),
        to=settings.receivers.team,
        for_="5m",
        condition=f"p95 of the delay above {shown_duration(settings.delay)}",
        means=f"One attempt in twenty begins more than {shown_duration(settings.delay)} after its time. Users wait for "
        "what the tasks do.",
        looks=(
            "The *cloud-tasks* dashboard, tasks in the queue: the queue is at its limits when both rise.",
            "`maxConcurrentDispatches` against how long one task takes: 10 at once of 2 s each are 5 tasks a second.",
            "The handler's instances: at their maximum, or slow?",
        ),
    )


def _numbers(
    settings: Settings, failing: AlertPolicy, slow: AlertPolicy, waiting: AlertPolicy
) -> tuple[Scorecard, ...]:
    whole = increase(_ATTEMPTS, where=_where(settings), window="5m")
    return (
        card(
            "Failed attempts",
            share(increase(_ATTEMPTS, where=_bad(settings), window="5m"), whole),
            unit=PERCENT,
            limits=(failing, early(failing, 0.5)),
        ),
        card("Delay, slowest queue p95", highest(_late(settings)), unit="s", limits=(slow,)),
        card("Tasks in the fullest queue", highest(_depth(settings)), unit="1", limits=(waiting,)),
    )


def _symptoms(settings: Settings, failing: AlertPolicy, slow: AlertPolicy) -> Row:
    return charts(
        chart("Delay of the attempts, p95", {_LEGEND: _late(settings)}, unit="s", label="seconds late", limits=[slow]),
        chart(
            "Failed attempts",
            {_LEGEND: share(_failed(settings), _attempts(settings))},
            unit=PERCENT,
            label="share of the attempts",
            limits=[failing],
        ),
    )


def _causes(settings: Settings, waiting: AlertPolicy) -> tuple[Row, ...]:
    where = _where(settings)
    return (
        charts(
            chart("Tasks in the queue", {_LEGEND: _depth(settings)}, unit="1", label="tasks", limits=[waiting]),
            chart(
                "Attempts by response",
                {
                    f"{_LEGEND} ${{labels.response_code}}": rate(
                        _ATTEMPTS, where=where, by=(_BY, "response_code"), window="2m"
                    )
                },
                unit="1/s",
                label="attempts per second",
                plot=Plot.STACKED_AREA,
            ),
        ),
        charts(
            chart(
                "Calls of the API",
                {"${labels.api_method}": rate(_CALLS, where=where, by="api_method", window="2m")},
                unit="1/s",
                label="calls per second",
            ),
            chart(
                "Refused calls of the API",
                {
                    "${labels.api_method} ${labels.response_code}": increase(
                        _CALLS, where=_bad(settings), by=("api_method", "response_code"), window="1m"
                    )
                },
                unit="1",
                label="calls per minute",
                plot=Plot.STACKED_BAR,
            ),
        ),
    )


_MAIL: Final = {"queue_id": "mail", "location": "europe-west1", "target_type": "http"}
_INDEX: Final = {"queue_id": "reindex", "location": "europe-west1", "target_type": "http"}
_OUTAGE: Final = Bump(at=0.62, lasts=0.16, level=60.0)
_BOUNDS: Final = (10.0, 100.0, 1000.0, 10_000.0, 60_000.0, 90_000.0, 120_000.0, 600_000.0)

PACK: Final = Pack(
    name="cloud-tasks",
    title="Cloud Tasks",
    summary="Failed attempts, delay and length of Cloud Tasks queues.",
    needs=("cloudtasks.googleapis.com",),
    logs=_WARNINGS,
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="The handler of the mail queue is down for an hour: attempts fail, and the queue fills up.",
        signals=(
            Signal(metric=_ATTEMPTS, level=6.0, labels={**_MAIL, "response_code": "ok"}, swing=0.3, noise=0.1),
            Signal(metric=_ATTEMPTS, level=0.03, labels={**_MAIL, "response_code": "unavailable"}, bumps=(_OUTAGE,)),
            Signal(metric=_ATTEMPTS, level=2.0, labels={**_INDEX, "response_code": "ok"}, noise=0.2),
            Signal(metric=_ATTEMPTS, level=0.02, labels={**_INDEX, "response_code": "deadline_exceeded"}),
            Signal(
                metric=_DELAYS,
                level=6.0,
                labels=_MAIL,
                median=400.0,
                spread=2.4,
                bumps=(Bump(at=0.62, lasts=0.18, size=70.0),),
            ),
            Signal(metric=_DELAYS, level=2.0, labels=_INDEX, median=900.0, spread=2.0),
            Signal(metric=_DEPTH, level=40, labels=_MAIL, noise=0.3, bumps=(Bump(at=0.62, lasts=0.18, level=45.0),)),
            Signal(metric=_DEPTH, level=260, labels=_INDEX, noise=0.15),
            Signal(
                metric=_CALLS,
                level=6.1,
                labels={**_MAIL, "api_method": "CreateTask", "response_code": "ok"},
                swing=0.3,
                noise=0.1,
            ),
            Signal(
                metric=_CALLS,
                level=2.0,
                labels={**_INDEX, "api_method": "CreateTask", "response_code": "ok"},
                noise=0.2,
            ),
            Signal(
                metric=_CALLS,
                level=0.02,
                labels={**_MAIL, "api_method": "CreateTask", "response_code": "already_exists"},
                noise=0.5,
            ),
        ),
        logs=(
            LogLine(
                entry={
                    "logName": "projects/gallery/logs/cloudtasks.googleapis.com%2Ftask_operations_log",
                    "severity": "WARNING",
                    "resource": {"type": "cloud_tasks_queue", "labels": _MAIL},
                    "jsonPayload": {
                        "message": "attempt of task mail/4711 answered UNAVAILABLE, HTTP 503",
                        "attemptResponseLog": {
                            "status": "UNAVAILABLE",
                            "targetAddress": "POST https://mail.example/send",
                        },
                    },
                },
                at=(0.63, 0.65, 0.68, 0.71, 0.74, 0.77),
            ),
        ),
    ),
    cases=(
        Case(
            alert="cloud-tasks-failing",
            says="half of the attempts fail",
            given=(
                Points(_ATTEMPTS, "60x10 30x30", {**_MAIL, "response_code": "ok"}),
                Points(_ATTEMPTS, "0x10 30x30", {**_MAIL, "response_code": "unavailable"}),
            ),
            opens="16m",
            within="2m",
            labels={"queue_id": "mail"},
            tells={"slack": 1},
        ),
        Case(
            alert="cloud-tasks-failing",
            says="the only attempt of a quiet hour fails again and again",
            given=(
                Points(_ATTEMPTS, "0x40", {**_INDEX, "response_code": "ok"}),
                Points(_ATTEMPTS, "0x10 1x30", {**_INDEX, "response_code": "unavailable"}),
            ),
        ),
        Case(
            alert="cloud-tasks-backlog",
            says="nobody takes tasks for an hour",
            given=Points(_DEPTH, "100x9 100+100x30 4000x10", _MAIL),
            opens="29m",
            within="1m",
        ),
        Case(
            alert="cloud-tasks-backlog",
            says="a burst is worked off",
            given=Points(_DEPTH, "100x9 5000-1000x5 100x20", _MAIL),
        ),
        Case(
            alert="cloud-tasks-late",
            says="attempts begin one and a half minutes late",
            given=Sizes(_DELAYS, {500.0: "60x10 0x30", 89_000.0: "0x10 60x30"}, _MAIL, _BOUNDS),
            opens="16m",
            within="2m",
        ),
        Case(
            alert="cloud-tasks-late",
            says="attempts begin ten seconds late",
            given=Sizes(_DELAYS, {9_000.0: "60x40"}, _MAIL, _BOUNDS),
        ),
    ),
)
