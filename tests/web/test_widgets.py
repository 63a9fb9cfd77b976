"""Every kind of widget in a real Chromium, over a real backend with telemetry."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from board import BY_TYPE, DEPTH, NOW_MS, TIMES, ZONES, dashboard, depth, kinds_on, serving_board
from looking import CONTRAST, complaints, look, scroll_through, until, visit
from selenium.webdriver.common.keys import Keys

from obskit.dashboards import kinds
from obskit.local.serve import LocalBackend

pytestmark = pytest.mark.timeout(180)
PATH = "/dashboards/all"
TEXT = "return document.querySelector(arguments[0])?.textContent ?? ''"
CHART = "return [...window.obskitCharts].find((plot) => plot.root.closest('.tile')?.querySelector('.tile-title')?.title === arguments[0])"


@pytest.fixture(scope="module")
def board() -> Iterator[LocalBackend]:
    with serving_board() as backend:
        yield backend


def text_of(browser: Any, kind: str) -> str:
    return str(browser.execute_script(TEXT, f'[data-kind="{kind}"]'))


def column(browser: Any, title: str, at: int = 1) -> list[float]:
    """The values of a drawn chart's series."""
    script = CHART + "?.data[arguments[1]]"
    return list(until(lambda: browser.execute_script(script, title, at), f"the chart {title}"))


def ask(board: LocalBackend, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    document = {"start_ms": NOW_MS - 600_000, "end_ms": NOW_MS, "step_ms": 60_000, **body}
    request = urllib.request.Request(board.http_url + path, json.dumps(document).encode(), {"content-type": "application/json"})  # fmt: skip
    with urllib.request.urlopen(request) as reply:
        return list(json.load(reply)["series"])


def test_the_board_has_every_kind() -> None:
    """No kind of widget that definitions can have is missing on the dashboard that these tests look at."""
    assert kinds_on(dashboard()) == set(kinds.KINDS)


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (1440, "dark"), (400, "light")])
def test_every_kind_is_drawn(browser: Any, board: LocalBackend, width: int, theme: str) -> None:
    """Each kind has its tile, none says that it cannot be drawn, all is legible, fits, and stored HTML stays text."""
    look(browser, width, theme)
    browser.get_log("browser")
    visit(browser, board.http_url, f"{PATH}?var.detail=full", "Board")
    browser.find_element("css selector", ".group-head").click()
    scroll_through(browser)
    until(lambda: not browser.find_elements("css selector", ".tile .loading"), "all widgets")
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('[data-kind]')].map((each) => each.dataset.kind)"
    )
    assert set(drawn) == set(kinds.KINDS)
    for mark in (".unshown", ".problem", ".tile .empty"):
        assert not browser.find_elements("css selector", mark), mark
    assert browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert browser.execute_script(CONTRAST) == []
    assert browser.execute_script("return window.pwned") is None
    assert not browser.find_elements("css selector", "main img, main script")
    assert complaints(browser) == []


@pytest.mark.needs("chromium")
def test_an_alert_chart_shows_condition_threshold_and_incident(browser: Any, board: LocalBackend) -> None:
    """The policy's state and series are there; its other condition, on log entries, lists those."""
    look(browser, 1440, "light")
    visit(browser, board.http_url, PATH, "Board")
    scroll_through(browser)
    until(lambda: "europe-west1-b" in text_of(browser, "alertChart"), "the series of the condition")
    assert "Deep queue" in text_of(browser, "alertChart")
    latest = browser.execute_script(
        "return [...document.querySelectorAll('[data-kind=alertChart] .legend-value')].map((each) => parseFloat(each.textContent))"
    )
    assert latest == pytest.approx([depth(zone, NOW_MS) for zone in ZONES], abs=0.02)
    red = browser.execute_script(PIXELS_OF_THE_THRESHOLD)
    assert red > 20, "the line of the threshold"
    select = browser.find_element("css selector", ".alert-head select")
    select.send_keys("errors")
    until(lambda: "message 3" in text_of(browser, "alertChart"), "the log entries of the other condition")
    assert "message 1" not in text_of(browser, "alertChart")


PIXELS_OF_THE_THRESHOLD = """
const plot = [...window.obskitCharts].find(({ root }) => root.closest('[data-kind=alertChart]'));
const y = Math.round(plot.valToPos(45, "y", true));
const { left, width } = plot.bbox;
const pixels = plot.ctx.getImageData(left, y - 1, width / 2, 3).data;
let found = 0;
for (let at = 0; at < pixels.length; at += 4) if (pixels[at] > 150 && pixels[at + 1] < 90) found += 1;
return found;
"""


