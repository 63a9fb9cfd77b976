"""Cloud CDN: does the cache answer, or does everything go through to the backends."""

from __future__ import annotations

from typing import ClassVar, Final

from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, Plot
from obskit.packs.cases import Case, Points
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alarm, alert, card, cards, chart, charts, only, percent
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import Query, google, growth, matches, percentile, rate, share
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_REQUESTS: Final = google("loadbalancing.googleapis.com/https/request_count")
_BYTES: Final = google("loadbalancing.googleapis.com/https/response_bytes_count")
_LATENCIES: Final = google("loadbalancing.googleapis.com/https/total_latencies")
_HITS: Final = "HIT|PARTIAL_HIT|REVALIDATED|STALE_HIT"
# What cannot be cached has DISABLED, and says nothing of the cache.
_CACHEABLE: Final = f"{_HITS}|MISS|PARTIAL_MISS"
_BY: Final = "url_map_name"
_LEGEND: Final = "${labels.url_map_name}"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        url_map: only this load balancer; every one by itself when empty.
        hit_rate: share of the cacheable requests that the cache answers.
        least: so many cacheable requests an hour are too few to tell.
    """

    noun: ClassVar[str] = "settings of pack cloud-cdn"

    url_map: str = given(as_text, default="")
    hit_rate: float = given(as_share, default=0.5)
    least: float = given(as_positive, default=1000)


def _make(settings: Settings) -> Objects:
    where = only(_BY, settings.url_map)
    cold = _cold(settings)
    by_result = rate(_REQUESTS, where=where, by="cache_result", window="5m")
    dashboard = Dashboard(
        id="cloud-cdn",
        display_name="Cloud CDN",
        rows=(
            cards(
                card("Cache hit rate", _hit_rate(settings, "10m"), unit=PERCENT, limits=(alarm(cold),)),
                card("Requests", rate(_REQUESTS, where=where, window="5m"), unit="1/s"),
                card("Bytes sent", rate(_BYTES, where=where, window="5m"), unit="By/s"),
                policies=(cold,),
            ),
            charts(
                chart(
                    "Cache hit rate",
                    {
                        f"last hour {_LEGEND}": _hit_rate(settings, "1h", _BY),
                        f"last 10 min {_LEGEND}": _hit_rate(settings, "10m", _BY),
                    },
                    unit=PERCENT,
                    label="share of the cacheable requests",
                    limits=[cold],
                ),
                chart(
                    "Latency by what the cache did, p95",
                    {"${labels.cache_result}": percentile(95, _LATENCIES, where=where, by="cache_result", window="5m")},
                    unit="ms",
                    label="milliseconds",
                ),
            ),
            charts(
                chart(
                    "Requests by what the cache did",
                    {"${labels.cache_result}": by_result},
                    unit="1/s",
                    label="requests per second",
                    plot=Plot.STACKED_AREA,
                ),
                chart(
                    "Bytes by what the cache did",
                    {"${labels.cache_result}": rate(_BYTES, where=where, by="cache_result", window="5m")},
                    unit="By/s",
                    label="bytes per second",
                    plot=Plot.STACKED_AREA,
                ),
            ),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=(cold,))


def _requests(settings: Settings, results: str, window: str, *by: str) -> Query:
    where: Labels = {**only(_BY, settings.url_map), "cache_result": matches(results)}
    return growth(_REQUESTS, where=where, by=by, window=window)


def _hit_rate(settings: Settings, window: str, *by: str) -> Query:
    return share(_requests(settings, _HITS, window, *by), _requests(settings, _CACHEABLE, window, *by))


def _cold(settings: Settings) -> AlertPolicy:
    many = _requests(settings, _CACHEABLE, "1h", _BY)
    return alert(
        "cdn-hit-rate",
        "CDN: cache hit rate",
        (_hit_rate(settings, "1h", _BY) < settings.hit_rate).when(many > settings.least),
        to=settings.receivers.team,
        for_="15m",
        condition=f"below {percent(settings.hit_rate)}",
        means=f"Less than {percent(settings.hit_rate)} of the cacheable requests are answered by the cache. Users "
        "wait longer, and the backends have more to do.",
        looks=(
            "The last deployment: new `Cache-Control` or `Vary` headers, a cookie on every response, new file names?",
            "The *cloud-cdn* dashboard: did it fall at once (a purge, a deployment) or slowly (more distinct URLs)?",
            "Query strings that differ from user to user: leave them out of the cache key.",
        ),
        auto_close="1d",
    )


_AT: Final = {"url_map_name": "shop", "response_code_class": "200"}
_HIT: Final = {**_AT, "cache_result": "HIT"}
_MISS: Final = {**_AT, "cache_result": "MISS"}
_OFF: Final = {**_AT, "cache_result": "DISABLED"}


def _signals(labels: dict[str, str], a_second: float, median: float, *bumps: Bump) -> tuple[Signal, ...]:
    return (
        Signal(metric=_REQUESTS, level=a_second, labels=labels, swing=0.3, noise=0.08, bumps=bumps),
        Signal(metric=_BYTES, level=a_second * 42_000, labels=labels, swing=0.3, noise=0.1, bumps=bumps),
        Signal(metric=_LATENCIES, level=a_second, labels=labels, median=median, bumps=bumps),
    )


PACK: Final = Pack(
    name="cloud-cdn",
    title="Cloud CDN",
    summary="The cache hit rate, and what misses cost users and backends.",
    needs=("loadbalancing.googleapis.com",),
    logs='resource.type="http_load_balancer" AND httpRequest.cacheLookup=true AND NOT httpRequest.cacheHit=true',
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="A deployment gives every file a cookie, and the cache answers only half as often.",
        signals=(
            *_signals(_HIT, 60, 12, Bump(at=0.65, lasts=0.02, level=0.45, is_gradual=True)),
            *_signals(_MISS, 7, 130, Bump(at=0.65, lasts=0.02, level=5.7, is_gradual=True)),
            *_signals(_OFF, 9, 150),
        ),
    ),
    cases=(
        Case(
            alert="cdn-hit-rate",
            says="a deployment ends the cache",
            given=(Points(_REQUESTS, "80x60 20x120", _HIT), Points(_REQUESTS, "20x60 80x120", _MISS)),
            open_at=("2h30m",),
            silent_at=("59m",),
            tells={"slack": 1},
        ),
        Case(
            alert="cdn-hit-rate",
            says="most requests cannot be cached at all",
            given=(
                Points(_REQUESTS, "40x120", _HIT),
                Points(_REQUESTS, "10x120", _MISS),
                Points(_REQUESTS, "500x120", _OFF),
            ),
        ),
        Case(
            alert="cdn-hit-rate",
            says="a few misses of a quiet night",
            given=(Points(_REQUESTS, "1x120", _HIT), Points(_REQUESTS, "9x120", _MISS)),
        ),
    ),
)
