"""Cloud Billing: a budget that tells finance, and the usage that makes the bill grow.

What is spent is no metric of Cloud Monitoring: the budget itself writes the e-mails at its thresholds, some hours late.
Alerts and dashboard therefore watch what is paid for: logs, metrics, instances, and obskit's own cost of AI calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from obskit.alerts import AlertPolicy
from obskit.catalog import AI_COST
from obskit.dashboards import Dashboard, Plot, Row, Scorecard, Text
from obskit.packs.cases import Case, Points
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import alert, card, cards, chart, charts, percent
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import GoogleMetric, Query, google, growth, increase, latest, rate, seen
from obskit.queries.definitions import as_number, as_positive, as_text, definition, given, many
from obskit.queries.promql import Labels
from obskit.resources import BillingBudget

__all__ = ["PACK", "Settings"]

_LOGS: Final = google("logging.googleapis.com/billing/bytes_ingested")
_METRICS: Final = google("monitoring.googleapis.com/billing/bytes_ingested")
_INSTANCES: Final = google("run.googleapis.com/container/billable_instance_time")
_STORED: Final = google("storage.googleapis.com/storage/v2/total_bytes")
_SENT: Final = google("storage.googleapis.com/network/sent_bytes_count")
_GIB: Final = 2.0**30
_SERVICES: Final[Labels] = {"monitored_resource": "cloud_run_revision"}


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        account: the billing account, ``012345-6789AB-CDEF01``; there is no budget where it is empty.
        amount: of the budget, for a month, in the account's currency.
        thresholds: shares of the amount at which finance gets an e-mail. Source: 50, 90 and 100 %.
        growth: a day's usage may be so many times the average day of the week before. Source: 150 %.
        least_gib: so many GiB of logs a day are not worth an alert.
        least_hours: so many hours of instances a day are not worth an alert.
    """

    noun: ClassVar[str] = "settings of pack billing"

    account: str = given(as_text, default="")
    amount: float = given(as_positive, default=1000)
    thresholds: Sequence[float] = given(many(int, float, parse=as_number), default=(0.5, 0.9, 1.0))
    growth: float = given(as_positive, default=1.5)
    least_gib: float = given(as_number, default=5)
    least_hours: float = given(as_number, default=48)


def _grown(metric: GoogleMetric, factor: float, least: float, where: Labels | None = None) -> Query:
    """A day's usage against the average day of the week before, once there is a week to compare with."""
    today = increase(metric, where=where, window="1d")
    week = increase(metric, where=where, window="7d", offset="1d")
    grown = (today > factor * week / 7).when(seen(metric, where=where, window="2d", offset="6d"), on=())
    return grown.when(today > least, on=())


def _alert(settings: Settings, name: str, title: str, when: Query, what: str, looks: Sequence[str]) -> AlertPolicy:
    share = settings.growth * 100
    return alert(
        name,
        title,
        when,
        to=settings.receivers.finance,
        interval="5m",
        condition=f"day above {share:g} % of average",
        means=f"The last 24 hours had more than {share:g} % of the {what} of an average day of the week before. The "
        "bill shows it a day later.",
        looks=looks,
        auto_close="1d",
    )


def _make(settings: Settings) -> Objects:
    alerts = (_logs(settings), _instances(settings))
    text = f"{_told(settings)}\n\nThe bill is under *Billing*, hours late; this is what it is made of."
    dashboard = Dashboard(
        id="billing",
        display_name="What the bill is made of",
        rows=(cards(*_numbers(), policies=alerts), Text(content=text, height=5), _calls_and_instances(), _data()),
    )
    resources = (_budget(settings),) if settings.account else ()
    return Objects(dashboards=(dashboard,), alerts=alerts, resources=resources)


def _budget(settings: Settings) -> BillingBudget:
    return BillingBudget(
        id="billing",
        account=settings.account,
        amount=settings.amount,
        thresholds=settings.thresholds,
        channels=settings.receivers.finance,
        display_name="Monthly budget",
    )


def _told(settings: Settings) -> str:
    shares = ", ".join(f"{percent(share)}" for share in settings.thresholds)
    return (
        f"**Budget** {settings.amount:g} a month, account {settings.account}: finance gets e-mails at {shares}."
        if settings.account
        else "There is no budget: give the pack's settings an `account`."
    )


def _logs(settings: Settings) -> AlertPolicy:
    return _alert(
        settings,
        "billing-logs",
        "Logs cost more",
        _grown(_LOGS, settings.growth, settings.least_gib * _GIB),
        "logs",
        (
            "The *billing* dashboard, logs by resource: which one writes more?",
            "Logs Explorer, that resource, the histogram by severity: a debug level left on, or an error in a loop?",
            "An exclusion filter on the `_Default` sink stops the cost at once; then change what writes.",
        ),
    )


def _instances(settings: Settings) -> AlertPolicy:
    return _alert(
        settings,
        "billing-instances",
        "Instances cost more",
        _grown(_INSTANCES, settings.growth, settings.least_hours * 3600, _SERVICES),
        "billable time of Cloud Run instances",
        (
            "The *billing* dashboard, instances by service: which one, and since when?",
            "More traffic (the service's own dashboard), or the same with slower requests?",
            "The last deployment: a higher minimum of instances, *CPU always allocated*, a lower concurrency.",
        ),
    )


