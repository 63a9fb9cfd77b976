"""What an on-call engineer needs of a pack: a runbook that helps, the line that was crossed, units, and an order."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from obskit.catalog import Route, promql_name
from obskit.engine.log_filters import compile_filter
from obskit.packs import Entry, Sizes, pack_named, packs
from obskit.packs.registry import pack_names
from obskit.queries.context import RenderContext
from obskit.queries.google_metrics import google_metrics

NAMES = pack_names()
CONTEXT = RenderContext(project="p")
ALERTS = {f"{pack.name}: {each.id}": each for pack in packs() for each in pack.example_objects().alerts}
TITLES = {each.display_name for each in ALERTS.values()}
DASHBOARDS = {each.id for pack in packs() for each in pack.example_objects().dashboards}
UNITS = {"1", "1/s", "10^2.%", "By", "By/s", "USD", "d", "h", "ms", "s", "{token}"}

MEASURED = {name: metric.unit for metric in google_metrics().metrics.values() for name in metric.promql_names}

# What Google's console or its products call by these names.
CONSOLE = {
    "Alerting → Snoozes",
    "Backups",
    "CPU always allocated",
    "Error Reporting",
    "Key Visualizer",
    "Query Explain",
    "Query Insights",
    "automatic storage increase",
    "forwarding",
    "hotspots",
    "idle in transaction",
}

# Alerts whose limit is no line of a chart, and why.
NOT_DRAWN = {
    "monthly-budget": "each point of a chart would look back over 30 days",
    "firestore-backup": "it counts changes of a size that a chart shows",
}


def widgets(name, kind):
    """Yield each widget of a kind of a pack's dashboards."""
    for dashboard in pack_named(name).example_objects().dashboards:
        for tile in dashboard.to_dict(CONTEXT)["mosaicLayout"]["tiles"]:
            if kind in tile["widget"]:
                yield tile["widget"]


def shown(name):
    """Yield title, unit and query of each line of a chart and of each card."""
    for kind in ("xyChart", "scorecard"):
        for widget in widgets(name, kind):
            for each in widget[kind].get("dataSets", [widget[kind]]):
                found = each["timeSeriesQuery"]
                yield widget["title"], found.get("unitOverride"), found["prometheusQuery"]


@pytest.mark.parametrize("name", ALERTS)
def test_a_runbook_says_what_it_means_what_to_look_at_and_how_to_silence_it(name):
    """In this order, with three things to look at, and a link to the log entries."""
    documentation = ALERTS[name].documentation
    meaning, looks, silence = re.fullmatch(
        r"\*\*What it means\*\*\n(.+)\n\n\*\*First things to look at\*\*\n(.+)\n\n\*\*To silence it\*\*\n(.+)",
        documentation.content.strip(),
        re.DOTALL,
    ).groups()
    assert len(meaning) > 50
    assert [line.partition(". ")[0] for line in looks.splitlines()] == ["1", "2", "3"]
    assert all(len(line) > 30 for line in looks.splitlines())
    assert "Snooze" in silence
    (link,) = documentation.links
    assert link.name == "Logs"
    assert link.url.endswith("?project=${project}")


@pytest.mark.parametrize("name", ALERTS)
def test_what_a_runbook_names_exists(name):
    """Dashboards by their ids, other alerts by their titles, pages of the console by theirs."""
    content = ALERTS[name].documentation.content
    named = set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", content))
    assert {each for each in named if each not in DASHBOARDS | TITLES | CONSOLE} == set()


