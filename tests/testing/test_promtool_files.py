"""promtool's own unit-test files: obskit says of each what promtool says."""

from __future__ import annotations

import json
import subprocess

import pytest

from obskit.errors import DefinitionError
from obskit.testing.promtool import run_file
from obskit.testing.templates import expanded, go_number

RULES = """
groups:
- name: service
  interval: 30s
  rules:
  - record: job:requests:rate5m
    expr: sum by (job) (rate(requests_total[5m]))
  - alert: Busy
    expr: job:requests:rate5m > 10
    for: 2m
    labels: {severity: page, where: "{{ $labels.job }}"}
    annotations:
      summary: '{{ $labels.job }} has {{ $value | printf "%.1f" }} a second, {{ humanizePercentage 0.5 }}'
  - alert: Down
    expr: up == 0
    annotations: {text: "{{ $labels.instance }} of {{ $labels.job }}: {{ humanizeDuration 3725 }} {{ 1234567 | humanize }}"}
"""
TEST = """
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
- name: a busy shop
  interval: 1m
  input_series:
  - series: 'requests_total{job="shop", instance="a"}'
    values: "0+60x5 300+900x20"
  - series: 'requests_total{job="chat", instance="b"}'
    values: "0+6x30 _x3 4"
  - series: 'up{job="shop", instance="a"}'
    values: "1x10 0x3 1 _x3 0x5"
  alert_rule_test:
  - {eval_time: 5m, alertname: Busy}
  - eval_time: 15m30s
    alertname: Busy
    exp_alerts:
    - exp_labels: {severity: page, where: shop, job: shop}
      exp_annotations: {summary: "SUMMARY"}
  - {eval_time: 10m, alertname: Down}
  - eval_time: 12m
    alertname: Down
    exp_alerts:
    - exp_labels: {job: shop, instance: a}
      exp_annotations: {text: "a of shop: 1h 2m 5s 1.235M"}
  promql_expr_test:
  - expr: job:requests:rate5m{job="chat"}
    eval_time: 10m
    exp_samples: [{labels: 'job:requests:rate5m{job="chat"}', value: 0.1}]
  - expr: count(up) by (job) > 3
    eval_time: 3m
"""


def judged(folder):
    """Return whether promtool and whether obskit is content with a file."""
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True, check=False
    )
    cases = list(run_file(folder / "test.yml"))
    return done.returncode == 0, not any(case.failures for case in cases), done.stdout + done.stderr, cases


@pytest.mark.needs("prometheus")
@pytest.mark.parametrize(
    ("right", "wrong", "holds"),
    [
        ("", "", True),
        ("eval_time: 5m, alertname: Busy", "eval_time: 15m, alertname: Busy", False),
        ("eval_time: 15m30s", "eval_time: 6m", False),
        ("severity: page, where", "severity: ticket, where", False),
        ("1h 2m 5s", "2h 2m 5s", False),
        ("value: 0.1", "value: 0.2", False),
        ("eval_time: 12m", "eval_time: 15m", False),
        ("count(up) by (job) > 3", "count(up) by (job)", False),
        ("alertname: Down}", "alertname: Nothing}", True),
        ("_x3 4", "_ 4", True),
    ],
)
def test_promtool_says_the_same(tmp_path, right, wrong, holds):
    """Of a file that holds, and of ones with a slip each."""
    (tmp_path / "rules.yml").write_text(RULES)
    text = TEST.replace("SUMMARY", "shop has 15.0 a second, 50%").replace(right, wrong, 1)
    (tmp_path / "test.yml").write_text(text)
    promtool, obskit, output, cases = judged(tmp_path)
    assert (promtool, obskit) == (holds, holds), (output, cases)


def test_each_alert_is_a_case_of_its_own(tmp_path):
    """With its name and group, and what was expected beside what there was."""
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "test.yml").write_text(TEST)
    cases = {case.alert: case for case in run_file(tmp_path / "test.yml")}
    assert set(cases) == {"Busy", "Down", 'job:requests:rate5m{job="chat"}', "count(up) by (job) > 3"}
    assert cases["Busy"].name == f"{tmp_path}/test.yml::a busy shop"
    (failure,) = cases["Busy"].failures
    assert failure.startswith(
        'at 15m30s: expected {job="shop", severity="page", where="shop"} with summary: \'SUMMARY\''
    )
    assert "and there was" in failure
    assert cases["Down"].failures == ()


def test_json_is_yaml(tmp_path):
    """A file without YAML needs no PyYAML."""
    rules = {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "x > 1"}]}]}
    test = {
        "rule_files": ["rules.json"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": "x", "values": "2"}],
                "alert_rule_test": [{"eval_time": "0m", "alertname": "A", "exp_alerts": [{"exp_labels": {}}]}],
            }
        ],
    }
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    (tmp_path / "test.json").write_text(json.dumps(test))
    (case,) = run_file(tmp_path / "test.json")
    assert case.failures == ()


@pytest.mark.parametrize(
    ("rules", "test", "problem"),
    [
        ("groups: [", "", "is no YAML"),
        ("groups: [{name: g, rules: [{alert: A, expr: 'sum('}]}]", "", "does not parse"),
        ("groups: [{name: g, rules: [{alert: A}]}]", "", "a rule has no 'expr'"),
        ("groups: []", "rule_files: [nowhere.yml]", "there is no rule file 'nowhere.yml'"),
        (
            "groups: []",
            "tests: [{interval: 1m, input_series: [{series: x, values: 1x}]}]",
            "is not promtool's notation",
        ),
        ("groups: []", "tests: [{alert_rule_test: [{alertname: A}]}]", "'eval_time'"),
        ("groups: []", "- a list", "is no table"),
    ],
)
def test_files_that_cannot_be_read_say_where_and_why(tmp_path, rules, test, problem):
    """With the file, the group or the rule."""
    (tmp_path / "rules.yml").write_text(rules)
    (tmp_path / "test.yml").write_text(test or "rule_files: [rules.yml]\ntests: []")
    with pytest.raises(DefinitionError, match=problem):
        list(run_file(tmp_path / "test.yml"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (3.0, "3"),
        (1e6, "1e+06"),
        (1234567.0, "1.234567e+06"),
        (0.00001234, "1.234e-05"),
        (-0.25, "-0.25"),
    ],
)
def test_numbers_are_written_as_go_does(value, text):
    """As promtool expects them in annotations."""
    assert go_number(value) == text


def test_a_template_beyond_the_known_part_is_refused():
    """It is not guessed at."""
    with pytest.raises(ValueError, match="is not supported"):
        expanded('{{ range query "up" }}', {}, 1.0, {})
