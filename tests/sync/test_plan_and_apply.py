from __future__ import annotations

import pytest

from obskit.errors import BackendError, UnsafePlanError
from obskit.sync.apply import apply
from obskit.sync.backend import BackendFailure
from obskit.sync.kinds import CHANNEL, KINDS, POLICY
from obskit.sync.load import load
from obskit.sync.plan import make_plan
from obskit.sync.verdicts import dangling, refuse_unsafe


class Sync:
    """Loads, plans and applies a user's folders against a backend."""

    def __init__(self, folders, context, backend):
        self.folders, self.context, self.backend = folders, context, backend

    def plan(self, *, prune=False):
        loaded = load([self.folders / "alerts", self.folders / "dashboards"])
        assert loaded.problems == ()
        existing = {kind: self.backend.list(kind) for kind in KINDS}
        return make_plan(loaded.definitions, existing, self.context, kinds=KINDS, prune=prune)

    def apply(self, **options):
        plan = self.plan(**options)
        apply(plan, self.backend, pause=lambda _: None)
        return plan

    def policy(self, definition_id="latency-p95"):
        return next(
            found
            for found in self.backend.objects.values()
            if found.get("userLabels", {}).get("obskit-id") == definition_id
        )


@pytest.fixture
def sync(folders, context, backend):
    return Sync(folders, context, backend)


def test_everything_is_created_in_the_order_of_dependencies(sync, backend):
    """Channels come first, and the policies that use them carry their real names."""
    sync.apply()
    kinds = [name.split("/")[2] for _, name in backend.writes]
    assert kinds == ["notificationChannels", "alertPolicies", "alertPolicies", "dashboards"]
    channel = next(name for name in backend.objects if "/notificationChannels/" in name)
    assert sync.policy()["notificationChannels"] == [channel]


def test_a_second_run_writes_nothing(sync, backend):
    """What was applied is what is planned next time: no writes."""
    sync.apply()
    backend.writes.clear()
    plan = sync.apply()
    assert backend.writes == []
    assert plan.count("unchanged") == 4


def test_a_changed_definition_is_an_update_with_its_fields(sync, folders):
    """An update names the field that changed, before and after."""
    sync.apply()
    file = folders / "alerts" / "policies.py"
    file.write_text(file.read_text().replace("latency_p95(channels", "latency_p95(for_='10m', channels"))
    (change,) = [change for change in sync.plan().changes if change.action == "update"]
    assert change.id == "latency-p95"
    assert any(
        diff.path.endswith(".duration") and (diff.before, diff.after) == ("300s", "600s") for diff in change.fields
    )
    assert change.drift == ()


def test_foreign_objects_are_never_touched(sync, backend):
    """A policy of the same display name without our labels stays as it is, and is counted."""
    sync.apply()
    ours = dict(sync.policy())
    foreign = {key: value for key, value in ours.items() if key not in {"name", "userLabels"}}
    name = backend.create(POLICY, foreign)["name"]
    plan = sync.apply(prune=True)
    assert plan.foreign == 1
    assert backend.objects[name]["displayName"] == ours["displayName"]


def test_another_stack_is_foreign(sync, backend, context, folders):
    """Two stacks in one project do not see each other's objects."""
    sync.apply()
    other = Sync(folders, type(context)(project=context.project, stack="dev"), backend)
    plan = other.plan()
    assert plan.count("create") == 4
    assert plan.foreign == 4


def test_what_is_no_longer_defined_stays_until_pruning_is_asked_for(sync, folders, backend):
    """Without prune an object whose definition is gone is named and kept; with prune it is deleted."""
    sync.apply()
    file = folders / "alerts" / "policies.py"
    file.write_text(file.read_text().replace(", error_spike(channels=[oncall])", ""))
    assert sync.plan().count("orphan") == 1
    plan = sync.plan(prune=True)
    refuse_unsafe(plan, defined=3, folders=["alerts"])
    apply(plan, backend)
    assert [action for action, _ in backend.writes[-1:]] == ["delete"]
    assert sync.plan(prune=True).writes == ()


def test_deletes_come_last_and_down_the_dependencies(sync, folders, backend):
    """Policies are deleted before the channels that they use."""
    sync.apply()
    (folders / "alerts" / "policies.py").write_text("from alerts.channels import oncall\n")
    (folders / "alerts" / "channels.py").write_text("oncall = None\n")
    plan = sync.plan(prune=True)
    collections = [change.kind.collection for change in plan.writes]
    assert collections == ["alertPolicies", "alertPolicies", "notificationChannels"]


