"""Secret Manager's metrics, made-up data of them for the dashboard, and what the alerts are tested by."""

from __future__ import annotations

from typing import Final

from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.logs import log_metric
from obskit.packs.scenarios import Bump, LogLine, Scenario, Signal
from obskit.queries import google

__all__ = ["CALLS", "CASES", "CHANGED", "CHANGES", "LATENCIES", "RESOURCE", "SCENARIO", "SERIES"]

_API: Final = "google.cloud.secretmanager.v1.SecretManagerService"
CALLS: Final = google("serviceruntime.googleapis.com/api/request_count")
LATENCIES: Final = google("serviceruntime.googleapis.com/api/request_latencies")
RESOURCE: Final = "consumed_api"
# Source: "Secret Manager audit logging": methods of ADMIN_WRITE, which are always logged.
CHANGES: Final = (
    'logName:"cloudaudit.googleapis.com%2Factivity" AND protoPayload.serviceName="secretmanager.googleapis.com"'
)
_ENTRIES: Final = "audited_resource"
CHANGED, SERIES = log_metric(
    "secret-manager-changes",
    counts=CHANGES,
    resource=_ENTRIES,
    labels={"action": 'REGEXP_EXTRACT(protoPayload.methodName, "SecretManagerService.([A-Za-z]+)$")'},
    description="Changes of secrets, by what was done.",
)


_CHAT: Final = {
    "service": "secretmanager.googleapis.com",
    "method": f"{_API}.AccessSecretVersion",
    "version": "v1",
    "location": "global",
    "credential_id": "serviceaccount:104711",
}
_BATCH: Final = {**_CHAT, "credential_id": "serviceaccount:104815"}
_BOUNDS: Final = (0.05, 0.1, 0.5, 1.0, 2.0, 5.0)
_LIST: Final = {**_CHAT, "method": f"{_API}.ListSecrets"}


def _answer(code: str) -> dict[str, str]:
    return {"response_code": code, "response_code_class": f"{code[0]}xx", "protocol": "grpc"}


def _calls(values: str, code: str, who: dict[str, str] = _CHAT) -> Points:
    return Points(CALLS, values, {**who, **_answer(code)}, RESOURCE)


def _signal(who: dict[str, str], code: str, level: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    return Signal(metric=CALLS, level=level, labels={**who, **_answer(code)}, bumps=bumps, resource_type=RESOURCE)


def _change(action: str, at: tuple[float, ...]) -> LogLine:
    return LogLine(
        entry={
            "logName": "projects/gallery/logs/cloudaudit.googleapis.com%2Factivity",
            "severity": "NOTICE",
            "resource": {"type": _ENTRIES, "labels": {"service": "secretmanager.googleapis.com"}},
            "protoPayload": {
                "serviceName": "secretmanager.googleapis.com",
                "methodName": f"{_API}.{action}",
                "resourceName": "projects/gallery/secrets/mail-api-key/versions/3",
                "authenticationInfo": {"principalEmail": "deployer@gallery.iam.gserviceaccount.com"},
            },
        },
        at=at,
    )


_GONE: Final = {"action": "DisableSecretVersion", "service": "secretmanager.googleapis.com"}
_NEW: Final = {"action": "AddSecretVersion", "service": "secretmanager.googleapis.com"}


SCENARIO: Final = Scenario(
    says="After a new version of a secret the old one is disabled; one batch service has no role on the new one.",
    signals=(
        _signal(_CHAT, "200", 3.0),
        _signal(_BATCH, "200", 0.8, (Bump(at=0.7, lasts=0.5, level=0.1),)),
        _signal(_BATCH, "403", 0.0005, (Bump(at=0.7, lasts=0.5, level=400.0),)),
        _signal(_LIST, "200", 0.05),
        Signal(metric=LATENCIES, level=4.0, labels=_CHAT, median=0.035, spread=2.0, noise=0.2, resource_type=RESOURCE),
        Signal(
            metric=SERIES,
            level=0.00001,
            labels=_NEW,
            resource_type=_ENTRIES,
            bumps=(Bump(at=0.66, lasts=0.01, level=1700.0),),
        ),
        Signal(
            metric=SERIES,
            level=0.00001,
            labels=_GONE,
            resource_type=_ENTRIES,
            bumps=(Bump(at=0.69, lasts=0.01, level=1700.0),),
        ),
    ),
    logs=(_change("AddSecretVersion", (0.664,)), _change("DisableSecretVersion", (0.694,))),
)

CASES: Final = (
    Case(
        alert="secret-manager-refused",
        says="a service has lost its role",
        given=(_calls("3x40", "200"), _calls("0x10 3x30", "403", _BATCH)),
        opens="12m",
        within="2m",
        labels={"credential_id": "serviceaccount:104815"},
        tells={"slack": 1},
    ),
    Case(
        alert="secret-manager-refused",
        says="one mistyped name",
        given=_calls("0x10 1x2 0x30", "403", _BATCH),
    ),
    Case(
        alert="secret-manager-failing",
        says="the quota is used up",
        given=(_calls("60x10 40x30", "200"), _calls("0x10 20x30", "429")),
        opens="16m",
        within="2m",
        tells={"pagerduty": 1},
    ),
    Case(
        alert="secret-manager-failing",
        says="a few errors among many calls",
        given=(_calls("60x40", "200"), _calls("1x40", "503")),
    ),
    Case(
        alert="secret-manager-slow",
        says="calls take two seconds",
        given=Sizes(LATENCIES, {0.04: "60x10 0x40", 1.9: "0x10 60x40"}, _CHAT, _BOUNDS, RESOURCE),
        opens="21m",
        within="2m",
    ),
    Case(
        alert="secret-manager-slow",
        says="one slow minute",
        given=Sizes(LATENCIES, {0.04: "60x10 0 60x30", 1.9: "0x10 60 0x30"}, _CHAT, _BOUNDS, RESOURCE),
    ),
    Case(
        alert="secret-manager-destroyed",
        says="a version is disabled",
        given=Points(SERIES, "_x10 1 0x30", _GONE, _ENTRIES),
        opens="10m",
        closes="16m",
        within="2m",
        labels={"action": "DisableSecretVersion"},
    ),
    Case(
        alert="secret-manager-destroyed",
        says="a version is added",
        given=Points(SERIES, "_x10 1 0x30", _NEW, _ENTRIES),
    ),
)
