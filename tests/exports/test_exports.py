"""Definitions in other tools' formats: those tools read them, and what they cannot say is told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hcl2
import pytest
import yaml
from google.cloud.monitoring_v3 import AlertPolicy as GooglePolicy
from google.protobuf import json_format

from obskit.alerts import AlertPolicy
from obskit.errors import DefinitionError
from obskit.queries.context import RenderContext
from obskit.sync.exports.grafana import as_grafana
from obskit.sync.exports.hcl import Attribute, Block, laid_out, literal, reference
from obskit.sync.exports.items import rendered
from obskit.sync.exports.plain import as_json
from obskit.sync.exports.prometheus import as_prometheus
from obskit.sync.exports.promql_text import Untranslatable, absence, for_prometheus, threshold
from obskit.sync.exports.terraform import as_terraform
from obskit.sync.exports.terraform_shapes import SHAPES
from obskit.sync.imports.arranging import arranged
from obskit.sync.imports.documents import read_files
from obskit.sync.imports.reading import read
from obskit.sync.imports.writing import write
from obskit.sync.load import load

GAUGE = 'metric.type="compute.googleapis.com/instance/cpu/utilization" AND resource.type="gce_instance"'
COUNTER = 'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision"'
LATENCY = 'metric.type="run.googleapis.com/request_latencies" AND resource.type="cloud_run_revision"'
CPU = "compute_googleapis_com:instance_cpu_utilization"
MINUTE = "alignmentPeriod"


def losses_of(export):
    return [str(loss).partition(": ")[2] for loss in export.losses]


@pytest.fixture(scope="module")
def corpus_items(tmp_path_factory, shared_folder_path):
    """The definitions of the corpus that break no rule."""
    folder = tmp_path_factory.mktemp("corpus")
    found, _ = read_files([shared_folder_path / "corpus"])
    context = RenderContext(project="p")
    every = read(found).definitions
    good = [made for made in every if not (isinstance(made, AlertPolicy) and made.problems(context))]
    write(arranged(good, alerts=folder / "alerts", dashboards=folder / "dashboards"))
    return rendered(load([folder / "alerts", folder / "dashboards"]), context)


@pytest.fixture(scope="module")
def shared_folder_path():
    return Path(__file__).resolve().parents[3] / "shared"


# --------------------------------------------------------------------------- json


def test_json_is_what_the_api_takes(items):
    """A file for each object, with no secret in it; what has to be filled in is told."""
    export = as_json(items)
    assert len(export.files) == len(items) == 21
    policy = json.loads(export.files["alertPolicies/ratio.json"])
    json_format.ParseDict(policy, GooglePolicy.pb(GooglePolicy()))
    hook = json.loads(export.files["notificationChannels/hook.json"])
    assert hook["labels"]["url"] == "https://hooks.example.com/x?auth_token=${HOOK_TOKEN}"
    told = losses_of(export)
    assert any("${HOOK_TOKEN} stands where a secret goes" in each for each in told)
    assert any("notificationChannels/obskit:mail has to be replaced" in each for each in told)


def test_definitions_with_problems_are_not_exported(tmp_path):
    """They are told as `obskit check` tells them."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "a.py").write_text(
        'from obskit.alerts import AlertPolicy, PromQLCondition\na = AlertPolicy(id="a", conditions=PromQLCondition(query="up ="))\n'
    )
    with pytest.raises(DefinitionError, match="does not parse"):
        rendered(load([tmp_path / "alerts"]), RenderContext(project="p"))


# --------------------------------------------------------------------------- terraform


def parsed(text):
    return hcl2.loads(text)


def checked_by_terraform(folder):
    """Terraform's own formatter reads the files and would change nothing."""
    if shutil.which("terraform") is None:
        return
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", folder], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_terraform_has_a_resource_for_each_object(items, tmp_path):
    """Tied by references, with variables for secrets; a snooze has none and is told."""
    export = as_terraform(items, project="shop-prod")
    found = parsed(export.files["main.tf"])
    assert len(found["resource"]) == 20
    (told,) = losses_of(export)
    assert told.endswith("left out: Google's provider has no resource for snoozes")
    text = export.files["main.tf"]
    assert "google_monitoring_notification_channel.mail.name," in text
    assert "data.google_monitoring_notification_channel.boss.name," in text
    assert 'check_id=\\"${google_monitoring_uptime_check_config.shop.uptime_check_id}\\"' in text
    assert re.search(r"service += google_monitoring_custom_service\.checkout\.service_id\n", text)
    assert 'policyNames = [trimprefix(google_monitoring_alert_policy.slow.name, "projects/${var.project}/")]' in text
    assert "service_key = var.pager_key" in text
    assert "$${policy.display_name}" in text
    assert "100 %%{ }" in text
    variables = parsed(export.files["variables.tf"])["variable"]
    assert len(variables) == 4  # the project and three secrets
    for name, content in export.files.items():
        (tmp_path / name).write_text(content)
    checked_by_terraform(tmp_path)


