from __future__ import annotations

import pytest

from obskit.alerts import AlertPolicy, PromQLCondition, existing
from obskit.queries.context import RenderContext
from obskit.sync.kinds import CHANNEL, POLICY
from obskit.sync.plan import make_plan
from obskit.sync.references import resolved, unresolved, with_channels_found
from obskit.sync.verdicts import dangling

NAMES = {
    ("alertPolicies", "a"): "projects/p/alertPolicies/7",
    ("notificationChannels", "c"): "projects/p/notificationChannels/8",
}


def test_references_become_resource_names_once_the_object_exists():
    """Known references are replaced wherever they stand, unknown ones stay and are listed."""
    document = {"x": [{"notificationChannels": ["projects/p/notificationChannels/obskit:c", "other"]}]}
    assert resolved(document, NAMES) == {
        "x": [{"notificationChannels": ["projects/p/notificationChannels/8", "other"]}]
    }
    waiting = {"n": "projects/p/notificationChannels/obskit:new"}
    assert resolved(waiting, NAMES) == waiting
    assert unresolved(waiting) == ["projects/p/notificationChannels/obskit:new"]


def test_an_incident_list_names_policies_without_their_project():
    """The dashboards' API wants `alertPolicies/ID` there, and a reference that still waits keeps its form."""
    document = {"policyNames": ["projects/p/alertPolicies/obskit:a", "projects/p/alertPolicies/obskit:b"]}
    assert resolved(document, NAMES) == {"policyNames": ["alertPolicies/7", "projects/p/alertPolicies/obskit:b"]}


def test_within_a_filter_the_last_part_of_a_name_is_meant():
    """An uptime check is named by the id that the platform gave it; until then the reference is listed."""
    text = 'metric.labels.check_id="obskit:uptimeCheckConfigs/health" AND x="y"'
    names = {("uptimeCheckConfigs", "health"): "projects/p/uptimeCheckConfigs/health-Ab12"}
    assert resolved({"filter": text}, names) == {"filter": 'metric.labels.check_id="health-Ab12" AND x="y"'}
    assert unresolved({"filter": text}) == ["projects/-/uptimeCheckConfigs/obskit:health"]


THERE = [
    {"name": "projects/p/notificationChannels/1", "displayName": "On call / EU", "type": "email"},
    {"name": "projects/p/notificationChannels/2", "displayName": "B", "userLabels": {"team": "web"}},
    {"name": "projects/p/notificationChannels/3", "displayName": "C", "userLabels": {"team": "web"}},
]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"display_name": "On call / EU"}, ["1"]),
        ({"labels": {"team": "web"}}, ["2", "3"]),
        ({"labels": {"team": "web"}, "display_name": "C"}, ["3"]),
        ({"display_name": "On call / EU", "type": "sms"}, []),
    ],
)
def test_channels_that_exist_are_found_by_what_is_asked(asked, found):
    """All channels with the name, the type and the labels stand in the question's place; without one it stays."""
    policy = AlertPolicy(id="a", conditions=PromQLCondition(query="up"), channels=[existing(**asked)], renotify="1h")
    document = with_channels_found(policy.to_dict(RenderContext(project="p")), THERE)
    reminded = document["alertStrategy"]["notificationChannelStrategy"][0]["notificationChannelNames"]
    assert reminded == document["notificationChannels"]
    if found:
        assert reminded == [f"projects/p/notificationChannels/{name}" for name in found]
    assert len(unresolved(document)) == (0 if found else 2)


def test_a_plan_tells_the_channels_that_it_finds_and_refuses_a_question_without_an_answer():
    """The plan of a policy names the existing channels, and says which question nobody answers."""
    context = RenderContext(project="p")
    known, unknown = (
        AlertPolicy(id=name, conditions=PromQLCondition(query="up"), channels=[existing(display_name=name)])
        for name in ("b", "nobody")
    )
    channels = [{"name": "projects/p/notificationChannels/2", "displayName": "b"}]
    plan = make_plan([known, unknown], {CHANNEL: channels, POLICY: []}, context, kinds=[POLICY])
    assert plan.changes[0].document["notificationChannels"] == ["projects/p/notificationChannels/2"]
    (problem,) = dangling(plan)
    assert problem.problem == "asks for channels with displayName=nobody, and the project has none"