def _numbers() -> tuple[Scorecard, ...]:
    return (
        card("AI calls, 24 h", growth(AI_COST, window="1d"), unit="USD"),
        card("Logs, 24 h", increase(_LOGS, window="1d"), unit="By"),
        card("Metrics, 24 h", increase(_METRICS, window="1d"), unit="By"),
        card("Instances, 24 h", increase(_INSTANCES, where=_SERVICES, window="1d") / 3600, unit="h"),
    )


def _calls_and_instances() -> Row:
    return charts(
        chart(
            "AI calls by model, per hour",
            {"${labels.gen_ai_request_model}": rate(AI_COST, by="gen_ai.request.model", window="10m") * 3600},
            unit="USD",
            label="USD per hour",
            plot=Plot.STACKED_AREA,
        ),
        chart(
            "Cloud Run instances",
            {"${labels.service_name}": rate(_INSTANCES, where=_SERVICES, by="service_name", window="5m")},
            unit="1",
            label="instances paid for",
            plot=Plot.STACKED_AREA,
        ),
    )


def _data() -> Row:
    return charts(
        chart(
            "Logs by resource, per hour",
            {"${labels.resource_type}": rate(_LOGS, by="resource_type", window="10m") * 3600},
            unit="By",
            label="bytes per hour",
            plot=Plot.STACKED_AREA,
        ),
        chart(
            "Cloud Storage, sent by bucket",
            {"${labels.bucket_name}": rate(_SENT, by="bucket_name", window="10m")},
            unit="By/s",
            label="bytes per second",
        ),
        chart(
            "Cloud Storage, stored by class",
            {"${labels.storage_class}": latest(_STORED, by="storage_class")},
            unit="By",
            label="bytes",
        ),
    )


_RUN: Final = {"service_name": "chat", "location": "europe-west1", "revision_name": "chat-00042"}
_API: Final = {**_RUN, "service_name": "api", "revision_name": "api-00017"}
_AI: Final = {"gen_ai.operation.name": "generate_content", "gen_ai.provider.name": "gcp.gemini", "service": "chat"}


def _bytes(values: str) -> Points:
    return Points(_LOGS, values, {"resource_type": "cloud_run_revision"})


def _hours(values: str) -> Points:
    return Points(_INSTANCES, values, _RUN, "cloud_run_revision")


PACK: Final = Pack(
    name="billing",
    title="Cloud Billing budgets",
    summary="A budget with e-mails to finance at 50, 90 and 100 %, and alerts on the usage that makes the bill grow.",
    needs=(
        "logging.googleapis.com",
        "monitoring.googleapis.com",
        "run.googleapis.com",
        "storage.googleapis.com",
        "obskit",
    ),
    logs="severity<=DEBUG OR severity>=ERROR",
    settings=Settings,
    make=_make,
    example={"account": "012345-6789AB-CDEF01"},
    scenario=Scenario(
        says="A debug level left on multiplies the logs of one service.",
        hours=24.0,
        signals=(
            Signal(metric=AI_COST, level=0.0007, labels={**_AI, "gen_ai.request.model": "gemini-2.5-flash"}, swing=0.5),
            Signal(metric=AI_COST, level=0.0011, labels={**_AI, "gen_ai.request.model": "gemini-2.5-pro"}, swing=0.5),
            Signal(
                metric=_LOGS,
                level=26_000,
                labels={"resource_type": "cloud_run_revision"},
                swing=0.4,
                bumps=(Bump(at=0.6, lasts=0.5, level=6.0),),
            ),
            Signal(metric=_LOGS, level=9_000, labels={"resource_type": "http_load_balancer"}, swing=0.4),
            Signal(metric=_LOGS, level=1_500, labels={"resource_type": "cloudsql_database"}),
            Signal(metric=_METRICS, level=4_200, labels={"metric_domain": "workload.googleapis.com"}),
            Signal(metric=_INSTANCES, level=3.1, labels=_RUN, swing=0.4, resource_type="cloud_run_revision"),
            Signal(metric=_INSTANCES, level=1.4, labels=_API, swing=0.3, resource_type="cloud_run_revision"),
            Signal(
                metric=_SENT,
                level=240_000,
                labels={"bucket_name": "gallery-media", "response_code": "OK", "method": "ReadObject"},
                swing=0.5,
                noise=0.2,
            ),
            Signal(
                metric=_STORED,
                level=420e9,
                labels={"bucket_name": "gallery-media", "storage_class": "STANDARD", "type": "live-object"},
                noise=0.0,
            ),
            Signal(
                metric=_STORED,
                level=1.3e12,
                labels={"bucket_name": "gallery-archive", "storage_class": "ARCHIVE", "type": "live-object"},
                noise=0.0,
            ),
        ),
    ),
    cases=(
        Case(
            alert="billing-logs",
            says="after a quiet week, a day writes twice as much",
            given=_bytes("500000000x200 1000000000x40"),
            opens="214h",
            within="3h",
            every="1h",
            tells={"finance": 1},
        ),
        Case(
            alert="billing-logs",
            says="a small project doubles its few logs",
            given=_bytes("5000000x200 10000000x40"),
            every="1h",
        ),
        Case(
            alert="billing-logs",
            says="the second day of a new project",
            given=_bytes("500000000x24 1000000000x24"),
            every="1h",
        ),
        Case(
            alert="billing-instances",
            says="twice as many instances since yesterday",
            given=_hours("14400x200 28800x40"),
            opens="214h",
            within="3h",
            every="1h",
        ),
        Case(
            alert="billing-instances",
            says="a weekend with a fifth more",
            given=_hours("14400x200 17280x40"),
            every="1h",
        ),
    ),
)
