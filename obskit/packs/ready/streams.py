"""Server-Sent Events and other streams: does the first piece come soon, do streams break, how many are open."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.catalog import AI_TIME_TO_FIRST_CHUNK, HTTP_SERVER_DURATION
from obskit.dashboards import Dashboard, Plot, Row, Scorecard
from obskit.packs.cases import Case, Sizes
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, line, more_than, only, percent
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import Query, growth, highest, matches, percentile, share
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import LabelList, Labels, query, select

__all__ = ["PACK", "Settings"]

_ROUTE: Final = "http.route"
_LEGEND: Final = "${labels.http_route}"
_MODEL: Final = "gen_ai.request.model"
# Any error but `client_disconnected`: that users close a page is how most streams end.
_WRONG: Final = "[^c].*|c[^l].*"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        service: only this one's streams; those of all services when empty.
        routes: regular expression of the routes that stream.
        broken: share of the streams that end in an error.
        first_piece: 95th percentile of the time from the call to a model's first piece.
        open: so many streams may be open at once.
    """

    noun: ClassVar[str] = "settings of pack streams"

    service: str = given(as_text, default="")
    routes: str = given(as_text, default=".*(stream|events|sse|chat).*")
    broken: float = given(as_share, default=0.05)
    first_piece: DurationLike = given(as_duration, default=timedelta(seconds=3))
    open: float = given(as_positive, default=1000)


