"""Firestore: do requests fail or wait, what is read and written, and are there backups."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, Plot, Row, Scorecard
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, more_than, only, percent, warning
from obskit.packs.ready._firestore_data import (
    BACKUPS,
    CASES,
    DATA,
    DELETES,
    LATENCIES,
    LISTENERS,
    READS,
    REQUESTS,
    RESOURCE,
    RULES,
    SCENARIO,
    WRITES,
)
from obskit.queries import highest, increase, latest, matches, percentile, rate, share
from obskit.queries.definitions import as_number, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import LabelList, Labels, Query, query, select

__all__ = ["PACK", "Settings"]

_BY: Final = "database_id"
_LEGEND: Final = "${labels.database_id}"
# What is not the caller's own mistake: gRPC codes of a server that cannot, or not in time.
_FAILED: Final = matches("ABORTED|DEADLINE_EXCEEDED|INTERNAL|RESOURCE_EXHAUSTED|UNAVAILABLE|UNKNOWN")


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        database: only this one, e.g. ``(default)``; every database by itself when empty.
        failed: share of the requests that may fail without being the caller's mistake.
        least_requests: so many requests in 5 minutes are too few to judge by.
        latency: how long one request in twenty may take; listening and other streams are not measured.
        backup_age: longest time between two backups.
    """

    noun: ClassVar[str] = "settings of pack firestore"

    database: str = given(as_text, default="")
    failed: float = given(as_share, default=0.01)
    least_requests: float = given(as_number, default=100)
    latency: DurationLike = given(as_duration, default=timedelta(seconds=1))
    backup_age: DurationLike = given(as_duration, default=timedelta(hours=26))


