"""`obskit test-alerts`, and alert tests under pytest: in a user's project, by files of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from typer.testing import CliRunner

from obskit.alerts import AlertPolicy, PromQLCondition
from obskit.cli import app
from obskit.errors import DefinitionError
from obskit.queries import per_stack
from obskit.testing import AlertTest

POLICIES = """
from obskit.alerts import provider_down

provider = provider_down(channels=["oncall"])
"""
TESTS = """
from alerts.health import provider
from obskit.catalog import PROVIDER_STATUS
from obskit.testing import AlertTest

_provider = AlertTest(provider, "a provider")

fails = _provider.metric(PROVIDER_STATUS, "1x9 0x20", provider="gemini").is_open("6m").notifies("oncall", times=1)
cases = {"fine": _provider.metric(PROVIDER_STATUS, "1x40", provider="gemini").stays_silent()}
"""
WRONG = """
from alerts.health import provider
from obskit.catalog import PROVIDER_STATUS
from obskit.testing import AlertTest

too_early = AlertTest(provider, "it fails").metric(PROVIDER_STATUS, "1x9 0x20", provider="gemini").is_open("5m")
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A user's folder with a policy and two tests of it."""
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "health.py").write_text(POLICIES)
    (tmp_path / "alerts" / "test_health.py").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    done = CliRunner().invoke(app, ["test-alerts", *map(str, words)], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


def test_tests_beside_the_definitions_are_found(project):
    """One line each, a summary, exit code 0."""
    code, text, _ = run()
    lines = text.splitlines()
    assert code == 0
    assert lines[:2] == [
        "pass  alerts/test_health.py::fails  provider-down: a provider",
        "pass  alerts/test_health.py::cases[fine]  provider-down: a provider",
    ]
    assert lines[2].startswith("2 passed in 0.")


def test_a_failure_shows_its_timeline_and_exits_1(project):
    """With what was expected and what happened, one below the other."""
    (project / "tests").mkdir()
    (project / "tests" / "alerts_test.py").write_text(WRONG)
    code, text, _ = run()
    assert code == 1
    assert "FAIL  tests/alerts_test.py::too_early  provider-down: it fails" in text
    assert "expected it open from 5m until the end, and it was open from 6m until the end" in text
    assert "\n      expected  ··········█" in text
    assert "2 passed, 1 failed in" in text


def test_some_of_them_can_be_chosen(project):
    """By a file, by a text of the name; timelines also of those that pass."""
    (project / "alerts" / "test_more.py").write_text(WRONG)
    assert run("alerts/test_health.py")[0] == 0
    code, text, _ = run("--only", "fine", "--timelines")
    assert code == 0
    assert text.count("pass  ") == 1
    assert "      state     ····" in text


def test_what_cannot_be_loaded_exits_2_and_the_rest_runs(project):
    """A broken test file is a problem with its place, as is a folder that does not exist."""
    (project / "alerts" / "test_broken.py").write_text("from obskit.testing import AlertTest\n1 / 0\n")
    code, text, _ = run()
    assert code == 2
    assert "alerts/test_broken.py:2: fails to import: ZeroDivisionError" in text
    assert "2 passed, 1 problems in" in text
    assert run("nowhere")[0] == 2


def test_no_test_at_all_is_no_success(tmp_path, monkeypatch):
    """With a word on how to begin."""
    monkeypatch.chdir(tmp_path)
    code, text, _ = run()
    assert code == 2
    assert "Write an AlertTest into alerts/test_NAME.py" in " ".join(text.split())


def test_every_policy_can_be_required_to_have_both(project):
    """One without a test is a problem at its line."""
    assert run("--require-both")[0] == 0
    (project / "alerts" / "other.py").write_text("from obskit.alerts import error_spike\nspike = error_spike()\n")
    code, text, _ = run("--require-both")
    assert code == 2
    assert 'alerts/other.py:2: policy "error-spike": no test in which it fires' in text
    assert 'alerts/other.py:2: policy "error-spike": no test in which it stays silent' in text


def test_json_and_junit(project):
    """For machines: the same, with what happened."""
    (project / "alerts" / "test_more.py").write_text(WRONG)
    code, text, _ = run("--json", "--junit", project / "junit.xml")
    report = json.loads(text)
    assert code == 1
    assert (report["passed"], report["failed"]) == (2, 1)
    incident = report["tests"][0]["outcome"]["incidents"][0]
    assert (incident["opened_s"], incident["closed_s"], incident["labels"]) == (360.0, None, {"provider": "gemini"})
    suite = ET.parse(project / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    (failure,) = suite.iter("failure")
    assert "expected it open from 5m" in failure.get("message")
    assert "incident  " in failure.text


def test_promtools_files_are_run_too(project):
    """Those with tests; a file of rules is none."""
    (project / "alerts" / "rules.yml").write_text("groups: [{name: g, rules: [{alert: A, expr: x > 1}]}]\n")
    (project / "alerts" / "rules_test.yaml").write_text(
        "rule_files: [rules.yml]\n"
        "tests:\n"
        "- interval: 1m\n"
        "  input_series: [{series: x, values: '2'}]\n"
        "  alert_rule_test: [{eval_time: 0m, alertname: A}]\n"
    )
    code, text, _ = run()
    assert code == 1
    assert "FAIL  alerts/rules_test.yaml::0  A: alerts" in text
    assert "at 0m: expected no alert, and there was {}" in text
    assert "3 passed" not in text


def test_pytest_collects_them(project):
    """Each as a test of its own, with the timeline as the reason of a failure."""
    (project / "conftest.py").write_text('pytest_plugins = ["obskit.testing"]\n')
    (project / "test_wrong.py").write_text(WRONG)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project), *sys.path])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "alerts/test_health.py", "test_wrong.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 2 passed" in done.stdout
    assert "test_wrong.py::too_early" in done.stdout
    assert "expected it open from 5m until the end" in done.stdout
    assert "plugin.py" not in done.stdout


