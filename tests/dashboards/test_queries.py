"""Every query of the ready-made dashboards, evaluated by the engine over traffic as the runtime records it."""

from __future__ import annotations

import pytest

from obskit.catalog import (
    AI_COST,
    AI_FALLBACKS,
    AI_GUARD_CIRCUIT,
    AI_GUARD_REFUSED,
    AI_GUARD_RETRIES,
    AI_GUARD_THROTTLED,
    AI_GUARD_WAIT,
    AI_OPERATION_DURATION,
    AI_TIME_TO_FIRST_CHUNK,
    AI_TOKENS,
    AI_UNPRICED_CALLS,
    BUDGET_COST,
    BUDGET_REJECTIONS,
    BUDGET_REMAINING,
    BUDGET_STORE_FAILURES,
    BUDGET_TOKENS,
    BUDGET_WARNINGS,
    HTTP_CLIENT_DURATION,
    HTTP_SERVER_DURATION,
    JOB_DURATION,
    JOB_FAILURES,
    JOB_LAST_SUCCESS,
    PROVIDER_STATUS,
    TELEMETRY_LOST,
    Kind,
    Route,
    promql_label,
    promql_name,
)
from obskit.dashboards import budgets, health, llm, llm_guard, service
from obskit.engine.promql import evaluate, evaluate_range
from obskit.engine.series import MemorySource, Series
from obskit.queries.context import RenderContext

STEP_MS = 30_000
POINTS = 260  # the widest growth wants an hour, and the hour before it
NOW_MS = 1_760_000_400_000
AI = {
    "gen_ai.operation.name": "generate_content",
    "gen_ai.provider.name": "gcp.gemini",
    "gen_ai.request.model": "gemini-2.5-flash",
}
ROUTE = {"http.request.method": "GET", "http.route": "/chat", "url.scheme": "http"}
MODEL = {"gen_ai.request.model": "gemini-2.5-flash"}
BUDGET = {"user.tier": "free", "obskit.budget.period": "day", "obskit.budget.unit": "tokens"}
CALLER = BUDGET | {"obskit.budget.scope": "caller"}
JOB = {"obskit.job.name": "backup"}
# Metric, labels, and by how much each 30 s adds to it; of a gauge its value.
RECORDED = [
    (HTTP_SERVER_DURATION, ROUTE | {"http.response.status_code": "200"}, 60),
    (HTTP_SERVER_DURATION, ROUTE | {"http.response.status_code": "503", "error.type": "503"}, 2),
    (HTTP_CLIENT_DURATION, {"server.address": "shop", "error.type": "500"}, 3),
    (AI_OPERATION_DURATION, AI, 20),
    (AI_OPERATION_DURATION, AI | {"error.type": "429"}, 4),
    (AI_TIME_TO_FIRST_CHUNK, AI, 10),
    (AI_TOKENS, AI | {"obskit.token.kind": "input"}, 3000),
    (AI_TOKENS, AI | {"obskit.token.kind": "cached"}, 1000),
    (AI_TOKENS, AI | {"obskit.token.kind": "output"}, 500),
    (AI_COST, AI, 0.25),
    (AI_UNPRICED_CALLS, AI, 1),
    (TELEMETRY_LOST, {"obskit.signal": "spans", "obskit.reason": "queue_full"}, 5),
    (AI_GUARD_WAIT, MODEL | {"obskit.priority": "interactive"}, 6),
    (AI_GUARD_THROTTLED, MODEL | {"obskit.quota": "minute"}, 7),
    (AI_GUARD_REFUSED, MODEL | {"obskit.reason": "circuit_open"}, 9),
    (AI_GUARD_RETRIES, MODEL | {"error.type": "503"}, 5),
    (AI_FALLBACKS, MODEL | {"obskit.fallback": "gemini-lite", "obskit.reason": "503"}, 11),
    (AI_GUARD_CIRCUIT, MODEL, 2),
    (BUDGET_TOKENS, {"user.tier": "free"}, 1500),
    (BUDGET_COST, {"user.tier": "free"}, 0.5),
    (BUDGET_REJECTIONS, CALLER, 2),
    (BUDGET_WARNINGS, CALLER, 1),
    (BUDGET_REMAINING, CALLER, 0.125),
    (BUDGET_REMAINING, BUDGET | {"obskit.budget.scope": "tier"}, 0.75),
    (BUDGET_STORE_FAILURES, {"obskit.budget.outcome": "let_through"}, 3),
    (PROVIDER_STATUS, {"provider": "gemini"}, 1),
    (JOB_DURATION, JOB, 1),
    (JOB_FAILURES, JOB | {"error.type": "OSError"}, 1),
    (JOB_LAST_SUCCESS, JOB, NOW_MS / 1000 - 3600),
]
# What a chart's lowest series must say of that traffic at its end, worked out by hand.
EXPECTED = {
    "Requests": 62 / 30,
    "Failed requests (5xx)": 2 / 62,
    "Requests by status": 2 / 30,
    "Cache hit rate": 0.25,
    "429s a minute": 8,
    "Refused (429) and failed calls": 8,
    "Cost per hour, at the pace of the last 10 min": 30,
    "Tokens by model": 9000,
    "Tokens per call": 4500 / 24,
    "Failed requests by route": 4,
    "Failed outgoing calls": 6,
    "Telemetry lost": 10,
    "Calls without a known price": 10,
    "Circuit (0 closed, 2 open)": 2,
    "Circuit by model: 0 closed, 1 half-open, 2 open": 2,
    "429s, last hour": 7 * 120,
    "Refused by the provider (429)": 14,
    "Not made by the guard": 18,
    "Made again": 10,
    "Handed to a fallback": 22,
    "Least left of any budget": 0.125,
    "Least left of any one caller's budget": 0.125,
    "Left of a tier's total": 0.75,
    "Tokens by tier": 3000,
    "Cost by tier, per hour": 60,
    "Calls refused": 4,
    "Budgets that reached their warning": 2,
    "Calls while the store was down": 6,
    "Providers, share of healthy": 1,
    "Time since the last success": 3600,
    "Failed runs an hour": 120,
    "Runs an hour": 120,
}


