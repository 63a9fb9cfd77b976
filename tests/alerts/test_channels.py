from __future__ import annotations

import pytest

from obskit.alerts import NotificationChannel, email, env, pagerduty, pubsub, slack, sms, webhook
from obskit.errors import DefinitionError
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(
    project="p", environ={"URL": "https://hooks.example.com/x", "KEY": "k", "BROKEN": "nowhere", "PASSWORD": "s3cret"}
)


def told(channel):
    return [problem.problem for problem in channel.problems(CONTEXT)]


@pytest.mark.parametrize(
    ("channel", "kind", "labels"),
    [
        (email("a", address="on@example.com"), "email", {"email_address": "on@example.com"}),
        (slack("a", channel="#ops", token=env("KEY")), "slack", {"channel_name": "#ops", "auth_token": "k"}),
        (pagerduty("a", service_key=env("KEY")), "pagerduty", {"service_key": "k"}),
        (webhook("a", url=env("URL")), "webhook_tokenauth", {"url": "https://hooks.example.com/x"}),
        (
            webhook("a", url="http://127.0.0.1:8/x", username="u", password=env("PASSWORD")),
            "webhook_basicauth",
            {"url": "http://127.0.0.1:8/x", "username": "u", "password": "s3cret"},
        ),
        (pubsub("a", topic="projects/p/topics/t"), "pubsub", {"topic": "projects/p/topics/t"}),
        (sms("a", number="+4930123456"), "sms", {"number": "+4930123456"}),
    ],
)
def test_each_kind_is_the_apis_json(channel, kind, labels):
    """Type and labels are those of the platform's channel descriptors."""
    assert told(channel) == []
    assert channel.to_dict(CONTEXT) == {"type": kind, "displayName": "a", "labels": labels, "enabled": True}


def test_name_description_and_own_labels_are_rendered():
    """What the user adds stands beside the channel's settings."""
    made = email("a", address="a@example.com", display_name="A", description="d", enabled=False, labels={"t": "x"})
    rendered = made.to_dict(CONTEXT)
    assert (rendered["displayName"], rendered["description"], rendered["enabled"]) == ("A", "d", False)
    assert rendered["userLabels"] == {"t": "x"}


def test_a_missing_variable_is_a_problem_and_stops_rendering():
    """Importing needs no environment; rendering does, and says which variable."""
    channel = webhook("a", url=env("MISSING"))
    assert told(channel) == ["environment variable MISSING is not set"]
    with pytest.raises(DefinitionError, match="environment variable MISSING is not set"):
        channel.to_dict(CONTEXT)
    assert told(webhook("a", url=env("MISSING", default="https://x.example"))) == []


@pytest.mark.parametrize(
    ("channel", "problem"),
    [
        (webhook("a", url="hooks.example.com"), "url: 'hooks.example.com' cannot be used"),
        (webhook("a", url=env("BROKEN")), "url: what BROKEN holds cannot be used"),
        (webhook("a", url="https://x.example", username="u"), 'a channel of kind "webhook_basicauth" needs password'),
        (email("a", address="nobody"), "address: 'nobody' cannot be used"),
        (sms("a", number="030123456"), "number: '030123456' cannot be used"),
        (pubsub("a", topic="t"), "topic: 't' cannot be used"),
        (slack("a", channel="#ops", token="xoxb-1"), "token is a secret and stands in the file"),
        (pagerduty("a", service_key="abc"), "service_key is a secret and stands in the file"),
        (email("a", address="a@example.com", display_name="x" * 513), "display_name has 513 characters"),
        (email("a", address="a@example.com", description="x" * 1025), "description has 1025 characters"),
    ],
)
def test_what_would_not_work_is_a_problem(channel, problem):
    """Addresses are looked at, and secrets must not stand in files."""
    (found,) = told(channel)
    assert found.startswith(problem)


def test_a_secrets_value_never_stands_in_an_error_or_a_repr():
    """Neither problems nor the model's repr show what a variable holds."""
    channel = webhook("a", url=env("BROKEN"), username="u", password=env("PASSWORD"))
    shown = repr(channel) + "".join(map(str, channel.problems(CONTEXT)))
    assert "s3cret" not in shown
    assert "nowhere" not in shown


def test_an_unknown_kind_is_refused():
    """A channel's type must be one that obskit can check."""
    with pytest.raises(DefinitionError, match="'pager' is no kind of channel"):
        NotificationChannel(id="a", kind="pager")