@pytest.mark.parametrize("name", NAMES)
def test_its_log_filters_can_be_read(name):
    """That of the link and those of the dashboard's panels are in Cloud Logging's language."""
    pack = pack_named(name)
    compile_filter(pack.logs)
    for widget in widgets(name, "logsPanel"):
        compile_filter(widget["logsPanel"]["filter"])
    for policy in pack.example_objects().alerts:
        assert unquote(policy.documentation.links[0].url).partition(";query=")[2].partition("?project")[0] == pack.logs


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_unit_that_fits_what_is_measured(name):
    """Milliseconds are not shown as seconds, bytes are bytes, and each value axis says what it counts."""
    for title, unit, text in shown(name):
        assert unit in UNITS, title
        measured = {MEASURED[found] for found in re.findall(r"[a-z]\w+:\w+", text) if found in MEASURED}
        if unit == "s" and "ms" in measured:
            assert "/ 1000" in text, title
        if unit == "ms":
            assert measured == {"ms"}, title
            assert "/ 1000" not in text, title
        if unit.startswith("By"):
            assert measured == {"By"}, title
            assert unit == "By" or "rate(" in text, title
    for widget in widgets(name, "xyChart"):
        assert widget["xyChart"]["yAxis"]["label"], widget["title"]


@pytest.mark.parametrize("name", NAMES)
def test_each_limit_that_an_alert_compares_with_is_a_line_of_a_chart(name):
    """With the policy's own threshold. What is an alert from the first event on needs no line."""
    lines = {
        (line["label"], line.get("value", 0.0))
        for widget in widgets(name, "xyChart")
        for line in widget["xyChart"].get("thresholds", [])
    }
    for policy in pack_named(name).example_objects().alerts:
        if policy.threshold and policy.id not in NOT_DRAWN:
            assert (f"alert: {policy.display_name}", policy.threshold) in lines, policy.id


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_red_where_an_alert_of_the_pack_is_open(name):
    """No second opinion: each red limit is the threshold of one of its alerts."""
    limits = {each.threshold for each in pack_named(name).example_objects().alerts}
    own = {0.05} if name == "ai-budgets" else set()  # what is left of a budget, of which no alert tells
    for widget in widgets(name, "scorecard"):
        red = {line.get("value", 0.0) for line in widget["scorecard"].get("thresholds", []) if line["color"] == "RED"}
        assert red <= limits | own, widget["title"]


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_begins_with_numbers_and_the_open_incidents(name):
    """Charts come below; the incidents of every alert of the pack are listed on one of its dashboards."""
    objects = pack_named(name).example_objects()
    listed = set()
    for dashboard in objects.dashboards:
        tiles = dashboard.to_dict(CONTEXT)["mosaicLayout"]["tiles"]
        first = {
            next(key for key in tile["widget"] if key not in {"title", "id"}) for tile in tiles if not tile.get("yPos")
        }
        assert first == {"scorecard", "incidentList"}
        lists = [tile["widget"]["incidentList"] for tile in tiles if "incidentList" in tile["widget"]]
        listed |= {policy.rpartition(":")[2] for each in lists for policy in each["policyNames"]}
    assert listed == {each.id for each in objects.alerts}


def numbers(values):
    """Whether values in promtool's notation, or as numbers, hold any other than zero."""
    if isinstance(values, str):
        return any(re.search(r"[1-9]", re.sub(r"x\d+", "", word)) for word in values.split())
    return any(values)


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_stays_silent_although_there_is_something_to_see(name):
    """The harmless case has points of a metric that the alert reads, and not only zeros, unless one event is enough."""
    pack = pack_named(name)
    alerts = {each.id: each for each in pack.example_objects().alerts}
    silent = [case for case in pack.cases if not case.fires]
    assert {case.alert for case in silent} == set(alerts)
    for case in silent:
        policy = alerts[case.alert]
        given = case.given if isinstance(case.given, tuple) else (case.given,)
        if any(isinstance(each, Entry) for each in given):
            continue
        read = str(policy.to_dict(CONTEXT)["conditions"])
        used = [
            each
            for each in given
            if each.metric.metric_type(Route.GCP) in read or promql_name(each.metric.metric_type(Route.GCP)) in read
        ]
        assert used, (policy.id, case.says)
        has_any = any(
            numbers(values)
            for each in used
            for values in (each.counts.values() if isinstance(each, Sizes) else [each.values])
        )
        assert has_any or policy.threshold == 0, (policy.id, case.says)
