"""The alert policies that must exist: each with its condition, its window, its threshold and who is told."""

from __future__ import annotations

import pytest

from obskit.packs import packs
from obskit.queries.context import RenderContext

PAGE, TEAM, MAIL, FINANCE = "pagerduty", "slack", "email", "finance"
CONTEXT = RenderContext(project="p")
ALERTS = {each.id: each for pack in packs() for each in pack.objects().alerts}

# policy → threshold in its query, for how long, who is told
ROWS = [
    ("latency-p95", 2, "300s", {PAGE}),
    ("error-spike", 0.05, "120s", {TEAM, PAGE}),
    ("cloud-sql-storage", 0.8, "300s", {MAIL}),
    ("cloud-sql-cpu", 0.85, "300s", {MAIL}),
    ("cloud-sql-connections", 0.9, "300s", {MAIL}),
    ("cloud-run-max-instances", 1, "300s", {MAIL}),
    ("monthly-budget", 1200, "0s", {FINANCE}),
    ("token-spike", None, "0s", {TEAM}),
    ("daily-cost", 75, "0s", {TEAM}),
    ("tokens-per-request", 40_000, "300s", {TEAM}),
    ("cache-hit-rate", 0.4, "900s", {TEAM}),
    ("gemini-rate-limit", 10, "0s", {PAGE}),
    ("budget-exceeded", 0, "0s", {TEAM}),
    ("gemini-down", 0.05, "60s", {PAGE}),
    ("gemini-errors", 0.01, "300s", {PAGE}),
    ("chat-session-duration", None, "900s", {TEAM}),
    ("cloud-sql-backup", None, "0s", {MAIL}),
    ("ai-providers-down", 0.5, "60s", {TEAM, PAGE}),
    ("provider-down", 0.5, "60s", {TEAM, PAGE}),
    ("uptime-down", 1, "60s", {PAGE}),
    ("uptime-certificate", 14, "600s", {PAGE}),
    ("missed-backup", 93_600, "0s", {MAIL}),
    ("availability-burn-1h", 0.0144, "0s", {PAGE}),
    ("availability-burn-6h", 0.006, "0s", {PAGE}),
    ("availability-burn-1d", 0.003, "0s", {TEAM}),
    ("availability-burn-3d", 0.001, "0s", {TEAM}),
    ("latency-burn-1h", 0.72, "0s", {PAGE}),
    ("latency-burn-6h", 0.3, "0s", {PAGE}),
    ("latency-burn-1d", 0.15, "0s", {TEAM}),
    ("latency-burn-3d", 0.05, "0s", {TEAM}),
]


@pytest.mark.parametrize(("name", "threshold", "duration", "told"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_is_as_required(name, threshold, duration, told):
    """With the pack's defaults."""
    policy = ALERTS[name]
    (condition,) = policy.to_dict(CONTEXT)["conditions"]
    assert set(policy.channels) == told
    assert policy.threshold == threshold
    body = condition.get("conditionPrometheusQueryLanguage") or condition["conditionThreshold"]
    assert body.get("duration", "0s") == duration


def test_what_compares_series_with_each_other_has_its_factor_in_the_query():
    """150 % of the daily average, half as much again as the week before, no success within 26 hours."""
    texts = {
        name: ALERTS[name].to_dict(CONTEXT)["conditions"][0]["conditionPrometheusQueryLanguage"]["query"]
        for name in ("token-spike", "chat-session-duration", "cloud-sql-backup")
    }
    assert "> 1.5 *" in texts["token-spike"]
    assert "> 1.5 *" in texts["chat-session-duration"]
    assert "[25h:30m]" in texts["cloud-sql-backup"]  # and an hour in which each success is looked for


def test_finance_hears_of_the_cloud_budget():
    """At 50, 90 and 100 %, by email."""
    (budget,) = (each for pack in packs() for each in pack.example_objects().resources if "budget" in each.noun)
    document = budget.to_dict(CONTEXT)
    assert [rule["thresholdPercent"] for rule in document["thresholdRules"]] == [0.5, 0.9, 1.0]
    assert [name.rpartition(":")[2] for name in document["notificationsRule"]["monitoringNotificationChannels"]] == [
        FINANCE
    ]


LINES = [
    ("service", "Latency", {2, 1, 0.5}),
    ("service", "Failed requests (5xx)", {0.05, 0.01}),
    ("cloud-run", "Latency", {2000, 1000, 500}),
    ("cloud-run", "Failed requests (5xx)", {0.05, 0.01}),
    ("cloud-sql", "Disk", {0.8}),
    ("cloud-sql", "CPU", {0.85}),
    ("cloud-sql", "Connections, share of the maximum", {0.9}),
    ("gemini", "Cost of the last 24 h", {75, 50}),
    ("gemini", "Tokens per call", {40_000, 25_000}),
    ("gemini", "Cache hit rate", {0.4, 0.6}),
    ("gemini", "Failed calls, those over the quota aside", {0.05, 0.01, 0.001}),
    ("gemini", "Refused (429) and failed calls", {10}),
]


@pytest.mark.parametrize(("name", "title", "lines"), LINES, ids=[f"{row[0]} {row[1]}" for row in LINES])
def test_a_chart_has_the_lines_of_its_alert(name, title, lines):
    """The alert's threshold, the warning and the target."""
    (pack,) = (pack for pack in packs() if pack.name == name)
    (found,) = (
        tile["widget"]["xyChart"]
        for each in pack.objects().dashboards
        for tile in each.to_dict(CONTEXT)["mosaicLayout"]["tiles"]
        if tile["widget"].get("title") == title and "xyChart" in tile["widget"]
    )
    assert {line.get("value", 0) for line in found["thresholds"]} == lines


# How tall a dashboard may be: a screen and a half. Source: 1440 x 900 pixels, a block of the grid is 17.5 pixels high.
def test_every_dashboard_fits_on_a_screen_and_a_half():
    """What lies in collapsed groups does not count."""
    heights = {}
    for pack in packs():
        for each in pack.objects().dashboards:
            tiles = each.to_dict(CONTEXT)["mosaicLayout"]["tiles"]
            groups = [tile for tile in tiles if "collapsibleGroup" in tile["widget"]]
            top = min((tile.get("yPos", 0) for tile in groups), default=10_000)
            heights[each.id] = max(tile.get("yPos", 0) + tile["height"] for tile in tiles if tile.get("yPos", 0) < top)
    assert {name: height for name, height in heights.items() if height > 72} == {}
