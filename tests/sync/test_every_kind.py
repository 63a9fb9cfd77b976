"""Every kind of object, through REST against the local backend: made, found again, changed, pruned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from obskit.local.serve import LocalBackend
from obskit.queries.context import RenderContext
from obskit.sync.apply import apply
from obskit.sync.google import GoogleBackend
from obskit.sync.journal import read, reversal, save
from obskit.sync.kinds import BUDGET, KINDS, SNOOZE
from obskit.sync.load import load
from obskit.sync.ownership import owner_of
from obskit.sync.plan import make_plan
from obskit.sync.survey import survey
from obskit.sync.verdicts import dangling, impossible

EVERYTHING = """
from obskit.alerts import email, latency_p95
from obskit.dashboards import service
from obskit.resources import (
    BillingBudget, LogMetric, MetricDescriptor, RatioSLI, Service, ServiceLevelObjective, Snooze,
    http_check, uptime_alert,
)

oncall = email("oncall", address="oncall@example.com")
orders = MetricDescriptor(
    id="orders", type="custom.googleapis.com/shop/orders", metric_kind="cumulative", value_type="int64",
    unit="{order}", labels={"shop": "which shop", "paid": ""}, label_types={"paid": "bool"}, description="Orders",
)
failures = LogMetric(
    id="failures", name="checkout/failures", filter="severity>=ERROR", labels={"route": "EXTRACT(jsonPayload.route)"},
)
api = Service(id="api")
TOTAL = 'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision"'
availability = ServiceLevelObjective(
    id="availability", service=api, goal=0.999, rolling="28d",
    indicator=RatioSLI(bad=TOTAL + ' AND metric.labels.response_code_class="5xx"', total=TOTAL),
)
home = http_check("home", url="https://shop.example.com/health", regions=["usa", "europe"])
down = uptime_alert(home, channels=[oncall])
slow = latency_p95(channels=[oncall])
freeze = Snooze(id="freeze", policies=[down], start="START", lasting="2h")
board = service()
budget = BillingBudget(
    id="monthly", account="012345-6789AB-CDEF01", amount=1000.5, currency="EUR", thresholds=[0.5, 1.0],
    channels=[oncall],
)
""".replace("START", (datetime.now(UTC) + timedelta(hours=1)).isoformat())


class Project:
    """A project on a local backend, synced from a folder."""

    def __init__(self, local: LocalBackend, folder) -> None:
        self.local, self.folder = local, folder
        self.backend = GoogleBackend(local.project, endpoint=local.grpc_address, pause=lambda _: None)
        self.context = RenderContext(project=local.project)
        self.file = folder / "all.py"

    def plan(self, **options):
        loaded = load([self.folder])
        assert loaded.problems == ()
        seen = survey(
            self.backend, loaded.definitions, self.context, kinds=KINDS, is_pruning=options.get("prune", False)
        )
        plan = make_plan(loaded.definitions, seen.objects, self.context, kinds=KINDS, **options)
        assert (*impossible(plan), *dangling(plan, seen.objects)) == ()
        return plan

    def apply(self, **options):
        plan = self.plan(**options)
        return plan, apply(plan, self.backend, pause=lambda _: None)

    def change(self, before, after):
        text = self.file.read_text()
        assert before in text
        self.file.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def local():
    with LocalBackend(project="shop", http_port=0, grpc_port=0) as backend:
        yield backend


@pytest.fixture
def project(local, tmp_path):
    for name in ("objects",):
        with local.store._database.writing() as connection:
            connection.execute(f"DELETE FROM {name}")
    local.store.metrics.descriptors.clear()
    local.store.faults.clear()
    folder = tmp_path / "alerts"
    folder.mkdir()
    made = Project(local, folder)
    made.file.write_text(EVERYTHING)
    return made


def test_every_kind_is_made_in_the_order_of_dependencies_and_then_left_alone(project):
    """Each kind is created once, carries its owner, and a second plan has nothing to write: no defaults show."""
    _, applied = project.apply()
    orders = [made.change.kind.order for made in applied]
    assert orders == sorted(orders)
    assert {made.change.kind for made in applied} == set(KINDS)
    for made in applied:
        owner = owner_of(made.document, made.change.kind)
        assert (owner.stack, owner.id) == ("default", made.change.id.rpartition("/")[2])
    again = project.plan()
    assert [(change.id, change.fields) for change in again.changes if change.action != "unchanged"] == []
    assert again.foreign == 0


def test_a_change_of_every_kind_is_an_update_with_its_field(project):
    """What a definition changes is written in place, and nothing else."""
    project.apply()
    for before, after in [
        ('"oncall@example.com"', '"pager@example.com"'),
        ('description="Orders"', 'description="Paid orders"'),
        ("severity>=ERROR", "severity>=CRITICAL"),
        ('Service(id="api"', 'Service(id="api", display_name="The API"'),
        ("goal=0.999", "goal=0.99"),
        ("/health", "/ready"),
        ('lasting="2h"', 'lasting="3h"'),
        ("amount=1000.5", "amount=2000"),
    ]:
        project.change(before, after)
    plan, applied = project.apply()
    changed = {change.kind.name: [diff.path for diff in change.fields] for change in plan.writes}
    assert changed == {
        "notification channel": ["labels.email_address"],
        "metric descriptor": ["description"],
        "log-based metric": ["filter"],
        "service": ["displayName"],
        "SLO": ["goal"],
        "uptime check": ["httpCheck.path"],
        "snooze": ["interval.endTime"],
        "billing budget": ["amount.specifiedAmount.units", "amount.specifiedAmount.nanos"],
    }
    assert len(applied) == 8


def test_pruning_takes_all_of_it_away_in_reverse(project):
    """Policies go before the checks and channels that they use; the snooze, which cannot be deleted, is ended."""
    project.apply()
    project.file.write_text('from obskit.alerts import email\nlast = email("last", address="a@example.com")\n')
    plan = project.plan(prune=True)
    deletes = [change for change in plan.writes if change.action == "delete"]
    assert [change.kind.order for change in deletes] == sorted((change.kind.order for change in deletes), reverse=True)
    apply(plan, project.backend, pause=lambda _: None)
    left = project.plan(prune=True)
    assert left.writes == ()
    # No budget is defined any more, so nobody knows which billing account to look at.
    assert len(project.local.store.objects.list("budgets")) == 1
    (snooze,) = project.backend.list(SNOOZE)
    assert datetime.fromisoformat(snooze["interval"]["endTime"]) < datetime.now(UTC) + timedelta(seconds=10)


def test_a_field_that_cannot_change_is_a_problem_of_the_plan(project):
    """The API refuses to move an uptime check to another host or a metric to another kind; the plan says so before."""
    project.apply()
    project.change("https://shop.example.com", "https://www.example.com")
    project.change('metric_kind="cumulative"', 'metric_kind="gauge"')
    loaded = load([project.folder])
    seen = survey(project.backend, loaded.definitions, project.context, kinds=KINDS)
    plan = make_plan(loaded.definitions, seen.objects, project.context, kinds=KINDS)
    told = {problem.problem for problem in impossible(plan)}
    assert told == {
        "monitoredResource cannot change once the uptime check is there",
        "metricKind cannot change once the metric descriptor is there",
    }


def test_what_has_the_name_of_a_definition_and_no_owner_is_adopted_only_when_told(project):
    """A log-based metric that somebody made under the same name stops the plan; with adoption it is taken over."""
    project.backend.create(KINDS[2], {"name": "checkout/failures", "filter": "severity>=DEBUG"})
    loaded = load([project.folder])
    seen = survey(project.backend, loaded.definitions, project.context, kinds=KINDS)
    plan = make_plan(loaded.definitions, seen.objects, project.context, kinds=KINDS)
    (problem,) = impossible(plan)
    assert "which is not this stack's" in problem.problem
    assert "--adopt" in problem.way_out
    plan, _ = project.apply(is_adopting=True)
    assert plan.count("update") == 1
    assert project.plan().writes == ()


def test_an_apply_is_undone_from_what_it_saved(project, tmp_path):
    """A rollback sets back what was changed, makes again what was deleted, and takes away what was made."""
    project.apply()
    before = {each["displayName"]: each["goal"] for each in project.local.store.objects.list("serviceLevelObjectives")}
    project.change("goal=0.999", "goal=0.9")
    project.change("slow = latency_p95(channels=[oncall])", 'slow = latency_p95(id="slow", channels=[oncall])')
    project.change("board = service()", "board = None")
    plan, applied = project.apply(prune=True)
    assert (plan.count("create"), plan.count("update"), plan.count("delete")) == (1, 1, 2)
    saved = save(plan, applied, tmp_path / "saved")
    assert saved.stat().st_mode & 0o077 == 0
    undo = reversal(read(saved), project.backend)
    apply(undo, project.backend, pause=lambda _: None)
    objectives = project.local.store.objects.list("serviceLevelObjectives")
    assert {each["displayName"]: each["goal"] for each in objectives} == before
    project.file.write_text(EVERYTHING)
    rest = project.plan()
    assert rest.writes == ()
    assert rest.count("orphan") == 0


def test_a_budget_whose_name_does_not_fit_is_a_problem_of_the_plan(project):
    """A budget has 60 characters for its name and the mark of its owner together."""
    project.change('id="monthly"', 'id="monthly", display_name="The budget of everything that the shop runs on"')
    loaded = load([project.folder])
    plan = make_plan(loaded.definitions, {BUDGET: []}, project.context, kinds=[BUDGET])
    (problem,) = impossible(plan)
    assert "at most 60 fit" in problem.problem
