"""Conditions on log entries and in SQL, and those that are only carried."""

from __future__ import annotations

import json

import pytest
from google.cloud.monitoring_v3 import AlertPolicy as GooglePolicy

from obskit.alerts import AlertPolicy, CarriedCondition, LogMatchCondition, PromQLCondition, SQLCondition
from obskit.errors import DefinitionError
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(project="p")
MQL = {"conditionMonitoringQueryLanguage": {"query": "fetch x", "duration": "60s", "trigger": {"count": 1}}}


def log(**changes):
    fields = {"filter": "severity>=ERROR", "label_extractors": {"route": "EXTRACT(jsonPayload.route)"}}
    return LogMatchCondition(**(fields | changes))


def sql(**changes):
    return SQLCondition(**({"query": "SELECT 1", "minutes": 30, "rows": 0} | changes))


def policy(*conditions, **fields):
    return AlertPolicy(id="a", conditions=conditions, **fields)


CONDITIONS = {
    "log": (log(), {"rate_limit": "5m"}),
    "log-without-labels": (LogMatchCondition(filter="severity>=ERROR", display_name="errors"), {"rate_limit": "1h"}),
    "sql-minutes": (sql(), {}),
    "sql-hours": (sql(minutes=None, hours=6, at=":05", comparison=">="), {}),
    "sql-days": (sql(minutes=None, days=1, at="06:30", rows=None, column="is_bad"), {}),
    "sql-at-any-time": (sql(minutes=None, days=1), {}),
    "mql": (CarriedCondition(carried=MQL, display_name="old"), {}),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_passes_googles_types_and_reads_back(name):
    """The official type knows each field, no rule is broken, and the JSON reads back to the same definition."""
    condition, fields = CONDITIONS[name]
    made = policy(condition, **fields)
    rendered = made.to_dict(CONTEXT)
    assert made.problems(CONTEXT) == []
    GooglePolicy.from_json(json.dumps(rendered), ignore_unknown_fields=False)
    again = AlertPolicy.from_json(rendered, id="a")
    assert again.to_dict(CONTEXT) == rendered
    assert type(again.conditions[0]) is type(condition)
    if name != "mql":
        assert not again.conditions[0].carried


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (policy(log()), "a log match condition needs a rate limit"),
        (policy(log(), rate_limit="0s"), "rate_limit is 0 s, must be above 0"),
        (policy(log(), PromQLCondition(query="up"), rate_limit="5m"), "a log match condition must be alone"),
        (policy(log(), rate_limit="5m", prompts=["opened", "closed"]), "a log match condition notifies of opened"),
        (policy(PromQLCondition(query="up"), rate_limit="5m"), "rate_limit is only for policies with a log match"),
        (policy(log(filter=""), rate_limit="5m"), "the filter is empty"),
        (policy(log(label_extractors={"a": "x"}), rate_limit="5m"), "label a: 'x' is no extractor"),
        (policy(sql(query=" ")), "the query is empty"),
        (policy(sql(minutes=4)), "minutes is 4, must be 5 to 1440"),
        (policy(sql(minutes=None, hours=49)), "hours is 49, must be 1 to 48"),
        (policy(sql(minutes=None, days=32)), "days is 32, must be 1 to 31"),
        (policy(sql(hours=1)), "there are 2 schedules, must be one"),
        (policy(sql(minutes=None)), "there are 0 schedules, must be one"),
        (policy(sql(rows=None)), "a SQL condition tests either the number of rows or a column"),
        (policy(sql(column="x")), "a SQL condition tests either the number of rows or a column"),
        (policy(sql(rows=-1)), "rows is -1, must be 0 or more"),
        (policy(sql(at="06:30")), "at has no meaning for a schedule in minutes"),
        (policy(sql(minutes=None, days=1, at=":15")), "at is ':15', must be a time of day"),
        (policy(sql(minutes=None, hours=1, at="06:30")), "at is '06:30', must be a minute of the hour"),
        (
            policy(CarriedCondition(carried=MQL, display_name="a"), PromQLCondition(query="up", display_name="b")),
            "an MQL condition must be alone in its policy",
        ),
        (policy(CarriedCondition(carried={"x": 1})), "the carried condition holds no condition"),
    ],
)
def test_each_rule_is_checked(made, problem):
    """What the platform would refuse is told once, with a way out."""
    (found,) = made.problems(CONTEXT)
    assert found.problem.startswith(problem)
    assert found.way_out


def test_a_schedule_is_in_whole_numbers():
    """Half a minute is refused where it is written."""
    with pytest.raises(DefinitionError, match=r"7\.5 is not a whole number"):
        sql(minutes=7.5)


def test_a_condition_of_tomorrow_is_carried():
    """A kind that nobody knows yet comes back as it was, its name beside it."""
    document = {
        "displayName": "x",
        "combiner": "OR",
        "enabled": True,
        "conditions": [{"displayName": "c", "conditionOfTomorrow": {"a": 1}}],
    }
    made = AlertPolicy.from_json(document)
    assert isinstance(made.conditions[0], CarriedCondition)
    assert made.to_dict(CONTEXT) == document
    assert made.problems(CONTEXT) == []
