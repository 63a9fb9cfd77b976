"""Golden pairs: each ready-made dashboard and the JSON that it becomes, on both export routes.

`python tests/dashboards/test_golden.py` writes the files anew; read their diff before committing it.
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
    error_spike,
    gemini_rate_limit,
    latency_p95,
    missed_backup,
    provider_down,
    token_spike,
)
from obskit.catalog import Route
from obskit.dashboards import budgets, health, llm, llm_guard, service
from obskit.queries.context import RenderContext

GOLDEN = Path(__file__).parent / "golden"
DEFINITIONS = {
    "service": service(),
    "service-of-one": service(
        id="checkout", service="checkout", latency=latency_p95(threshold="1.5s"), errors=error_spike()
    ),
    "health": health(policies=[provider_down(), missed_backup()]),
    "budgets": budgets(policies=[budget_exceeded(), budget_warning()]),
    "llm-guard": llm_guard(policies=[ai_circuit_open(), ai_calls_wait()]),
    "llm": llm(cost=daily_cost(), rate_limit=gemini_rate_limit(), policies=[token_spike()]),
}


def rendered(name: str, route: Route) -> str:
    context = RenderContext(project="golden-project", route=route)
    return json.dumps(DEFINITIONS[name].to_dict(context), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_ready_made_definition_renders_as_committed(name, route):
    """What a ready-made dashboard becomes only changes together with its golden file."""
    assert rendered(name, route) == (GOLDEN / f"{name}.{route}.json").read_text()


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in DEFINITIONS:
        for route in Route:
            (GOLDEN / f"{name}.{route}.json").write_text(rendered(name, route))
