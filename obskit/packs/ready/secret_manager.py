"""Secret Manager: can secrets be read, who is refused, and was one destroyed.

It has no metrics of its own. Calls are those that the project makes to its API; changes are counted in the audit log.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, LogsPanel, Plot, Row, Scorecard
from obskit.packs.log_alerts import entries_alert
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, more_than, percent, warning
from obskit.packs.ready._secret_manager_data import (
    CALLS,
    CASES,
    CHANGED,
    CHANGES,
    LATENCIES,
    RESOURCE,
    SCENARIO,
    SERIES,
)
from obskit.queries import Query, increase, matches, percentile, rate, share
from obskit.queries.definitions import as_number, as_share, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_WHERE: Final[Labels] = {"monitored_resource": RESOURCE, "service": "secretmanager.googleapis.com"}
_REFUSED: Final[Labels] = {**_WHERE, "response_code": matches("401|403")}
_FAILED: Final[Labels] = {**_WHERE, "response_code": matches("429|5..")}
_METHOD: Final = "${labels.method}"
_ENDS: Final = "DestroySecretVersion|DisableSecretVersion|DeleteSecret"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        refused: so many refused calls within 5 minutes are no alert.
        failed: share of the calls that may fail.
        least_calls: so many calls in 5 minutes are too few to judge by.
        latency: how long one call in twenty may take.
    """

    noun: ClassVar[str] = "settings of pack secret-manager"

    refused: float = given(as_number, default=5)
    failed: float = given(as_share, default=0.05)
    least_calls: float = given(as_number, default=20)
    latency: DurationLike = given(as_duration, default=timedelta(seconds=1))


