"""Secret Manager: can secrets be read, who is refused, and was one destroyed.

It has no metrics of its own. Calls are those that the project makes to its API; changes are counted in the audit log.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.dashboards import Dashboard, LogsPanel, Plot
from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.log_alerts import entries_alert
from obskit.packs.logs import log_metric
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, warning
from obskit.packs.scenarios import Bump, LogLine, Scenario, Signal
from obskit.queries import google, increase, matches, percentile, rate, ratio, share
from obskit.queries.definitions import as_number, as_share, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_API: Final = "google.cloud.secretmanager.v1.SecretManagerService"
_CALLS: Final = google("serviceruntime.googleapis.com/api/request_count")
_LATENCIES: Final = google("serviceruntime.googleapis.com/api/request_latencies")
_RESOURCE: Final = "consumed_api"
_WHERE: Final[Labels] = {"monitored_resource": _RESOURCE, "service": "secretmanager.googleapis.com"}
_REFUSED: Final[Labels] = {**_WHERE, "response_code": matches("401|403")}
_FAILED: Final[Labels] = {**_WHERE, "response_code": matches("429|5..")}
_METHOD: Final = "${labels.method}"
# Source: "Secret Manager audit logging": methods of ADMIN_WRITE, which are always logged.
_CHANGES: Final = (
    'logName:"cloudaudit.googleapis.com%2Factivity" AND protoPayload.serviceName="secretmanager.googleapis.com"'
)
_ENTRIES: Final = "audited_resource"
_CHANGED, _SERIES = log_metric(
    "secret-manager-changes",
    counts=_CHANGES,
    resource=_ENTRIES,
    labels={"action": 'REGEXP_EXTRACT(protoPayload.methodName, "SecretManagerService.([A-Za-z]+)$")'},
    description="Changes of secrets, by what was done.",
)
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
    to = settings.receivers
    calls = increase(_CALLS, where=_WHERE, window="5m")
    failed = increase(_CALLS, where=_FAILED, window="5m")
    refused = increase(_CALLS, where=_REFUSED, by="credential_id", window="5m")
    p95 = percentile(95, _LATENCIES, where=_WHERE, window="5m")
    denied = alert(
        "secret-manager-refused",
        "Secrets are refused",
        refused > settings.refused,
        to=to.team,
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
    failing = alert(
        "secret-manager-failing",
        "Secrets cannot be read",
        (ratio(failed, calls) > settings.failed).when(calls >= settings.least_calls),
        to=to.page,
        for_="5m",
        severity=Severity.CRITICAL,
        condition=f"more than {settings.failed * 100:g} % of the calls fail",
        means=f"More than {settings.failed * 100:g} % of the calls fail, with 429 or 5xx. New instances of a service "
        "cannot start without their secrets.",
        looks=(
            "The *secret-manager* dashboard: 429 is the quota of accesses a minute, 5xx is Secret Manager itself.",
            "429: who reads most? A secret should be read once at the start, not for each request.",
            "5xx: Google Cloud's status page; keep the instances that run, do not deploy.",
        ),
    )
    slow = alert(
        "secret-manager-slow",
        "Secrets are read slowly",
        p95 > whole_seconds(settings.latency),
        to=to.team,
        for_="10m",
        condition=f"p95 above {shown_duration(settings.latency)}",
        means=f"One call in twenty takes more than {shown_duration(settings.latency)}. Services start later.",
        looks=(
            "The *secret-manager* dashboard: more calls than before, or slower ones?",
            "Is *Secrets cannot be read* open too? Then go on with its runbook.",
            "Google Cloud's status page, for the secret's locations.",
        ),
    )
    ended = entries_alert(
        "secret-manager-destroyed",
        "A secret was destroyed",
        _SERIES,
        to=to.team,
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
    alerts = (failing, denied, slow, ended)
    dashboard = Dashboard(
        id="secret-manager",
        display_name="Secret Manager",
        rows=(
            cards(
                card("Failed calls (429, 5xx)", share(failed, calls), unit=PERCENT, limits=(failing, warning(0.01))),
                card(
                    "Refused calls, 5 min",
                    increase(_CALLS, where=_REFUSED, window="5m").otherwise(0),
                    unit="1",
                    limits=(denied, warning(0.5)),
                ),
                card("p95 of a call", p95, unit="s", limits=(slow,)),
                card("Calls", rate(_CALLS, where=_WHERE, window="5m"), unit="1/s"),
                policies=alerts,
            ),
            charts(
                chart(
                    "Calls by answer",
                    {"${labels.response_code}": rate(_CALLS, where=_WHERE, by="response_code", window="2m")},
                    unit="1/s",
                    label="calls per second",
                    plot=Plot.STACKED_AREA,
                ),
                chart(
                    "Latency",
                    {"p50": percentile(50, _LATENCIES, where=_WHERE, window="5m"), "p95": p95},
                    unit="s",
                    label="seconds",
                    limits=[slow],
                ),
            ),
            charts(
                chart(
                    "Refused, by caller",
                    {"${labels.credential_id}": refused},
                    unit="1",
                    label="calls in 5 minutes",
                    limits=[denied],
                ),
                chart(
                    "Calls by method",
                    {_METHOD: rate(_CALLS, where=_WHERE, by="method", window="2m")},
                    unit="1/s",
                    label="calls per second",
                ),
                chart(
                    "Changes",
                    {"${labels.action}": increase(_SERIES, by="action", window="10m")},
                    unit="1",
                    label="changes in 10 minutes",
                    plot=Plot.STACKED_BAR,
                ),
            ),
            LogsPanel(title="Who changed what", filter=_CHANGES, height=12),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts, resources=(_CHANGED,))


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
    return Points(_CALLS, values, {**who, **_answer(code)}, _RESOURCE)


def _signal(who: dict[str, str], code: str, level: float, bumps: tuple[Bump, ...] = ()) -> Signal:
    return Signal(metric=_CALLS, level=level, labels={**who, **_answer(code)}, bumps=bumps, resource_type=_RESOURCE)


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

PACK: Final = Pack(
    name="secret-manager",
    title="Secret Manager",
    summary="Failed, refused and slow calls for secrets, and what was changed or destroyed.",
    needs=("serviceruntime.googleapis.com", "logging.googleapis.com"),
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="After a new version of a secret the old one is disabled; one batch service has no role on the new one.",
        signals=(
            _signal(_CHAT, "200", 3.0),
            _signal(_BATCH, "200", 0.8, (Bump(at=0.7, lasts=0.5, level=0.1),)),
            _signal(_BATCH, "403", 0.0005, (Bump(at=0.7, lasts=0.5, level=400.0),)),
            _signal(_LIST, "200", 0.05),
            Signal(
                metric=_LATENCIES, level=4.0, labels=_CHAT, median=0.035, spread=2.0, noise=0.2, resource_type=_RESOURCE
            ),
            Signal(
                metric=_SERIES,
                level=0.00001,
                labels=_NEW,
                resource_type=_ENTRIES,
                bumps=(Bump(at=0.66, lasts=0.01, level=1700.0),),
            ),
            Signal(
                metric=_SERIES,
                level=0.00001,
                labels=_GONE,
                resource_type=_ENTRIES,
                bumps=(Bump(at=0.69, lasts=0.01, level=1700.0),),
            ),
        ),
        logs=(_change("AddSecretVersion", (0.664,)), _change("DisableSecretVersion", (0.694,))),
    ),
    cases=(
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
            given=Sizes(_LATENCIES, {0.04: "60x10 0x40", 1.9: "0x10 60x40"}, _CHAT, _BOUNDS, _RESOURCE),
            opens="21m",
            within="2m",
        ),
        Case(
            alert="secret-manager-slow",
            says="one slow minute",
            given=Sizes(_LATENCIES, {0.04: "60x10 0 60x30", 1.9: "0x10 60 0x30"}, _CHAT, _BOUNDS, _RESOURCE),
        ),
        Case(
            alert="secret-manager-destroyed",
            says="a version is disabled",
            given=Points(_SERIES, "_x10 1 0x30", _GONE, _ENTRIES),
            opens="10m",
            closes="16m",
            within="2m",
            labels={"action": "DisableSecretVersion"},
        ),
        Case(
            alert="secret-manager-destroyed",
            says="a version is added",
            given=Points(_SERIES, "_x10 1 0x30", _NEW, _ENTRIES),
        ),
    ),
)
