"""Cloud SQL: does its disk fill, are CPU or connections at their end, was there a backup."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, Row, Scorecard
from obskit.packs.cases import Case, Points
from obskit.packs.logs import log_metric, missed
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, only, percent, warning
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import Query, google, growth, highest, latest, over_time, rate
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_UTILIZATION: Final = google("cloudsql.googleapis.com/database/disk/utilization")
_CPU: Final = google("cloudsql.googleapis.com/database/cpu/utilization")
_MEMORY: Final = google("cloudsql.googleapis.com/database/memory/utilization")
_BACKENDS: Final = google("cloudsql.googleapis.com/database/postgresql/num_backends")
# Source: "View audit logs for automated backups" of Cloud SQL's documentation.
_BACKED_UP, _BACKUPS = log_metric(
    "cloud-sql-backups",
    counts='log_id("cloudaudit.googleapis.com/system_event") AND resource.type="cloudsql_database" '
    'AND protoPayload.methodName="cloudsql.instances.automatedBackup" '
    'AND protoPayload.metadata.windowStatus="STATUS_SUCCEEDED"',
    description="Automated backups of Cloud SQL that succeeded.",
    resource="cloudsql_database",
)
_READS: Final = google("cloudsql.googleapis.com/database/disk/read_ops_count")
_WRITES: Final = google("cloudsql.googleapis.com/database/disk/write_ops_count")
_BY: Final = "database_id"
_LEGEND: Final = "${labels.database_id}"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        instance: only this one, ``PROJECT:INSTANCE``; every instance by itself when empty.
        storage: share of the disk. Source: 80 %.
        cpu: share of the CPUs. Source: 85 %.
        connections: share of `max_connections`. Source: 90 %.
        max_connections: the database's own setting; Cloud Monitoring does not know PostgreSQL's.
        backup_age: longest time between two automated backups that succeed. Source: 26 h.
    """

    noun: ClassVar[str] = "settings of pack cloud-sql"

    instance: str = given(as_text, default="")
    storage: float = given(as_share, default=0.8)
    cpu: float = given(as_share, default=0.85)
    connections: float = given(as_share, default=0.9)
    max_connections: float = given(as_positive, default=100)
    backup_age: DurationLike = given(as_duration, default=timedelta(hours=26))


