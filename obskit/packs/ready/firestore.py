"""Firestore: do requests fail or wait, what is read and written, and are there backups."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.dashboards import Dashboard, Plot
from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, warning
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import google, highest, increase, latest, matches, percentile, rate, ratio, share
from obskit.queries.definitions import as_number, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import LabelList, Labels, Query, query, select

__all__ = ["PACK", "Settings"]

_REQUESTS: Final = google("firestore.googleapis.com/api/request_count")
_LATENCIES: Final = google("firestore.googleapis.com/api/request_latencies")
_READS: Final = google("firestore.googleapis.com/document/read_ops_count")
_WRITES: Final = google("firestore.googleapis.com/document/write_ops_count")
_DELETES: Final = google("firestore.googleapis.com/document/delete_ops_count")
_RULES: Final = google("firestore.googleapis.com/rules/evaluation_count")
_LISTENERS: Final = google("firestore.googleapis.com/network/snapshot_listeners")
_DATA: Final = google("firestore.googleapis.com/storage/data_and_index_storage_bytes")
_BACKUPS: Final = google("firestore.googleapis.com/storage/backups_storage_bytes")
_RESOURCE: Final = "firestore.googleapis.com/Database"
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


def _unchanged(settings: Settings, where: Labels) -> Query:
    """The size of a database's backups was the same all the time, and was known before."""
    changed = query(f"max by ({_BY}) (changes(", select(_BACKUPS, where=where, window=settings.backup_age), "))")
    before = select(_BACKUPS, where=where, window="1h", offset=settings.backup_age)
    known = query("max by (", LabelList((_BY,), is_google=True), ") (present_over_time(", before, "))")
    return (changed < 1).when(known, on=(_BY,))