def recorded(route):
    """Return the series that two hours of even traffic of one process leave."""
    made = []
    for metric, labels, step in RECORDED:
        own = {promql_label(key): value for key, value in labels.items()} | {"job": "chat", "task_id": "1"}
        name = promql_name(metric.metric_type(route))
        parts = {"": (step, {})}
        if metric.kind is Kind.HISTOGRAM:
            # Every value lies below the third bound.
            bounds = [(f"{bound:g}", step if place >= 2 else 0) for place, bound in enumerate(metric.buckets)]
            parts = {"_count": (step, {}), "_sum": (step * metric.buckets[2], {})}
            parts |= {f"_bucket{bound}": (count, {"le": bound}) for bound, count in [*bounds, ("+Inf", step)]}
        for suffix, (each, more) in parts.items():
            times = [NOW_MS - (POINTS - 1 - i) * STEP_MS for i in range(POINTS)]
            is_gauge = metric.kind is Kind.GAUGE
            values = [float(each) * (1 if is_gauge else i + 1000) for i in range(POINTS)]
            made.append(
                Series(
                    labels=own | more | {"__name__": name + ("_bucket" if more else suffix)},
                    times_ms=times,
                    values=values,
                )
            )
    return MemorySource(made)


def queries(dashboard, context):
    for tile in dashboard.to_dict(context)["mosaicLayout"]["tiles"]:
        widget = tile["widget"]
        content = widget.get("xyChart") or widget.get("scorecard") or {}
        for data in content.get("dataSets", [content] if content else []):
            yield widget["title"], data["timeSeriesQuery"]["prometheusQuery"], data.get("legendTemplate", "")


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize(
    "dashboard", [service(), llm(), llm_guard(), budgets(), health()], ids=lambda dashboard: dashboard.id
)
def test_every_query_shows_what_was_recorded(dashboard, route):
    """No chart is empty where there is traffic, its numbers are right, and its legend's labels exist."""
    source = recorded(route)
    for title, query, legend in queries(dashboard, RenderContext(project="p", route=route)):
        found = evaluate_range(query, source, NOW_MS - 300_000, NOW_MS, 60_000)
        assert found, title
        for series in found:
            for label in [part.partition("}")[0] for part in legend.split("${labels.")[1:]]:
                assert label in series.labels, (title, label)
        if title in EXPECTED:
            last = min(series.values[-1] for series in found)
            assert last == pytest.approx(EXPECTED[title], rel=0.02), title


@pytest.mark.parametrize(
    "dashboard", [service(), llm(), llm_guard(), budgets(), health()], ids=lambda dashboard: dashboard.id
)
def test_no_query_fails_without_any_data(dashboard):
    """A new project's dashboards are empty, not broken."""
    for _, query, _ in queries(dashboard, RenderContext(project="p")):
        evaluate(query, MemorySource(), NOW_MS)