def _make(settings: Settings) -> Objects:
    broken, late, crowded = alerts = (_broken(settings), _late(settings), _crowded(settings))
    dashboard = Dashboard(
        id="streams",
        display_name="Streams",
        rows=(
            cards(*_numbers(settings, broken, late, crowded), policies=alerts),
            _symptoms(settings, broken, late),
            *_causes(settings, crowded),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _own(settings: Settings) -> Labels:
    return only("service", settings.service)


def _where(settings: Settings) -> Labels:
    return {**_own(settings), _ROUTE: matches(settings.routes)}


def _wrong(settings: Settings) -> Labels:
    return {**_where(settings), "error.type": matches(_WRONG)}


def _broke(settings: Settings) -> Query:
    return growth(HTTP_SERVER_DURATION, where=_wrong(settings), by=_ROUTE, window="5m")


def _ended(settings: Settings) -> Query:
    return growth(HTTP_SERVER_DURATION, where=_where(settings), by=_ROUTE, window="5m")


def _first(settings: Settings) -> Query:
    return percentile(95, AI_TIME_TO_FIRST_CHUNK, where=_own(settings), by=_MODEL, window="5m")


def _broken(settings: Settings) -> AlertPolicy:
    return alert(
        "streams-broken",
        "Streams break",
        more_than(settings.broken, _broke(settings), of=_ended(settings), least=20),
        to=settings.receivers.team,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"more than {percent(settings.broken)} end in an error",
        means=f"More than {percent(settings.broken)} of the streams of a route end in an error. Users see half an "
        "answer, and their browsers connect again.",
        looks=(
            "The *streams* dashboard: do streams end at one and the same duration? Then something times out.",
            "That may be the platform's request timeout, a load balancer's, or a proxy that buffers: send heartbeats.",
            "*Error Reporting*: the exception within the generator, and a deployment that ended the instances.",
        ),
    )


def _late(settings: Settings) -> AlertPolicy:
    return alert(
        "streams-first-piece",
        "Streams begin late",
        _first(settings) > whole_seconds(settings.first_piece),
        to=settings.receivers.team,
        for_="5m",
        condition=f"p95 above {shown_duration(settings.first_piece)}",
        means=f"One call in twenty waits more than {shown_duration(settings.first_piece)} for the model's first piece. "
        "Users look at an empty answer.",
        looks=(
            "The *llm* dashboard: which model, and do calls wait for the guard before they are made?",
            "The prompts' size, and thinking: both come before the first piece.",
            "Does anything between the app and the user buffer? Then users wait longer than this says.",
        ),
    )


def _crowded(settings: Settings) -> AlertPolicy:
    return alert(
        "streams-open",
        "Many open streams",
        _open(_where(settings)) > settings.open,
        to=settings.receivers.mail,
        for_="10m",
        condition=f"more than {settings.open:g} at once",
        means=f"More than {settings.open:g} streams are open at once. Each holds a place in an instance, and often one "
        "in a pool of connections.",
        looks=(
            "The *streams* dashboard: more streams, or the same that last longer?",
            "Do clients that are gone end their streams, or does the app write to nobody until it times out?",
            "The instances' limit of requests at once, times their maximum number.",
        ),
    )


def _numbers(settings: Settings, broken: AlertPolicy, late: AlertPolicy, crowded: AlertPolicy) -> tuple[Scorecard, ...]:
    where = _where(settings)
    return (
        card(
            "First piece, slowest p95",
            highest(_first(settings)),
            unit="s",
            limits=(late, early(late, 0.5)),
        ),
        card(
            "Broken streams",
            share(
                growth(HTTP_SERVER_DURATION, where=_wrong(settings), window="5m"),
                growth(HTTP_SERVER_DURATION, where=where, window="5m"),
            ),
            unit=PERCENT,
            limits=(broken, early(broken, 0.2)),
        ),
        card("Open at once", _open(where), unit="1", limits=(crowded,)),
    )


def _symptoms(settings: Settings, broken: AlertPolicy, late: AlertPolicy) -> Row:
    return charts(
        chart(
            "Time to the first piece",
            {
                f"p{percent} ${{labels.gen_ai_request_model}}": percentile(
                    percent, AI_TIME_TO_FIRST_CHUNK, where=_own(settings), by=_MODEL, window="5m"
                )
                for percent in (50, 95)
            },
            unit="s",
            label="seconds",
            limits=(late,),
        ),
        chart(
            "Broken streams",
            {_LEGEND: share(_broke(settings), _ended(settings))},
            unit=PERCENT,
            label="share of the streams",
            limits=(broken, line(broken, 0.2, "target")),
        ),
    )


def _causes(settings: Settings, crowded: AlertPolicy) -> tuple[Row, ...]:
    where = _where(settings)
    return (
        charts(
            chart(
                "Open at once, of those that have ended",
                {_LEGEND: _open(where, _ROUTE)},
                unit="1",
                label="streams",
                limits=(crowded,),
            ),
            chart(
                "Duration of a stream",
                {
                    f"p{percent} {_LEGEND}": percentile(
                        percent, HTTP_SERVER_DURATION, where=where, by=_ROUTE, window="10m"
                    )
                    for percent in (50, 95)
                },
                unit="s",
                label="seconds",
            ),
            chart(
                "Streams that ended",
                {_LEGEND: growth(HTTP_SERVER_DURATION, where=where, by=_ROUTE, window="1m")},
                unit="1",
                label="in a minute",
                plot=Plot.STACKED_BAR,
            ),
        ),
    )


def _open(where: Labels, by: str = "") -> Query:
    """Return how many streams are open on average: the seconds of streams that end in a second (Little's law)."""
    seconds = select(HTTP_SERVER_DURATION, where=where, window="10m", suffix="_sum")
    head: tuple[str | LabelList, ...] = ("sum by (", LabelList((by,)), ") (") if by else ("sum(",)
    return query(*head, "rate(", seconds, "))")


_CHAT: Final = {"service": "chat", _ROUTE: "/chat/stream", "http.response.status_code": "200"}
_BROKEN: Final = {**_CHAT, "error.type": "TimeoutError"}
_CALL: Final = {"service": "chat", _MODEL: "gemini-2.5-pro"}

PACK: Final = Pack(
    name="streams",
    title="Server-Sent Events and other streams",
    summary="When the first piece comes, whether streams break, how long they last and how many are open.",
    needs=("obskit",),
    logs="severity>=WARNING AND jsonPayload.service:*",
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="A proxy with a timeout of 30 s comes into the way, and long answers break.",
        signals=(
            Signal(metric=HTTP_SERVER_DURATION, level=2.2, labels=_CHAT, median=11, spread=2.1, swing=0.3, noise=0.1),
            Signal(
                metric=HTTP_SERVER_DURATION,
                level=0.6,
                labels={**_CHAT, _ROUTE: "/events"},
                median=42,
                spread=1.3,
                noise=0.1,
            ),
            Signal(
                metric=HTTP_SERVER_DURATION,
                level=0.01,
                labels=_BROKEN,
                median=29.5,
                spread=1.01,
                noise=0.4,
                bumps=(Bump(at=0.6, lasts=0.25, level=32),),
            ),
            Signal(metric=AI_TIME_TO_FIRST_CHUNK, level=2.2, labels=_CALL, median=0.55, spread=1.6),
            Signal(metric=AI_TIME_TO_FIRST_CHUNK, level=1, labels={**_CALL, _MODEL: "gemini-2.5-flash"}, median=0.3),
        ),
    ),
    cases=(
        Case(
            alert="streams-broken",
            says="one stream in ten times out",
            given=(
                Sizes(HTTP_SERVER_DURATION, {8: "0+18x60"}, _CHAT),
                Sizes(HTTP_SERVER_DURATION, {30: "_x20 2+2x39"}, _BROKEN),
            ),
            open_at=("40m",),
            silent_at=("20m",),
            labels={"http_route": "/chat/stream"},
            tells={"slack": 1},
        ),
        Case(
            alert="streams-broken",
            says="most users close the page",
            given=(
                Sizes(HTTP_SERVER_DURATION, {8: "0+18x60"}, _CHAT),
                Sizes(HTTP_SERVER_DURATION, {30: "0+40x60"}, {**_CHAT, "error.type": "client_disconnected"}),
            ),
        ),
        Case(
            alert="streams-broken",
            says="another route fails",
            given=(
                Sizes(HTTP_SERVER_DURATION, {0.1: "0+18x60"}, {**_CHAT, _ROUTE: "/items"}),
                Sizes(HTTP_SERVER_DURATION, {0.1: "0+18x60"}, {**_BROKEN, _ROUTE: "/items"}),
            ),
        ),
        Case(
            alert="streams-broken",
            says="one stream of a quiet night breaks",
            given=(
                Sizes(HTTP_SERVER_DURATION, {8: "0+1x60"}, _CHAT),
                Sizes(HTTP_SERVER_DURATION, {30: "_x20 1x39"}, _BROKEN),
            ),
        ),
        Case(
            alert="streams-first-piece",
            says="one call in ten waits for 8 s",
            given=Sizes(AI_TIME_TO_FIRST_CHUNK, {0.5: "0+9x40", 8: "0+1x40"}, _CALL),
            open_at=("20m",),
            tells={"slack": 1},
        ),
        Case(
            alert="streams-first-piece",
            says="one call in fifty does",
            given=Sizes(AI_TIME_TO_FIRST_CHUNK, {0.5: "0+49x40", 8: "0+1x40"}, _CALL),
        ),
        Case(
            alert="streams-open",
            says="forty streams a second, each half a minute long",
            given=Sizes(HTTP_SERVER_DURATION, {30: "0+2400x60"}, _CHAT),
            open_at=("40m",),
            tells={"email": 1},
        ),
        Case(
            alert="streams-open",
            says="as many that last five seconds",
            given=Sizes(HTTP_SERVER_DURATION, {5: "0+2400x60"}, _CHAT),
        ),
    ),
)
