"""Policies and channels out of the REST API's JSON: nothing is lost, and what the server writes is left out."""

from __future__ import annotations

import json

import pytest
from google.cloud.monitoring_v3 import NotificationChannel as GoogleChannel

from obskit.alerts import (
    AlertPolicy,
    NotificationChannel,
    ThresholdCondition,
    email,
    env,
    google_chat,
    latency_p95,
    pagerduty,
    pubsub,
    secret,
    slack,
    sms,
    webhook,
)
from obskit.errors import DefinitionError, collecting
from obskit.queries.carried import is_same, merged, patch_between
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(project="p")
STORED = {
    "name": "projects/p/alertPolicies/1",
    "displayName": "CPU high!",
    "documentation": {"content": "c", "mimeType": "text/plain", "footer": {"a": 1}},
    "userLabels": {"team": "web", "managed-by": "obskit", "obskit-id": "cpu", "obskit-stack": "prod"},
    "conditions": [
        {
            "name": "projects/p/alertPolicies/1/conditions/2",
            "displayName": "CPU",
            "conditionThreshold": {
                "filter": 'metric.type="a/b" AND resource.type="global"',
                "aggregations": [{"alignmentPeriod": "60.0s", "perSeriesAligner": "ALIGN_MEAN", "jitter": "1s"}],
                "comparison": "COMPARISON_GE",
                "thresholdValue": "0.5",
                "duration": "300s",
                "trigger": {"count": 1, "grace": True},
                "smoothing": {"window": "60s"},
            },
        }
    ],
    "combiner": "OR",
    "enabled": False,
    "severity": "FATAL",
    "alertStrategy": {"autoClose": "1800s", "escalation": [{"after": "60s"}]},
    "notificationChannels": ["projects/p/notificationChannels/9"],
    "creationRecord": {"mutateTime": "2026-01-01T00:00:00Z"},
    "validity": {"code": 3},
    "owner": "web",
}


def test_every_field_that_is_not_known_comes_back():
    """Deep ones too: what renders is what was read, without what the server or sync writes."""
    made = AlertPolicy.from_json(STORED)
    wanted = {key: value for key, value in STORED.items() if key not in ("name", "creationRecord", "validity")}
    wanted["userLabels"] = {"team": "web"}
    wanted["conditions"] = [{key: value for key, value in STORED["conditions"][0].items() if key != "name"}]
    assert is_same(made.to_dict(CONTEXT), wanted)
    assert made.id == "cpu"
    assert (made.labels, made.enabled, made.severity) == ({"team": "web"}, False, None)


def test_only_what_is_not_known_is_carried():
    """What the models know stands in their fields, where it can be changed."""
    made = AlertPolicy.from_json(STORED)
    assert made.carried == {
        "severity": "FATAL",
        "alertStrategy": {"escalation": [{"after": "60s"}]},
        "owner": "web",
    }
    (condition,) = made.conditions
    assert isinstance(condition, ThresholdCondition)
    assert condition.threshold == 0.5
    assert set(condition.carried["conditionThreshold"]) == {"aggregations", "comparison", "trigger", "smoothing"}
    assert condition.carried["conditionThreshold"]["trigger"] == {"grace": True}
    assert made.documentation.carried == {"mimeType": "text/plain", "footer": {"a": 1}}


def test_a_definition_that_was_written_reads_back_from_what_it_renders():
    """A ready-made policy, rendered and read, renders the same, with nothing carried."""
    rendered = latency_p95(channels=["oncall"]).to_dict(CONTEXT)
    made = AlertPolicy.from_json(rendered, id="latency-p95")
    assert made.to_dict(CONTEXT) == rendered
    assert made.carried == made.conditions[0].carried == {}


def test_a_user_may_carry_a_field_of_tomorrow():
    """What obskit does not know yet is written as JSON, and None takes away what it renders."""
    made = AlertPolicy(
        id="a", conditions=ThresholdCondition(filter="x", threshold=1), carried={"newField": 1, "enabled": None}
    )
    rendered = made.to_dict(CONTEXT)
    assert rendered["newField"] == 1
    assert "enabled" not in rendered


def test_what_is_no_table_of_fields_cannot_be_carried():
    """A list is told, with what to write."""
    with collecting() as problems:
        NotificationChannel(id="a", kind="email", carried=["x"])
    assert [problem.problem for problem in problems] == ["field \"carried\": ['x'] is not a table of JSON fields"]