def _make(settings: Settings) -> Objects:
    failing, slow = _failing(settings), _slow(settings)
    alerts = (failing, slow, _backup(settings))
    dashboard = Dashboard(
        id="firestore",
        display_name="Firestore",
        rows=(
            cards(*_numbers(settings, failing, slow), policies=alerts),
            _symptoms(settings, failing, slow),
            *_causes(settings),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _where(settings: Settings) -> Labels:
    return only(_BY, settings.database)


def _served(settings: Settings) -> Labels:
    return {"monitored_resource": RESOURCE, **_where(settings)}


def _bad(settings: Settings) -> Labels:
    return {**_served(settings), "response_code": _FAILED}


def _p95(settings: Settings) -> Query:
    return percentile(95, LATENCIES, where=_where(settings), by=_BY, window="5m")


def _unchanged(settings: Settings) -> Query:
    """The size of a database's backups was the same all the time, and was known before."""
    where = _where(settings)
    changed = query(f"max by ({_BY}) (changes(", select(BACKUPS, where=where, window=settings.backup_age), "))")
    before = select(BACKUPS, where=where, window="1h", offset=settings.backup_age)
    known = query("max by (", LabelList((_BY,), is_google=True), ") (present_over_time(", before, "))")
    return (changed < 1).when(known, on=(_BY,))


def _requests(settings: Settings) -> Query:
    return increase(REQUESTS, where=_served(settings), by=_BY, window="5m")


def _failed(settings: Settings) -> Query:
    return increase(REQUESTS, where=_bad(settings), by=_BY, window="5m")


def _failing(settings: Settings) -> AlertPolicy:
    return alert(
        "firestore-errors",
        "Firestore fails",
        more_than(settings.failed, _failed(settings), of=_requests(settings), least=settings.least_requests),
        to=settings.receivers.page,
        for_="5m",
        severity=Severity.CRITICAL,
        condition=f"more than {percent(settings.failed)} of the requests fail",
        means=f"More than {percent(settings.failed)} of a database's requests fail, and not by the caller's mistake. "
        "Users see errors, or wait for retries.",
        looks=(
            (
                "The *firestore* dashboard, requests by answer: ABORTED is contention on a document, "
                "RESOURCE_EXHAUSTED a quota, UNAVAILABLE and INTERNAL are Firestore itself (see its status page)."
            ),
            "Contention: *Key Visualizer*, and transactions on one document more often than once a second.",
            "DEADLINE_EXCEEDED: a query that reads too much; *Query Explain* says how many index entries it scans.",
        ),
    )


def _slow(settings: Settings) -> AlertPolicy:
    return alert(
        "firestore-slow",
        "Firestore is slow",
        _p95(settings) > whole_seconds(settings.latency),
        to=settings.receivers.team,
        for_="10m",
        condition=f"p95 above {shown_duration(settings.latency)}",
        means=f"One request in twenty takes more than {shown_duration(settings.latency)}. Pages and apps that wait for "
        "it are as slow.",
        looks=(
            "The *firestore* dashboard, p95 by method: `RunQuery` alone is a query, `Commit` alone is contention.",
            "Documents read: more than before? A query without a limit, or an index that does not fit.",
            (
                "Traffic that has grown within minutes: more than 500 operations a second, and half more every five "
                "minutes, is faster than a collection's splits (*hotspots*)."
            ),
        ),
    )


def _backup(settings: Settings) -> AlertPolicy:
    return alert(
        "firestore-backup",
        "Firestore backup missed",
        _unchanged(settings),
        to=settings.receivers.mail,
        severity=Severity.CRITICAL,
        interval="5m",
        condition=f"no change of the backups for {shown_duration(settings.backup_age)}",
        means=f"The size of a database's backups has not changed for {shown_duration(settings.backup_age)}: none was "
        "made, or there is no schedule. Firestore reports neither as a metric nor as a log entry that a backup was "
        "made; where nothing at all is written to a database, a new backup may be as large as the one that expires.",
        looks=(
            "`gcloud firestore backups list`: the latest `snapshotTime`, and its `state`: READY?",
            "`gcloud firestore backups schedules list --database=…`: is there a daily one?",
            "The audit log, `DeleteBackupSchedule` and `UpdateBackupSchedule`: who changed it?",
        ),
        auto_close="1d",
    )


def _numbers(settings: Settings, failing: AlertPolicy, slow: AlertPolicy) -> tuple[Scorecard, ...]:
    served = _served(settings)
    return (
        card(
            "Failed requests",
            share(increase(REQUESTS, where=_bad(settings), window="5m"), increase(REQUESTS, where=served, window="5m")),
            unit=PERCENT,
            limits=(failing, early(failing, 0.2)),
        ),
        card("p95, slowest database", highest(_p95(settings)), unit="s", limits=(slow,)),
        card("Requests", rate(REQUESTS, where=served, window="5m"), unit="1/s"),
        card("Backups kept", latest(BACKUPS, where=_where(settings)), unit="By", limits=(warning(1, is_below=True),)),
    )


def _symptoms(settings: Settings, failing: AlertPolicy, slow: AlertPolicy) -> Row:
    return charts(
        chart(
            "Latency by method, p95",
            {"${labels.api_method}": percentile(95, LATENCIES, where=_where(settings), by="api_method", window="5m")},
            unit="s",
            label="seconds",
            limits=[slow],
        ),
        chart(
            "Failed requests",
            {_LEGEND: share(_failed(settings), _requests(settings))},
            unit=PERCENT,
            label="share of the requests",
            limits=[failing],
        ),
    )


def _causes(settings: Settings) -> tuple[Row, ...]:
    where = _where(settings)
    stored = latest(BACKUPS, where=where, by=_BY)
    return (
        charts(
            chart(
                "Requests by answer",
                {"${labels.response_code}": rate(REQUESTS, where=_served(settings), by="response_code", window="2m")},
                unit="1/s",
                label="requests per second",
                plot=Plot.STACKED_AREA,
            ),
            chart(
                "Documents",
                {
                    f"read {_LEGEND}": rate(READS, where=where, by=_BY, window="2m"),
                    f"written {_LEGEND}": rate(WRITES, where=where, by=_BY, window="2m"),
                    f"deleted {_LEGEND}": rate(DELETES, where=where, by=_BY, window="2m"),
                },
                unit="1/s",
                label="documents per second",
            ),
            chart(
                "Security rules, refused",
                {
                    "${labels.request_method}": increase(
                        RULES,
                        where={"monitored_resource": RESOURCE, **where, "result": matches("DENY|ERROR")},
                        by="request_method",
                        window="1m",
                    )
                },
                unit="1",
                label="requests per minute",
                plot=Plot.STACKED_BAR,
            ),
        ),
        charts(
            chart(
                "Listeners",
                {_LEGEND: latest(LISTENERS, where={"monitored_resource": RESOURCE, **where}, by=_BY)},
                unit="1",
                label="snapshot listeners",
            ),
            chart("Data and indexes", {_LEGEND: latest(DATA, where=where, by=_BY)}, unit="By", label="bytes"),
            chart("Backups", {_LEGEND: stored}, unit="By", label="bytes"),
        ),
    )


PACK: Final = Pack(
    name="firestore",
    title="Firestore",
    summary="Failed and slow requests of Firestore databases, what they read and write, and their backups.",
    needs=("firestore.googleapis.com",),
    logs='protoPayload.serviceName="firestore.googleapis.com" '
    'AND (severity>=ERROR OR protoPayload.methodName:"BackupSchedule")',
    settings=Settings,
    make=_make,
    scenario=SCENARIO,
    cases=CASES,
)
