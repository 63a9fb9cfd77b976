"""Pub/Sub: are messages delivered in time, acknowledged, given up, and can they be published."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.dashboards import Dashboard, Plot
from obskit.packs.cases import Case, Points
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, warning
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import differs, google, highest, increase, over_time, percentile, rate, ratio, share
from obskit.queries.definitions import as_number, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_OLDEST: Final = google("pubsub.googleapis.com/subscription/oldest_unacked_message_age")
_WAITING: Final = google("pubsub.googleapis.com/subscription/num_undelivered_messages")
_DEAD: Final = google("pubsub.googleapis.com/subscription/dead_letter_message_count")
_EXPIRED: Final = google("pubsub.googleapis.com/subscription/expired_ack_deadlines_count")
_ACKS: Final = google("pubsub.googleapis.com/subscription/ack_latencies")
_SENT: Final = google("pubsub.googleapis.com/subscription/sent_message_count")
_PUSHES: Final = google("pubsub.googleapis.com/subscription/push_request_count")
_PUBLISHED: Final = google("pubsub.googleapis.com/topic/send_request_count")
_BY: Final = "subscription_id"
_LEGEND: Final = "${labels.subscription_id}"
_TOPIC: Final = "${labels.topic_id}"
# Source: the descriptions of the two metrics' label response_class.
_REFUSED: Final = differs("ack")
_UNPUBLISHED: Final = differs("success")


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        subscription: only this one; every subscription by itself when empty.
        age: how old the oldest message that nobody has acknowledged may be.
        failed: share of the pushes, and of the requests to publish, that may fail.
        least_requests: so many of them in 5 minutes are too few to judge by.
        dead_letters: so many dead letters within 10 minutes are no alert.
    """

    noun: ClassVar[str] = "settings of pack pubsub"

    subscription: str = given(as_text, default="")
    age: DurationLike = given(as_duration, default=timedelta(minutes=10))
    failed: float = given(as_share, default=0.1)
    least_requests: float = given(as_number, default=20)
    dead_letters: float = given(as_number, default=0)


