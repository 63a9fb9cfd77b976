"""Memorystore for Redis: does the cache hit, and are memory, CPU or connections at their end."""

from __future__ import annotations

from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, Plot, Row, Scorecard
from obskit.packs.cases import Case, Points
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, only, percent
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import Query, google, growth, highest, latest, over_time, rate
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_MEMORY: Final = google("redis.googleapis.com/stats/memory/usage_ratio")
_SYSTEM: Final = google("redis.googleapis.com/stats/memory/system_memory_usage_ratio")
_HITS: Final = google("redis.googleapis.com/stats/keyspace_hits")
_MISSES: Final = google("redis.googleapis.com/stats/keyspace_misses")
_EVICTED: Final = google("redis.googleapis.com/stats/evicted_keys")
_REFUSED: Final = google("redis.googleapis.com/stats/reject_connections_count")
_CPU: Final = google("redis.googleapis.com/stats/cpu_utilization_main_thread")
_CLIENTS: Final = google("redis.googleapis.com/clients/connected")
_CALLS: Final = google("redis.googleapis.com/commands/calls")
_BY: Final = "instance_id"
_LEGEND: Final = "${labels.instance_id}"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        instance: only this one, ``projects/P/locations/L/instances/I``; every one by itself when empty.
        memory: share of the instance's memory.
        cpu: share of the one thread that runs the commands.
        refused: so many refused connections in five minutes are no alert.
    """

    noun: ClassVar[str] = "settings of pack memorystore-redis"

    instance: str = given(as_text, default="")
    memory: float = given(as_share, default=0.8)
    cpu: float = given(as_share, default=0.85)
    refused: float = given(as_positive, default=5)


def _make(settings: Settings) -> Objects:
    full, busy, closed = alerts = (_full(settings), _busy(settings), _closed(settings))
    dashboard = Dashboard(
        id="memorystore-redis",
        display_name="Memorystore for Redis",
        rows=(
            cards(*_numbers(settings, full, busy), policies=alerts),
            _symptoms(settings),
            *_causes(settings, full, busy, closed),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _where(settings: Settings) -> Labels:
    return only(_BY, settings.instance)


def _memory(settings: Settings) -> Query:
    return over_time(_SYSTEM, "max", where=_where(settings), by=_BY, window="5m")


def _cpu(settings: Settings) -> Query:
    # System and user time of the main thread, in seconds a second.
    return rate(_CPU, where=_where(settings), by=_BY, window="5m")


def _refused(settings: Settings) -> Query:
    return growth(_REFUSED, where=_where(settings), by=_BY, window="5m")


def _full(settings: Settings) -> AlertPolicy:
    return alert(
        "redis-memory",
        "Redis: memory",
        _memory(settings) > settings.memory,
        to=settings.receivers.mail,
        for_="10m",
        condition=f"above {percent(settings.memory)}",
        means=f"A Redis instance uses more than {percent(settings.memory)} of its memory, its own needs included. At "
        "the end it evicts keys, or refuses writes, or fails.",
        looks=(
            "The *memorystore-redis* dashboard: does it grow steadily? Then keys have no time to live.",
            "`redis-cli --bigkeys` and `MEMORY USAGE`: which keys are it?",
            "Relief: a time to live, `maxmemory-policy allkeys-lru` for a cache, a larger instance.",
        ),
    )


def _busy(settings: Settings) -> AlertPolicy:
    return alert(
        "redis-cpu",
        "Redis: CPU",
        _cpu(settings) > settings.cpu,
        to=settings.receivers.mail,
        for_="5m",
        condition=f"main thread above {percent(settings.cpu)}",
        means=f"The one thread that runs all commands is busy for more than {percent(settings.cpu)} of the time. "
        "Every command waits for those before it.",
        looks=(
            "The *memorystore-redis* dashboard, commands by kind: more of them, or dear ones (`KEYS`, `SMEMBERS`)?",
            "`SLOWLOG GET`: the slowest commands and their keys.",
            "The last deployment: a loop of single commands where a pipeline or `MGET` would do.",
        ),
    )


def _closed(settings: Settings) -> AlertPolicy:
    return alert(
        "redis-refused",
        "Redis: connections refused",
        _refused(settings) > settings.refused,
        to=settings.receivers.team,
        severity=Severity.ERROR,
        condition=f"more than {settings.refused:g} within 5 min",
        means="A Redis instance has as many connections as it allows and refuses new ones. Requests fail.",
        looks=(
            "The *memorystore-redis* dashboard, connections: did they jump with a deployment or with the traffic?",
            "One client for each process, with a pool: a new connection for each request is a leak.",
            "The number of the app's instances times the size of its pool, against `maxclients`.",
        ),
    )


def _numbers(settings: Settings, full: AlertPolicy, busy: AlertPolicy) -> tuple[Scorecard, ...]:
    return (
        card("Cache hits", _hits_of(_where(settings)), unit=PERCENT),
        card("Memory of the fullest", highest(_memory(settings)), unit=PERCENT, limits=(full, early(full, 0.875))),
        card("Main thread of the busiest", highest(_cpu(settings)), unit=PERCENT, limits=(busy, early(busy, 0.8))),
    )


def _symptoms(settings: Settings) -> Row:
    where = _where(settings)
    hits = rate(_HITS, where=where, by=_BY, window="5m")
    misses = rate(_MISSES, where=where, by=_BY, window="5m")
    return charts(
        chart("Cache hits", {_LEGEND: hits / (hits + misses)}, unit=PERCENT, label="share of the look-ups"),
        chart(
            "Commands",
            {"${labels.cmd}": rate(_CALLS, where=where, by="cmd", window="5m")},
            unit="1/s",
            label="commands per second",
            plot=Plot.STACKED_AREA,
        ),
        chart("Connections", {_LEGEND: latest(_CLIENTS, where=where, by=_BY)}, unit="1", label="connections"),
    )


def _causes(settings: Settings, full: AlertPolicy, busy: AlertPolicy, closed: AlertPolicy) -> tuple[Row, ...]:
    where = _where(settings)
    return (
        charts(
            chart(
                "Memory",
                {
                    f"system {_LEGEND}": _memory(settings),
                    f"data {_LEGEND}": over_time(_MEMORY, "max", where=where, by=_BY, window="5m"),
                },
                unit=PERCENT,
                label="share of the memory",
                limits=(full,),
            ),
            chart("Main thread", {_LEGEND: _cpu(settings)}, unit=PERCENT, label="share of the time", limits=(busy,)),
            chart(
                "Evicted keys, refused connections",
                {
                    f"evicted {_LEGEND}": growth(_EVICTED, where=where, by=_BY, window="5m"),
                    f"refused {_LEGEND}": _refused(settings),
                },
                unit="1",
                label="in 5 min",
                limits=(closed,),
                plot=Plot.STACKED_BAR,
            ),
        ),
    )


def _hits_of(where: Labels) -> Query:
    """Return the share of reads that find their key, of all instances together."""
    hits, misses = rate(_HITS, where=where, window="5m"), rate(_MISSES, where=where, window="5m")
    return hits / (hits + misses)


_AT: Final = {
    "instance_id": "projects/shop/locations/europe-west1/instances/sessions",
    "region": "europe-west1",
    "node_id": "node-0",
}
_PRIMARY: Final = {**_AT, "role": "primary"}
_RUSH: Final = Bump(at=0.6, lasts=0.2, level=2.6)


def _commands(name: str, a_second: float) -> Signal:
    return Signal(metric=_CALLS, level=a_second, labels={**_PRIMARY, "cmd": name}, noise=0.1, bumps=(_RUSH,))


PACK: Final = Pack(
    name="memorystore-redis",
    title="Memorystore for Redis",
    summary="Hits, memory, CPU and connections of Redis instances.",
    needs=("redis.googleapis.com",),
    logs='resource.type="redis_instance"',
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="Sessions without a time to live fill the memory, until keys are evicted and the cache misses.",
        signals=(
            Signal(
                metric=_MEMORY,
                level=0.5,
                labels=_PRIMARY,
                noise=0.01,
                bumps=(Bump(at=0.1, lasts=0.8, level=1.75, is_gradual=True),),
            ),
            Signal(
                metric=_SYSTEM,
                level=0.55,
                labels=_PRIMARY,
                noise=0.01,
                bumps=(Bump(at=0.1, lasts=0.8, level=1.7, is_gradual=True),),
            ),
            Signal(metric=_HITS, level=900, labels=_PRIMARY, noise=0.1),
            Signal(
                metric=_MISSES,
                level=70,
                labels=_PRIMARY,
                noise=0.2,
                bumps=(Bump(at=0.75, lasts=0.25, level=6, is_gradual=True),),
            ),
            Signal(
                metric=_EVICTED,
                level=0.00001,
                labels=_PRIMARY,
                bumps=(Bump(at=0.6, lasts=0.4, level=180_000, is_gradual=True),),
            ),
            Signal(metric=_REFUSED, level=0.0, labels=_PRIMARY),
            Signal(metric=_CPU, level=0.22, labels={**_PRIMARY, "space": "user"}, noise=0.1, bumps=(_RUSH,)),
            Signal(metric=_CPU, level=0.08, labels={**_PRIMARY, "space": "sys"}, noise=0.1, bumps=(_RUSH,)),
            Signal(metric=_CLIENTS, level=64, labels=_PRIMARY, noise=0.06, bumps=(_RUSH,)),
            _commands("get", 800),
            _commands("set", 150),
            _commands("expire", 90),
            _commands("incr", 30),
        ),
    ),
    cases=(
        Case(
            alert="redis-memory",
            says="it fills up",
            given=Points(_SYSTEM, "0.7+0.01x20 0.9x20", _PRIMARY),
            open_at=("30m",),
            silent_at=("15m",),
            tells={"email": 1},
        ),
        Case(alert="redis-memory", says="it stays at 78 %", given=Points(_SYSTEM, "0.78x40", _PRIMARY)),
        Case(
            alert="redis-cpu",
            says="the main thread is busy",
            given=(
                Points(_CPU, "20x9 40x20", {**_PRIMARY, "space": "user"}),
                Points(_CPU, "5x9 15x20", {**_PRIMARY, "space": "sys"}),
            ),
            open_at=("25m",),
            silent_at=("10m",),
            tells={"email": 1},
        ),
        Case(
            alert="redis-cpu",
            says="for two minutes",
            given=Points(_CPU, "20x9 55x1 20x20", {**_PRIMARY, "space": "user"}),
        ),
        Case(
            alert="redis-refused",
            says="connections are refused",
            given=Points(_REFUSED, "0x9 5x9 0x20", _PRIMARY),
            opens="10m",
            closes="24m",
            within="2m",
            tells={"slack": 1},
        ),
        Case(alert="redis-refused", says="three are, at a deployment", given=Points(_REFUSED, "0x9 3 0x30", _PRIMARY)),
    ),
)
