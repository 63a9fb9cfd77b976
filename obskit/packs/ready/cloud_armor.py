"""Cloud Armor: what its rules turn away, and whether that is an attack or our own users."""

from __future__ import annotations

from typing import ClassVar, Final

from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, LogsPanel, Plot, Row, Scorecard
from obskit.packs.cases import Case, Points
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, only, percent
from obskit.packs.scenarios import Bump, LogLine, Scenario, Signal
from obskit.queries import Query, google, growth, rate, share
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_REQUESTS: Final = google("networksecurity.googleapis.com/https/request_count")
_PREVIEWED: Final = google("networksecurity.googleapis.com/https/previewed_request_count")
_DENIALS: Final = 'jsonPayload.enforcedSecurityPolicy.outcome="DENY"'
_BY: Final = "policy_name"
_LEGEND: Final = "${labels.policy_name}"
_BLOCKED: Final[Labels] = {"blocked": "true"}


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        policy: only this security policy; every one by itself when empty.
        blocked: share of the requests that are turned away.
        least: so many blocked requests in five minutes are no alert.
    """

    noun: ClassVar[str] = "settings of pack cloud-armor"

    policy: str = given(as_text, default="")
    blocked: float = given(as_share, default=0.2)
    least: float = given(as_positive, default=100)


def _make(settings: Settings) -> Objects:
    attack = _attack(settings)
    dashboard = Dashboard(
        id="cloud-armor",
        display_name="Cloud Armor",
        rows=(
            cards(*_numbers(settings, attack), policies=(attack,)),
            _symptoms(settings, attack),
            *_causes(settings),
            LogsPanel(title="Blocked requests", filter=_DENIALS, height=12),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=(attack,))


def _where(settings: Settings) -> Labels:
    return only(_BY, settings.policy)


def _blocked(settings: Settings) -> Query:
    return growth(_REQUESTS, where={**_where(settings), **_BLOCKED}, by=_BY, window="5m")


def _every(settings: Settings) -> Query:
    return growth(_REQUESTS, where=_where(settings), by=_BY, window="5m")


def _attack(settings: Settings) -> AlertPolicy:
    blocked = _blocked(settings)
    return alert(
        "armor-blocked",
        "Cloud Armor: many requests blocked",
        (blocked / _every(settings) > settings.blocked).when(blocked > settings.least),
        to=settings.receivers.team,
        for_="5m",
        condition=f"more than {percent(settings.blocked)} blocked",
        means=f"A security policy turns away more than {percent(settings.blocked)} of the requests: an attack, a "
        "scanner, or a rule that hits our own users.",
        looks=(
            "The *cloud-armor* dashboard: more requests than usual (an attack), or the same (a rule)?",
            "Its log, `enforcedSecurityPolicy.priority`: which rule, which addresses, which paths?",
            "A rule that was changed lately: set it back to preview, and look at what it would have blocked.",
        ),
    )


def _numbers(settings: Settings, attack: AlertPolicy) -> tuple[Scorecard, ...]:
    where = _where(settings)
    return (
        card(
            "Blocked",
            share(
                growth(_REQUESTS, where={**where, **_BLOCKED}, window="5m"),
                growth(_REQUESTS, where=where, window="5m"),
            ),
            unit=PERCENT,
            limits=(attack,),
        ),
        card("Requests", rate(_REQUESTS, where=where, window="5m"), unit="1/s"),
        card(
            "Blocked, last 24 h",
            growth(_REQUESTS, where={**where, **_BLOCKED}, window="1d").otherwise(0),
            unit="1",
            spark=None,
        ),
    )


def _symptoms(settings: Settings, attack: AlertPolicy) -> Row:
    return charts(
        chart(
            "Blocked, share of requests",
            {_LEGEND: share(_blocked(settings), _every(settings))},
            unit=PERCENT,
            label="share of the requests",
            limits=(attack,),
        ),
        chart(
            "Requests: passed and blocked",
            {"blocked ${labels.blocked}": rate(_REQUESTS, where=_where(settings), by="blocked", window="5m")},
            unit="1/s",
            label="requests per second",
            plot=Plot.STACKED_AREA,
        ),
    )


def _causes(settings: Settings) -> tuple[Row, ...]:
    where = _where(settings)
    return (
        charts(
            chart(
                "Blocked by backend",
                {
                    "${labels.backend_target_name}": rate(
                        _REQUESTS, where={**where, **_BLOCKED}, by="backend_target_name", window="5m"
                    )
                },
                unit="1/s",
                label="requests per second",
                plot=Plot.STACKED_BAR,
            ),
            chart(
                "What rules in preview would block",
                {_LEGEND: rate(_PREVIEWED, where={**where, **_BLOCKED}, by=_BY, window="5m")},
                unit="1/s",
                label="requests per second",
            ),
        ),
    )


_AT: Final = {"policy_name": "shop-edge", "backend_target_name": "shop-api"}
_PASSED: Final = {**_AT, "blocked": "false"}
_DENIED: Final = {**_AT, "blocked": "true"}


def _turned_away(path: str, at: tuple[float, ...]) -> LogLine:
    outcome = {"name": "shop-edge", "outcome": "DENY", "configuredAction": "RATE_BASED_BAN", "priority": 100}
    return LogLine(
        entry={
            "logName": "projects/gallery/logs/requests",
            "severity": "WARNING",
            "resource": {"type": "http_load_balancer", "labels": {"backend_service_name": "shop-api"}},
            "httpRequest": {"requestMethod": "POST", "requestUrl": path, "status": 429, "remoteIp": "198.51.100.7"},
            "jsonPayload": {"enforcedSecurityPolicy": outcome, "statusDetails": "denied_by_security_policy"},
        },
        at=at,
    )


PACK: Final = Pack(
    name="cloud-armor",
    title="Cloud Armor",
    summary="Requests that security policies turn away, and those that rules in preview would.",
    needs=("networksecurity.googleapis.com",),
    logs=_DENIALS,
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="A scanner tries logins for half an hour; the rate limit turns it away.",
        signals=(
            Signal(metric=_REQUESTS, level=45, labels=_PASSED, swing=0.3, noise=0.08),
            Signal(metric=_REQUESTS, level=0.5, labels=_DENIED, noise=0.5, bumps=(Bump(at=0.6, lasts=0.1, level=90),)),
            Signal(metric=_PREVIEWED, level=0.2, labels=_DENIED, noise=0.5, bumps=(Bump(at=0.6, lasts=0.1, level=20),)),
        ),
        logs=(_turned_away("/login", (0.605, 0.615, 0.625, 0.635)), _turned_away("/wp-login.php", (0.61, 0.62, 0.63))),
    ),
    cases=(
        Case(
            alert="armor-blocked",
            says="a scanner for a quarter of an hour",
            given=(Points(_REQUESTS, "600x60", _PASSED), Points(_REQUESTS, "_x10 300x15 5x30", _DENIED)),
            open_at=("20m",),
            silent_at=("9m", "45m"),
            labels={"policy_name": "shop-edge"},
            tells={"slack": 1},
        ),
        Case(
            alert="armor-blocked",
            says="one in twenty is blocked, as always",
            given=(Points(_REQUESTS, "950x40", _PASSED), Points(_REQUESTS, "50x40", _DENIED)),
        ),
        Case(
            alert="armor-blocked",
            says="half of a few requests",
            given=(Points(_REQUESTS, "5x40", _PASSED), Points(_REQUESTS, "5x40", _DENIED)),
        ),
    ),
)
