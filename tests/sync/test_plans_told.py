"""A plan for its readers: Markdown for a pull request, annotations for CI, targets, pages of lists."""

from __future__ import annotations

import json
import re

import pytest

from obskit.errors import Problem
from obskit.local.serve import LocalBackend
from obskit.sync.apply import apply
from obskit.sync.changes import Change
from obskit.sync.diff import FieldDiff
from obskit.sync.google import GoogleBackend
from obskit.sync.kinds import CHANNEL, KINDS, POLICY
from obskit.sync.load import load
from obskit.sync.permissions import needed_by, required
from obskit.sync.plan import Plan, make_plan
from obskit.sync.reports import (
    github_lines,
    gitlab_report,
    markdown,
    problem_github_lines,
    problem_gitlab_report,
)
from obskit.sync.survey import survey
from obskit.sync.verdicts import narrowed

DRIFT = FieldDiff(path="displayName", before="mine\n::error::x", after="Slow | <b>")
PLAN = Plan(
    project="shop",
    stack="prod",
    foreign=2,
    changes=(
        Change(action="create", kind=CHANNEL, id="oncall", display_name="", source="alerts/channels.py:3"),
        Change(
            action="update",
            kind=POLICY,
            id="slow",
            display_name="Slow",
            source="alerts/all.py:7",
            name="projects/shop/alertPolicies/1",
            fields=(DRIFT, FieldDiff(path="severity", before=None, after="ERROR")),
            drift=(DRIFT,),
            kept=("disabled in the console",),
            changed_by="alice@example.com at 2026-11-21T10:00:00Z",
            actual={},
        ),
        Change(action="unchanged", kind=POLICY, id="same", display_name="Same"),
        Change(action="delete", kind=POLICY, id="old", display_name="Old", name="projects/shop/alertPolicies/2"),
    ),
)


def test_markdown_has_a_row_for_each_change_and_its_fields_as_a_diff():
    """The comment begins with a mark by which a job finds it again, and what comes from outside stays text."""
    text = markdown(PLAN)
    assert text.startswith("<!-- obskit plan shop/prod -->\n")
    assert "1 to create, 1 to update, 1 to delete, 1 unchanged" in text
    assert "| `+` create | notification channel | `oncall` | alerts/channels.py:3 |" in text
    assert "| `-` delete | alert policy | `old` |" in text
    assert '@@ displayName (changed in the console) @@\n- "mine\\n::error::x"\n+ "Slow | <b>"' in text
    assert "- kept: disabled in the console" in text
    assert "last changed by alice@example.com" in text
    assert "same" not in text


def test_markdown_fits_into_a_comment():
    """A plan of a thousand updates is cut, and says so."""
    many = [
        Change(action="update", kind=POLICY, id=f"p{number}", display_name="", fields=(DRIFT,))
        for number in range(1000)
    ]
    text = markdown(Plan(project="shop", stack="prod", foreign=0, changes=tuple(many)))
    assert len(text) < 65_536
    assert text.endswith("*The rest is cut; run the plan to see it.*\n")


def test_github_annotations_stand_at_the_definition_and_cannot_be_forged():
    """A notice for what is created, a warning for what is deleted or was touched by hand; each on one line."""
    lines = list(github_lines(PLAN))
    assert lines[0].startswith("::notice file=alerts/channels.py,line=3,title=obskit create::")
    assert lines[1].startswith("::warning file=alerts/all.py,line=7,title=obskit update::")
    assert lines[2].startswith("::warning title=obskit delete::")
    assert all("\n" not in line and line.count("::") == 2 for line in lines)
    (error,) = problem_github_lines(
        [Problem(place='alerts/a.py:3: policy "x"', problem="50 %\nwrong", way_out="Mend it")]
    )
    assert error.startswith("::error file=alerts/a.py,line=3,title=obskit::")
    assert error.endswith("50 %25%0Awrong. Mend it.")


def test_gitlab_reports_have_what_its_code_quality_asks_for():
    """Each entry has a check, a text, a fingerprint of its own, a severity and a place."""
    entries = json.loads(gitlab_report(PLAN))
    entries += json.loads(problem_gitlab_report([Problem(place="alerts/a.py:3: x", problem="wrong", way_out="Mend")]))
    assert [each["severity"] for each in entries] == ["info", "minor", "major", "critical"]
    assert len({each["fingerprint"] for each in entries}) == 4
    assert entries[-1]["location"] == {"path": "alerts/a.py", "lines": {"begin": 3}}
    assert all(re.fullmatch(r"[0-9a-f]{64}", each["fingerprint"]) for each in entries)


@pytest.mark.parametrize(
    ("target", "ids"),
    [
        ("latency-p95", {"oncall", "latency-p95"}),
        ("*-spike", {"oncall", "error-spike"}),
        ("dashboard:*", {"service"}),
        ("alert-policy:oncall", set()),
    ],
)
def test_a_target_is_planned_with_what_it_needs_and_nothing_else(folders, context, target, ids):
    """A policy brings the channel that it notifies along; other policies and dashboards stay out."""
    loaded = load([folders / "alerts", folders / "dashboards"])
    plan = make_plan(loaded.definitions, {}, context, kinds=KINDS)
    assert {change.id for change in narrowed(plan, [target]).changes} == ids


def test_permissions_are_those_of_the_writes(folders, context):
    """A plan that creates needs create and list of its kinds and nothing else; a policy needs no dashboards' rights."""
    loaded = load([folders / "alerts"])
    plan = make_plan(loaded.definitions, {}, context, kinds=KINDS)
    assert required(plan) == {
        "projects/test-project": (
            "monitoring.alertPolicies.create",
            "monitoring.alertPolicies.list",
            "monitoring.notificationChannels.create",
            "monitoring.notificationChannels.list",
        )
    }
    assert needed_by("plan", [POLICY]) == ("monitoring.alertPolicies.list",)


def test_a_thousand_policies_are_listed_in_two_pages_and_planned_without_a_write(tmp_path, context):
    """A plan without a change makes one list call for each kind and page: 1,200 policies are two pages."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "many.py").write_text(
        "from obskit.alerts import AlertPolicy, PromQLCondition\n"
        "POLICIES = [\n"
        "    AlertPolicy(id=f'p-{n}', display_name=f'P {n}', conditions=PromQLCondition(query=f'up == {n}'))\n"
        "    for n in range(1200)\n"
        "]\n"
    )
    loaded = load([tmp_path / "alerts"])
    plan = make_plan(loaded.definitions, {}, context, kinds=KINDS)
    with LocalBackend(project=context.project, http_port=0, grpc_port=0) as local:
        for number, change in enumerate(plan.writes):
            name = f"projects/{context.project}/alertPolicies/{number}"
            local.store.objects.put({**change.document, "name": name, "enabled": True})
        backend = GoogleBackend(context.project, endpoint=local.http_url)
        seen = survey(backend, loaded.definitions, context, kinds=KINDS)
        again = make_plan(loaded.definitions, seen.objects, context, kinds=KINDS)
        assert again.writes == ()
        assert apply(again, backend) == ()
        assert dict(local.store.faults.calls) == {
            "ListAlertPolicies": 2,
            "ListDashboards": 1,
            "ListNotificationChannels": 1,
            "ListSnoozes": 1,
        }
