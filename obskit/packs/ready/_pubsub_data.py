"""Pub/Sub's metrics, made-up data of them for the dashboard, and what the alerts are tested by."""

from __future__ import annotations

from typing import Final

from obskit.packs.cases import Case, Points
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import google

__all__ = ["ACKS", "CASES", "DEAD", "EXPIRED", "OLDEST", "PUBLISHED", "PUSHES", "SCENARIO", "SENT", "WAITING"]

OLDEST: Final = google("pubsub.googleapis.com/subscription/oldest_unacked_message_age")
WAITING: Final = google("pubsub.googleapis.com/subscription/num_undelivered_messages")
DEAD: Final = google("pubsub.googleapis.com/subscription/dead_letter_message_count")
EXPIRED: Final = google("pubsub.googleapis.com/subscription/expired_ack_deadlines_count")
ACKS: Final = google("pubsub.googleapis.com/subscription/ack_latencies")
SENT: Final = google("pubsub.googleapis.com/subscription/sent_message_count")
PUSHES: Final = google("pubsub.googleapis.com/subscription/push_request_count")
PUBLISHED: Final = google("pubsub.googleapis.com/topic/send_request_count")


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


SCENARIO: Final = Scenario(
    says="The service that sends mail is down for an hour; its messages wait, and some become dead letters.",
    signals=(
        Signal(metric=OLDEST, level=2, labels=_MAIL, noise=0.5, bumps=(Bump(at=0.6, lasts=0.22, level=900.0),)),
        Signal(metric=OLDEST, level=5, labels=_STATS, noise=0.5),
        Signal(metric=WAITING, level=20, labels=_MAIL, noise=0.4, bumps=(Bump(at=0.6, lasts=0.22, level=600.0),)),
        Signal(metric=WAITING, level=60, labels=_STATS, noise=0.4),
        Signal(metric=ACKS, level=8, labels={**_MAIL, **_PUSH}, median=180, bumps=(Bump(at=0.6, lasts=0.22, size=20),)),
        Signal(metric=ACKS, level=8, labels={**_STATS, "delivery_type": "streaming_pull"}, median=60),
        Signal(metric=SENT, level=8, labels={**_MAIL, **_PUSH}, swing=0.3),
        Signal(metric=SENT, level=8, labels={**_STATS, "delivery_type": "streaming_pull"}, swing=0.3),
        Signal(metric=PUSHES, level=8, labels={**_MAIL, **_OK}, swing=0.3, bumps=(Bump(at=0.6, lasts=0.2, level=0.1),)),
        Signal(metric=PUSHES, level=0.1, labels={**_MAIL, **_UNAVAILABLE}, bumps=(_DOWN,)),
        Signal(metric=EXPIRED, level=0.01, labels={**_MAIL, **_PUSH}, bumps=(_DOWN,)),
        Signal(
            metric=DEAD,
            level=0.001,
            labels={**_MAIL, "response_code": "success"},
            bumps=(Bump(at=0.68, lasts=0.14, level=250.0),),
        ),
        Signal(metric=PUBLISHED, level=8, labels={**_ORDERS, **_WENT}, swing=0.3),
        Signal(metric=PUBLISHED, level=0.004, labels={**_ORDERS, **_DENIED}, noise=0.8),
    ),
)

CASES: Final = (
    Case(
        alert="pubsub-stuck",
        says="the subscriber is down",
        given=Points(OLDEST, "2x10 60+60x40", _MAIL),
        opens="26m",
        within="2m",
        labels={"subscription_id": "orders-mail"},
        tells={"pagerduty": 1},
    ),
    Case(alert="pubsub-stuck", says="a backlog of nine minutes", given=Points(OLDEST, "2x10 60+60x8 2x20", _MAIL)),
    Case(
        alert="pubsub-push-failing",
        says="half of the pushes fail",
        given=(
            Points(PUSHES, "60x10 30x30", {**_MAIL, **_OK}),
            Points(PUSHES, "0x10 30x30", {**_MAIL, **_UNAVAILABLE}),
        ),
        opens="16m",
        within="2m",
        labels={"subscription_id": "orders-mail"},
    ),
    Case(
        alert="pubsub-push-failing",
        says="one push in twenty fails",
        given=(Points(PUSHES, "57x40", {**_MAIL, **_OK}), Points(PUSHES, "3x40", {**_MAIL, **_UNAVAILABLE})),
    ),
    Case(
        alert="pubsub-dead-letters",
        says="three messages are given up",
        given=Points(DEAD, "0x10 1 0 2 0x30", {**_MAIL, "response_code": "success"}),
        opens="10m",
        closes="22m",
        within="2m",
        tells={"slack": 1},
    ),
    Case(
        alert="pubsub-dead-letters",
        says="messages are delivered again, none is given up",
        given=(
            Points(EXPIRED, "0x10 20x30", {**_MAIL, **_PUSH}),
            Points(DEAD, "0x40", {**_MAIL, "response_code": "success"}),
        ),
    ),
    Case(
        alert="pubsub-publish-failing",
        says="the publisher loses its role",
        given=(
            Points(PUBLISHED, "60x10 0x20", {**_ORDERS, **_WENT}),
            Points(PUBLISHED, "0x10 60x20", {**_ORDERS, **_DENIED}),
        ),
        opens="12m30s",
        within="2m",
        labels={"topic_id": "orders"},
    ),
    Case(
        alert="pubsub-publish-failing",
        says="a test publishes without a role, ten times",
        given=(
            Points(PUBLISHED, "0x40", {**_ORDERS, **_WENT}),
            Points(PUBLISHED, "0x10 1x10 0x20", {**_ORDERS, **_DENIED}),
        ),
    ),
)