@pytest.mark.needs("chromium")
def test_a_treemap_is_as_large_as_its_values_and_opens_with_the_keyboard(browser: Any, board: LocalBackend) -> None:
    """Areas are in the proportion of the sums; Enter on a part shows what it is made of."""
    look(browser, 1440, "light")
    visit(browser, board.http_url, PATH, "Board")
    scroll_through(browser)
    boxes = until(
        lambda: browser.execute_script(
            "return [...document.querySelectorAll('.treemap-box')].map((each) => [each.title, parseFloat(each.style.width) * parseFloat(each.style.height) / 100])"
        ),
        "the treemap",
    )
    assert [title.split(":")[0] for title, _ in boxes] == ["us-central1", "europe-west1"]
    for title, area in boxes:
        assert area == pytest.approx(float(title.rsplit(", ")[1].split(" ")[0]), abs=0.6)
    browser.find_elements("css selector", "button.treemap-head")[1].send_keys("\n")
    names = lambda: [each.get_attribute("title").split(":")[0] for each in browser.find_elements("css selector", ".treemap-box")]  # noqa: E731  # fmt: skip
    until(lambda: sorted(names()) == ["europe-west1-b", "europe-west1-c"], "the zones of the region")
    browser.find_element("css selector", ".treemap-path button").send_keys("\n")
    until(lambda: names() == ["us-central1", "europe-west1"], "the whole again")


@pytest.mark.needs("chromium")
def test_errors_and_incidents_are_listed(browser: Any, board: LocalBackend) -> None:
    """Groups come with counts and lead to their page; the list of incidents keeps to the named policy."""
    look(browser, 1440, "light")
    visit(browser, board.http_url, PATH, "Board")
    scroll_through(browser)
    until(lambda: "OutOfStock" in text_of(browser, "errorReportingPanel"), "the errors")
    rows = browser.find_elements("css selector", ".error-row")
    assert [row.find_element("css selector", ".error-row-count").text for row in rows] == ["12\u00d7", "2\u00d7"]
    assert "Deep queue" in text_of(browser, "incidentList")
    rows[0].send_keys("\n")
    until(lambda: "/errors/" in browser.current_url, "the page of the error")


@pytest.mark.needs("chromium")
def test_axes_shifted_times_and_heatmaps(browser: Any, board: LocalBackend) -> None:
    """A second axis has its own scale, a comparison draws the day before, distributions become a heatmap."""
    look(browser, 1440, "light")
    visit(browser, board.http_url, PATH, "Board")
    scroll_through(browser)
    assert max(column(browser, "Two axes", 2)) > 1e9
    scales = browser.execute_script(CHART + ".scales", "Two axes")
    assert scales["y"]["max"] < 1000 < scales["y2"]["max"]
    now, before = column(browser, "Day over day", 1), column(browser, "Day over day", 2)
    assert now[-1] == pytest.approx(sum(depth(zone, NOW_MS) for zone in ZONES), abs=0.5)
    assert before[-1] == pytest.approx(sum(depth(zone, NOW_MS - 86_400_000) for zone in ZONES), abs=0.5)
    label = until(lambda: browser.execute_script("return document.querySelector('.heatmap canvas')?.ariaLabel"), "the heatmap")  # fmt: skip
    assert label.startswith("Latency: 4 buckets over 60 times, at most 33")


@pytest.mark.needs("chromium")
def test_groups_fold_and_tabs_follow_the_arrows(browser: Any, board: LocalBackend) -> None:
    """A group that is folded at first opens; in a single view group the arrow keys choose the view."""
    look(browser, 1440, "light")
    visit(browser, board.http_url, PATH, "Board")
    head = browser.find_element("css selector", ".group-head")
    assert head.get_attribute("aria-expanded") == "false"
    assert not browser.find_elements("css selector", "[role=tab]")
    head.send_keys("\n")
    tabs = until(lambda: browser.find_elements("css selector", "[role=tab]"), "the tabs")
    assert [tab.text for tab in tabs] == ["First", "Second"]
    tabs[0].send_keys(Keys.ARROW_RIGHT)
    until(lambda: "the second view" in browser.find_element("css selector", ".group").text, "the second view")


# --------------------------------------------------------------------------- variables and filters


