"""Cloud DNS's metrics, made-up data of them for the dashboard, and what the alerts are tested by."""

from __future__ import annotations

from typing import Final

from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.logs import log_metric
from obskit.packs.scenarios import Bump, LogLine, Scenario, Signal
from obskit.queries import google

__all__ = ["ANSWERS", "CASES", "CHANGED", "CHANGES", "LATENCIES", "SCENARIO", "SERIES"]

ANSWERS: Final = google("dns.googleapis.com/query/response_count")
LATENCIES: Final = google("dns.googleapis.com/query/latencies")
CHANGES: Final = 'logName:"cloudaudit.googleapis.com%2Factivity" AND protoPayload.serviceName="dns.googleapis.com"'
_ENTRIES: Final = "dns_managed_zone"
CHANGED, SERIES = log_metric(
    "cloud-dns-changes",
    counts=CHANGES,
    resource=_ENTRIES,
    labels={"method": "EXTRACT(protoPayload.methodName)"},
    description="Changes of zones and of their records.",
)


_SHOP: Final = {
    "target_name": "shop-example",
    "target_type": "private-zone",
    "location": "europe-west1",
    "source_type": "gce-vm",
}
_OFFICE: Final = {
    "target_name": "office",
    "target_type": "forwarding-zone",
    "location": "europe-west1",
    "source_type": "gce-vm",
}
_DOWN: Final = Bump(at=0.66, lasts=0.12, level=120.0)
_BOUNDS: Final = (1.0, 10.0, 100.0, 500.0, 1000.0, 5000.0)


def _answered(target: dict[str, str], code: str, level: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    return Signal(metric=ANSWERS, level=level, labels={**target, "response_code": code}, swing=0.3, bumps=bumps)


def _answer(values: str, code: str) -> Points:
    return Points(ANSWERS, values, {**_OFFICE, "response_code": code})


def _change(method: str) -> Points:
    return Points(SERIES, "_x10 1 0x30", {"method": method, "zone_name": "office"}, _ENTRIES)


SCENARIO: Final = Scenario(
    says="The name servers of the office, to which one zone forwards, do not answer for three quarters of an hour.",
    signals=(
        _answered(_SHOP, "NOERROR", 40.0),
        _answered(_SHOP, "NXDOMAIN", 3.0),
        _answered(_OFFICE, "NOERROR", 8.0, (Bump(at=0.66, lasts=0.12, level=0.2),)),
        _answered(_OFFICE, "NXDOMAIN", 0.8),
        _answered(_OFFICE, "SERVFAIL", 0.05, (_DOWN,)),
        Signal(metric=LATENCIES, level=43.0, labels=_SHOP, median=1.2, spread=2.2),
        Signal(
            metric=LATENCIES,
            level=9.0,
            labels=_OFFICE,
            median=18.0,
            bumps=(Bump(at=0.66, lasts=0.12, size=120.0),),
        ),
    ),
    logs=(
        LogLine(
            entry={
                "logName": "projects/gallery/logs/cloudaudit.googleapis.com%2Factivity",
                "severity": "NOTICE",
                "resource": {"type": _ENTRIES, "labels": {"zone_name": "office"}},
                "protoPayload": {
                    "serviceName": "dns.googleapis.com",
                    "methodName": "dns.changes.create",
                    "resourceName": "managedZones/shop-example",
                    "authenticationInfo": {"principalEmail": "deployer@gallery.iam.gserviceaccount.com"},
                },
            },
            at=(0.31, 0.84),
        ),
    ),
)

CASES: Final = (
    Case(
        alert="cloud-dns-failing",
        says="the name servers behind a zone are down",
        given=(_answer("100x10 10x30", "NOERROR"), _answer("0x10 90x30", "SERVFAIL")),
        opens="16m",
        within="2m",
        labels={"target_name": "office"},
        tells={"pagerduty": 1},
    ),
    Case(
        alert="cloud-dns-failing",
        says="names that do not exist are no failure",
        given=(_answer("100x40", "NOERROR"), _answer("60x40", "NXDOMAIN")),
    ),
    Case(
        alert="cloud-dns-unknown",
        says="a record was deleted",
        given=(_answer("100x10 20x40", "NOERROR"), _answer("5x10 80x40", "NXDOMAIN")),
        opens="24m",
        within="2m",
    ),
    Case(
        alert="cloud-dns-unknown",
        says="each name is tried in two search domains, for one that exists",
        given=(_answer("100x40", "NOERROR"), _answer("80x40", "NXDOMAIN")),
    ),
    Case(
        alert="cloud-dns-slow",
        says="answers take one second",
        given=Sizes(LATENCIES, {8.0: "60x10 0x40", 900.0: "0x10 60x40"}, _OFFICE, _BOUNDS),
        opens="21m",
        within="2m",
    ),
    Case(
        alert="cloud-dns-slow",
        says="one answer in fifty takes one second",
        given=Sizes(LATENCIES, {8.0: "98x40", 900.0: "2x40"}, _OFFICE, _BOUNDS),
    ),
    Case(
        alert="cloud-dns-zone-changed",
        says="a zone is deleted",
        given=_change("dns.managedZones.delete"),
        opens="10m",
        closes="16m",
        within="2m",
        tells={"slack": 1},
    ),
    Case(alert="cloud-dns-zone-changed", says="a record is added", given=_change("dns.changes.create")),
)
