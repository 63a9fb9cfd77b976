"""`obskit check` over several stacks, and what it only notes."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from obskit.cli.check import command

typer = pytest.importorskip("typer")

STACKS = """
[tool.obskit.stacks.dev]
project = "shop-dev"
[tool.obskit.stacks.prod]
project = "shop-prod"
route = "otlp"
"""
POLICY = """
from obskit.alerts import AlertPolicy, PromQLCondition, ThresholdCondition, Aggregation
from obskit.catalog import AI_COST
from obskit.queries import latest, per_stack

cost = AlertPolicy(id="cost", conditions=PromQLCondition(query=latest(AI_COST) > per_stack({"dev": 10, "prod": 75})))
late = AlertPolicy(
    id="late",
    conditions=PromQLCondition(query="up == 0", duration=per_stack({"dev": "5m", "prod": "5m"}), interval=per_stack({"dev": "30s", "prod": "45s"})),
)
new = AlertPolicy(
    id="new",
    conditions=ThresholdCondition(
        filter='metric.type="run.googleapis.com/sandbox/forks" AND resource.type="cloud_run_revision"',
        threshold=1,
        aggregations=Aggregation(period="60s", aligner="max"),
    ),
)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command in a folder with two stacks and three policies."""
    (tmp_path / "pyproject.toml").write_text(STACKS)
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "shop.py").write_text(POLICY)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(command)

    def told(*arguments: str) -> dict:
        return json.loads(CliRunner().invoke(app, ["--json", *arguments]).stdout)

    return told


def test_every_stack_is_checked_and_a_problem_of_one_names_it(run):
    """Without --stack all stacks are checked; what is wrong in one of them says in which."""
    told = run()

    assert told["stacks"] == ["dev", "prod"]
    (problem,) = told["problems"]
    assert problem["place"].endswith('policy "late", stack "prod"')
    assert problem["problem"] == "interval is 45 s, must be a positive multiple of 30 s"


def test_one_stack_can_be_chosen(run):
    """With --stack only that one is checked."""
    assert run("--stack", "dev")["problems"] == []
    assert run("--stack", "dev")["stacks"] == ["dev"]


def test_a_metric_that_the_index_lacks_is_a_note(run):
    """What may be newer than the index is said, and stops nothing."""
    (note,) = run()["notes"]

    assert "run.googleapis.com/sandbox/forks is not in the index of 2026-04-10" in note["problem"]
    assert "alerts/shop.py:" in note["place"]
    assert 'policy "new"' in note["place"]
