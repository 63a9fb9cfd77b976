"""Pub/Sub: are messages delivered in time, acknowledged, given up, and can they be published."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, Plot, Row, Scorecard
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, more_than, only, percent
from obskit.packs.ready._pubsub_data import (
    ACKS,
    CASES,
    DEAD,
    EXPIRED,
    OLDEST,
    PUBLISHED,
    PUSHES,
    SCENARIO,
    SENT,
    WAITING,
)
from obskit.queries import Query, differs, highest, increase, over_time, percentile, rate, share
from obskit.queries.definitions import as_number, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

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
    stuck, publishing, pushing, letters = alerts = (
        _stuck(settings),
        _publishing(settings),
        _pushing(settings),
        _letters(settings),
    )
    dashboard = Dashboard(
        id="pubsub",
        display_name="Pub/Sub",
        rows=(
            cards(*_numbers(settings, stuck, publishing, letters), policies=alerts),
            _symptoms(settings, stuck, publishing, pushing),
            _deliveries(settings),
            _publishers(settings),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _where(settings: Settings) -> Labels:
    return only(_BY, settings.subscription)


def _age(settings: Settings) -> Query:
    return over_time(OLDEST, "max", where=_where(settings), by=_BY, window="2m")


def _waiting(settings: Settings) -> Query:
    return over_time(WAITING, "max", where=_where(settings), by=_BY, window="2m")


def _pushes(settings: Settings) -> Query:
    return increase(PUSHES, where=_where(settings), by=_BY, window="5m")


def _unpushed(settings: Settings) -> Query:
    return increase(PUSHES, where={**_where(settings), "response_class": _REFUSED}, by=_BY, window="5m")


def _publishes() -> Query:
    return increase(PUBLISHED, by="topic_id", window="5m")


def _unpublished() -> Query:
    return increase(PUBLISHED, where={"response_class": _UNPUBLISHED}, by="topic_id", window="5m")


def _stuck(settings: Settings) -> AlertPolicy:
    return alert(
        "pubsub-stuck",
        "Messages wait",
        _age(settings) > whole_seconds(settings.age),
        to=settings.receivers.page,
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


def _pushing(settings: Settings) -> AlertPolicy:
    return alert(
        "pubsub-push-failing",
        "Pushes fail",
        more_than(settings.failed, _unpushed(settings), of=_pushes(settings), least=settings.least_requests),
        to=settings.receivers.team,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"more than {percent(settings.failed)} of the pushes fail",
        means=f"More than {percent(settings.failed)} of a subscription's pushes are refused or not answered in time. "
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


def _letters(settings: Settings) -> AlertPolicy:
    dead = increase(DEAD, where=_where(settings), by=_BY, window="10m")
    return alert(
        "pubsub-dead-letters",
        "Dead letters",
        dead > settings.dead_letters,
        to=settings.receivers.team,
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


def _publishing(settings: Settings) -> AlertPolicy:
    return alert(
        "pubsub-publish-failing",
        "Publishing fails",
        more_than(settings.failed, _unpublished(), of=_publishes(), least=settings.least_requests),
        to=settings.receivers.page,
        for_="2m",
        severity=Severity.CRITICAL,
        condition=f"more than {percent(settings.failed)} of the requests fail",
        means=f"More than {percent(settings.failed)} of the requests to publish to a topic fail. What is not tried "
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


def _numbers(
    settings: Settings, stuck: AlertPolicy, publishing: AlertPolicy, letters: AlertPolicy
) -> tuple[Scorecard, ...]:
    where = _where(settings)
    return (
        card("Oldest message", highest(_age(settings)), unit="s", limits=(stuck,)),
        card("Largest backlog", highest(_waiting(settings)), unit="1"),
        card(
            "Failed publishing",
            share(
                increase(PUBLISHED, where={"response_class": _UNPUBLISHED}, window="5m"),
                increase(PUBLISHED, window="5m"),
            ),
            unit=PERCENT,
            limits=(publishing, early(publishing, 0.1)),
        ),
        card(
            "Dead letters, 10 min",
            increase(DEAD, where=where, window="10m").otherwise(0),
            unit="1",
            limits=(letters,),
        ),
    )


def _symptoms(settings: Settings, stuck: AlertPolicy, publishing: AlertPolicy, pushing: AlertPolicy) -> Row:
    return charts(
        chart("Age of the oldest message", {_LEGEND: _age(settings)}, unit="s", label="seconds", limits=[stuck]),
        chart(
            "Failed publishing",
            {_TOPIC: share(_unpublished(), _publishes())},
            unit=PERCENT,
            label="share of the requests",
            limits=[publishing],
        ),
        chart(
            "Failed pushes",
            {_LEGEND: share(_unpushed(settings), _pushes(settings))},
            unit=PERCENT,
            label="share of the pushes",
            limits=[pushing],
        ),
    )


def _deliveries(settings: Settings) -> Row:
    where = _where(settings)
    return charts(
        chart("Messages that wait", {_LEGEND: _waiting(settings)}, unit="1", label="messages"),
        chart(
            "Time until acknowledged, p95",
            {_LEGEND: percentile(95, ACKS, where=where, by=_BY, window="5m") / 1000},
            unit="s",
            label="seconds",
        ),
        chart(
            "Pushes by answer",
            {
                f"{_LEGEND} ${{labels.response_class}}": rate(
                    PUSHES, where=where, by=(_BY, "response_class"), window="2m"
                )
            },
            unit="1/s",
            label="pushes per second",
            plot=Plot.STACKED_AREA,
        ),
        chart(
            "Deadlines missed, dead letters",
            {
                f"deadlines {_LEGEND}": increase(EXPIRED, where=where, by=_BY, window="1m"),
                f"dead letters {_LEGEND}": increase(DEAD, where=where, by=_BY, window="1m"),
            },
            unit="1",
            label="messages per minute",
            plot=Plot.STACKED_BAR,
        ),
    )


def _publishers(settings: Settings) -> Row:
    return charts(
        chart(
            "Requests to publish",
            {_TOPIC: rate(PUBLISHED, by="topic_id", window="2m")},
            unit="1/s",
            label="requests per second",
        ),
        chart(
            "Failed requests to publish",
            {
                f"{_TOPIC} ${{labels.response_code}}": increase(
                    PUBLISHED,
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
            {_LEGEND: rate(SENT, where=_where(settings), by=_BY, window="2m")},
            unit="1/s",
            label="messages per second",
        ),
    )


PACK: Final = Pack(
    name="pubsub",
    title="Pub/Sub",
    summary="Age of the oldest message, failed pushes, dead letters and failed publishing.",
    needs=("pubsub.googleapis.com",),
    logs='resource.type=("pubsub_subscription" OR "pubsub_topic") AND severity>=WARNING',
    settings=Settings,
    make=_make,
    scenario=SCENARIO,
    cases=CASES,
)
