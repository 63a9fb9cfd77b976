"""Cloud SQL: is it up, does its disk fill, are CPU or connections at their end."""

from __future__ import annotations

from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.dashboards import Dashboard
from obskit.packs.cases import Case, Points
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, warning
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import google, highest, latest, over_time
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_UTILIZATION: Final = google("cloudsql.googleapis.com/database/disk/utilization")
_CPU: Final = google("cloudsql.googleapis.com/database/cpu/utilization")
_MEMORY: Final = google("cloudsql.googleapis.com/database/memory/utilization")
_BACKENDS: Final = google("cloudsql.googleapis.com/database/postgresql/num_backends")
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
    """

    noun: ClassVar[str] = "settings of pack cloud-sql"

    instance: str = given(as_text, default="")
    storage: float = given(as_share, default=0.8)
    cpu: float = given(as_share, default=0.85)
    connections: float = given(as_share, default=0.9)
    max_connections: float = given(as_positive, default=100)


def _make(settings: Settings) -> Objects:
    where: Labels = {"database_id": settings.instance} if settings.instance else {}
    disk = over_time(_UTILIZATION, "max", where=where, by=_BY, window="5m")
    cpu = over_time(_CPU, "avg", where=where, by=_BY, window="5m")
    connected = latest(_BACKENDS, where=where, by=_BY) / settings.max_connections
    to = settings.receivers
    storage = alert(
        "cloud-sql-storage",
        "Database full",
        disk > settings.storage,
        to=to.mail,
        for_="5m",
        means=f"The disk of a Cloud SQL instance is more than {settings.storage * 100:g} % full. When it is full, "
        "every write fails.",
        looks=(
            "The *cloud-sql* dashboard: over weeks, or within the hour? Then a query's temporary files or a migration.",
            "The largest tables and their dead rows: `pg_total_relation_size`, `pg_stat_user_tables`.",
            "Is *automatic storage increase* on, and is its limit reached? A disk can grow, never shrink.",
        ),
    )
    busy = alert(
        "cloud-sql-cpu",
        "Database CPU",
        cpu > settings.cpu,
        to=to.mail,
        for_="5m",
        means=f"A Cloud SQL instance uses more than {settings.cpu * 100:g} % of its CPUs. Queries become slow.",
        looks=(
            "*Query Insights*: which query has the most load, and since when?",
            "The *cloud-sql* dashboard: more connections, or the same with more work each?",
            "The last deployment: a new query without an index, a loop of small queries.",
        ),
    )
    crowded = alert(
        "cloud-sql-connections",
        "Database connections",
        connected > settings.connections,
        to=to.mail,
        for_="5m",
        severity=Severity.ERROR,
        means=f"More than {settings.connections * 100:g} % of the {settings.max_connections:g} connections that the "
        "instance allows are taken. At 100 % new ones are refused, and requests fail.",
        looks=(
            "The number of the app's instances, times its pool's size: can they be more than the database allows?",
            "`pg_stat_activity`: connections *idle in transaction* are a leak, those that wait want a lock.",
            "A pooler (PgBouncer, managed connection pooling) before a higher `max_connections`, which costs memory.",
        ),
    )
    alerts = (storage, busy, crowded)
    memory = over_time(_MEMORY, "avg", where=where, by=_BY, window="5m")
    dashboard = Dashboard(
        id="cloud-sql",
        display_name="Cloud SQL",
        rows=(
            cards(
                card("Fullest disk", highest(disk), unit=PERCENT, limits=(storage, warning(0.7))),
                card("Busiest CPU", highest(cpu), unit=PERCENT, limits=(busy, warning(0.7))),
                card("Connections", highest(connected), unit=PERCENT, limits=(crowded, warning(0.7))),
                policies=alerts,
            ),
            charts(
                chart("CPU", {_LEGEND: cpu}, unit=PERCENT, limits=[busy]),
                chart("Connections, share of the maximum", {_LEGEND: connected}, unit=PERCENT, limits=[crowded]),
            ),
            charts(
                chart("Disk", {_LEGEND: disk}, unit=PERCENT, limits=[storage]),
                chart("Memory", {_LEGEND: memory}, unit=PERCENT),
            ),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


_DB: Final = {"database_id": "shop:main", "region": "europe-west1"}

PACK: Final = Pack(
    name="cloud-sql",
    title="Cloud SQL",
    summary="Disk, CPU and connections of Cloud SQL instances.",
    needs=("cloudsql.googleapis.com",),
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="A nightly import fills the disk while a slow query holds connections.",
        signals=(
            Signal(
                metric=_UTILIZATION,
                level=0.62,
                labels=_DB,
                noise=0.01,
                bumps=(Bump(at=0.5, lasts=0.4, level=1.35, is_gradual=True),),
            ),
            Signal(
                metric=_CPU, level=0.4, labels=_DB, swing=0.3, noise=0.15, bumps=(Bump(at=0.6, lasts=0.15, level=2.1),)
            ),
            Signal(metric=_MEMORY, level=0.55, labels=_DB, noise=0.02),
            Signal(
                metric=_BACKENDS,
                level=38,
                labels={**_DB, "database": "shop"},
                noise=0.1,
                bumps=(Bump(at=0.6, lasts=0.15, level=2.3),),
            ),
        ),
    ),
    cases=(
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
            says="ten busy minutes",
            given=Points(_CPU, "0.4x9 1x19 0.4x20", _DB),
            opens="19m",
            closes="30m",
            within="2m",
        ),
        Case(alert="cloud-sql-cpu", says="a busy minute", given=Points(_CPU, "0.4x9 1 0.4x20", _DB)),
        Case(
            alert="cloud-sql-connections",
            says="a leak",
            given=Points(_BACKENDS, "50x9 50+5x9 95x10", {**_DB, "database": "shop"}),
            opens="24m",
            within="1m",
        ),
        Case(
            alert="cloud-sql-connections",
            says="a peak of two minutes",
            given=Points(_BACKENDS, "50x9 95x1 50x20", {**_DB, "database": "shop"}),
        ),
    ),
)
