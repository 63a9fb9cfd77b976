"""Sentry: each error once, complete, without a secret, and without touching anything in the process."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import pytest
import sentry_sdk
from collector import Collector
from telemetry import CONFIG, report, resource

from obskit.errors import ConfigError
from obskit.exporters import sentry
from obskit.signals.delivery import ERRORS, Outcome
from obskit.signals.raised import Raised, detached
from obskit.signals.redaction import Redactor

SECRET = "AIzaSyA-1234567890abcdefghijklmnopqrstuv"


def dsn(collector: Collector) -> str:
    return collector.url.replace("http://", "http://public@") + "/7"


@pytest.fixture
def destination(collector: Collector) -> sentry.SentryDestination:
    return sentry.create(CONFIG.but(sentry_dsn=dsn(collector)), resource())


def events(collector: Collector) -> list[dict[str, Any]]:
    return [json.loads(body.split(b"\n")[2]) for body in collector.bodies]


def an_error() -> tuple[Raised, ...]:
    redactor = Redactor()
    try:
        api_key = SECRET
        raise ValueError(f"refused, key={api_key}")
    except ValueError as error:
        return detached(error, lambda each: redactor.text(str(each)))


def test_an_event_is_complete(collector: Collector, destination: sentry.SentryDestination) -> None:
    """The event has the exception with its frames, the request, the user, the release and the trace."""
    assert destination.export_errors([report(raised=an_error())], 5.0) == Outcome(delivered=1)
    (event,) = events(collector)
    (value,) = event["exception"]["values"]
    assert collector.paths == ["/api/7/envelope/"]
    assert value["type"] == "ValueError"
    assert value["stacktrace"]["frames"][-1]["function"] == "an_error"
    assert event["request"]["url"] == "/items/3"
    assert event["user"] == {"id": "u-1"}
    assert (event["release"], event["environment"], event["tags"]["service"]) == ("7", "test", "shop")
    assert event["contexts"]["trace"]["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_no_secret_leaves(collector: Collector, destination: sentry.SentryDestination) -> None:
    """Neither the exception's text nor a local variable carries a key into the bytes that are sent."""
    destination.export_errors([report(raised=an_error())], 5.0)
    assert SECRET.encode() not in b"".join(collector.bodies)
    assert b'"vars"' not in b"".join(collector.bodies)


def test_a_message_alone(collector: Collector, destination: sentry.SentryDestination) -> None:
    """A report without an exception becomes a message event."""
    destination.export_errors([report("odd")], 5.0)
    assert events(collector)[0]["message"] == "odd"


def test_trouble(collector: Collector, destination: sentry.SentryDestination) -> None:
    """A rate limit is waited out, a refusal loses one event, and a repetition has the same id."""
    collector.answers = [(200, {}), (429, {"Retry-After": "11"})]
    outcome = destination.export_errors([report("one"), report("two")], 5.0)
    assert (outcome.delivered, outcome.lost, outcome.retry_after_s) == (1, 0, 11.0)
    collector.answers = [(403, {})]
    outcome = destination.export_errors([report("two")], 5.0)
    assert (outcome.delivered, outcome.lost) == (0, 1)
    ids = [event["event_id"] for event in events(collector)]
    assert ids[1] == ids[2] != ids[0]


def test_unreachable() -> None:
    """A Sentry that is not there is passing trouble."""
    destination = sentry.create(CONFIG.but(sentry_dsn="http://public@127.0.0.1:9/7"), resource())
    outcome = destination.export_errors([report()], 1.0)
    assert (outcome.delivered, outcome.lost, outcome.retry_after_s) == (0, 0, 0.0)
    destination.close(0.1)


def test_nothing_is_patched(destination: sentry.SentryDestination) -> None:
    """Making the client sets no hook, starts no thread and makes no global client."""
    assert sys.excepthook is sys.__excepthook__
    assert not [thread.name for thread in threading.enumerate() if "sentry" in thread.name.lower()]
    assert not sentry_sdk.get_client().is_active()


def test_the_apps_own_client_goes_first(collector: Collector) -> None:
    """Where the app reports to the same DSN through sentry-sdk itself, obskit reports nothing beside it."""
    own = sentry_sdk.Client(dsn=dsn(collector), default_integrations=False)
    before = sentry_sdk.get_global_scope().client
    sentry_sdk.get_global_scope().set_client(own)
    try:
        destination = sentry.create(CONFIG.but(sentry_dsn=dsn(collector)), resource())
    finally:
        sentry_sdk.get_global_scope().set_client(before)
        own.close(timeout=0)
    assert ERRORS not in destination.handles


def test_a_bad_dsn() -> None:
    """A DSN that is none is a problem with a way out, and does not show the value."""
    with pytest.raises(ConfigError, match="not a DSN") as caught:
        sentry.create(CONFIG.but(sentry_dsn="ftp://hidden@x/1"), resource())
    assert "hidden" not in str(caught.value)
