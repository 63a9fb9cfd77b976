"""Security Command Center: what its detectors found, and who changed permissions.

It has no metrics. The threats that Event Threat Detection and its like find are log entries (their export to Cloud
Logging is switched on in Security Command Center's settings); changes of permissions are in the audit log.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Final

from obskit.alerts import AlertPolicy, LogMatchCondition, Severity
from obskit.alerts.ready.runbooks import runbook
from obskit.dashboards import Dashboard, LogsPanel, Plot, Row, Scorecard
from obskit.packs.cases import Case, Entry, Points
from obskit.packs.log_alerts import entries_alert
from obskit.packs.logs import log_metric
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import card, cards, chart, charts, warning
from obskit.packs.scenarios import Bump, LogLine, Scenario, Signal
from obskit.queries import increase, matches
from obskit.queries.definitions import as_number, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration

__all__ = ["PACK", "Settings"]

_DETECTOR: Final = "threat_detector"
_FINDINGS: Final = f'resource.type="{_DETECTOR}"'
# Source: Cloud Logging's list of services with logs: threatdetection.googleapis.com%2Fdetection, NOTICE to ALERT; the
# payload's fields are those of entries in Google's own sample for reacting to findings.
_GRAVE: Final = "severity>=CRITICAL"
_RULE: Final = "EXTRACT(jsonPayload.detectionCategory.ruleName)"
_FOUND, _SERIES = log_metric(
    "security-findings",
    counts=_FINDINGS,
    resource=_DETECTOR,
    labels={"severity": "EXTRACT(severity)", "rule": _RULE},
    description="Findings of Security Command Center's detectors, by severity and rule.",
)
_PERMISSIONS: Final = (
    'logName:"cloudaudit.googleapis.com%2Factivity" AND protoPayload.methodName:"SetIamPolicy" AND severity<ERROR'
)
_GRANTED, _GRANTS = log_metric(
    "iam-changes",
    counts=_PERMISSIONS,
    labels={"service": "EXTRACT(protoPayload.serviceName)"},
    description="Changes of permissions, by the service whose they are.",
)


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        findings: so many findings of any severity within an hour are no alert.
        grave: Cloud Logging's filter of those findings of which each one is an alert by itself.
        silence: how long the next finding of the same rule is not told again.
    """

    noun: ClassVar[str] = "settings of pack security-findings"

    findings: float = given(as_number, default=10)
    grave: str = given(as_text, default=_GRAVE)
    silence: DurationLike = given(as_duration, default=timedelta(minutes=15))