def test_a_field_that_the_provider_lacks_is_told(items):
    """Carried fields of tomorrow, with their place in the object."""
    item = next(each for each in items if each.definition.id == "ratio")
    document = {**item.document, "newField": 1, "conditions": [{"conditionThreshold": {"smoothing": {}}}]}
    export = as_terraform([type(item)(definition=item.definition, document=document, variables=())], project="p")
    assert {each.partition('"ratio": ')[2] for each in losses_of(export)} == {
        "newField is left out: Google's provider has no argument for it",
        "conditions.conditionThreshold.smoothing is left out: Google's provider has no argument for it",
    }


def test_every_field_of_googles_policy_is_in_the_shape_or_is_known_to_be_missing():
    """Held against the type of Google's client, all the way down."""
    missing = set()

    def walk(descriptor, shape, path):
        for field in descriptor.fields:
            name = field.json_name
            if name not in shape:
                missing.add(f"{path}{name}")
            elif shape[name] is not None and field.message_type is not None:
                walk(field.message_type, shape[name], f"{path}{name}.")

    walk(GooglePolicy.pb(GooglePolicy()).DESCRIPTOR, SHAPES[AlertPolicy][1], "")
    server = {"name", "creationRecord", "mutationRecord", "validity", "conditions.name"}
    assert missing - server == set()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('a"b\\c\n${d} %{e}\x08', '"a\\"b\\\\c\\n$${d} %%{e}\\u0008"'),
        (reference("var.x"), "var.x"),
        (f"a{reference('var.x')}b", '"a${var.x}b"'),
        (True, "true"),
        (None, "null"),
        ([1, "a"], '[1, "a"]'),
        ({}, "{}"),
        ({"a": 1, "b c": [2]}, '{\n  a     = 1\n  "b c" = [2]\n}'),
    ],
)
def test_a_value_is_spelled_as_terraform_does(value, text):
    """Escapes, references within texts, aligned equal signs."""
    assert literal(value) == text


def test_any_text_survives_terraforms_language():
    """What is written is read again as the same text."""
    text = 'line\n\ttab "quotes" \\ back $ {x} é 漢 % \x7f'
    block = Block("resource", ("a", "b"), (Attribute("x", text),))
    (found,) = parsed(laid_out([block]) + "\n")["resource"]
    assert "漢" in json.dumps(found, ensure_ascii=False)


@pytest.mark.needs("shared")
def test_the_corpus_becomes_terraform_without_a_loss(corpus_items, tmp_path):
    """All its policies and dashboards, read by a parser of the language and by Terraform's formatter."""
    export = as_terraform(corpus_items, project="p")
    assert export.losses == ()
    assert export.files["main.tf"].count("\nresource ") + 1 == len(corpus_items)
    few = corpus_items[::12]  # the parser takes its time
    assert len(parsed(as_terraform(few, project="p").files["main.tf"])["resource"]) == len(few)
    for name, content in export.files.items():
        (tmp_path / name).write_text(content)
    checked_by_terraform(tmp_path)


# --------------------------------------------------------------------------- prometheus


def promtool(folder, export):
    path = folder / "rules.yml"
    path.write_text(export.files["rules.yml"])
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(re.search(r"(\d+) rules found", done.stdout)[1])


@pytest.mark.needs("prometheus")
def test_prometheus_reads_the_rules(items, tmp_path):
    """promtool counts as many rules as there are conditions that PromQL can say."""
    export = as_prometheus(items)
    assert promtool(tmp_path, export) == 5
    rules = {
        rule["alert"]: rule for group in yaml.safe_load(export.files["rules.yml"])["groups"] for rule in group["rules"]
    }
    assert set(rules) == {"Slow", "ratio", "gone", "spelled: a", "spelled: b"}
    assert rules["Slow"]["for"] == "5m"
    assert rules["Slow"]["labels"] == {"severity": "critical", "policy": "slow"}
    assert rules["Slow"]["annotations"]["summary"] == "Slow: {{ $labels.service_name }}"
    assert rules["Slow"]["annotations"]["runbook_url"] == "https://wiki.example.com/slow"
    told = "\n".join(losses_of(export))
    for reason in (
        "a log match has no form",
        "it is disabled",
        "whom to tell is Alertmanager's",
        "it watches each series",
    ):
        assert reason in told


@pytest.mark.needs("prometheus", "shared")
def test_prometheus_reads_the_rules_of_the_corpus(corpus_items, tmp_path):
    """Each policy is a rule or is named as left out."""
    export = as_prometheus(corpus_items)
    rules = promtool(tmp_path, export)
    left_out = [each for each in losses_of(export) if "is left out" in each and "Alertmanager" not in each]
    disabled = [each for each in losses_of(export) if "disabled" in each]
    conditions = sum(
        len(item.document["conditions"]) for item in corpus_items if isinstance(item.definition, AlertPolicy)
    )
    assert rules + len(left_out) + len(disabled) == conditions
    assert rules == 32


