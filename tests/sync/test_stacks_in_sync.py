"""One definition, written to two projects by two stacks."""

from __future__ import annotations

import pytest

from obskit.catalog import Route
from obskit.queries.context import RenderContext
from obskit.sync.apply import apply
from obskit.sync.backend import MemoryBackend
from obskit.sync.kinds import KINDS
from obskit.sync.load import check, load
from obskit.sync.plan import make_plan

DEFINITIONS = """
from obskit import alerts
from obskit.alerts import AlertPolicy, PromQLCondition
from obskit.catalog import AI_COST
from obskit.queries import increase, per_stack

team = alerts.email("team", address=per_stack({"dev": "dev@example.com", "prod": "team@example.com"}))
oncall = alerts.email("oncall", address="oncall@example.com")
spent = increase(AI_COST, by="gen_ai.request.model", window="1d")
cost = AlertPolicy(
    id="cost",
    conditions=PromQLCondition(query=spent > per_stack({"dev": 10, "prod": 75})),
    channels=[team, per_stack({"prod": oncall}, otherwise=None)],
)
"""
CONTEXTS = {
    "dev": RenderContext(project="shop-dev", stack="dev"),
    "prod": RenderContext(project="shop-prod", stack="prod", route=Route.OTLP),
}


@pytest.fixture
def loaded(tmp_path):
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "cost.py").write_text(DEFINITIONS)
    return load([tmp_path / "alerts"])


def plan_of(loaded, stack, backend):
    existing = {kind: backend.list(kind) for kind in KINDS}
    return make_plan(loaded.definitions, existing, CONTEXTS[stack], kinds=KINDS)


def written(loaded, stack):
    """What a stack's project holds after its plan was applied."""
    backend = MemoryBackend(f"shop-{stack}")
    apply(plan_of(loaded, stack, backend), backend, pause=lambda _: None)
    return backend


@pytest.mark.parametrize(
    ("stack", "query", "address", "channels"),
    [
        ("dev", "workload_googleapis_com:obskit_gen_ai_cost[1d])) > 10", "dev@example.com", 1),
        ("prod", "(obskit_gen_ai_cost[1d])) > 75", "team@example.com", 2),
    ],
)
def test_each_stack_gets_its_own_values(loaded, stack, query, address, channels):
    """Threshold, address, channels and the spelling of the metric are those of the stack."""
    assert check(loaded, CONTEXTS[stack]) == ()
    found = list(written(loaded, stack).objects.values())

    (policy,) = [each for each in found if "conditions" in each]
    assert query in policy["conditions"][0]["conditionPrometheusQueryLanguage"]["query"]
    assert len(policy["notificationChannels"]) == channels
    assert address in [each["labels"]["email_address"] for each in found if each.get("type") == "email"]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_second_run_of_a_stack_changes_nothing(loaded, stack):
    """What a stack wrote is what it plans the next time."""
    again = plan_of(loaded, stack, written(loaded, stack))
    assert again.writes == ()


def test_a_change_for_one_stack_leaves_the_other_alone(loaded, tmp_path):
    """When only prod's threshold is raised, dev's plan is empty and prod's updates the policy."""
    backends = {stack: written(loaded, stack) for stack in CONTEXTS}
    (tmp_path / "alerts" / "cost.py").write_text(DEFINITIONS.replace('"prod": 75', '"prod": 90'))
    changed = load([tmp_path / "alerts"])

    assert plan_of(changed, "dev", backends["dev"]).writes == ()
    (update,) = plan_of(changed, "prod", backends["prod"]).writes
    assert (update.action, update.id) == ("update", "cost")


LEFT_OUT = """
from obskit import alerts
from obskit.queries import per_stack

team = alerts.email("team", address="team@example.com")
oncall = alerts.email("oncall", address="oncall@example.com")
paged = per_stack({"dev": team, "prod": oncall})
slow = alerts.latency_p95(threshold=per_stack({"prod": "800ms", "dev": "2s"}), channels=[paged])
only_prod = per_stack({"prod": slow}, otherwise=None)
"""


def test_a_definition_may_be_left_out_of_a_stack(tmp_path):
    """Given as a whole with `per_stack`, a policy is written to prod only; one written to dev before is an orphan."""
    (tmp_path / "alerts").mkdir()
    path = tmp_path / "alerts" / "slow.py"
    path.write_text(LEFT_OUT)
    loaded = load([tmp_path / "alerts"])
    assert [check(loaded, context) for context in CONTEXTS.values()] == [(), ()]
    policies = {
        stack: [each for each in written(loaded, stack).objects.values() if "conditions" in each] for stack in CONTEXTS
    }
    assert {stack: len(found) for stack, found in policies.items()} == {"dev": 0, "prod": 1}

    path.write_text(LEFT_OUT.replace("only_prod = ", "# "))
    everywhere = written(load([tmp_path / "alerts"]), "dev")
    (gone,) = [each for each in plan_of(loaded, "dev", everywhere).changes if each.action != "unchanged"]
    assert (gone.action, gone.id) == ("orphan", "latency-p95")


def test_definitions_with_ids_that_differ_are_not_passed_over(tmp_path):
    """Two policies in one `per_stack` that are no single one are a problem, each where it was written."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "slow.py").write_text(
        "from obskit import alerts\nfrom obskit.queries import per_stack\n\n"
        'POLICY = per_stack({"dev": alerts.latency_p95(), "prod": alerts.error_spike()})\n'
    )
    loaded = load([tmp_path / "alerts"])
    assert [problem.problem for problem in loaded.problems] == [
        "stands in a per_stack of definitions whose ids differ, and would never be written"
    ] * 2
    assert all("slow.py:4: policy" in problem.place for problem in loaded.problems)
