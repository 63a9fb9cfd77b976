from __future__ import annotations

from datetime import timedelta

import pytest

from obskit.alerts import AlertPolicy, Documentation, Link, PromQLCondition, webhook
from obskit.catalog import AI_COST
from obskit.errors import DefinitionError, collecting
from obskit.queries import latest, rate
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(project="p")


def policy(**changes):
    fields = {"id": "p95-high", "conditions": [PromQLCondition(query=latest(AI_COST) > 1)]} | changes
    return AlertPolicy(**fields)


def told(definition):
    return [(problem.problem, problem.way_out) for problem in definition.problems(CONTEXT)]


def test_a_small_policy_is_the_apis_json():
    """Every field stands where the REST API has it, and nothing else does."""
    oncall = webhook("oncall", url="https://hooks.example.com/x")
    made = policy(
        display_name="p95 high",
        channels=[oncall, "pager", "projects/p/notificationChannels/7"],
        combiner="all",
        documentation=Documentation(content="*hi*", subject="hey", links=[Link(name="wiki", url="https://w.example")]),
        severity="warning",
        labels={"team": "search"},
        auto_close="1h",
        notify_on_close=False,
        renotify="30m",
        enabled=False,
    )
    channels = [
        "projects/p/notificationChannels/obskit:oncall",
        "projects/p/notificationChannels/obskit:pager",
        "projects/p/notificationChannels/7",
    ]
    assert made.problems(CONTEXT) == []
    assert made.to_dict(CONTEXT) == {
        "displayName": "p95 high",
        "combiner": "AND",
        "conditions": [
            {
                "displayName": "p95 high",
                "conditionPrometheusQueryLanguage": {
                    "query": "sum(workload_googleapis_com:obskit_gen_ai_cost) > 1",
                    "duration": "0s",
                    "evaluationInterval": "30s",
                    "disableMetricValidation": True,
                },
            }
        ],
        "notificationChannels": channels,
        "enabled": False,
        "documentation": {
            "content": "*hi*",
            "mimeType": "text/markdown",
            "subject": "hey",
            "links": [{"displayName": "wiki", "url": "https://w.example"}],
        },
        "severity": "WARNING",
        "userLabels": {"team": "search"},
        "alertStrategy": {
            "autoClose": "3600s",
            "notificationPrompts": ["OPENED"],
            "notificationChannelStrategy": [{"notificationChannelNames": channels, "renotifyInterval": "1800s"}],
        },
    }


def test_a_problem_names_file_line_and_policy():
    """The place is the line on which the definition stands."""
    made = policy(auto_close="5m")
    (problem,) = made.problems(CONTEXT)
    assert str(problem) == (
        f'{made.source}: policy "p95-high": auto_close is 5 min, must be 30 min to 7 days. Use for example auto_close="30m".'
    )
    assert problem.place.startswith("tests/alerts/test_policies.py:")


def test_a_conditions_problem_stands_at_the_conditions_line():
    """The condition's own file and line, and the policy's name."""
    condition = PromQLCondition(query="sum(", display_name="sums")
    made = policy(conditions=condition)
    (problem,) = made.problems(CONTEXT)
    assert problem.place == f'{condition.source}: policy "p95-high", condition "sums"'