def _make(settings: Settings) -> Objects:
    many = _many(settings)
    alerts = (_grave(settings), many)
    dashboard = Dashboard(
        id="security-findings",
        display_name="Security findings",
        rows=(
            cards(*_numbers(), policies=alerts),
            _symptoms(many),
            LogsPanel(title="Findings", filter=_FINDINGS, height=14),
            LogsPanel(title="Who changed permissions", filter=_PERMISSIONS, height=10),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts, resources=(_FOUND, _GRANTED))


def _grave(settings: Settings) -> AlertPolicy:
    return AlertPolicy(
        id="security-finding",
        display_name="Security finding",
        severity=Severity.CRITICAL,
        conditions=LogMatchCondition(
            filter=f"{_FINDINGS} AND ({settings.grave})",
            label_extractors={"rule": _RULE},
            display_name="a grave finding",
        ),
        channels=tuple(settings.receivers.page),
        documentation=runbook(
            "Security Command Center has found a threat that is not to wait, such as a leaked key in use, malware, or "
            "permissions given to somebody outside. The label `rule` says which.",
            "The finding in Security Command Center: what it affects, and the entries that it is concluded from.",
            "Is it a test, or planned work? Ask the person named in `principalEmail`, not through that account.",
            "If not: take the key or the role away first, then keep what happened (snapshots, logs) for later.",
        ),
        rate_limit=settings.silence,
        auto_close="1d",
    )


def _many(settings: Settings) -> AlertPolicy:
    return entries_alert(
        "security-findings",
        "Many security findings",
        _SERIES,
        to=settings.receivers.team,
        more_than=settings.findings,
        within="1h",
        by="rule",
        severity=Severity.ERROR,
        means=f"A rule of Security Command Center has found something more than {settings.findings:g} times within an "
        "hour.",
        looks=(
            "The *security-findings* dashboard: one resource again and again, or many?",
            "The last deployment: a scanner, a new service account, a job that mines or scans by mistake.",
            "Known and harmless: a mute rule in Security Command Center, so that the next one is seen.",
        ),
    )


def _numbers() -> tuple[Scorecard, ...]:
    return (
        card(
            "Grave findings, 24 h",
            increase(_SERIES, where={"severity": matches("CRITICAL|ALERT|EMERGENCY")}, window="1d").otherwise(0),
            unit="1",
            limits=(warning(0.5),),
        ),
        card("All findings, 24 h", increase(_SERIES, window="1d").otherwise(0), unit="1"),
        card("Permission changes, 24 h", increase(_GRANTS, window="1d").otherwise(0), unit="1"),
    )


def _symptoms(many: AlertPolicy) -> Row:
    return charts(
        chart(
            "Findings by severity",
            {"${labels.severity}": increase(_SERIES, by="severity", window="10m")},
            unit="1",
            label="findings in 10 minutes",
            plot=Plot.STACKED_BAR,
        ),
        chart(
            "Findings by rule",
            {"${labels.rule}": increase(_SERIES, by="rule", window="1h")},
            unit="1",
            label="findings in the last hour",
            limits=[many],
        ),
        chart(
            "Changes of permissions",
            {"${labels.service}": increase(_GRANTS, by="service", window="10m")},
            unit="1",
            label="changes in 10 minutes",
            plot=Plot.STACKED_BAR,
        ),
    )


def _finding(rule: str, severity: str) -> dict[str, Any]:
    return {
        "logName": "projects/gallery/logs/threatdetection.googleapis.com%2Fdetection",
        "severity": severity,
        "resource": {"type": _DETECTOR, "labels": {"detector_name": rule, "project_id": "gallery"}},
        "jsonPayload": {
            "detectionCategory": {"ruleName": rule, "technique": "persistence"},
            "detectionPriority": "HIGH" if severity == "CRITICAL" else "LOW",
            "affectedResources": [{"gcpResourceName": "//cloudresourcemanager.googleapis.com/projects/000000000000"}],
        },
    }


def _count(rule: str, severity: str, values: str) -> Points:
    return Points(_SERIES, values, {"severity": severity, "rule": rule, "detector_name": rule}, _DETECTOR)


def _signal(rule: str, severity: str, level: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    labels = {"severity": severity, "rule": rule, "detector_name": rule}
    return Signal(metric=_SERIES, level=level, labels=labels, noise=0.0, bumps=bumps, resource_type=_DETECTOR)


PACK: Final = Pack(
    name="security-findings",
    title="Security Command Center",
    summary="Findings of Security Command Center and changes of permissions, counted from log entries.",
    needs=("logging.googleapis.com",),
    logs=_FINDINGS,
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="Somebody tries passwords for an hour; then a role is given to an account outside.",
        signals=(
            _signal("brute_force_ssh", "WARNING", 1 / 60000, (Bump(at=0.55, lasts=0.2, level=200.0),)),
            _signal("iam_anomalous_grant", "CRITICAL", 1 / 6_000_000, (Bump(at=0.78, lasts=0.02, level=25_000.0),)),
            _signal("outgoing_dos", "NOTICE", 1 / 9000),
            Signal(
                metric=_GRANTS,
                level=1 / 7200,
                labels={"service": "cloudresourcemanager.googleapis.com"},
                resource_type="project",
                bumps=(Bump(at=0.77, lasts=0.02, level=20.0),),
            ),
            Signal(metric=_GRANTS, level=1 / 5400, labels={"service": "run.googleapis.com"}, resource_type="project"),
        ),
        logs=(
            LogLine(entry=_finding("brute_force_ssh", "WARNING"), at=(0.57, 0.6, 0.63, 0.66, 0.7, 0.73)),
            LogLine(entry=_finding("iam_anomalous_grant", "CRITICAL"), at=(0.79,)),
            LogLine(
                entry={
                    "logName": "projects/gallery/logs/cloudaudit.googleapis.com%2Factivity",
                    "severity": "NOTICE",
                    "resource": {"type": "project", "labels": {"project_id": "gallery"}},
                    "protoPayload": {
                        "serviceName": "cloudresourcemanager.googleapis.com",
                        "methodName": "SetIamPolicy",
                        "resourceName": "projects/gallery",
                        "authenticationInfo": {"principalEmail": "somebody@example.com"},
                    },
                },
                at=(0.78,),
            ),
        ),
    ),
    cases=(
        Case(
            alert="security-finding",
            says="a role is given to an account outside",
            given=Entry(_finding("iam_anomalous_grant", "CRITICAL"), ("7m",)),
            open_at=("9m",),
            tells={"pagerduty": 1},
            lasts="20m",
        ),
        Case(
            alert="security-finding",
            says="somebody tries passwords",
            given=Entry(_finding("brute_force_ssh", "WARNING"), ("7m", "8m", "9m")),
            lasts="20m",
        ),
        Case(
            alert="security-findings",
            says="fifteen attempts within fifteen minutes",
            given=_count("brute_force_ssh", "WARNING", "_x10 1x15 0x30"),
            opens="20m",
            within="2m",
            labels={"rule": "brute_force_ssh"},
            tells={"slack": 1},
        ),
        Case(
            alert="security-findings",
            says="two rules find a little each",
            given=(
                _count("brute_force_ssh", "WARNING", "_x10 1x7 0x30"),
                _count("outgoing_dos", "NOTICE", "_x10 1x7 0x30"),
            ),
        ),
    ),
)