@pytest.mark.needs("chromium")
def test_a_variable_changes_the_queries_and_stands_in_the_address(browser: Any, board: LocalBackend) -> None:
    """A choice narrows the chart whose query names the variable, is in the address, and holds after a reload."""
    look(browser, 1440, "light")
    visit(browser, board.http_url, PATH, "Board")
    scroll_through(browser)
    whole = column(browser, "Depth by zone")[-1]
    names = until(
        lambda: [each.text for each in browser.find_elements("css selector", ".variables select:first-of-type option")][
            :3
        ],
        "the values to choose from",
    )
    assert names == ["any", "blue", "red"]
    select = browser.find_element("css selector", ".variables select")
    select.send_keys("red")
    until(lambda: "var.color=red" in browser.current_url, "the address")
    until(lambda: column(browser, "Depth by zone")[-1] == pytest.approx(0.7 * whole, rel=0.01), "the narrowed chart")
    until(lambda: "red" in (shown := text_of(browser, "timeSeriesTable")) and "blue" not in shown, "the narrowed table")
    browser.refresh()
    scroll_through(browser)
    until(lambda: column(browser, "Depth by zone")[-1] == pytest.approx(0.7 * whole, rel=0.01), "the chart as before")
    controls = browser.execute_script("return [...document.querySelectorAll('select')].map((each) => each.value)")
    assert controls[:1] + controls[2:3] == ["red", "red"], "the bar's input and the control's are one"


@pytest.mark.needs("chromium")
def test_a_pinned_filter_narrows_every_widget_that_has_its_label(browser: Any, board: LocalBackend) -> None:
    """Two of three zones chosen with the keyboard: charts, tables and log entries keep to them; Escape shuts the list."""
    look(browser, 1440, "light")
    visit(browser, board.http_url, PATH, "Board")
    scroll_through(browser)
    summary = until(lambda: browser.find_elements("css selector", ".several summary"), "the filter's values")[0]
    summary.send_keys("\n")
    for box in browser.find_elements("css selector", ".several input")[:2]:
        box.send_keys(" ")
    until(lambda: browser.current_url.count("label.node_id=") == 2, "both values in the address")
    browser.find_element("css selector", ".several input").send_keys(Keys.ESCAPE)
    until(lambda: browser.find_element("css selector", ".several").get_attribute("open") is None, "the shut list")
    expected = sum(depth(zone, NOW_MS) for zone in ZONES[:2])
    until(lambda: column(browser, "Stacked", 1)[-1] == pytest.approx(expected, abs=0.5), "the stacked chart")
    until(lambda: "us-central1" not in text_of(browser, "timeSeriesTable"), "the table without the third zone")
    until(lambda: "message 2" not in text_of(browser, "logsPanel"), "the log without the third zone")
    assert "message 1" in text_of(browser, "logsPanel")


@pytest.mark.needs("chromium")
def test_incidents_are_marked_on_charts_when_wanted(browser: Any, board: LocalBackend) -> None:
    """The dashboard's annotation of alerts is off at first; switched on, charts shade the time of the incident."""
    look(browser, 1440, "light")
    visit(browser, board.http_url, PATH, "Board")
    scroll_through(browser)
    column(browser, "Depth by zone")
    assert browser.execute_script(MARKED, "Depth by zone") == [255, 255, 255]
    browser.find_element("css selector", ".switch input").send_keys(" ")
    until(lambda: "events=1" in browser.current_url, "the address")
    until(lambda: min(browser.execute_script(MARKED, "Depth by zone")) < 250, "the shaded time")


# The ground of a chart a minute after the incident's begin, near its top, where no line is.
MARKED = f"""
const plot = [...window.obskitCharts].find((each) => each.root.closest('.tile')?.querySelector('.tile-title')?.title === arguments[0]);
const x = Math.round(plot.valToPos({NOW_MS / 1000 - 1140}, "x", true));
const {{ data }} = plot.ctx.getImageData(x, plot.bbox.top + 2, 1, 1);
return [...(data[3] < 5 ? [255, 255, 255] : [...data].slice(0, 3).map((value) => Math.round(value * data[3] / 255 + 255 - data[3])))];
"""


@pytest.mark.needs("chromium")
def test_a_variable_decides_what_is_seen(browser: Any, board: LocalBackend) -> None:
    """A widget with a condition comes and goes with the value of the variable."""
    look(browser, 1440, "light")
    visit(browser, board.http_url, PATH, "Board")
    assert "Only in detail" not in browser.find_element("css selector", "main").text
    browser.find_elements("css selector", ".variables select")[1].send_keys("full")
    until(lambda: "Only in detail" in browser.find_element("css selector", "main").text, "the widget")
    assert "var.detail=full" in browser.current_url