@pytest.mark.needs("prometheus")
def test_our_own_definitions_are_exported_without_a_loss_that_matters(tmp_path):
    """Every shipped policy is a rule that promtool takes, and a resource with all its fields."""
    root = Path(__file__).resolve().parents[2]
    ours = rendered(load([root / "alerts", root / "dashboards"]), RenderContext(project="p"))
    policies = [item for item in ours if isinstance(item.definition, AlertPolicy)]
    assert policies
    export = as_prometheus(policies)
    assert promtool(tmp_path, export) == sum(len(item.document["conditions"]) for item in policies)
    assert all("Alertmanager" in each or "stays as it is" in each for each in losses_of(export))
    assert as_terraform(ours, project="p").losses == ()


def aggregated(aligner, reducer="REDUCE_NONE", *groups):
    return [
        {
            "alignmentPeriod": "300s",
            "perSeriesAligner": aligner,
            "crossSeriesReducer": reducer,
            "groupByFields": list(groups),
        }
    ]


@pytest.mark.parametrize(
    ("text", "aggregations", "query"),
    [
        (GAUGE, aggregated("ALIGN_MEAN"), f'avg_over_time({CPU}{{monitored_resource="gce_instance"}}[5m]) > 1'),
        (
            f'{GAUGE} AND (metric.labels.a=one_of("x.y","z") AND resource.label.zone:"eu")',
            aggregated("ALIGN_MAX", "REDUCE_MEAN", "resource.label.zone"),
            f'avg by (zone) (max_over_time({CPU}{{monitored_resource="gce_instance",a=~"x\\\\.y|z",zone=~".*eu.*"}}[5m])) > 1',
        ),
        (
            COUNTER,
            aggregated("ALIGN_SUM"),
            'increase(run_googleapis_com:request_count{monitored_resource="cloud_run_revision"}[5m]) > 1',
        ),
        (
            COUNTER,
            aggregated("ALIGN_RATE", "REDUCE_PERCENTILE_99"),
            'quantile (0.99, rate(run_googleapis_com:request_count{monitored_resource="cloud_run_revision"}[5m])) > 1',
        ),
        (
            LATENCY,
            aggregated("ALIGN_PERCENTILE_95", "REDUCE_MAX", "resource.labels.service_name"),
            'max by (service_name) (histogram_quantile(0.95, increase(run_googleapis_com:request_latencies_bucket{monitored_resource="cloud_run_revision"}[5m]))) > 1',
        ),
        (
            'metric.type="a.com/b" AND (metric.labels.c="x" OR metric.labels.c="y")',
            aggregated("ALIGN_DELTA"),
            'increase(a_com:b{c=~"x|y"}[5m]) > 1',
        ),
    ],
)
def test_a_threshold_becomes_promql(text, aggregations, query):
    """Aligners are functions over the period, reducers are aggregations by the labels that stay."""
    assert (
        threshold({"filter": text, "aggregations": aggregations, "thresholdValue": 1, "comparison": "COMPARISON_GT"})
        == query
    )


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"filter": COUNTER, "aggregations": aggregated("ALIGN_MEAN")}, "ALIGN_MEAN of a metric that grows"),
        ({"filter": GAUGE, "aggregations": []}, "0 aggregations"),
        ({"filter": GAUGE, "aggregations": aggregated("ALIGN_PERCENT_CHANGE")}, "ALIGN_PERCENT_CHANGE has no form"),
        (
            {"filter": GAUGE, "aggregations": aggregated("ALIGN_MEAN", "REDUCE_COUNT_TRUE")},
            "REDUCE_COUNT_TRUE has no form",
        ),
        ({"filter": f'{GAUGE} OR metric.labels.a="b"', "aggregations": aggregated("ALIGN_MEAN")}, "its filter has OR"),
        ({"filter": f"NOT {GAUGE}", "aggregations": aggregated("ALIGN_MEAN")}, "its filter has NOT"),
        ({"filter": "x y", "aggregations": aggregated("ALIGN_MEAN")}, "its filter does not parse"),
        ({"filter": 'resource.type="x"', "aggregations": aggregated("ALIGN_MEAN")}, "does not name one metric type"),
        (
            {"filter": GAUGE, "aggregations": aggregated("ALIGN_MEAN"), "trigger": {"percent": 50}},
            "a trigger by percent",
        ),
        ({"filter": GAUGE, "forecastOptions": {"forecastHorizon": "3600s"}}, "a forecast"),
        (
            {"filter": GAUGE, "evaluationMissingData": "EVALUATION_MISSING_DATA_ACTIVE"},
            "missing data that count as bad",
        ),
        (
            {"filter": f'{GAUGE} AND metadata.user_labels.a="b"', "aggregations": aggregated("ALIGN_MEAN")},
            "metadata.user_labels.a is no label",
        ),
        ({"filter": LATENCY, "aggregations": aggregated("ALIGN_STDDEV")}, "of a distribution has no exact form"),
    ],
)
def test_what_promql_cannot_say_is_refused(condition, reason):
    """With the reason, rather than written as something else."""
    with pytest.raises(Untranslatable, match=re.escape(reason)):
        threshold(condition)