def _make(settings: Settings) -> Objects:
    where: Labels = {"subscription_id": settings.subscription} if settings.subscription else {}
    refused: Labels = {**where, "response_class": _REFUSED}
    to = settings.receivers
    age = over_time(_OLDEST, "max", where=where, by=_BY, window="2m")
    dead = increase(_DEAD, where=where, by=_BY, window="10m")
    pushes = increase(_PUSHES, where=where, by=_BY, window="5m")
    bad_pushes = increase(_PUSHES, where=refused, by=_BY, window="5m")
    publishes = increase(_PUBLISHED, by="topic_id", window="5m")
    unpublished = increase(_PUBLISHED, where={"response_class": _UNPUBLISHED}, by="topic_id", window="5m")
    stuck = alert(
        "pubsub-stuck",
        "Messages wait",
        age > whole_seconds(settings.age),
        to=to.page,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"oldest message older than {shown_duration(settings.age)}",
        means=f"A message has waited for {shown_duration(settings.age)} without being acknowledged. The subscriber is "
        "down, too slow, or fails at this message; after the retention time, 7 days by default, messages are lost.",
        looks=(
            "The *pubsub* dashboard: does the backlog grow (too slow, or down), or only the age (one bad message)?",
            "The subscriber: are there instances, do they log errors, since which deployment?",
            "A message that fails again and again: a dead-letter topic takes it out of the way.",
        ),
    )
    pushing = alert(
        "pubsub-push-failing",
        "Pushes fail",
        (ratio(bad_pushes, pushes) > settings.failed).when(pushes >= settings.least_requests),
        to=to.team,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"more than {settings.failed * 100:g} % of the pushes fail",
        means=f"More than {settings.failed * 100:g} % of a subscription's pushes are refused or not answered in time. "
        "Pub/Sub slows its pushes down and tries again.",
        looks=(
            (
                "The *pubsub* dashboard, pushes by answer: `remote_server_5xx` and `deadline_exceeded` are the "
                "endpoint, `remote_server_4xx` its authentication or path."
            ),
            "The endpoint's traces and error groups of these minutes.",
            "The endpoint's last deployment, and the role `run.invoker` of the push service account.",
        ),
    )
    letters = alert(
        "pubsub-dead-letters",
        "Dead letters",
        dead > settings.dead_letters,
        to=to.team,
        means="Pub/Sub has given up messages after the last delivery attempt and put them into the dead-letter topic. "
        "What they ask for is not done.",
        condition=f"more than {settings.dead_letters:g} in 10 minutes",
        looks=(
            (
                "One of them: `gcloud pubsub subscriptions pull` of the dead-letter subscription; its attributes name "
                "the subscription and the number of attempts."
            ),
            "The subscriber's errors with that message's trace.",
            "Is there a subscription on the dead-letter topic at all? Without one, they are lost.",
        ),
        auto_close="1h",
    )
    publishing = alert(
        "pubsub-publish-failing",
        "Publishing fails",
        (ratio(unpublished, publishes) > settings.failed).when(publishes >= settings.least_requests),
        to=to.page,
        for_="2m",
        severity=Severity.CRITICAL,
        condition=f"more than {settings.failed * 100:g} % of the requests fail",
        means=f"More than {settings.failed * 100:g} % of the requests to publish to a topic fail. What is not tried "
        "again is lost.",
        looks=(
            (
                "The label `response_code` in the *pubsub* dashboard: `permission_denied`, `not_found`, "
                "`resource_exhausted` (a quota) or `invalid_argument` (a schema)."
            ),
            "The publisher's logs: does it try again, or does it lose messages?",
            "Google Cloud's status page, if it is `internal` or `unavailable`.",
        ),
    )
    alerts = (stuck, publishing, pushing, letters)
    waiting = over_time(_WAITING, "max", where=where, by=_BY, window="2m")
    dashboard = Dashboard(
        id="pubsub",
        display_name="Pub/Sub",
        rows=(
            cards(
                card("Oldest message", highest(age), unit="s", limits=(stuck,)),
                card("Largest backlog", highest(waiting), unit="1"),
                card(
                    "Failed publishing",
                    share(
                        increase(_PUBLISHED, where={"response_class": _UNPUBLISHED}, window="5m"),
                        increase(_PUBLISHED, window="5m"),
                    ),
                    unit=PERCENT,
                    limits=(publishing, warning(0.01)),
                ),
                card(
                    "Dead letters, 10 min",
                    increase(_DEAD, where=where, window="10m").otherwise(0),
                    unit="1",
                    limits=(letters,),
                ),
                policies=alerts,
            ),
            charts(
                chart("Age of the oldest message", {_LEGEND: age}, unit="s", label="seconds", limits=[stuck]),
                chart("Messages that wait", {_LEGEND: waiting}, unit="1", label="messages"),
            ),
            charts(
                chart(
                    "Time until acknowledged, p95",
                    {_LEGEND: percentile(95, _ACKS, where=where, by=_BY, window="5m") / 1000},
                    unit="s",
                    label="seconds",
                ),
                chart(
                    "Pushes by answer",
                    {
                        f"{_LEGEND} ${{labels.response_class}}": rate(
                            _PUSHES, where=where, by=(_BY, "response_class"), window="2m"
                        )
                    },
                    unit="1/s",
                    label="pushes per second",
                    plot=Plot.STACKED_AREA,
                ),
                chart(
                    "Deadlines missed, dead letters",
                    {
                        f"deadlines {_LEGEND}": increase(_EXPIRED, where=where, by=_BY, window="1m"),
                        f"dead letters {_LEGEND}": increase(_DEAD, where=where, by=_BY, window="1m"),
                    },
                    unit="1",
                    label="messages per minute",
                    plot=Plot.STACKED_BAR,
                ),
            ),
            charts(
                chart(
                    "Requests to publish",
                    {_TOPIC: rate(_PUBLISHED, by="topic_id", window="2m")},
                    unit="1/s",
                    label="requests per second",
                ),
                chart(
                    "Failed requests to publish",
                    {
                        f"{_TOPIC} ${{labels.response_code}}": increase(
                            _PUBLISHED,
                            where={"response_class": _UNPUBLISHED},
                            by=("topic_id", "response_code"),
                            window="1m",
                        )
                    },
                    unit="1",
                    label="requests per minute",
                    plot=Plot.STACKED_BAR,
                ),
                chart(
                    "Messages delivered",
                    {_LEGEND: rate(_SENT, where=where, by=_BY, window="2m")},
                    unit="1/s",
                    label="messages per second",
                ),
            ),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


_MAIL: Final = {"subscription_id": "orders-mail"}
_STATS: Final = {"subscription_id": "orders-stats"}
_ORDERS: Final = {"topic_id": "orders"}
_PUSH: Final = {"delivery_type": "push"}
_DOWN: Final = Bump(at=0.6, lasts=0.2, level=30.0)
_OK: Final = {"response_class": "ack", "response_code": "success", "delivery_type": "push"}
_UNAVAILABLE: Final = {
    "response_class": "remote_server_5xx",
    "response_code": "remote_server_503",
    "delivery_type": "push",
}
_WENT: Final = {"response_class": "success", "response_code": "success"}
_DENIED: Final = {"response_class": "invalid", "response_code": "permission_denied"}

PACK: Final = Pack(
    name="pubsub",
    title="Pub/Sub",
    summary="Age of the oldest message, failed pushes, dead letters and failed publishing.",
    needs=("pubsub.googleapis.com",),
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="The service that sends mail is down for an hour; its messages wait, and some become dead letters.",
        signals=(
            Signal(metric=_OLDEST, level=2, labels=_MAIL, noise=0.5, bumps=(Bump(at=0.6, lasts=0.22, level=900.0),)),
            Signal(metric=_OLDEST, level=5, labels=_STATS, noise=0.5),
            Signal(metric=_WAITING, level=20, labels=_MAIL, noise=0.4, bumps=(Bump(at=0.6, lasts=0.22, level=600.0),)),
            Signal(metric=_WAITING, level=60, labels=_STATS, noise=0.4),
            Signal(
                metric=_ACKS, level=8, labels={**_MAIL, **_PUSH}, median=180, bumps=(Bump(at=0.6, lasts=0.22, size=20),)
            ),
            Signal(metric=_ACKS, level=8, labels={**_STATS, "delivery_type": "streaming_pull"}, median=60),
            Signal(metric=_SENT, level=8, labels={**_MAIL, **_PUSH}, swing=0.3),
            Signal(metric=_SENT, level=8, labels={**_STATS, "delivery_type": "streaming_pull"}, swing=0.3),
            Signal(
                metric=_PUSHES, level=8, labels={**_MAIL, **_OK}, swing=0.3, bumps=(Bump(at=0.6, lasts=0.2, level=0.1),)
            ),
            Signal(metric=_PUSHES, level=0.1, labels={**_MAIL, **_UNAVAILABLE}, bumps=(_DOWN,)),
            Signal(metric=_EXPIRED, level=0.01, labels={**_MAIL, **_PUSH}, bumps=(_DOWN,)),
            Signal(
                metric=_DEAD,
                level=0.001,
                labels={**_MAIL, "response_code": "success"},
                bumps=(Bump(at=0.68, lasts=0.14, level=250.0),),
            ),
            Signal(metric=_PUBLISHED, level=8, labels={**_ORDERS, **_WENT}, swing=0.3),
            Signal(metric=_PUBLISHED, level=0.004, labels={**_ORDERS, **_DENIED}, noise=0.8),
        ),
    ),
    cases=(
        Case(
            alert="pubsub-stuck",
            says="the subscriber is down",
            given=Points(_OLDEST, "2x10 60+60x40", _MAIL),
            opens="26m",
            within="2m",
            labels={"subscription_id": "orders-mail"},
            tells={"pagerduty": 1},
        ),
        Case(alert="pubsub-stuck", says="a backlog of nine minutes", given=Points(_OLDEST, "2x10 60+60x8 2x20", _MAIL)),
        Case(
            alert="pubsub-push-failing",
            says="half of the pushes fail",
            given=(
                Points(_PUSHES, "60x10 30x30", {**_MAIL, **_OK}),
                Points(_PUSHES, "0x10 30x30", {**_MAIL, **_UNAVAILABLE}),
            ),
            opens="16m",
            within="2m",
            labels={"subscription_id": "orders-mail"},
        ),
        Case(
            alert="pubsub-push-failing",
            says="one push in twenty fails",
            given=(Points(_PUSHES, "57x40", {**_MAIL, **_OK}), Points(_PUSHES, "3x40", {**_MAIL, **_UNAVAILABLE})),
        ),
        Case(
            alert="pubsub-dead-letters",
            says="three messages are given up",
            given=Points(_DEAD, "0x10 1 0 2 0x30", {**_MAIL, "response_code": "success"}),
            opens="10m",
            closes="22m",
            within="2m",
            tells={"slack": 1},
        ),
        Case(
            alert="pubsub-dead-letters",
            says="none is",
            given=Points(_DEAD, "0x40", {**_MAIL, "response_code": "success"}),
        ),
        Case(
            alert="pubsub-publish-failing",
            says="the publisher loses its role",
            given=(
                Points(_PUBLISHED, "60x10 0x20", {**_ORDERS, **_WENT}),
                Points(_PUBLISHED, "0x10 60x20", {**_ORDERS, **_DENIED}),
            ),
            opens="12m30s",
            within="2m",
            labels={"topic_id": "orders"},
        ),
        Case(
            alert="pubsub-publish-failing",
            says="a test publishes without a role, ten times",
            given=(
                Points(_PUBLISHED, "0x40", {**_ORDERS, **_WENT}),
                Points(_PUBLISHED, "0x10 1x10 0x20", {**_ORDERS, **_DENIED}),
            ),
        ),
    ),
)