def test_pinned_filters_leave_alone_what_compares_the_label_itself(board: LocalBackend) -> None:
    """A filter or a selector that names the label keeps its own value; others are narrowed; what lacks the label stays."""
    pinned = [{"filterType": "RESOURCE_LABEL", "labelKey": "node_id", "values": list(ZONES[:1])}]
    zones = lambda series: {each["labels"]["node_id"] for each in series}  # noqa: E731
    narrowed = ask(board, "/api/timeseries", {"timeSeriesFilter": {"filter": BY_TYPE}, "pinned": pinned})
    assert zones(narrowed) == set(ZONES[:1])
    own = f'{BY_TYPE} AND resource.labels.node_id = "{ZONES[2]}"'
    assert zones(ask(board, "/api/timeseries", {"timeSeriesFilter": {"filter": own}, "pinned": pinned})) == {ZONES[2]}
    assert zones(ask(board, "/api/promql", {"query": DEPTH, "pinned": pinned})) == set(ZONES[:1])
    selected = f'{DEPTH}{{node_id="{ZONES[2]}"}}'
    assert zones(ask(board, "/api/promql", {"query": selected, "pinned": pinned})) == {ZONES[2]}
    other = [{"filterType": "METRIC_LABEL", "labelKey": "absent", "values": ["x"]}]
    assert zones(ask(board, "/api/promql", {"query": DEPTH, "pinned": other})) == set(ZONES)
    assert zones(ask(board, "/api/timeseries", {"timeSeriesFilter": {"filter": BY_TYPE}, "pinned": other})) == set(
        ZONES
    )


@pytest.mark.parametrize("pinned", ["node", [1], [{"labelKey": "a", "filterType": "GROUP", "values": ["x"]}], [{"labelKey": "a", "filterType": "METRIC_LABEL", "values": []}]], ids=["text", "numbers", "group", "no-values"])  # fmt: skip
def test_pinned_filters_of_another_form_are_refused(board: LocalBackend, pinned: Any) -> None:
    """The answer is 400 and says what is needed."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(board, "/api/promql", {"query": DEPTH, "pinned": pinned})
    assert refused.value.code == 400
    assert "pinned" in refused.value.read().decode()


def test_buckets_of_a_distribution_add_up(board: LocalBackend) -> None:
    """A filter's distributions come as cumulative buckets; numbers asked for as buckets are refused."""
    query = {"filter": f'metric.type = "{TIMES}"', "aggregation": {"perSeriesAligner": "ALIGN_DELTA", "crossSeriesReducer": "REDUCE_SUM"}}  # fmt: skip
    found = ask(board, "/api/timeseries", {"timeSeriesFilter": query, "has_buckets": True})
    assert {each["labels"]["le"]: each["points"][-1][1] for each in found} == {
        "0.1": 33,
        "0.5": 45,
        "2": 48,
        "+Inf": 48,
    }
    with pytest.raises(urllib.error.HTTPError):
        ask(board, "/api/timeseries", {"timeSeriesFilter": {"filter": BY_TYPE}, "has_buckets": True})


def test_the_error_panel_keeps_to_services_versions_and_time(board: LocalBackend) -> None:
    """Only events of the asked services, versions and time are counted, and their bins add up."""

    def counts(parameters: str) -> dict[str, int]:
        with urllib.request.urlopen(f"{board.http_url}/api/errors-panel?end_ms={NOW_MS}&{parameters}") as reply:
            groups = json.load(reply)["groups"]
        assert all(sum(group["counts"]) == group["count"] for group in groups)
        return {group["type"]: group["count"] for group in groups}

    start = f"start_ms={NOW_MS - 3_600_000}"
    assert counts(start) == {"OutOfStock": 12, "KeyError": 2}
    assert counts(f"{start}&service=shop") == {"OutOfStock": 12}
    assert counts(f"{start}&service=shop&service=chatbot&version=2.0") == {"OutOfStock": 6, "KeyError": 1}
    assert counts(f"start_ms={NOW_MS - 400_000}") == {"OutOfStock": 2, "KeyError": 1}


FILLED = """
const [name, text, filters, done] = arguments;
import("/static/templates.js").then((module) => done(module[name](text, filters, 60_000)), (error) => done(String(error)));
"""
CLUSTER = {"templateVariable": "Cluster", "labelKey": "cluster", "filterType": "RESOURCE_LABEL"}
WINDOW = {"templateVariable": "window", "filterType": "VALUE_ONLY", "values": ["4w"]}


