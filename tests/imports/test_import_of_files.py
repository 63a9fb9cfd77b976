"""Objects out of files: recognised in every wrapping, written as Python, and the same again."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from obskit.alerts import AlertPolicy, NotificationChannel
from obskit.dashboards import Dashboard
from obskit.errors import DefinitionError
from obskit.queries.context import RenderContext
from obskit.resources import (
    BillingBudget,
    LogMetric,
    MetricDescriptor,
    Service,
    ServiceLevelObjective,
    Snooze,
    UptimeCheck,
)
from obskit.sync.canonical import canonical
from obskit.sync.imports.arranging import Layout, arranged
from obskit.sync.imports.documents import Found, read_files
from obskit.sync.imports.proving import differences
from obskit.sync.imports.reading import read
from obskit.sync.imports.recognition import recognised
from obskit.sync.imports.writing import write
from obskit.sync.kinds import DASHBOARD, KINDS, POLICY
from obskit.sync.load import load
from obskit.sync.plan import make_plan

P = "projects/shop"
CHANNEL = {
    "name": f"{P}/notificationChannels/9",
    "type": "pagerduty",
    "displayName": "On call",
    "labels": {"service_key": "****1234"},
    "enabled": True,
}
HOOK = {
    "name": f"{P}/notificationChannels/10",
    "type": "webhook_tokenauth",
    "displayName": "Hook",
    "labels": {"url": "https://hooks.example.com/x?auth_token=s3cret"},
}
PROMQL = {"query": "up == 0", "duration": "60s", "evaluationInterval": "30s"}
DOWN = {
    "name": f"{P}/alertPolicies/7",
    "displayName": "Test is down?",
    "combiner": "OR",
    "conditions": [
        {"name": "x", "displayName": "down", "conditionPrometheusQueryLanguage": PROMQL},
    ],
    "notificationChannels": [f"{P}/notificationChannels/9", f"{P}/notificationChannels/11"],
    "alertStrategy": {
        "notificationChannelStrategy": [
            {"notificationChannelNames": [f"{P}/notificationChannels/9"], "renotifyInterval": "3600s"}
        ]
    },
}
TWIN = {**DOWN, "name": f"{P}/alertPolicies/8"}
BOARD = {
    "name": "projects/4711/dashboards/b",
    "displayName": "Board",
    "mosaicLayout": {
        "columns": 48,
        "tiles": [
            {"width": 24, "height": 8, "widget": {"incidentList": {"policyNames": ["alertPolicies/7"]}}},
            {
                "xPos": 24,
                "width": 24,
                "height": 8,
                "widget": {"title": "Chart", "alertChart": {"name": f"{P}/alertPolicies/7"}},
            },
        ],
    },
}
CHECK = {
    "name": f"{P}/uptimeCheckConfigs/shop-x1",
    "displayName": "Shop",
    "monitoredResource": {"type": "uptime_url", "labels": {"host": "shop.example.com", "project_id": "shop"}},
    "httpCheck": {
        "path": "/",
        "useSsl": True,
        "validateSsl": True,
        "port": 443,
        "requestMethod": "GET",
        "authInfo": {"username": "u", "password": "******"},
    },
    "period": "60s",
    "timeout": "10s",
}
LOGGED = {
    "name": "refunds",
    "filter": 'jsonPayload.event="refund"',
    "metricDescriptor": {"metricKind": "DELTA", "valueType": "INT64"},
}
SERVICE = {"name": f"{P}/services/checkout", "displayName": "Checkout", "custom": {}}
OBJECTIVE = {
    "name": f"{P}/services/checkout/serviceLevelObjectives/fast",
    "displayName": "Fast",
    "goal": 0.99,
    "rollingPeriod": "2592000s",
    "serviceLevelIndicator": {
        "requestBased": {
            "goodTotalRatio": {"goodServiceFilter": 'metric.type="a"', "totalServiceFilter": 'metric.type="b"'}
        }
    },
}
QUIET = {
    "name": f"{P}/snoozes/1",
    "displayName": "Night",
    "criteria": {"policies": [f"{P}/alertPolicies/7"]},
    "interval": {"startTime": "2026-11-21T00:00:00Z", "endTime": "2026-11-22T00:00:00Z"},
}
BUDGET = {
    "name": "billingAccounts/000000-111111-222222/budgets/b",
    "displayName": "Month",
    "amount": {"specifiedAmount": {"currencyCode": "EUR", "units": "100"}},
    "thresholdRules": [{"thresholdPercent": 0.5, "spendBasis": "CURRENT_SPEND"}],
}
DESCRIPTOR = {
    "name": f"{P}/metricDescriptors/custom.googleapis.com/orders",
    "type": "custom.googleapis.com/orders",
    "metricKind": "CUMULATIVE",
    "valueType": "INT64",
}
ALL = {
    NotificationChannel: CHANNEL,
    MetricDescriptor: DESCRIPTOR,
    LogMetric: LOGGED,
    Service: SERVICE,
    ServiceLevelObjective: OBJECTIVE,
    UptimeCheck: CHECK,
    AlertPolicy: DOWN,
    Snooze: QUIET,
    BillingBudget: BUDGET,
    Dashboard: BOARD,
}


def found_in(*documents):
    return [Found(model=recognised(each), document=each, place="here") for each in documents]


def files_of(reading, folder, **options):
    return arranged(reading.definitions, alerts=folder / "alerts", dashboards=folder / "dashboards", **options)


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
def test_each_kind_is_recognised(model, named):
    """By the collection in its name, and without a name by its fields."""
    document = ALL[model] if named else {key: value for key, value in ALL[model].items() if key != "name"}
    if model is LogMetric:
        document = ALL[model]  # its name has no collection, and it is nothing without one
    assert recognised(document) is model


def test_every_kind_comes_back_as_it_was(tmp_path):
    """One of each, tied together, written, loaded, rendered: no difference."""
    reading = read(found_in(*ALL.values(), HOOK, TWIN))
    assert reading.problems == ()
    for layout in Layout:
        modules = files_of(reading, tmp_path / layout, layout=layout)
        assert differences(reading, modules, project="shop") == ()
    assert len(files_of(reading, tmp_path)) == 11
    assert len(files_of(reading, tmp_path, layout=Layout.KINDS)) == 10


def test_a_difference_is_told(tmp_path):
    """The proof is none unless a file that says something else fails it."""
    reading = read(found_in(DOWN))
    (module,) = files_of(reading, tmp_path)
    broken = type(module)(path=module.path, text=module.text.replace("up == 0", "up == 1"), definitions=())
    (problem,) = differences(reading, [broken])
    assert "would come back otherwise: conditions" in problem.problem
    empty = type(module)(path=module.path, text="", definitions=())
    (problem,) = differences(reading, [empty])
    assert problem.problem == "is not made by the file that was written for it"


def test_what_names_another_object_names_its_variable(tmp_path):
    """Channels of policies and reminders, policies of dashboards and snoozes; what was not imported is asked for."""
    channels = [CHANNEL, {**CHANNEL, "name": f"{P}/notificationChannels/11", "displayName": "Boss", "type": "email"}]
    reading = read(found_in(CHANNEL, DOWN, BOARD, QUIET), channels=channels)
    modules = files_of(reading, tmp_path)
    texts = {module.path.name: module.text for module in modules}
    assert set(texts) == {"channels.py", "policy_test_is_down.py", "snoozes.py", "board.py"}
    policy = texts["policy_test_is_down.py"]
    assert "from alerts.channels import on_call\n" in policy
    assert 'channels=[on_call, existing(display_name="Boss")]' in policy
    assert 'reminders=[Reminder(channels=[on_call], every="1h")]' in policy
    assert "IncidentList(policies=[test_is_down])" in texts["board.py"].replace('title="", ', "")
    assert "policy=test_is_down" in texts["board.py"]
    assert "policies=[test_is_down]" in texts["snoozes.py"]
    assert differences(reading, modules, project="shop", channels=channels) == ()


def test_secrets_become_environment_variables(tmp_path):
    """Masked ones and those that the API shows; no file has one."""
    header = {**CHECK, "httpCheck": {**CHECK["httpCheck"], "headers": {"Authorization": "Bearer s3cret"}}}
    slack = {**HOOK, "name": "", "displayName": "Slack", "labels": {"url": "https://hooks.slack.com/services/s3cret"}}
    reading = read(found_in(CHANNEL, HOOK, slack, header))
    modules = files_of(reading, tmp_path)
    assert set(reading.variables) == {
        *("ON_CALL_SERVICE_KEY", "HOOK_AUTH_TOKEN", "SLACK_URL", "SHOP_AUTHORIZATION", "SHOP_PASSWORD"),
    }
    text = "".join(module.text for module in modules)
    assert "s3cret" not in text
    assert 'pagerduty("on-call", service_key=env("ON_CALL_SERVICE_KEY"), display_name="On call")' in text
    assert 'webhook("hook", url="https://hooks.example.com/x", token=env("HOOK_AUTH_TOKEN")' in text
    (problem,) = differences(reading, modules)
    assert "maskHeaders" in problem.problem  # a shown secret is masked from now on, and that is told


def test_two_of_one_name_get_ids_of_their_own(tmp_path):
    """Names need not be unique at the API; ids and files are."""
    reading = read(found_in(DOWN, TWIN, {**TWIN, "name": ""}))
    assert [made.id for made in reading.definitions] == ["test-is-down", "test-is-down-2", "test-is-down-3"]
    assert len({module.path for module in files_of(reading, tmp_path)}) == 3


def test_the_id_of_an_owned_object_stays():
    """What sync has labelled keeps its id."""
    owned = {**DOWN, "userLabels": {"managed-by": "obskit", "obskit-id": "own", "obskit-stack": "prod", "team": "x"}}
    (made,) = read(found_in(owned)).definitions
    assert (made.id, made.labels) == ("own", {"team": "x"})


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("one.json", json.dumps(DOWN), 1),
        ("list.json", json.dumps([DOWN, CHANNEL]), 2),
        ("answer.json", json.dumps({"alertPolicies": [DOWN, TWIN], "nextPageToken": "x"}), 2),
        ("text.json", json.dumps(json.dumps(BOARD)), 1),
        ("texts.json", json.dumps({"dashboards": [BOARD]}), 1),
        ("gcloud.yaml", "---\ndisplayName: a\nconditions:\n- displayName: c\n  conditionAbsent: {duration: 120s}\n", 1),
        ("two.yml", "displayName: a\nconditions: []\n---\ndisplayName: b\nconditions: []\n", 2),
        (
            "main.tf",
            f'resource "google_monitoring_dashboard" "b" {{\n  dashboard_json = <<-EOF\n{json.dumps(BOARD, indent=2)}\n  EOF\n}}\n',
            1,
        ),
        ("other.tf", 'resource "google_storage_bucket" "b" {\n  name = "b"\n}\n', 0),
        (
            "state.tfstate",
            json.dumps(
                {
                    "version": 4,
                    "terraform_version": "1.11.4",
                    "resources": [
                        {
                            "type": "google_monitoring_dashboard",
                            "name": "b",
                            "instances": [{"attributes": {"dashboard_json": json.dumps(BOARD)}}],
                        },
                        {"type": "google_storage_bucket", "name": "c", "instances": [{"attributes": {}}]},
                    ],
                }
            ),
            1,
        ),
        (
            "show.json",
            json.dumps(
                {
                    "terraform_version": "1.11.4",
                    "values": {
                        "root_module": {
                            "child_modules": [
                                {
                                    "resources": [
                                        {
                                            "type": "google_monitoring_dashboard",
                                            "name": "b",
                                            "values": {"dashboard_json": json.dumps(BOARD)},
                                        }
                                    ]
                                }
                            ]
                        }
                    },
                }
            ),
            1,
        ),
    ],
)
def test_a_file_may_wrap_objects_in_many_ways(tmp_path, name, text, count):
    """As the API, gcloud and Terraform give them."""
    (tmp_path / name).write_text(text)
    for path in (tmp_path / name, tmp_path):
        found, problems = read_files([path])
        assert (len(found), problems) == (count, ())


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.json", "{", "cannot be read: Expecting"),
        ("a.tf", "dashboard_json = jsonencode({ a = 1 })", "what stands in Terraform's own language is not read"),
        ("a.yaml", "a: [", "cannot be read: while parsing"),
        ("a.json", '{"kind": "x"}', "an object with the fields kind is no object of Cloud Monitoring that is known"),
        ("a.json", '"x"', "a text is no object"),
        ("a.json", "[4]", "4 is no object"),
        (
            "a.json",
            '{"terraform_version": "1", "resources": [{"type": "google_monitoring_slo", "name": "s", "instances": [{"attributes": {}}]}]}',
            "1 resources are not kept as the API's JSON in a state: google_monitoring_slo.s",
        ),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, name, text, problem):
    """With the place; the other files are read all the same."""
    (tmp_path / name).write_text(text)
    (tmp_path / "good.json").write_text(json.dumps(DOWN))
    found, (told,) = read_files([tmp_path])
    assert len(found) == 1
    assert problem in told.problem
    assert name in told.place


def test_an_object_that_is_malformed_is_told_and_left_out():
    """A list where the API has an object ends nothing else."""
    reading = read([Found(model=AlertPolicy, document=["x"], place="f.json"), *found_in(DOWN)])
    assert len(reading.imported) == 1
    assert "cannot be read as a policy" in reading.problems[0].problem


def test_files_that_stand_are_not_overwritten_unless_told(tmp_path):
    """Nothing at all is written then; files that say the same are no obstacle."""
    modules = files_of(read(found_in(CHANNEL, DOWN)), tmp_path)
    write(modules)
    write(modules)
    (tmp_path / "alerts" / "channels.py").write_text("mine")
    (tmp_path / "alerts" / "policy_test_is_down.py").unlink()
    with pytest.raises(DefinitionError, match="exists already, and nothing was written"):
        write(modules)
    assert not (tmp_path / "alerts" / "policy_test_is_down.py").exists()
    write(modules, overwrite=True)
    assert (tmp_path / "alerts" / "channels.py").read_text() != "mine"


@pytest.mark.needs("shared")
def test_every_file_of_the_corpus_imports_and_plans_back_without_a_change(tmp_path, shared_folder):
    """47 policies and 48 dashboards by others: files, loaded, planned against the same objects: only labels are new."""
    found, problems = read_files([shared_folder / "corpus"])
    assert problems == ()
    reading = read(found)
    modules = files_of(reading, tmp_path)
    assert len(reading.imported) == len(modules) == 95
    assert differences(reading, modules) == ()
    write(modules)
    loaded = load([tmp_path / "alerts", tmp_path / "dashboards"])
    assert loaded.problems == ()
    owned = {POLICY: [], DASHBOARD: []}
    for number, each in enumerate(reading.imported):
        kind = DASHBOARD if each.found.model is Dashboard else POLICY
        labels = {"managed-by": "obskit", "obskit-stack": "default", "obskit-id": each.definition.id}
        document = {**each.found.document, "name": f"{P}/{kind.collection}/{number}"}
        document[kind.labels_field] = {**document.get(kind.labels_field, {}), **labels}
        owned[kind].append(document)
    plan = make_plan(loaded.definitions, owned, RenderContext(project="shop"), kinds=KINDS)
    assert len(plan.changes) == 95
    assert {change.action for change in plan.changes} == {"update"}
    assert {field.path for change in plan.changes for field in change.fields} == {"(secrets or ownership labels)"}


@pytest.mark.needs("shared")
def test_what_is_written_is_formatted_and_free_of_lint(tmp_path, shared_folder):
    """ruff changes nothing in any file, neither in those of the corpus nor in those that import from each other."""
    found, _ = read_files([shared_folder / "corpus" / "alerts"])
    write(files_of(read([*found, *found_in(*ALL.values(), HOOK)]), tmp_path))
    for command in (["format", "--check"], ["check", "--select", "E4,E7,E9,F,I,Q,UP"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "--line-length", "120", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_the_canonical_form_is_what_is_compared():
    """A number as a text and a default that the server adds are no difference."""
    assert canonical({**DOWN, "enabled": True}, POLICY) == canonical(DOWN, POLICY)
