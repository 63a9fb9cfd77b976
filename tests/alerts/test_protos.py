"""Google's own types judge what is rendered."""

from __future__ import annotations

import json

import pytest
from google.cloud.monitoring_v3 import AlertPolicy as GooglePolicy
from google.cloud.monitoring_v3 import NotificationChannel as GoogleChannel
from google.protobuf import json_format

from obskit.alerts import (
    AbsenceCondition,
    Aggregation,
    AlertPolicy,
    Aligner,
    Documentation,
    Link,
    PromQLCondition,
    Reducer,
    ThresholdCondition,
    Trigger,
    daily_cost,
    email,
    error_spike,
    gemini_rate_limit,
    latency_p95,
    slack,
    token_spike,
    webhook,
)
from obskit.catalog import Route
from obskit.queries.context import RenderContext, env

EVERYTHING = AlertPolicy(
    id="everything",
    display_name="Everything",
    conditions=[
        PromQLCondition(query="up == 0", duration="90s", interval="60s", labels={"team": "{{ $labels.job }}"}),
        ThresholdCondition(
            filter='metric.type="a/b" AND resource.type="global"',
            threshold=2,
            comparison="<",
            duration="2m",
            aggregations=[
                Aggregation(period="90s", aligner="rate", reducer="sum", by=["metric.labels.x"]),
                Aggregation(period="120s", aligner="max"),
            ],
            denominator='metric.type="a/c" AND resource.type="global"',
            denominator_aggregations=Aggregation(period="90s", aligner="rate", reducer="sum", by=["metric.labels.x"]),
            trigger=Trigger(count=3),
            missing_data="false",
        ),
        ThresholdCondition(
            filter='metric.type="a/b" AND resource.type="global"', threshold=2, duration="5m", forecast="1d"
        ),
        AbsenceCondition(filter='metric.type="a/b" AND resource.type="global"', duration="10m"),
    ],
    channels=["a"],
    combiner="all_on_same_resource",
    documentation=Documentation(content="c", subject="s", links=[Link(name="n", url="https://x.example")]),
    severity="critical",
    labels={"a": "b"},
    auto_close="30m",
    notify_on_close=False,
    renotify="1h",
)
POLICIES = [EVERYTHING, latency_p95(), error_spike(), token_spike(), gemini_rate_limit(), daily_cost()]


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.id)
def test_a_policy_passes_googles_types_and_comes_back_the_same(policy, route):
    """Every field is known to the official AlertPolicy, and none is lost on the way."""
    rendered = policy.to_dict(RenderContext(project="p", route=route))
    parsed = GooglePolicy.from_json(json.dumps(rendered), ignore_unknown_fields=False)
    again = json_format.MessageToDict(GooglePolicy.pb(parsed))
    again["enabled"] = rendered["enabled"]
    assert again == rendered


@pytest.mark.parametrize(
    "channel",
    [
        email("a", address="a@example.com", description="d", labels={"x": "y"}),
        slack("a", channel="#a", token=env("T", default="t")),
        webhook("a", url="https://x.example", username="u", password=env("T", default="t")),
    ],
    ids=lambda channel: channel.kind,
)
def test_a_channel_passes_googles_types_and_comes_back_the_same(channel):
    """Every field is known to the official NotificationChannel."""
    rendered = channel.to_dict(RenderContext(project="p"))
    parsed = GoogleChannel.from_json(json.dumps(rendered), ignore_unknown_fields=False)
    assert json_format.MessageToDict(GoogleChannel.pb(parsed)) == rendered


def test_aligners_and_reducers_are_googles():
    """Our names and the platform's are the same sets."""
    from google.cloud.monitoring_v3 import Aggregation as Googles

    assert {f"ALIGN_{each.name}" for each in Aligner} == {each.name for each in Googles.Aligner}
    assert {f"REDUCE_{each.name}" for each in Reducer} == {each.name for each in Googles.Reducer}
