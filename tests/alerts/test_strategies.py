"""Whom a policy tells, when and how often, and what it says."""

from __future__ import annotations

import json

import pytest
from google.cloud.monitoring_v3 import AlertPolicy as GooglePolicy

from obskit.alerts import (
    AbsenceCondition,
    Aggregation,
    AlertPolicy,
    Documentation,
    Link,
    LogMatchCondition,
    PromQLCondition,
    Reminder,
    ThresholdCondition,
    email,
    existing,
    mobile_app,
)
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(project="p")
UP = PromQLCondition(query="up == 0")
FILTER = 'metric.type="custom.googleapis.com/a" AND resource.type="global"'


def policy(**fields):
    return AlertPolicy(**({"id": "a", "conditions": UP} | fields))


def told(**fields):
    return [problem.problem for problem in policy(**fields).problems(CONTEXT)]


@pytest.mark.parametrize(
    "fields",
    [
        {"prompts": ["opened", "closed"]},
        {"notify_on_close": False, "auto_close": "1h"},
        {"channels": ["a", "b"], "renotify": "30m"},
        {"channels": ["a", "b"], "reminders": [Reminder(channels="a", every="1h"), Reminder(channels="b", every="2h")]},
        {"conditions": LogMatchCondition(filter="x=1"), "rate_limit": "5m", "prompts": "opened"},
        {"channels": [existing(display_name="On call", labels={"team": "web"}), mobile_app("Ana's phone"), "c"]},
        {"runbook": "https://r.example/a", "documentation": "*Look.*"},
        {"runbook": "https://r.example/a?p=${policy.name}"},
    ],
)
def test_a_strategy_passes_googles_types_and_reads_back(fields):
    """No rule is broken, the official type knows each field, and what is read renders the same."""
    made = policy(**fields)
    rendered = made.to_dict(CONTEXT)
    assert made.problems(CONTEXT) == []
    GooglePolicy.from_json(json.dumps(rendered), ignore_unknown_fields=False)
    again = AlertPolicy.from_json(rendered, id="a")
    assert again.to_dict(CONTEXT) == rendered
    assert again.carried == {}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"prompts": "opened", "notify_on_close": False}, "prompts= and notify_on_close=False both say when to notify"),
        ({"prompts": "closed"}, 'prompts does not name "opened"'),
        ({"channels": ["a"], "reminders": Reminder(channels="b", every="1h")}, 'a reminder names channel "b"'),
        ({"channels": ["a"], "reminders": Reminder(channels="a", every="90s")}, "a reminder's every is 90 s, must be"),
        (
            {"channels": ["a"], "reminders": Reminder(channels="a", every="1h"), "renotify": "1h"},
            "renotify and reminders both remind",
        ),
        ({"channels": [existing()]}, "an existing channel is asked for without a name or a label"),
        ({"runbook": "wiki/a"}, "documentation: link 'Runbook': 'wiki/a' is no http or https address"),
        (
            {
                "runbook": "https://r",
                "documentation": Documentation(links=[Link(name=n, url="https://x") for n in "abc"]),
            },
            "documentation: there are 4 links, at most 3 are allowed",
        ),
    ],
)
def test_each_rule_of_notifications_is_checked(fields, problem):
    """What the platform would refuse is told once."""
    (found,) = told(**fields)
    assert found.startswith(problem)


def test_the_runbook_is_the_first_link():
    """Before the links of the documentation, whose text stays."""
    said = Documentation(content="c", links=[Link(name="Logs", url="https://l")])
    rendered = policy(runbook="https://r", documentation=said).to_dict(CONTEXT)["documentation"]
    assert rendered["links"] == [
        {"displayName": "Runbook", "url": "https://r"},
        {"displayName": "Logs", "url": "https://l"},
    ]
    assert rendered["content"] == "c"


def test_a_channel_may_be_an_object_its_id_or_its_name():
    """All become references that sync resolves, but for a resource name."""
    channels = [email("mail", address="a@example.com"), "pager", "projects/p/notificationChannels/7"]
    assert policy(channels=channels).to_dict(CONTEXT)["notificationChannels"] == [
        "projects/p/notificationChannels/obskit:mail",
        "projects/p/notificationChannels/obskit:pager",
        "projects/p/notificationChannels/7",
    ]


REDUCED = ThresholdCondition(
    filter=FILTER,
    threshold=1,
    aggregations=[
        Aggregation(period="60s", aligner="mean", reducer="max", by=["metric.label.route", "resource.label.x"])
    ],
)
LOG = LogMatchCondition(filter="x=1", label_extractors={"route": "EXTRACT(jsonPayload.route)"})


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("${policy.display_name} ${condition.name} ${project} ${resource.label.zone} ${metadata.user_label.a}", {}),
        ("${metric.label.route} ${resource.label.x}", {"conditions": [REDUCED]}),
        ("${log.extracted_label.route}", {"conditions": LOG, "rate_limit": "5m"}),
        ("${policy.user_label.team}", {"labels": {"team": "web"}}),
        ("${metric.label.anything}", {"conditions": AbsenceCondition(filter=FILTER, duration="5m")}),
        ("$5 and {braces}", {}),
    ],
)
def test_variables_that_the_platform_fills_in_are_known(text, fields):
    """Names, and the keys that the conditions' series still have."""
    assert told(documentation=text, **fields) == []


@pytest.mark.parametrize(
    ("text", "fields", "problem", "way_out"),
    [
        ("${policy.displayname}", {}, "there is no variable ${policy.displayname}", "${policy.display_name}"),
        ("${metric.labels.a}", {}, "there is no variable ${metric.labels.a}", "Did you mean ${metric.label.a}"),
        ("${resource.lable.a}", {}, "there is no variable ${resource.lable.a}", "${resource.label.a}"),
        ("${REGION}", {}, "there is no variable ${REGION}", "Replace it by its value in the text"),
        ("${xyz}", {}, "there is no variable ${xyz}", "There are condition.display_name, "),
        (
            "${metric.label.rout}",
            {"conditions": REDUCED},
            '${metric.label.rout}: there is no metric.label "rout"',
            "route",
        ),
        (
            "${log.extracted_label.rute}",
            {"conditions": LOG, "rate_limit": "5m"},
            '${log.extracted_label.rute}: there is no log.extracted_label "rute"',
            "${log.extracted_label.route}",
        ),
        ("${log.extracted_label.a}", {}, '${log.extracted_label.a}: there is no log.extracted_label "a"', "none"),
        ("${policy.user_label.a}", {}, '${policy.user_label.a}: there is no policy.user_label "a"', "none"),
    ],
)
@pytest.mark.parametrize("place", ["content", "subject", "link"])
def test_a_variable_that_does_not_exist_is_told_with_the_nearest(place, text, fields, problem, way_out):
    """In the content, in the subject and in links."""
    said = {
        "content": Documentation(content=text),
        "subject": Documentation(subject=text),
        "link": Documentation(links=[Link(name="l", url=f"https://x/{text}")]),
    }[place]
    (found,) = policy(documentation=said, **fields).problems(CONTEXT)
    assert found.problem == f"documentation: {problem}"
    assert way_out in found.way_out