@pytest.mark.parametrize(("defined", "share"), [(0, 0.2), (1, 0.2)])
def test_a_plan_that_deletes_too_much_is_refused(sync, folders, defined, share):
    """No definition at all, or more than the allowed share of deletes, ends without a write."""
    sync.apply()
    (folders / "alerts" / "policies.py").write_text("x = 1\n")
    plan = sync.plan(prune=True)
    with pytest.raises(UnsafePlanError, match=r"definition|share"):
        refuse_unsafe(plan, defined=defined, folders=["alerts"], share=share)


def test_what_an_operator_decided_in_the_console_is_kept(sync, backend):
    """A disabled policy stays disabled and a foreign channel stays on it; both are reported."""
    sync.apply()
    policy = sync.policy()
    foreign = backend.create(CHANNEL, {"type": "email", "displayName": "Boss"})["name"]
    policy["enabled"] = False
    policy["notificationChannels"].append(foreign)
    plan = sync.apply()
    change = next(change for change in plan.changes if change.id == "latency-p95")
    assert change.action == "unchanged"
    assert len(change.kept) == 2
    assert sync.policy()["enabled"] is False
    assert foreign in sync.policy()["notificationChannels"]


def test_other_drift_is_shown_and_set_back(sync, backend):
    """A threshold that somebody changed by hand is reported as drift and written again."""
    sync.apply()
    sync.policy()["displayName"] = "changed by hand"
    plan = sync.apply()
    change = next(change for change in plan.changes if change.id == "latency-p95")
    assert [diff.path for diff in change.drift] == ["displayName"]
    assert sync.policy()["displayName"] != "changed by hand"


def test_a_reference_to_nothing_is_a_problem_before_any_write(sync, context):
    """A policy whose channel is neither there nor coming is named."""
    loaded = load([sync.folders / "alerts"])
    policies = [found for found in loaded.definitions if found.id != "oncall"]
    plan = make_plan(policies, {}, context, kinds=[POLICY])
    assert len(dangling(plan)) == 2


class Failing:
    """A backend whose k-th call fails, once."""

    def __init__(self, backend, k, code, *, after):
        self.backend, self.k, self.code, self.after, self.calls = backend, k, code, after, 0
        self.project = backend.project

    def __getattr__(self, name):
        method = getattr(self.backend, name)

        def call(*arguments, **named):
            self.calls += 1
            fails = self.calls == self.k
            if fails and not self.after:
                raise BackendFailure(self.code, "injected")
            result = method(*arguments, **named)
            if fails:
                raise BackendFailure(self.code, "the answer was lost")
            return result

        return call


@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("k", range(1, 10))
def test_a_passing_failure_at_any_call_converges_without_duplicates(folders, context, backend, k, after):
    """Whichever call fails, also when its answer alone was lost, one run makes each object exactly once."""
    sync = Sync(folders, context, backend)
    plan = sync.plan()
    apply(plan, Failing(backend, k, "UNAVAILABLE", after=after), pause=lambda _: None)
    assert len(backend.objects) == 4
    backend.writes.clear()
    sync.apply()
    assert backend.writes == []


def test_a_final_failure_says_how_far_it_came_and_a_second_run_goes_on(folders, context, backend):
    """A refused write raises with the place, the code and the number of writes that are done."""
    sync = Sync(folders, context, backend)
    with pytest.raises(BackendError, match=r"PERMISSION_DENIED.*2 of 4 writes are done"):
        apply(sync.plan(), Failing(backend, 4, "PERMISSION_DENIED", after=False), pause=lambda _: None)
    sync.apply()
    assert len(backend.objects) == 4


def test_a_metric_that_does_not_exist_yet_is_waited_for(folders, context, backend):
    """NOT_FOUND for a metric is retried with a visible reason, within the given time."""
    said = []

    class NoMetricYet(Failing):
        def __getattr__(self, name):
            if name == "create" and self.calls < 3:

                def refuse(kind, document, **_):
                    self.calls += 1
                    raise BackendFailure("NOT_FOUND", "Cannot find metric that matches type")

                return refuse
            return getattr(self.backend, name)

    apply(
        Sync(folders, context, backend).plan(),
        NoMetricYet(backend, 0, "", after=False),
        pause=lambda _: None,
        told=said.append,
    )
    assert len(said) == 3
    assert "waiting for the metric" in said[0]
    never = NoMetricYet(backend, 0, "", after=False)
    never.calls = -10_000
    backend.objects.clear()
    plan = Sync(folders, context, backend).plan()
    with pytest.raises(BackendError, match="Cannot find metric"):
        apply(plan, never, pause=lambda _: None, metric_wait_s=60)