@pytest.mark.parametrize(
    ("document", "given", "made"),
    [
        ({"displayName": "CPU > 90 %"}, "", "cpu-90"),
        ({"displayName": "90 %"}, "", "policy-90"),
        ({"displayName": "ÄÖ"}, "", "policy"),
        ({"name": "projects/p/alertPolicies/17"}, "", "policy-17"),
        ({"displayName": "x" * 80}, "", "x" * 63),
        ({"displayName": "x", "userLabels": {"obskit-id": "own"}}, "", "own"),
        ({"displayName": "x"}, "mine", "mine"),
    ],
)
def test_an_id_is_made_where_none_is_given(document, given, made):
    """Of sync's own label, of the display name, or of the resource name; always one that a definition may have."""
    assert AlertPolicy.from_json(document, id=given).id == made


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ({"a": "60s"}, {"a": "60.0s"}, True),
        ({"a": 5}, {"a": "5"}, True),
        ({"a": 0}, {}, True),
        ({"a": "0s", "b": [], "c": False, "d": "REDUCE_NONE", "e": "X_UNSPECIFIED"}, {}, True),
        ({"enabled": True}, {}, True),
        ({"enabled": False}, {}, False),
        ({"custom": {}}, {}, False),
        ({"userLabels": {}}, {}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": True}, {"a": 1}, False),
    ],
)
def test_a_patch_is_empty_exactly_where_two_documents_say_the_same(before, after, same):
    """Numbers may be texts, durations have decimals, zeros be absent; an empty choice is not an absent one."""
    assert is_same(before, after) is same
    assert (patch_between(before, after) == {}) is same
    assert is_same(merged(before, patch_between(before, after)), after)


CHANNELS = {
    "email": email("a", address="a@example.com", display_name="A", description="d", enabled=False, labels={"t": "x"}),
    "slack": slack("a", channel="#a", token=env("A_AUTH_TOKEN")),
    "pagerduty": pagerduty("a", service_key=env("A_SERVICE_KEY")),
    "webhook": webhook("a", url="https://x.example"),
    "basic": webhook("a", url="https://x.example", username="u", password=env("A_PASSWORD")),
    "pubsub": pubsub("a", topic="projects/p/topics/t"),
    "sms": sms("a", number="+4930123456"),
    "chat": google_chat("a", space="spaces/AAA"),
    "other": NotificationChannel(id="a", kind="other", carried={"type": "campfire", "labels": {"room": "1"}}),
}
SECRETS = {"A_AUTH_TOKEN": "s3cret", "A_SERVICE_KEY": "s3cret", "A_PASSWORD": "s3cret"}


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_reads_back_with_its_secrets_in_the_environment(name):
    """Masked values are asked of variables named after the channel; a kind that is not known is carried."""
    context = RenderContext(project="p", environ=SECRETS)
    rendered = CHANNELS[name].to_dict(context)
    assert CHANNELS[name].problems(context) == []
    GoogleChannel.from_json(json.dumps(rendered), ignore_unknown_fields=False)
    stored = json.loads(json.dumps(rendered).replace("s3cret", "********1234"))
    again = NotificationChannel.from_json(stored, id="a")
    assert again.to_dict(context) == rendered
    assert again.kind == CHANNELS[name].kind
    if name != "other":
        assert again.carried == {}


def test_a_token_goes_into_the_webhooks_address():
    """From the environment or from Secret Manager, escaped, and never into a repr."""
    made = webhook("a", url="https://x.example/hook?v=1", token=env("TOKEN"))
    known = RenderContext(project="p", environ={"TOKEN": "a b&c"})
    assert made.problems(known) == []
    assert made.to_dict(known)["labels"] == {"url": "https://x.example/hook?v=1&auth_token=a%20b%26c"}
    assert [problem.problem for problem in made.problems(CONTEXT)] == ["environment variable TOKEN is not set"]
    plain = webhook("a", url="https://x.example", token=secret("projects/q/secrets/hook/versions/2"))
    read = RenderContext(project="p", secrets={"projects/q/secrets/hook/versions/2": "t"})
    assert plain.to_dict(read)["labels"] == {"url": "https://x.example?auth_token=t"}
    assert plain.problems(CONTEXT) == []


def test_a_secret_is_in_the_project_that_is_synced_unless_another_is_named():
    """Its version is the latest by default; without its value, rendering says what to grant."""
    made = pagerduty("a", service_key=secret("pager"))
    known = RenderContext(project="p", secrets={"projects/p/secrets/pager/versions/latest": "k"})
    assert made.to_dict(known)["labels"] == {"service_key": "k"}
    with pytest.raises(DefinitionError, match="projects/p/secrets/pager/versions/latest was not read"):
        made.to_dict(CONTEXT)
    assert made.problems(CONTEXT) == []


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: webhook("a", url="https://x", token="t0k3n"), "token is a secret and stands in the file"),
        (lambda: NotificationChannel(id="a", kind="emial"), 'Did you mean "email"'),
    ],
)
def test_what_can_never_be_right_is_refused_where_it_is_written(make, problem):
    """Without showing the secret."""
    with pytest.raises(DefinitionError, match=problem) as caught:
        make()
    assert "t0k3n" not in str(caught.value)


def test_a_space_of_chat_is_checked():
    """An address instead of the space is told."""
    (found,) = google_chat("a", space="https://chat.google.com/room/AAA").problems(CONTEXT)
    assert found.problem.startswith("space: 'https://chat.google.com/room/AAA' cannot be used")
    other = NotificationChannel(id="a", kind="other")
    assert [problem.problem for problem in other.problems(CONTEXT)] == ['a channel of kind "other" needs its type']
