"""Golden pairs: each ready-made policy and the JSON that it becomes, on both export routes.

`python tests/alerts/test_golden.py` writes the files anew; read their diff before committing it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from obskit.alerts import (
    ai_calls_wait,
    ai_circuit_open,
    budget_exceeded,
    budget_warning,
    daily_cost,
    endpoint_down,
    error_spike,
    gemini_rate_limit,
    latency_p95,
    missed_backup,
    missed_job,
    monthly_budget,
    provider_down,
    token_spike,
    webhook,
)
from obskit.catalog import Route
from obskit.queries.context import RenderContext

GOLDEN = Path(__file__).parent / "golden"
ONCALL = webhook("oncall", url="https://hooks.example.com/oncall?auth_token=none", display_name="On call")
DEFINITIONS = {
    "channel-oncall": ONCALL,
    "latency-p95": latency_p95(channels=[ONCALL]),
    "error-spike": error_spike(channels=[ONCALL]),
    "token-spike": token_spike(channels=[ONCALL]),
    "gemini-rate-limit": gemini_rate_limit(channels=[ONCALL]),
    "daily-cost": daily_cost(channels=[ONCALL]),
    "ai-circuit-open": ai_circuit_open(channels=[ONCALL]),
    "ai-calls-wait": ai_calls_wait(channels=[ONCALL]),
    "budget-exceeded": budget_exceeded(channels=[ONCALL]),
    "budget-warning-of-one-tier": budget_warning(tier="premium", channels=[ONCALL]),
    "monthly-budget": monthly_budget(budget_usd=1000, channels=[ONCALL]),
    "provider-down": provider_down(channels=[ONCALL]),
    "endpoint-down": endpoint_down(check_id="chat-health", channels=[ONCALL]),
    "missed-backup": missed_backup(channels=[ONCALL]),
    "missed-job-of-one-service": missed_job(job="send-mail", max_age="2h", service="worker", channels=[ONCALL]),
    "latency-p95-of-one-service": latency_p95(
        id="checkout-slow", service="checkout", threshold="800ms", for_="10m", channels=["oncall", "pager"]
    ),
}


def rendered(name: str, route: Route) -> str:
    context = RenderContext(project="golden-project", route=route)
    return json.dumps(DEFINITIONS[name].to_dict(context), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_ready_made_definition_renders_as_committed(name, route):
    """What a ready-made policy becomes only changes together with its golden file."""
    assert rendered(name, route) == (GOLDEN / f"{name}.{route}.json").read_text()


def test_no_golden_file_is_left_over():
    """Each golden file belongs to a definition."""
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"{name}.{route}.json" for name in DEFINITIONS for route in Route
    }


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in DEFINITIONS:
        for route in Route:
            (GOLDEN / f"{name}.{route}.json").write_text(rendered(name, route))