@pytest.mark.needs("chromium")
def test_variables_in_queries(browser: Any, board: LocalBackend) -> None:
    """Each language has its own comparison of one value, several and any; what is no variable stays as it is."""
    none, one, two = ({**CLUSTER, "values": values} for values in ([], ['a"b'], ["a.b", "c"]))
    metric = {**CLUSTER, "filterType": "METRIC_LABEL", "labelKey": "k8s.io/x", "values": ["v"]}
    pinned = {"labelKey": "zone", "filterType": "RESOURCE_LABEL", "values": ["z"]}
    expected = [
        ("fillPromQL", "up{${Cluster}}", [none], 'up{cluster=~".*"}'),
        ("fillPromQL", "up{${Cluster}}", [one], 'up{cluster="a\\"b"}'),
        ("fillPromQL", "up{${Cluster}}", [two], 'up{cluster=~"a\\\\.b|c"}'),
        ("fillPromQL", "up{$Cluster}", [two], 'up{cluster=~"a\\\\.b|c"}'),
        ("fillPromQL", 'up{a=~"${Cluster.value}"}', [none], 'up{a=~".*"}'),
        ("fillPromQL", 'up{a=~"${Cluster.value}"}', [two], 'up{a=~"a\\\\.b|c"}'),
        ("fillPromQL", "rate(up[${window}]) + rate(up[${window.value}])", [WINDOW], "rate(up[4w]) + rate(up[4w])"),
        ("fillPromQL", 'label_replace(rate(up[${__interval}]), "a", "$1", "b", "(.*)")', [one], 'label_replace(rate(up[120s]), "a", "$1", "b", "(.*)")'),
        ("fillFilter", "a AND ${Cluster}", [one], 'a AND resource.labels.cluster = "a\\"b"'),
        ("fillFilter", "a AND ${Cluster}", [two], 'a AND resource.labels.cluster = one_of("a.b", "c")'),
        ("fillFilter", "a AND ${Cluster}", [none], 'a AND metric.type != "-"'),
        ("fillFilter", "${Cluster}", [metric], 'metric.labels."k8s.io/x" = "v"'),
        ("fillLogs", "${Cluster}", [two], '(resource.labels.cluster="a.b" OR resource.labels.cluster="c")'),
        ("fillLogs", "${Cluster}", [none], "severity>=DEFAULT"),
        ("fillLogs", "a OR b", [pinned], '(a OR b) AND (resource.labels.zone="z")'),
        ("fillLogs", "", [pinned], '(resource.labels.zone="z")'),
        ("fillLogs", 'resource.labels.zone="y"', [pinned], 'resource.labels.zone="y"'),
    ]  # fmt: skip
    browser.get(f"{board.http_url}/inbox")
    for name, text, filters, result in expected:
        assert browser.execute_async_script(FILLED, name, text, filters) == result, (name, text)


@pytest.mark.needs("chromium")
def test_long_names_keep_what_tells_them_apart(browser: Any, board: LocalBackend) -> None:
    """Names of a legend that begin alike lose that begin, at the end of a word; short ones and single ones do not."""
    browser.get(f"{board.http_url}/inbox")
    method = "google.cloud.secretmanager.v1.SecretManagerService."
    expected = [
        ([f"{method}AddVersion", f"{method}AccessVersion"], ["\u2026AddVersion", "\u2026AccessVersion"]),
        ([f"{method}AddVersion"], [f"{method}AddVersion"]),
        (["shop.orders.a", "shop.orders.b"], ["shop.orders.a", "shop.orders.b"]),
        (["a" * 40, "a" * 39 + "b"], ["a" * 40, "a" * 39 + "b"]),
    ]
    script = """
    const [names, done] = arguments;
    import("/static/legend.js").then((module) => done(module.shortened(names)), (error) => done(String(error)));
    """
    for names, result in expected:
        assert browser.execute_async_script(script, names) == result


@pytest.mark.needs("chromium")
def test_a_flat_zero_keeps_its_threshold_in_sight(browser: Any, board: LocalBackend) -> None:
    """Where nothing is above zero, the axis ends a little above the highest threshold, not at 100 %."""
    browser.get(f"{board.http_url}/inbox")
    script = """
    const [low, high, done] = arguments;
    import("/static/thresholds.js").then(({ scaleWith }) => done(scaleWith([{ value: 0.05 }])(null, low, high)), (error) => done(String(error)));
    """
    assert browser.execute_async_script(script, 0, 0) == pytest.approx([0, 0.055])
    assert browser.execute_async_script(script, 0, 0.02) == pytest.approx([0, 0.055])
    assert browser.execute_async_script(script, 0, 0.001) == pytest.approx([0, 0.0011])
