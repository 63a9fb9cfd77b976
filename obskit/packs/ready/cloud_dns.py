"""Cloud DNS: are names answered, in time, and did somebody change a zone."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, LogsPanel, Plot, Row, Scorecard
from obskit.packs.log_alerts import entries_alert
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, more_than, only, percent
from obskit.packs.ready._cloud_dns_data import ANSWERS, CASES, CHANGED, CHANGES, LATENCIES, SCENARIO, SERIES
from obskit.queries import Query, highest, increase, matches, percentile, rate, share
from obskit.queries.definitions import as_number, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_BY: Final = "target_name"
_LEGEND: Final = "${labels.target_name}"
_FAILED: Final = matches("SERVFAIL|REFUSED")
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
    failing, slow, missing = _failing(settings), _slow(settings), _missing(settings)
    alerts = (failing, slow, missing, _changed(settings))
    dashboard = Dashboard(
        id="cloud-dns",
        display_name="Cloud DNS",
        rows=(
            cards(*_numbers(settings, failing, slow, missing), policies=alerts),
            _symptoms(settings, failing, slow),
            *_causes(settings, missing),
            LogsPanel(title="Who changed what", filter=CHANGES, height=12),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts, resources=(CHANGED,))


def _where(settings: Settings) -> Labels:
    return only(_BY, settings.zone)


def _answers(settings: Settings) -> Query:
    return increase(ANSWERS, where=_where(settings), by=_BY, window="5m")


def _failed(settings: Settings) -> Query:
    return increase(ANSWERS, where={**_where(settings), "response_code": _FAILED}, by=_BY, window="5m")


def _unknown(settings: Settings) -> Query:
    return increase(ANSWERS, where={**_where(settings), "response_code": "NXDOMAIN"}, by=_BY, window="5m")


def _p95(settings: Settings) -> Query:
    return percentile(95, LATENCIES, where=_where(settings), by=_BY, window="5m") / 1000


def _failing(settings: Settings) -> AlertPolicy:
    return alert(
        "cloud-dns-failing",
        "Names are not resolved",
        more_than(settings.failed, _failed(settings), of=_answers(settings), least=settings.least_queries),
        to=settings.receivers.page,
        for_="5m",
        severity=Severity.CRITICAL,
        condition=f"SERVFAIL or REFUSED above {percent(settings.failed)}",
        means=f"More than {percent(settings.failed)} of a zone's queries end in SERVFAIL or REFUSED. Whoever asks "
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


def _missing(settings: Settings) -> AlertPolicy:
    return alert(
        "cloud-dns-unknown",
        "Names do not exist",
        more_than(settings.unknown, _unknown(settings), of=_answers(settings), least=settings.least_queries),
        to=settings.receivers.team,
        for_="10m",
        condition=f"NXDOMAIN above {percent(settings.unknown)}",
        means=f"More than {percent(settings.unknown)} of a zone's queries are for names that do not exist: a record "
        "was removed or never made, or somebody tries names out.",
        looks=(
            "The zone's changes below in the *cloud-dns* dashboard: was a record deleted?",
            'Query logs, if they are on: `jsonPayload.responseCode="NXDOMAIN"` by `jsonPayload.queryName`.',
            "A deployment with a misspelt host name, or with search domains that try each name several times.",
        ),
    )


def _slow(settings: Settings) -> AlertPolicy:
    return alert(
        "cloud-dns-slow",
        "Names are resolved slowly",
        _p95(settings) > whole_seconds(settings.latency),
        to=settings.receivers.team,
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


def _changed(settings: Settings) -> AlertPolicy:
    return entries_alert(
        "cloud-dns-zone-changed",
        "A DNS zone was changed",
        SERIES,
        to=settings.receivers.team,
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


def _numbers(
    settings: Settings, failing: AlertPolicy, slow: AlertPolicy, missing: AlertPolicy
) -> tuple[Scorecard, ...]:
    where = _where(settings)
    whole = increase(ANSWERS, where=where, window="5m")
    return (
        card(
            "Failed queries",
            share(increase(ANSWERS, where={**where, "response_code": _FAILED}, window="5m"), whole),
            unit=PERCENT,
            limits=(failing, early(failing, 0.25)),
        ),
        card("p95, slowest target", highest(_p95(settings)), unit="s", limits=(slow,)),
        card(
            "Unknown names",
            share(increase(ANSWERS, where={**where, "response_code": "NXDOMAIN"}, window="5m"), whole),
            unit=PERCENT,
            limits=(missing,),
        ),
        card("Queries", rate(ANSWERS, where=where, window="5m"), unit="1/s"),
    )


def _symptoms(settings: Settings, failing: AlertPolicy, slow: AlertPolicy) -> Row:
    return charts(
        chart(
            "Failed queries",
            {_LEGEND: share(_failed(settings), _answers(settings))},
            unit=PERCENT,
            label="share of the queries",
            limits=[failing],
        ),
        chart("Latency, p95", {_LEGEND: _p95(settings)}, unit="s", label="seconds", limits=[slow]),
    )


def _causes(settings: Settings, missing: AlertPolicy) -> tuple[Row, ...]:
    where = _where(settings)
    return (
        charts(
            chart(
                "Queries by answer",
                {"${labels.response_code}": rate(ANSWERS, where=where, by="response_code", window="2m")},
                unit="1/s",
                label="queries per second",
                plot=Plot.STACKED_AREA,
            ),
            chart(
                "Queries by target",
                {
                    f"{_LEGEND} (${{labels.target_type}})": rate(
                        ANSWERS, where=where, by=(_BY, "target_type"), window="2m"
                    )
                },
                unit="1/s",
                label="queries per second",
            ),
            chart(
                "Names that do not exist",
                {_LEGEND: share(_unknown(settings), _answers(settings))},
                unit=PERCENT,
                label="share of the queries",
                limits=[missing],
            ),
        ),
    )


PACK: Final = Pack(
    name="cloud-dns",
    title="Cloud DNS",
    summary="Failed, slow and pointless queries of Cloud DNS, and changes of its zones.",
    needs=("dns.googleapis.com", "logging.googleapis.com"),
    logs='resource.type="dns_query" AND jsonPayload.responseCode!="NOERROR"',
    settings=Settings,
    make=_make,
    scenario=SCENARIO,
    cases=CASES,
)