def test_all_problems_are_told_at_once():
    """Nothing hides behind the first problem."""
    made = policy(
        conditions=[PromQLCondition(query="up > 1", interval="45s"), PromQLCondition(query="rate(up)")],
        auto_close="8d",
        renotify="90s",
        labels={"Team": "Search!"},
        documentation=Documentation(content="x" * 8193, subject="ä" * 128),
    )
    assert [problem for problem, _ in told(made)] == [
        "auto_close is 8 d, must be 30 min to 7 days",
        "renotify is 90 s, must be whole minutes",
        "renotify has nobody to remind",
        "interval is 45 s, must be a positive multiple of 30 s",
        "the query does not parse: expected type matrix in call to function 'rate', got vector",
        "documentation: the content has 8193 characters, at most 8192 are allowed",
        "documentation: the subject has 256 bytes, at most 255 are allowed",
        'label key "Team" must be 1 to 63 of a-z, 0-9, _ and -, and start with a letter',
        'label Team: value "Search!" must be at most 63 of a-z, 0-9, _ and -',
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"conditions": []}, "there are 0 conditions, must be 1 to 6"),
        (
            {"conditions": [PromQLCondition(query="up", display_name=str(i)) for i in range(7)]},
            "there are 7 conditions",
        ),
        (
            {"conditions": [PromQLCondition(query="up", display_name="a")] * 2},
            "two conditions have the same display_name",
        ),
        ({"conditions": [PromQLCondition(query="up", display_name="a" * 513)]}, "display_name has 513 characters"),
        ({"display_name": "x" * 513}, "display_name has 513 characters"),
        ({"channels": [f"c{i}" for i in range(17)]}, "there are 17 channels, at most 16 are allowed"),
        ({"channels": ["a", "b", "a"]}, 'channel "a" is named twice'),
        ({"documentation": "ä" * 6000}, "documentation: the content has 12000 bytes, at most 10240 are allowed"),
        ({"documentation": Documentation(subject="a\nb")}, "documentation: the subject has more than one line"),
        (
            {"documentation": Documentation(links=[Link(name=str(i), url="https://x") for i in range(4)])},
            "documentation: there are 4 links, at most 3 are allowed",
        ),
        ({"documentation": Documentation(links=[Link(name="n" * 64, url="https://x")])}, "documentation: link 'nnn"),
        (
            {"documentation": Documentation(links=[Link(name="n", url="javascript:1")])},
            "documentation: link 'n': 'javascript:1'",
        ),
        (
            {"documentation": Documentation(links=[Link(name="n", url="https://" + "x" * 2083)])},
            "documentation: link 'n': its",
        ),
        ({"labels": {f"k{i}": "v" for i in range(61)}}, "there are 61 labels, at most 60 are allowed"),
        ({"labels": {"managed-by": "me"}}, 'label "managed-by" is one of sync\'s own'),
        ({"labels": {"obskit-id": "x"}}, 'label "obskit-id" is one of sync\'s own'),
        ({"labels": {"k" * 64: "v"}}, "label key"),
        ({"labels": {"k": "v" * 64}}, "label k: value"),
    ],
)
def test_each_rule_of_the_platform_is_checked(changes, problem):
    """What the API would refuse is refused here, with a way out."""
    found = told(policy(**changes))
    assert len(found) == 1
    assert found[0][0].startswith(problem)
    assert found[0][1]


def test_the_limits_themselves_are_allowed():
    """The rules are not stricter than the platform's."""
    made = policy(
        display_name="x" * 512,
        conditions=[PromQLCondition(query="up", display_name=f"{i}" * 512) for i in range(6)],
        channels=[f"c{i}" for i in range(16)],
        documentation=Documentation(
            content="x" * 8192,
            subject="x" * 255,
            links=[Link(name="n" * 63, url="https://" + "x" * 2075) for _ in range(3)],
        ),
        labels={f"k{i}" + "k" * 59: "v" * 63 for i in range(10, 70)},
        auto_close=timedelta(days=7),
        renotify="1m",
    )
    assert told(made) == []


def test_misspelt_fields_and_values_are_told_with_the_nearest():
    """A field or a value that does not exist is refused where it is written."""
    with pytest.raises(DefinitionError) as caught:
        AlertPolicy(id="a", conditons=[], severity="criticall", auto_close="half an hour")
    assert [(each.problem, each.way_out) for each in caught.value.problems] == [
        ('unknown field "conditons"', 'Did you mean "conditions"'),
        (
            'field "severity": \'criticall\' is not one of "critical", "error", "warning"',
            'Did you mean "critical"',
        ),
        ("field \"auto_close\": 'half an hour' is not a duration", 'Write for example "90s", "5m" or "1h30m"'),
    ]


def test_a_broken_definition_is_told_once():
    """What its constructor reported is not told again, in other words, by the rules."""
    with collecting() as problems:
        made = policy(conditions=PromQLCondition(querry="up"), severity="bad")
    assert len(problems) == 2
    assert made.problems(CONTEXT) == []


def test_a_wrong_label_in_a_query_stands_at_the_users_line():
    """The builder's problem is collected beside the others."""
    with collecting() as problems:
        rate(AI_COST, by="gen_ai.request.modell", window="5m")
    assert problems[0].place.startswith("tests/alerts/test_policies.py:")


def test_the_threshold_can_be_read_from_the_policy():
    """A chart draws the alert's own line."""
    assert policy().threshold == 1.0
    assert policy(conditions=PromQLCondition(query="up > 3")).threshold is None