def _make(settings: Settings) -> Objects:
    failing, denied, slow = _failing(settings), _denied(settings), _slow(settings)
    alerts = (failing, denied, slow, _ended(settings))
    dashboard = Dashboard(
        id="secret-manager",
        display_name="Secret Manager",
        rows=(
            cards(*_numbers(failing, denied, slow), policies=alerts),
            _symptoms(failing, slow),
            *_causes(denied),
            LogsPanel(title="Who changed what", filter=CHANGES, height=12),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts, resources=(CHANGED,))


def _calls() -> Query:
    return increase(CALLS, where=_WHERE, window="5m")


def _failed() -> Query:
    return increase(CALLS, where=_FAILED, window="5m")


def _refused() -> Query:
    return increase(CALLS, where=_REFUSED, by="credential_id", window="5m")


def _p95() -> Query:
    return percentile(95, LATENCIES, where=_WHERE, window="5m")


def _denied(settings: Settings) -> AlertPolicy:
    return alert(
        "secret-manager-refused",
        "Secrets are refused",
        _refused() > settings.refused,
        to=settings.receivers.team,
        severity=Severity.ERROR,
        condition=f"more than {settings.refused:g} refused calls in 5 minutes",
        means="A caller asks for secrets that it may not read. Either a service has lost a role and does not start, or "
        "somebody tries what they should not.",
        looks=(
            "Who: the label `credential_id`, and `protoPayload.authenticationInfo` in the data access log.",
            "A service account of yours: does it still have `roles/secretmanager.secretAccessor` on the secret?",
            "Anybody else: tell who is responsible for security before you change anything.",
        ),
    )


def _failing(settings: Settings) -> AlertPolicy:
    return alert(
        "secret-manager-failing",
        "Secrets cannot be read",
        more_than(settings.failed, _failed(), of=_calls(), least=settings.least_calls),
        to=settings.receivers.page,
        for_="5m",
        severity=Severity.CRITICAL,
        condition=f"more than {percent(settings.failed)} of the calls fail",
        means=f"More than {percent(settings.failed)} of the calls fail, with 429 or 5xx. New instances of a service "
        "cannot start without their secrets.",
        looks=(
            "The *secret-manager* dashboard: 429 is the quota of accesses a minute, 5xx is Secret Manager itself.",
            "429: who reads most? A secret should be read once at the start, not for each request.",
            "5xx: Google Cloud's status page; keep the instances that run, do not deploy.",
        ),
    )


def _slow(settings: Settings) -> AlertPolicy:
    return alert(
        "secret-manager-slow",
        "Secrets are read slowly",
        _p95() > whole_seconds(settings.latency),
        to=settings.receivers.team,
        for_="10m",
        condition=f"p95 above {shown_duration(settings.latency)}",
        means=f"One call in twenty takes more than {shown_duration(settings.latency)}. Services start later.",
        looks=(
            "The *secret-manager* dashboard: more calls than before, or slower ones?",
            "Is *Secrets cannot be read* open too? Then go on with its runbook.",
            "Google Cloud's status page, for the secret's locations.",
        ),
    )


def _ended(settings: Settings) -> AlertPolicy:
    return entries_alert(
        "secret-manager-destroyed",
        "A secret was destroyed",
        SERIES,
        to=settings.receivers.team,
        where={"action": matches(_ENDS)},
        by="action",
        severity=Severity.WARNING,
        means="A secret or one of its versions was destroyed, disabled or deleted. What still uses it fails at its "
        "next start. Destroyed versions cannot be brought back.",
        looks=(
            "The entry below in the *secret-manager* dashboard: which one (`protoPayload.resourceName`), by whom?",
            "Does anything still read it? Calls that fail with 400 (FAILED_PRECONDITION) or 404 say so.",
            "Disabled by mistake: `gcloud secrets versions enable` brings it back at once.",
        ),
    )


def _numbers(failing: AlertPolicy, denied: AlertPolicy, slow: AlertPolicy) -> tuple[Scorecard, ...]:
    return (
        card("Failed calls", share(_failed(), _calls()), unit=PERCENT, limits=(failing, early(failing, 0.2))),
        card(
            "Refused calls, 5 min",
            increase(CALLS, where=_REFUSED, window="5m").otherwise(0),
            unit="1",
            limits=(denied, warning(0.5)),
        ),
        card("p95 of a call", _p95(), unit="s", limits=(slow,)),
        card("Calls", rate(CALLS, where=_WHERE, window="5m"), unit="1/s"),
    )


def _symptoms(failing: AlertPolicy, slow: AlertPolicy) -> Row:
    return charts(
        chart(
            "Failed calls (429, 5xx)",
            {"all secrets": share(_failed(), _calls())},
            unit=PERCENT,
            label="share of the calls",
            limits=[failing],
        ),
        chart(
            "Latency",
            {"p50": percentile(50, LATENCIES, where=_WHERE, window="5m"), "p95": _p95()},
            unit="s",
            label="seconds",
            limits=[slow],
        ),
    )


def _causes(denied: AlertPolicy) -> tuple[Row, ...]:
    return (
        charts(
            chart(
                "Calls by answer",
                {"${labels.response_code}": rate(CALLS, where=_WHERE, by="response_code", window="2m")},
                unit="1/s",
                label="calls per second",
                plot=Plot.STACKED_AREA,
            ),
            chart(
                "Refused, by caller",
                {"${labels.credential_id}": _refused()},
                unit="1",
                label="calls in 5 minutes",
                limits=[denied],
            ),
            chart(
                "Calls by method",
                {_METHOD: rate(CALLS, where=_WHERE, by="method", window="2m")},
                unit="1/s",
                label="calls per second",
            ),
            chart(
                "Changes",
                {"${labels.action}": increase(SERIES, by="action", window="10m")},
                unit="1",
                label="changes in 10 minutes",
                plot=Plot.STACKED_BAR,
            ),
        ),
    )


PACK: Final = Pack(
    name="secret-manager",
    title="Secret Manager",
    summary="Failed, refused and slow calls for secrets, and what was changed or destroyed.",
    needs=("serviceruntime.googleapis.com", "logging.googleapis.com"),
    logs='protoPayload.serviceName="secretmanager.googleapis.com"',
    settings=Settings,
    make=_make,
    scenario=SCENARIO,
    cases=CASES,
)