def test_the_package_is_light():
    """Importing it loads neither OpenTelemetry nor pytest nor the engine; a name loads what it needs."""
    code = (
        "import sys, obskit.testing\n"
        "heavy = ('opentelemetry', 'pytest', 'promql_parser', 'google', 'grpc', 'obskit.engine', 'obskit.local')\n"
        "assert not [name for name in sys.modules if name.startswith(heavy)]\n"
        "from obskit.testing import AlertTest\n"
        "assert not [name for name in sys.modules if name.startswith(('opentelemetry', 'pytest', 'google', 'grpc'))]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


STACKED = """
from obskit.alerts import AlertPolicy, PromQLCondition
from obskit.queries import per_stack

noisy = per_stack({"prod": AlertPolicy(id="noisy", conditions=PromQLCondition(query="up == 0"))}, otherwise=None)
"""
STACKED_TESTS = """
from alerts.noisy import noisy
from obskit.testing import AlertTest

falls = AlertTest(noisy, "it falls").series("up", "1x9 0x20").is_open("5m")
"""


def test_tests_of_a_policy_that_the_stack_leaves_out_are_skipped_with_the_reason(project):
    """They count neither as passed nor as failed; where nothing else ran, nothing was tested and the exit code is 2."""
    (project / "alerts" / "noisy.py").write_text(STACKED)
    (project / "alerts" / "test_noisy.py").write_text(STACKED_TESTS)
    code, text, _ = run("--stack", "dev", "--junit", "report.xml")
    assert code == 0
    assert "skip  alerts/test_noisy.py::falls  noisy: it falls\n" in text
    assert '      its policy is left out in stack "dev"\n' in text
    assert "2 passed, 1 skipped in " in text
    (suite,) = ET.parse("report.xml").getroot()
    assert (suite.get("skipped"), suite.get("failures")) == ("1", "0")
    assert suite.find(".//skipped").get("message") == 'its policy is left out in stack "dev"'
    code, text, _ = run("alerts/test_noisy.py", "--json")
    assert (code, json.loads(text)["skipped"], json.loads(text)["passed"]) == (2, 1, 0)
    code, text, _ = run("--stack", "prod")
    assert "pass  alerts/test_noisy.py::falls" in text
    assert (code, "skip" in text) == (0, False)


def test_a_per_stack_of_different_policies_cannot_be_tested_as_one():
    """It is told at the test's line."""
    policies = [AlertPolicy(id=name, conditions=PromQLCondition(query="up == 0")) for name in ("one", "two")]
    with pytest.raises(DefinitionError, match="policies whose ids differ"):
        AlertTest(per_stack({"dev": policies[0], "prod": policies[1]}))
