"""A project's objects: imported, adopted, and then there is nothing to plan."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from obskit.alerts import AlertPolicy, PromQLCondition
from obskit.dashboards import Dashboard
from obskit.errors import DefinitionError
from obskit.local.rpc.rules import policy_faults
from obskit.local.serve import LocalBackend
from obskit.queries.context import RenderContext
from obskit.sync.apply import apply
from obskit.sync.backend import MemoryBackend
from obskit.sync.google import GoogleBackend
from obskit.sync.imports.arranging import arranged
from obskit.sync.imports.documents import read_files
from obskit.sync.imports.project import read_project
from obskit.sync.imports.proving import differences
from obskit.sync.imports.reading import read
from obskit.sync.imports.writing import write
from obskit.sync.kinds import CHANNEL, DASHBOARD, KINDS, LOG_METRIC, POLICY, UPTIME
from obskit.sync.load import check, load
from obskit.sync.ownership import stamped
from obskit.sync.plan import make_plan
from obskit.sync.survey import survey

PROMQL = {"query": "up == 0", "duration": "60s", "evaluationInterval": "30s"}


@pytest.fixture(scope="module")
def local():
    with LocalBackend(project="shop", http_port=0, grpc_port=0) as backend:
        yield backend


@pytest.fixture
def project(local):
    with local.store._database.writing() as connection:
        connection.execute("DELETE FROM objects")
    return GoogleBackend("shop", endpoint=local.grpc_address)


def seeded(project):
    """Make a small project as somebody would in the console."""
    mail = project.create(
        CHANNEL, {"type": "email", "displayName": "Mail", "labels": {"email_address": "a@example.com"}}
    )
    pager = project.create(
        CHANNEL, {"type": "pagerduty", "displayName": "Pager", "labels": {"service_key": "k" * 32}, "enabled": True}
    )
    policy = {
        "displayName": "Down",
        "combiner": "OR",
        "conditions": [{"displayName": "down", "conditionPrometheusQueryLanguage": PROMQL}],
        "notificationChannels": [mail["name"], pager["name"]],
        "documentation": {"content": "Look.", "mimeType": "text/markdown"},
    }
    made = project.create(POLICY, policy)
    project.create(POLICY, policy)  # names need not be unique
    project.create(
        DASHBOARD,
        {
            "displayName": "Board",
            "mosaicLayout": {
                "columns": 48,
                "tiles": [
                    {"width": 48, "height": 8, "widget": {"title": "Down", "alertChart": {"name": made["name"]}}}
                ],
            },
        },
    )
    project.create(
        UPTIME,
        {
            "displayName": "Shop",
            "monitoredResource": {"type": "uptime_url", "labels": {"host": "shop.example.com", "project_id": "shop"}},
            "httpCheck": {"path": "/", "useSsl": True, "validateSsl": True, "port": 443, "requestMethod": "GET"},
            "period": "60s",
            "timeout": "10s",
        },
    )


def imported(project, folder, *, is_checked=True):
    source = read_project(project)
    reading = read(source.found, channels=source.channels)
    modules = arranged(reading.definitions, alerts=folder / "alerts", dashboards=folder / "dashboards")
    assert (source.problems, reading.problems) == ((), ())
    assert differences(reading, modules, project="shop", channels=source.channels) == ()
    write(modules)
    loaded = load([folder / "alerts", folder / "dashboards"])
    assert loaded.problems == ()
    context = RenderContext(project="shop", environ=dict.fromkeys(reading.variables, "k" * 32))
    assert not is_checked or check(loaded, context) == ()
    return loaded, context


def plan_of(project, loaded, context, **options):
    seen = survey(project, loaded.definitions, context, kinds=KINDS, is_pruning=False)
    return make_plan(loaded.definitions, seen.objects, context, kinds=KINDS, **options)


def test_a_project_is_imported_adopted_and_then_unchanged(project, tmp_path):
    """Adoption writes nothing but who owns each object; without it, definitions would make second objects."""
    seeded(project)
    loaded, context = imported(project, tmp_path)
    assert len(loaded.definitions) == 6
    before = {kind: project.list(kind) for kind in (CHANNEL, POLICY, DASHBOARD, UPTIME)}
    assert plan_of(project, loaded, context).count("create") == 6
    plan = plan_of(project, loaded, context, is_adopting=True)
    assert plan.count("update") == 6
    assert plan.foreign == 0
    assert {field.path for change in plan.changes for field in change.fields} == {"(secrets or ownership labels)"}
    apply(plan, project, pause=lambda _: None)
    again = plan_of(project, loaded, context)
    assert [(change.action, change.fields, change.kept) for change in again.changes] == [("unchanged", (), ())] * 6
    for kind, documents in before.items():
        assert {each["name"] for each in project.list(kind)} == {each["name"] for each in documents}


def test_what_definitions_own_is_not_imported_again_unless_asked(project, tmp_path):
    """Then with the ids that it has."""
    seeded(project)
    loaded, context = imported(project, tmp_path)
    apply(plan_of(project, loaded, context, is_adopting=True), project, pause=lambda _: None)
    source = read_project(project)
    assert (source.found, source.owned) == ((), 6)
    logged = {"name": "logged", "filter": "a", "description": "Says"}
    project.create(LOG_METRIC, stamped(logged, LOG_METRIC, stack="default", definition_id="own"))
    (own,) = read(read_project(project, kinds=[LOG_METRIC], with_owned=True).found).definitions
    assert (own.id, own.description) == ("own", "Says")
    everything = read(read_project(project, kinds=[CHANNEL, POLICY, DASHBOARD, UPTIME], with_owned=True).found)
    assert {made.id for made in everything.definitions} == {made.id for made in loaded.definitions}
    few = read_project(project, kinds=[POLICY], containing="dOw", with_owned=True)
    assert len(few.found) == 2


def test_the_command_imports_from_a_running_backend(project, local, tmp_path):
    """Files, the variables to set, what comes next; a second run overwrites nothing."""
    seeded(project)

    def run(*arguments):
        command = [sys.executable, "-m", "obskit.cli", "import", "--project", "shop", "--local", local.grpc_address]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    code, text = run("--dry-run")
    assert (code, list(tmp_path.iterdir())) == (0, [])
    assert "6 objects in 5 files would be written." in text
    code, text = run()
    assert code == 0, text
    assert 'set PAGER_SERVICE_KEY, which channel "pager" reads' in text
    assert "obskit sync --dry-run --adopt" in text
    assert sorted(path.name for path in tmp_path.rglob("*.py")) == [
        "board.py",
        "channels.py",
        "down.py",
        "down_2.py",
        "uptime.py",
    ]
    (tmp_path / "alerts" / "down.py").write_text("mine")
    code, text = run()
    assert code == 1
    assert "alerts/down.py: exists already, and nothing was written" in text
    code, text = run("--kind", "alertPolices")
    assert "Did you mean alertPolicies" in text


@pytest.mark.needs("shared")
def test_the_corpus_as_a_projects_objects_is_imported_adopted_and_unchanged(project, local, shared_folder, tmp_path):
    """All 48 dashboards, and every policy that the local backend takes: eight break the platform's rules as they are."""
    found, _ = read_files([shared_folder / "corpus"])
    context = RenderContext(project="shop")
    taken = 0
    for each in found:
        is_dashboard = each.model is Dashboard
        if not is_dashboard and (
            each.model.from_json(each.document).problems(context) or policy_faults(each.document, {})
        ):
            continue
        project.create(DASHBOARD if is_dashboard else POLICY, json.loads(json.dumps(each.document)))
        taken += 1
    assert taken >= 48 + 36
    loaded, context = imported(project, tmp_path, is_checked=False)
    assert len(loaded.definitions) == taken
    plan = plan_of(project, loaded, context, is_adopting=True)
    assert {change.action for change in plan.changes} == {"update"}
    assert {field.path for change in plan.changes for field in change.fields} == {"(secrets or ownership labels)"}
    apply(plan, project, pause=lambda _: None)
    again = plan_of(project, loaded, context)
    assert [(change.id, change.fields) for change in again.changes if change.action != "unchanged"] == []