def _make(settings: Settings) -> Objects:
    storage, busy, crowded = _storage(settings), _busy(settings), _crowded(settings)
    alerts = (storage, busy, crowded, _backup(settings))
    dashboard = Dashboard(
        id="cloud-sql",
        display_name="Cloud SQL",
        rows=(
            cards(*_numbers(settings, storage, busy, crowded), policies=alerts),
            _symptoms(settings, busy, crowded),
            *_causes(settings, storage),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts, resources=(_BACKED_UP,))


def _where(settings: Settings) -> Labels:
    return only(_BY, settings.instance)


def _disk(settings: Settings) -> Query:
    return over_time(_UTILIZATION, "max", where=_where(settings), by=_BY, window="5m")


def _cpu(settings: Settings) -> Query:
    return over_time(_CPU, "avg", where=_where(settings), by=_BY, window="5m")


def _connected(settings: Settings) -> Query:
    return latest(_BACKENDS, where=_where(settings), by=_BY) / settings.max_connections


def _storage(settings: Settings) -> AlertPolicy:
    return alert(
        "cloud-sql-storage",
        "Database full",
        _disk(settings) > settings.storage,
        to=settings.receivers.mail,
        for_="5m",
        means=f"The disk of a Cloud SQL instance is more than {percent(settings.storage)} full. When it is full, "
        "every write fails.",
        looks=(
            "The *cloud-sql* dashboard: over weeks, or within the hour? Then a query's temporary files or a migration.",
            "The largest tables and their dead rows: `pg_total_relation_size`, `pg_stat_user_tables`.",
            "Is *automatic storage increase* on, and is its limit reached? A disk can grow, never shrink.",
        ),
    )


def _busy(settings: Settings) -> AlertPolicy:
    return alert(
        "cloud-sql-cpu",
        "Database CPU",
        _cpu(settings) > settings.cpu,
        to=settings.receivers.mail,
        for_="5m",
        means=f"A Cloud SQL instance uses more than {percent(settings.cpu)} of its CPUs. Queries become slow.",
        looks=(
            "*Query Insights*: which query has the most load, and since when?",
            "The *cloud-sql* dashboard: more connections, or the same with more work each?",
            "The last deployment: a new query without an index, a loop of small queries.",
        ),
    )


def _crowded(settings: Settings) -> AlertPolicy:
    return alert(
        "cloud-sql-connections",
        "Database connections",
        _connected(settings) > settings.connections,
        to=settings.receivers.mail,
        for_="5m",
        severity=Severity.ERROR,
        means=f"More than {percent(settings.connections)} of the {settings.max_connections:g} connections that the "
        "instance allows are taken. At 100 % new ones are refused, and requests fail.",
        looks=(
            "The number of the app's instances, times its pool's size: can they be more than the database allows?",
            "`pg_stat_activity`: connections *idle in transaction* are a leak, those that wait want a lock.",
            "A pooler (PgBouncer, managed connection pooling) before a higher `max_connections`, which costs memory.",
        ),
    )


def _backup(settings: Settings) -> AlertPolicy:
    age = shown_duration(settings.backup_age)
    return alert(
        "cloud-sql-backup",
        "Database backup missed",
        missed(_BACKUPS, max_age=settings.backup_age, by=_BY, where=_where(settings)),
        to=settings.receivers.mail,
        severity=Severity.CRITICAL,
        condition=f"no successful backup for {age}",
        means=f"No automated backup of a Cloud SQL instance has succeeded for {age}. If the database is lost now, "
        "so are the changes since the last one.",
        looks=(
            "The instance's *Backups* page: did they fail, or were they switched off?",
            'Logs with `protoPayload.methodName="cloudsql.instances.automatedBackup"`: their `windowStatus` says why.',
            "Make one by hand now: `gcloud sql backups create --instance=…`. It counts as none here, and is one.",
        ),
        auto_close="1d",
    )


def _numbers(
    settings: Settings, storage: AlertPolicy, busy: AlertPolicy, crowded: AlertPolicy
) -> tuple[Scorecard, ...]:
    return (
        card("Fullest disk", highest(_disk(settings)), unit=PERCENT, limits=(storage, early(storage, 0.875))),
        card("Busiest CPU", highest(_cpu(settings)), unit=PERCENT, limits=(busy, early(busy, 0.8))),
        card("Connections", highest(_connected(settings)), unit=PERCENT, limits=(crowded, early(crowded, 0.8))),
        card(
            f"Backups, last {shown_duration(settings.backup_age)}",
            growth(_BACKUPS, where=_where(settings), window=settings.backup_age).otherwise(0),
            unit="1",
            limits=(warning(1, is_below=True),),
        ),
    )


def _symptoms(settings: Settings, busy: AlertPolicy, crowded: AlertPolicy) -> Row:
    return charts(
        chart("CPU", {_LEGEND: _cpu(settings)}, unit=PERCENT, label="share of the CPUs", limits=[busy]),
        chart(
            "Connections, share of the maximum",
            {_LEGEND: _connected(settings)},
            unit=PERCENT,
            label="share of the maximum",
            limits=[crowded],
        ),
    )


def _causes(settings: Settings, storage: AlertPolicy) -> tuple[Row, ...]:
    where = _where(settings)
    memory = over_time(_MEMORY, "avg", where=where, by=_BY, window="5m")
    return (
        charts(
            chart("Disk", {_LEGEND: _disk(settings)}, unit=PERCENT, label="share of the disk", limits=[storage]),
            chart("Memory", {_LEGEND: memory}, unit=PERCENT, label="share of the memory"),
            chart(
                "Disk operations",
                {
                    "reads ${labels.database_id}": rate(_READS, where=where, by=_BY, window="5m"),
                    "writes ${labels.database_id}": rate(_WRITES, where=where, by=_BY, window="5m"),
                },
                unit="1/s",
                label="operations per second",
            ),
        ),
    )


_DB: Final = {"database_id": "shop:main", "region": "europe-west1"}
_SHOP: Final = {**_DB, "database": "shop"}
_SLOW_QUERY: Final = Bump(at=0.6, lasts=0.15, level=2.1)

_SCENARIO: Final = Scenario(
    says="An import fills the disk while a slow query holds CPU and connections.",
    signals=(
        Signal(
            metric=_UTILIZATION,
            level=0.62,
            labels=_DB,
            noise=0.004,
            bumps=(Bump(at=0.5, lasts=0.4, level=1.35, is_gradual=True),),
        ),
        # One backup, in the first minute.
        Signal(
            metric=_BACKUPS,
            level=1 / 60,
            labels=_DB,
            noise=0,
            bumps=(Bump(at=0.003, lasts=0.001, level=0, is_gradual=True),),
        ),
        Signal(metric=_CPU, level=0.38, labels=_DB, noise=0.12, bumps=(_SLOW_QUERY,)),
        Signal(metric=_MEMORY, level=0.55, labels=_DB, noise=0.02),
        Signal(metric=_BACKENDS, level=38, labels=_SHOP, noise=0.1, bumps=(Bump(at=0.6, lasts=0.15, level=2.3),)),
        Signal(metric=_READS, level=220, labels=_DB, noise=0.3, bumps=(_SLOW_QUERY,)),
        Signal(metric=_WRITES, level=90, labels=_DB, noise=0.2, bumps=(Bump(at=0.5, lasts=0.4, level=3),)),
    ),
)
_CASES: Final = (
    Case(
        alert="cloud-sql-storage",
        says="it fills up to 85 %",
        given=Points(_UTILIZATION, "0.7x9 0.85x20", _DB),
        opens="15m",
        labels={"database_id": "shop:main"},
        tells={"email": 1},
    ),
    Case(alert="cloud-sql-storage", says="it stays at 79 %", given=Points(_UTILIZATION, "0.79x30", _DB)),
    Case(
        alert="cloud-sql-cpu",
        says="twenty busy minutes",
        given=Points(_CPU, "0.4x9 1x19 0.4x20", _DB),
        opens="19m",
        closes="30m",
        within="2m",
        tells={"email": 1},
    ),
    Case(alert="cloud-sql-cpu", says="a busy minute", given=Points(_CPU, "0.4x9 1 0.4x20", _DB)),
    Case(
        alert="cloud-sql-connections",
        says="connections leak",
        given=Points(_BACKENDS, "50x9 50+5x9 95x10", _SHOP),
        opens="24m",
        within="1m",
        tells={"email": 1},
    ),
    Case(
        alert="cloud-sql-connections",
        says="a peak of two minutes",
        given=Points(_BACKENDS, "50x9 95x1 50x20", _SHOP),
    ),
    Case(
        alert="cloud-sql-backup",
        says="after three nights no backup comes any more",
        given=Points(_BACKUPS, "1 _x23 1 _x23 1 _x48", _DB),
        every="1h",
        open_at=("75h", "90h"),
        silent_at=("10h", "30h", "60h", "73h"),
        labels={"database_id": "shop:main"},
        tells={"email": 1},
    ),
    Case(
        alert="cloud-sql-backup",
        says="the second backup is an hour late",
        given=Points(_BACKUPS, "1 _x24 1 _x22", _DB),
        every="1h",
    ),
)

PACK: Final = Pack(
    name="cloud-sql",
    title="Cloud SQL",
    summary="Disk, CPU, connections and backups of Cloud SQL instances.",
    needs=("cloudsql.googleapis.com", "logging.googleapis.com"),
    logs='resource.type="cloudsql_database" AND severity>=WARNING',
    settings=Settings,
    make=_make,
    scenario=_SCENARIO,
    cases=_CASES,
)
