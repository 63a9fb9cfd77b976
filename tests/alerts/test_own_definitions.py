"""This project's own alerts and dashboards, as sync loads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from obskit.catalog import Route
from obskit.queries.context import RenderContext
from obskit.sync.load import check, load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def loaded():
    return load([ROOT / "alerts", ROOT / "dashboards"])


def test_they_load_without_any_environment(loaded):
    """Importing the files needs nothing; they define what the demo shows."""
    assert loaded.problems == ()
    assert {found.id for found in loaded.definitions} == {
        "oncall",
        "latency-p95",
        "error-spike",
        "token-spike",
        "gemini-rate-limit",
        "daily-cost",
        "ai-circuit-open",
        "budget-exceeded",
        "provider-down",
        "service",
        "llm",
        "llm-guard",
        "budgets",
        "health",
    }


@pytest.mark.parametrize("route", Route)
def test_they_break_no_rule_once_the_webhook_is_known(loaded, route):
    """With the on-call address in the environment, everything is valid on both routes."""
    environ = {"ONCALL_WEBHOOK_URL": "https://hooks.example.com/oncall"}
    assert check(loaded, RenderContext(project="p", route=route, environ=environ)) == ()


def test_without_the_webhook_there_is_one_clear_problem(loaded):
    """The missing variable is named, at the channel's line."""
    (problem,) = check(loaded, RenderContext(project="p"))
    assert problem.place.endswith('channels.py:8: channel "oncall"')
    assert problem.problem == "environment variable ONCALL_WEBHOOK_URL is not set"


def test_dashboards_draw_the_thresholds_of_the_alerts(loaded):
    """The lines come from the policies themselves."""
    service = next(found for found in loaded.definitions if found.id == "service")
    text = str(service.to_dict(RenderContext(project="p")))
    assert "{'value': 2.0, 'label': 'alert: High latency'}" in text
    assert "{'value': 0.05, 'label': 'alert: Error spike'}" in text
    assert "alertPolicies/obskit:latency-p95" in text