# --------------------------------------------------------------------------- adoption


def policy(query="up == 0", key="a", name="Same"):
    return AlertPolicy(id=key, display_name=name, conditions=PromQLCondition(query=query))


def adopting(definitions, backend):
    existing = {kind: backend.list(kind) for kind in KINDS}
    context = RenderContext(project=backend.project)
    return make_plan(definitions, existing, context, kinds=KINDS, is_adopting=True)


def made_by_hand(backend, query, name="Same"):
    return backend.create(POLICY, policy(query, name=name).to_dict(RenderContext(project="p")))["name"]


def test_an_object_of_the_same_name_is_taken_and_changed():
    """The plan shows what the definition says otherwise."""
    backend = MemoryBackend("p")
    name = made_by_hand(backend, "up == 1")
    (change,) = adopting([policy()], backend).changes
    assert (change.action, change.name) == ("update", name)
    assert any(field.path.endswith("query") for field in change.fields)


def test_of_several_the_one_that_says_the_same_is_taken():
    """And each only once."""
    backend = MemoryBackend("p")
    made_by_hand(backend, "up == 1")
    second, third = made_by_hand(backend, "up == 0"), made_by_hand(backend, "up == 0")
    plan = adopting([policy(), policy(key="b")], backend)
    assert [change.name for change in plan.changes] == [second, third]
    assert plan.foreign == 1


def test_several_that_say_otherwise_are_a_problem():
    """Nobody knows which one is meant."""
    backend = MemoryBackend("p")
    made_by_hand(backend, "up == 1")
    made_by_hand(backend, "up == 2")
    with pytest.raises(DefinitionError, match="2 objects of this kind that nobody owns have its name"):
        adopting([policy()], backend)


def test_what_another_stack_owns_is_never_taken():
    """Nor what this one has already."""
    backend = MemoryBackend("p")
    made_by_hand(backend, "up == 0")
    (document,) = backend.objects.values()
    document["userLabels"] = {"managed-by": "obskit", "obskit-stack": "other", "obskit-id": "a"}
    assert adopting([policy()], backend).count("create") == 1