def test_absence_is_translated_only_where_all_series_are_meant():
    """absent_over_time says nothing of one series among others."""
    reduced = {"filter": COUNTER, "duration": "600s", "aggregations": aggregated("ALIGN_RATE", "REDUCE_SUM")}
    assert absence(reduced).endswith("[10m])")
    with pytest.raises(Untranslatable, match="it watches each series"):
        absence({**reduced, "aggregations": aggregated("ALIGN_RATE", "REDUCE_SUM", "resource.label.zone")})


@pytest.mark.parametrize(
    ("query", "plain"),
    [
        ('rate({"run.googleapis.com/request_count", a="b"}[5m])', 'rate(run_googleapis_com:request_count{a="b"}[5m])'),
        ('{"up"} == 0', "up == 0"),
        (
            'sum by ("service.name", b) ({"a.com/x", "service.name"="c"})',
            'sum by (service_name, b) (a_com:x{service_name="c"})',
        ),
        ('up{a="{\\"x\\"}"}', 'up{a="{\\"x\\"}"}'),
    ],
)
def test_quoted_names_become_names_that_every_prometheus_reads(query, plain):
    """As Google maps them."""
    assert for_prometheus(query) == plain


# --------------------------------------------------------------------------- grafana


def test_grafana_gets_panels_with_targets(items):
    """Charts, cards, texts, logs and rows on 24 columns; variables; what has no panel is told."""
    export = as_grafana(items, project="shop-prod")
    board = json.loads(export.files["board.json"])
    panels = {panel["title"]: panel for panel in board["panels"]}
    assert [panel["type"] for panel in board["panels"]] == ["timeseries", "gauge", "text", "logs", "row"]
    assert board["templating"]["list"][0]["name"] == "service"
    chart = panels["Requests"]
    assert chart["targets"][0]["promQLQuery"]["expr"] == 'sum(rate({"run.googleapis.com/request_count"}[5m]))'
    assert chart["fieldConfig"]["defaults"]["unit"] == "ops"
    assert chart["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] == 100
    assert (chart["gridPos"]["x"], chart["gridPos"]["w"]) == (0, 12)
    told = "\n".join(losses_of(export))
    assert 'widget "Open incidents": left out: Grafana has no panel for incidentList' in told
    assert told.count("these files hold dashboards only") == 20


@pytest.mark.needs("shared")
def test_every_widget_of_the_corpus_is_a_panel_or_is_told(corpus_items):
    """None vanishes, and panels lie within the grid without covering each other."""
    dashboards = [item for item in corpus_items if not isinstance(item.definition, AlertPolicy)]
    export = as_grafana(dashboards, project="p")
    assert len(export.files) == len(dashboards) == 48
    widgets = panels = 0
    for item in dashboards:
        document = item.document
        tiles = [tile["widget"] for tile in document.get("mosaicLayout", {}).get("tiles", ())]
        widgets += len(tiles) + len(document.get("gridLayout", {}).get("widgets", ()))
        found = json.loads(export.files[f"{item.definition.id}.json"])["panels"]
        panels += len(found)
        for panel in found:
            where = panel["gridPos"]
            assert where["x"] + where["w"] <= 24, item.definition.id
    left_out = [each for each in losses_of(export) if ": left out:" in each]
    assert panels + len(left_out) == widgets
    assert len(left_out) <= 28


# --------------------------------------------------------------------------- the command


def test_the_command_writes_files_and_tells_what_is_lost(everything, tmp_path):
    """--strict exits with 1 where something is lost; --only limits; an id that is not there is told."""

    def run(*arguments):
        command = [sys.executable, "-m", "obskit.cli", "export", str(everything / "alerts"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)

    done = run("--format", "prometheus", "--strict", "--output", "rules", "--project", "shop-prod")
    assert done.returncode == 1
    assert 'policy "logged": condition "logged" is left out' in done.stderr
    assert (tmp_path / "rules" / "rules.yml").is_file()
    done = run("--format", "terraform", "--only", "ratio", "--strict", "--project", "shop-prod")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 definitions, 2 files in export, 0 losses." in done.stdout
    done = run("--only", "rato")
    assert done.returncode == 1
    assert "no definition has the id rato" in done.stderr