def _make(settings: Settings) -> Objects:
    where: Labels = {"database_id": settings.database} if settings.database else {}
    served: Labels = {"monitored_resource": _RESOURCE, **where}
    bad: Labels = {**served, "response_code": _FAILED}
    to = settings.receivers
    requests = increase(_REQUESTS, where=served, by=_BY, window="5m")
    failed = increase(_REQUESTS, where=bad, by=_BY, window="5m")
    p95 = percentile(95, _LATENCIES, where=where, by=_BY, window="5m")
    failing = alert(
        "firestore-errors",
        "Firestore fails",
        (ratio(failed, requests) > settings.failed).when(requests >= settings.least_requests),
        to=to.page,
        for_="5m",
        severity=Severity.CRITICAL,
        condition=f"more than {settings.failed * 100:g} % of the requests fail",
        means=f"More than {settings.failed * 100:g} % of a database's requests fail, and not by the caller's mistake. "
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
    slow = alert(
        "firestore-slow",
        "Firestore is slow",
        p95 > whole_seconds(settings.latency),
        to=to.team,
        for_="10m",
        condition=f"p95 above {shown_duration(settings.latency)}",
        means=f"One request in twenty takes more than {shown_duration(settings.latency)}.",
        looks=(
            "The *firestore* dashboard, p95 by method: `RunQuery` alone is a query, `Commit` alone is contention.",
            "Documents read: more than before? A query without a limit, or an index that does not fit.",
            (
                "Traffic that has grown within minutes: more than 500 operations a second, and half more every five "
                "minutes, is faster than a collection's splits (*hotspots*)."
            ),
        ),
    )
    backup = alert(
        "firestore-backup",
        "Firestore backup missed",
        _unchanged(settings, where),
        to=to.mail,
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
    alerts = (failing, slow, backup)
    stored = latest(_BACKUPS, where=where, by=_BY)
    dashboard = Dashboard(
        id="firestore",
        display_name="Firestore",
        rows=(
            cards(
                card(
                    "Failed requests",
                    share(increase(_REQUESTS, where=bad, window="5m"), increase(_REQUESTS, where=served, window="5m")),
                    unit=PERCENT,
                    limits=(failing, warning(settings.failed / 5)),
                ),
                card("p95, slowest database", highest(p95), unit="s", limits=(slow,)),
                card("Requests", rate(_REQUESTS, where=served, window="5m"), unit="1/s"),
                card("Backups kept", latest(_BACKUPS, where=where), unit="By", limits=(warning(1, is_below=True),)),
                policies=alerts,
            ),
            charts(
                chart(
                    "Latency by method, p95",
                    {"${labels.api_method}": percentile(95, _LATENCIES, where=where, by="api_method", window="5m")},
                    unit="s",
                    label="seconds",
                    limits=[slow],
                ),
                chart(
                    "Requests by answer",
                    {"${labels.response_code}": rate(_REQUESTS, where=served, by="response_code", window="2m")},
                    unit="1/s",
                    label="requests per second",
                    plot=Plot.STACKED_AREA,
                ),
            ),
            charts(
                chart(
                    "Documents",
                    {
                        f"read {_LEGEND}": rate(_READS, where=where, by=_BY, window="2m"),
                        f"written {_LEGEND}": rate(_WRITES, where=where, by=_BY, window="2m"),
                        f"deleted {_LEGEND}": rate(_DELETES, where=where, by=_BY, window="2m"),
                    },
                    unit="1/s",
                    label="documents per second",
                ),
                chart(
                    "Security rules, refused",
                    {
                        "${labels.request_method}": increase(
                            _RULES,
                            where={"monitored_resource": _RESOURCE, **where, "result": matches("DENY|ERROR")},
                            by="request_method",
                            window="1m",
                        )
                    },
                    unit="1",
                    label="requests per minute",
                    plot=Plot.STACKED_BAR,
                ),
                chart(
                    "Listeners",
                    {_LEGEND: latest(_LISTENERS, where={"monitored_resource": _RESOURCE, **where}, by=_BY)},
                    unit="1",
                    label="snapshot listeners",
                ),
            ),
            charts(
                chart("Data and indexes", {_LEGEND: latest(_DATA, where=where, by=_BY)}, unit="By", label="bytes"),
                chart("Backups", {_LEGEND: stored}, unit="By", label="bytes"),
            ),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


_DB: Final = {"database_id": "(default)", "location": "eur3", "resource_container": "gallery"}
_BUSY: Final = Bump(at=0.64, lasts=0.14, level=40.0)
_BOUNDS: Final = (0.05, 0.1, 0.5, 1.0, 2.0, 5.0)


def _requests(method: str, answer: str, level: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    labels = {**_DB, "api_method": method, "response_code": answer}
    return Signal(metric=_REQUESTS, level=level, labels=labels, swing=0.3, bumps=bumps, resource_type=_RESOURCE)


def _latency(method: str, level: float, median: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    labels = {**_DB, "service": "firestore.googleapis.com", "api_method": method, "response_code": "OK"}
    return Signal(metric=_LATENCIES, level=level, labels=labels, median=median, spread=2.2, bumps=bumps)


def _answers(values: str, answer: str) -> Points:
    return Points(_REQUESTS, values, {**_DB, "api_method": "Commit", "response_code": answer}, _RESOURCE)


PACK: Final = Pack(
    name="firestore",
    title="Firestore",
    summary="Failed and slow requests of Firestore databases, what they read and write, and their backups.",
    needs=("firestore.googleapis.com",),
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="For an hour, many transactions write the same document: commits are aborted, and wait.",
        signals=(
            _requests("RunQuery", "OK", 24.0),
            _requests("BatchGetDocuments", "OK", 14.0),
            _requests("Commit", "OK", 9.0),
            _requests("Commit", "ABORTED", 0.02, (_BUSY,)),
            _requests("RunQuery", "DEADLINE_EXCEEDED", 0.01),
            _latency("RunQuery", 24.0, 0.045),
            _latency("BatchGetDocuments", 14.0, 0.018),
            _latency("Commit", 9.0, 0.06, (Bump(at=0.64, lasts=0.14, size=9.0),)),
            Signal(metric=_READS, level=320, labels={**_DB, "type": "QUERY"}, swing=0.3, noise=0.1),
            Signal(metric=_WRITES, level=11, labels={**_DB, "op": "UPDATE"}, swing=0.3, noise=0.1),
            Signal(metric=_DELETES, level=0.6, labels=_DB, noise=0.3),
            Signal(
                metric=_RULES,
                level=0.08,
                labels={**_DB, "request_method": "LIST", "result": "DENY"},
                noise=0.8,
            ),
            Signal(metric=_RULES, level=14.0, labels={**_DB, "request_method": "GET", "result": "ALLOW"}),
            Signal(metric=_LISTENERS, level=420, labels=_DB, swing=0.3),
            Signal(
                metric=_DATA,
                level=18.4e9,
                labels=_DB,
                noise=0.0,
                bumps=(Bump(at=0, lasts=1, level=1.004, is_gradual=True),),
            ),
            Signal(
                metric=_BACKUPS,
                level=126e9,
                labels=_DB,
                noise=0.0,
                bumps=(Bump(at=0.4, lasts=0.001, level=1.02, is_gradual=True),),
            ),
        ),
    ),
    cases=(
        Case(
            alert="firestore-errors",
            says="one commit in ten is aborted",
            given=(_answers("540x40", "OK"), _answers("0x10 60x30", "ABORTED")),
            opens="16m",
            within="2m",
            labels={"database_id": "(default)"},
            tells={"pagerduty": 1},
        ),
        Case(
            alert="firestore-errors",
            says="callers ask for documents that they may not see",
            given=(_answers("540x40", "OK"), _answers("0x10 60x30", "PERMISSION_DENIED")),
        ),
        Case(
            alert="firestore-slow",
            says="requests take two seconds",
            given=Sizes(_LATENCIES, {0.04: "60x10 0x40", 1.9: "0x10 60x40"}, {**_DB, "api_method": "Commit"}, _BOUNDS),
            opens="21m",
            within="2m",
        ),
        Case(
            alert="firestore-slow",
            says="two slow minutes",
            given=Sizes(
                _LATENCIES, {0.04: "60x10 0x1 60x30", 1.9: "0x10 60x1 0x30"}, {**_DB, "api_method": "Commit"}, _BOUNDS
            ),
        ),
        Case(
            alert="firestore-backup",
            says="the schedule is deleted after the second backup",
            given=Points(_BACKUPS, "100x23 200x23 300x60", _DB),
            opens="73h",
            within="10m",
            labels={"database_id": "(default)"},
            tells={"email": 1},
            every="1h",
        ),
        Case(
            alert="firestore-backup",
            says="a backup each day, one of them an hour late",
            given=Points(_BACKUPS, "100x23 200x24 300x22 400x23 500x23", _DB),
            every="1h",
        ),
    ),
)
