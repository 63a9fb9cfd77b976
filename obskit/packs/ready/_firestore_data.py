"""Firestore's metrics, made-up data of them for the dashboard, and what the alerts are tested by."""

from __future__ import annotations

from typing import Final

from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import google

__all__ = [
    "BACKUPS",
    "CASES",
    "DATA",
    "DELETES",
    "LATENCIES",
    "LISTENERS",
    "READS",
    "REQUESTS",
    "RESOURCE",
    "RULES",
    "SCENARIO",
    "WRITES",
]

REQUESTS: Final = google("firestore.googleapis.com/api/request_count")
LATENCIES: Final = google("firestore.googleapis.com/api/request_latencies")
READS: Final = google("firestore.googleapis.com/document/read_ops_count")
WRITES: Final = google("firestore.googleapis.com/document/write_ops_count")
DELETES: Final = google("firestore.googleapis.com/document/delete_ops_count")
RULES: Final = google("firestore.googleapis.com/rules/evaluation_count")
LISTENERS: Final = google("firestore.googleapis.com/network/snapshot_listeners")
DATA: Final = google("firestore.googleapis.com/storage/data_and_index_storage_bytes")
BACKUPS: Final = google("firestore.googleapis.com/storage/backups_storage_bytes")
RESOURCE: Final = "firestore.googleapis.com/Database"


_DB: Final = {"database_id": "(default)", "location": "eur3", "resource_container": "gallery"}
_BUSY: Final = Bump(at=0.64, lasts=0.14, level=40.0)
_BOUNDS: Final = (0.05, 0.1, 0.5, 1.0, 2.0, 5.0)


def _requests(method: str, answer: str, level: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    labels = {**_DB, "api_method": method, "response_code": answer}
    return Signal(metric=REQUESTS, level=level, labels=labels, swing=0.3, bumps=bumps, resource_type=RESOURCE)


def _latency(method: str, level: float, median: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    labels = {**_DB, "service": "firestore.googleapis.com", "api_method": method, "response_code": "OK"}
    return Signal(metric=LATENCIES, level=level, labels=labels, median=median, spread=2.2, bumps=bumps)


def _answers(values: str, answer: str) -> Points:
    return Points(REQUESTS, values, {**_DB, "api_method": "Commit", "response_code": answer}, RESOURCE)


SCENARIO: Final = Scenario(
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
        Signal(metric=READS, level=320, labels={**_DB, "type": "QUERY"}, swing=0.3, noise=0.1),
        Signal(metric=WRITES, level=11, labels={**_DB, "op": "UPDATE"}, swing=0.3, noise=0.1),
        Signal(metric=DELETES, level=0.6, labels=_DB, noise=0.3),
        Signal(
            metric=RULES,
            level=0.08,
            labels={**_DB, "request_method": "LIST", "result": "DENY"},
            noise=0.8,
        ),
        Signal(metric=RULES, level=14.0, labels={**_DB, "request_method": "GET", "result": "ALLOW"}),
        Signal(metric=LISTENERS, level=420, labels=_DB, swing=0.3),
        Signal(
            metric=DATA,
            level=18.4e9,
            labels=_DB,
            noise=0.0,
            bumps=(Bump(at=0, lasts=1, level=1.004, is_gradual=True),),
        ),
        Signal(
            metric=BACKUPS,
            level=126e9,
            labels=_DB,
            noise=0.0,
            bumps=(Bump(at=0.4, lasts=0.001, level=1.02, is_gradual=True),),
        ),
    ),
)

CASES: Final = (
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
        given=Sizes(LATENCIES, {0.04: "60x10 0x40", 1.9: "0x10 60x40"}, {**_DB, "api_method": "Commit"}, _BOUNDS),
        opens="21m",
        within="2m",
    ),
    Case(
        alert="firestore-slow",
        says="two slow minutes",
        given=Sizes(
            LATENCIES, {0.04: "60x10 0x1 60x30", 1.9: "0x10 60x1 0x30"}, {**_DB, "api_method": "Commit"}, _BOUNDS
        ),
    ),
    Case(
        alert="firestore-backup",
        says="the schedule is deleted after the second backup",
        given=Points(BACKUPS, "100x23 200x23 300x60", _DB),
        opens="73h",
        within="10m",
        labels={"database_id": "(default)"},
        tells={"email": 1},
        every="1h",
    ),
    Case(
        alert="firestore-backup",
        says="a backup each day, one of them an hour late",
        given=Points(BACKUPS, "100x23 200x24 300x22 400x23 500x23", _DB),
        every="1h",
    ),
)
