"""Cloud DNS: are names answered, in time, and did somebody change a zone."""

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
from obskit.queries import google, highest, increase, matches, percentile, rate, ratio, share
from obskit.queries.definitions import as_number, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_ANSWERS: Final = google("dns.googleapis.com/query/response_count")
_LATENCIES: Final = google("dns.googleapis.com/query/latencies")
_BY: Final = "target_name"
_LEGEND: Final = "${labels.target_name}"
_FAILED: Final = matches("SERVFAIL|REFUSED")
_CHANGES: Final = 'logName:"cloudaudit.googleapis.com%2Factivity" AND protoPayload.serviceName="dns.googleapis.com"'
_ENTRIES: Final = "dns_managed_zone"
_CHANGED, _SERIES = log_metric(
    "cloud-dns-changes",
    counts=_CHANGES,
    resource=_ENTRIES,
    labels={"method": "EXTRACT(protoPayload.methodName)"},
    description="Changes of zones and of their records.",
)
# Source: "Cloud DNS audit logging": dns.changes.create are records; the others change or end a zone.
_ZONES: Final = matches("dns.managedZones.(delete|patch|update)|dns.policies.(delete|patch|update)")


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        zone: only this zone or target; every one by itself when empty.
        failed: share of the queries that may be answered with SERVFAIL or REFUSED.
        unknown: share of the queries that may be for names that do not exist.
        least_queries: so many queries in 5 minutes are too few to judge by.
        latency: how long one answer in twenty may take.
    """

    noun: ClassVar[str] = "settings of pack cloud-dns"

    zone: str = given(as_text, default="")
    failed: float = given(as_share, default=0.02)
    unknown: float = given(as_share, default=0.5)
    least_queries: float = given(as_number, default=100)
    latency: DurationLike = given(as_duration, default=timedelta(milliseconds=500))


def _make(settings: Settings) -> Objects:
    where: Labels = {"target_name": settings.zone} if settings.zone else {}
    to = settings.receivers
    answers = increase(_ANSWERS, where=where, by=_BY, window="5m")
    failed = increase(_ANSWERS, where={**where, "response_code": _FAILED}, by=_BY, window="5m")
    unknown = increase(_ANSWERS, where={**where, "response_code": "NXDOMAIN"}, by=_BY, window="5m")
    p95 = percentile(95, _LATENCIES, where=where, by=_BY, window="5m") / 1000
    failing = alert(
        "cloud-dns-failing",
        "Names are not resolved",
        (ratio(failed, answers) > settings.failed).when(answers >= settings.least_queries),
        to=to.page,
        for_="5m",
        severity=Severity.CRITICAL,
        condition=f"SERVFAIL or REFUSED above {settings.failed * 100:g} %",
        means=f"More than {settings.failed * 100:g} % of a zone's queries end in SERVFAIL or REFUSED. Whoever asks "
        "cannot reach what the names stand for.",
        looks=(
            (
                "Which target: a *forwarding* zone fails with the name servers that it forwards to, a private one with "
                "its peering, a public one with Google Cloud's status page."
            ),
            "DNSSEC: a DS record at the registrar that does not fit the zone's key makes every answer a SERVFAIL.",
            "The zone's changes below in the *cloud-dns* dashboard, just before it began.",
        ),
    )
    missing = alert(
        "cloud-dns-unknown",
        "Names do not exist",
        (ratio(unknown, answers) > settings.unknown).when(answers >= settings.least_queries),
        to=to.team,
        for_="10m",
        condition=f"NXDOMAIN above {settings.unknown * 100:g} %",
        means=f"More than {settings.unknown * 100:g} % of a zone's queries are for names that do not exist: a record "
        "was removed or never made, or somebody tries names out.",
        looks=(
            "The zone's changes below in the *cloud-dns* dashboard: was a record deleted?",
            'Query logs, if they are on: `jsonPayload.responseCode="NXDOMAIN"` by `jsonPayload.queryName`.',
            "A deployment with a misspelt host name, or with search domains that try each name several times.",
        ),
    )
    slow = alert(
        "cloud-dns-slow",
        "Names are resolved slowly",
        p95 > whole_seconds(settings.latency),
        to=to.team,
        for_="10m",
        condition=f"p95 above {shown_duration(settings.latency)}",
        means=f"One answer in twenty takes more than {shown_duration(settings.latency)}; every new connection waits "
        "for it.",
        looks=(
            "The *cloud-dns* dashboard, p95 by target: a forwarding zone alone means the name servers behind it.",
            "The way to those name servers: VPN, interconnect, firewall rules for UDP and TCP port 53.",
            "Records with a TTL of a few seconds: they are asked for again and again.",
        ),
    )
    changed = entries_alert(
        "cloud-dns-zone-changed",
        "A DNS zone was changed",
        _SERIES,
        to=to.team,
        where={"method": _ZONES},
        by="method",
        severity=Severity.WARNING,
        means="A zone or a DNS policy was changed or deleted (records are not meant). With a deleted zone go all its "
        "names.",
        looks=(
            "The entry below in the *cloud-dns* dashboard: who, and which zone?",
            "Was it planned? If not, undo it first: resolvers keep old answers only for as long as their TTL.",
            "A public zone that is made anew has other name servers: the registrar must be told.",
        ),
    )
    alerts = (failing, slow, missing, changed)
    whole = increase(_ANSWERS, where=where, window="5m")
    dashboard = Dashboard(
        id="cloud-dns",
        display_name="Cloud DNS",
        rows=(
            cards(
                card(
                    "Failed (SERVFAIL, REFUSED)",
                    share(increase(_ANSWERS, where={**where, "response_code": _FAILED}, window="5m"), whole),
                    unit=PERCENT,
                    limits=(failing, warning(settings.failed / 4)),
                ),
                card("p95, slowest target", highest(p95), unit="s", limits=(slow,)),
                card(
                    "Unknown names",
                    share(increase(_ANSWERS, where={**where, "response_code": "NXDOMAIN"}, window="5m"), whole),
                    unit=PERCENT,
                    limits=(missing,),
                ),
                card("Queries", rate(_ANSWERS, where=where, window="5m"), unit="1/s"),
                policies=alerts,
            ),
            charts(
                chart(
                    "Failed queries",
                    {_LEGEND: share(failed, answers)},
                    unit=PERCENT,
                    label="share of the queries",
                    limits=[failing],
                ),
                chart("Latency, p95", {_LEGEND: p95}, unit="s", label="seconds", limits=[slow]),
            ),
            charts(
                chart(
                    "Queries by answer",
                    {"${labels.response_code}": rate(_ANSWERS, where=where, by="response_code", window="2m")},
                    unit="1/s",
                    label="queries per second",
                    plot=Plot.STACKED_AREA,
                ),
                chart(
                    "Queries by target",
                    {
                        f"{_LEGEND} (${{labels.target_type}})": rate(
                            _ANSWERS, where=where, by=(_BY, "target_type"), window="2m"
                        )
                    },
                    unit="1/s",
                    label="queries per second",
                ),
                chart(
                    "Names that do not exist",
                    {_LEGEND: share(unknown, answers)},
                    unit=PERCENT,
                    label="share of the queries",
                    limits=[missing],
                ),
            ),
            LogsPanel(title="Who changed what", filter=_CHANGES, height=12),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts, resources=(_CHANGED,))


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
    return Signal(metric=_ANSWERS, level=level, labels={**target, "response_code": code}, swing=0.3, bumps=bumps)


def _answer(values: str, code: str) -> Points:
    return Points(_ANSWERS, values, {**_OFFICE, "response_code": code})


def _change(method: str) -> Points:
    return Points(_SERIES, "_x10 1 0x30", {"method": method, "zone_name": "office"}, _ENTRIES)


PACK: Final = Pack(
    name="cloud-dns",
    title="Cloud DNS",
    summary="Failed, slow and pointless queries of Cloud DNS, and changes of its zones.",
    needs=("dns.googleapis.com", "logging.googleapis.com"),
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="The name servers of the office, to which one zone forwards, do not answer for three quarters of an hour.",
        signals=(
            _answered(_SHOP, "NOERROR", 40.0),
            _answered(_SHOP, "NXDOMAIN", 3.0),
            _answered(_OFFICE, "NOERROR", 8.0, (Bump(at=0.66, lasts=0.12, level=0.2),)),
            _answered(_OFFICE, "NXDOMAIN", 0.8),
            _answered(_OFFICE, "SERVFAIL", 0.05, (_DOWN,)),
            Signal(metric=_LATENCIES, level=43.0, labels=_SHOP, median=1.2, spread=2.2),
            Signal(
                metric=_LATENCIES,
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
    ),
    cases=(
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
            given=Sizes(_LATENCIES, {8.0: "60x10 0x40", 900.0: "0x10 60x40"}, _OFFICE, _BOUNDS),
            opens="21m",
            within="2m",
        ),
        Case(
            alert="cloud-dns-slow",
            says="one answer in fifty takes one second",
            given=Sizes(_LATENCIES, {8.0: "98x40", 900.0: "2x40"}, _OFFICE, _BOUNDS),
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
    ),
)
