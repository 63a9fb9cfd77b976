"""The web UI in a real Chromium, over the twin of the backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from looking import CONTRAST, DRAWN, PAGE_READY, complaints, look, scroll_through, until, visit

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.timeout(180)]

TRACE = f"{4:032x}"
PAGES = {
    "/": "Overview",
    "/dashboards": "Dashboards",
    "/dashboards/service": "Service",
    "/dashboards/llm": "AI calls",
    "/dashboards/kinds": "Every kind",
    "/traces": "Traces",
    f"/traces/{TRACE}": "POST /chat",
    "/logs": "Logs",
    "/errors": "Errors",
    "/errors/g0": "OutOfStock",
    "/alerts": "Alerts",
    "/incidents": "Incidents",
    "/incidents/0.inc0": "High latency",
    "/inbox": "Inbox",
    "/llm": "AI cost",
}
WITH_CHARTS = {
    "/dashboards/service": 6,
    "/dashboards/llm": 6,
    "/dashboards/kinds": 1,
    "/llm": 2,
    "/incidents/0.inc0": 1,
}


# Whether each bucket of the heatmap has any colour, from the highest one down.
ROWS_OF_COLOUR = """
const canvas = document.querySelector(".heatmap canvas");
const scale = window.devicePixelRatio || 1;
const pen = canvas.getContext("2d");
const tall = canvas.height - 20 * scale;
return [0.125, 0.375, 0.625, 0.875].map((at) => {
  const data = pen.getImageData(64 * scale, Math.round(tall * at), canvas.width - 64 * scale, 1).data;
  return data.some((value, byte) => byte % 4 === 3 && value > 0);
});
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 400])
def test_every_page_holds_its_form(browser: Any, twin_url: str, width: int, theme: str) -> None:
    """Each page loads without a complaint, fits its width, is legible, and keeps stored HTML inert."""
    look(browser, width, theme)
    browser.get_log("browser")
    for path, heading in PAGES.items():
        visit(browser, twin_url, path, heading)
        if path in WITH_CHARTS:
            scroll_through(browser)
            until(lambda path=path: browser.execute_script(DRAWN) >= WITH_CHARTS[path], f"the charts of {path}")
        too_wide = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert too_wide <= 0, f"{path} is {too_wide} px wider than {width}"
        assert browser.execute_script(CONTRAST) == [], f"{path}, {theme}: too little contrast"
        assert browser.execute_script("return document.documentElement.dataset.theme") == theme
        assert browser.execute_script("return window.pwned") is None, f"{path} ran stored HTML"
        assert not browser.execute_script(
            "return [...document.querySelectorAll('main img, main script, a[href^=\"javascript\"]')].length"
        )
        assert complaints(browser) == []


def test_a_dashboard_says_what_it_does_not_draw(browser: Any, twin_url: str) -> None:
    """Widgets of unknown kinds, foreign query languages and failing queries each have an honest tile."""
    look(browser, 1440, "light")
    visit(browser, twin_url, "/dashboards/kinds", "Every kind")
    scroll_through(browser)
    text = until(
        lambda: "parse error" in (shown := browser.find_element("css selector", "main").text) and shown,
        "the failing query",
    )
    assert "treemap" in text
    assert "Its query is in SQL (Log Analytics)" in text
    assert "Its query gives no buckets" in text
    assert "Its query is in MQL" in text
    assert "fetch x" in text


def test_pies_tables_and_heatmaps_are_drawn(browser: Any, twin_url: str) -> None:
    """Slices add up to the whole, a table hides what its settings hide and sorts on a click, buckets are told apart."""
    look(browser, 1440, "light")
    visit(browser, twin_url, "/dashboards/kinds", "Every kind")
    scroll_through(browser)
    names = until(
        lambda: [each.text for each in browser.find_elements("css selector", ".pie-name")], "the slices of the pie"
    )
    assert sorted(names) == [f"zone zone-{at}" for at in range(4)]
    parts = browser.execute_script(
        "return [...document.querySelectorAll('.pie-legend li > :last-child')].map((each) => parseFloat(each.textContent))"
    )
    assert sum(parts) == pytest.approx(100, abs=1)
    assert parts == sorted(parts, reverse=True)

    table = until(lambda: browser.find_elements("css selector", ".series-table"), "the table")[0]
    assert [head.text for head in table.find_elements("css selector", "th")] == ["Zone", "value"]
    head = table.find_elements("css selector", "th button")[0]
    browser.execute_script("arguments[0].click()", head)
    first = lambda: table.find_elements("css selector", "tbody td")[0].text  # noqa: E731
    until(lambda: first() == "zone-3", "the table sorted downwards")
    browser.execute_script("arguments[0].click()", head)
    until(lambda: first() == "zone-0", "the table sorted upwards")
    assert len(table.find_elements("css selector", ".cell-bar")) == 4
    assert len(table.find_elements("css selector", ".cell-warn")) == 4

    shown = until(
        lambda: browser.execute_script("return document.querySelector('.heatmap canvas')?.getAttribute('aria-label')"),
        "the heatmap",
    )
    assert shown.startswith("Buckets: 4 buckets over ")
    rows = browser.execute_script(ROWS_OF_COLOUR)
    assert rows == [True, True, False, True], "the bucket from 0.1 s to 0.5 s is empty, the others are not"


def test_navigation_keeps_the_page_and_its_address_together(browser: Any, twin_url: str) -> None:
    """A click changes page without a reload, back returns, and a filter stands in the address."""
    look(browser, 1440, "light")
    visit(browser, twin_url, "/", "Overview")
    browser.execute_script("window.isSame = true")
    browser.find_element("link text", "Logs").click()
    until(lambda: browser.execute_script(PAGE_READY) == "Logs", "the logs")
    browser.find_element("css selector", "input[type=search]").send_keys("cart")
    until(lambda: "q=cart" in browser.current_url, "the filter in the address")
    browser.back()
    until(lambda: browser.execute_script(PAGE_READY) == "Overview", "the overview again")
    assert browser.execute_script("return window.isSame") is True


def test_a_span_opens_with_the_keyboard_alone(browser: Any, twin_url: str) -> None:
    """Enter on a span shows its attributes, Enter again hides them; an AI span tells tokens and cost."""
    look(browser, 1440, "light")
    visit(browser, twin_url, f"/traces/{TRACE}", "POST /chat")
    span = browser.find_element("css selector", ".span.is-ai .span-open")
    assert "2.84K → 312 tok · $0.0016" in browser.find_element("css selector", ".span.is-ai").text
    span.send_keys("\n")
    until(
        lambda: "gen_ai.usage.input_tokens" in browser.find_element("css selector", ".span-detail").text,
        "the attributes",
    )
    span.send_keys("\n")
    until(lambda: not browser.find_elements("css selector", ".span-detail"), "the attributes gone")


def test_an_accelerated_clock_is_said_aloud(browser: Any, twin_url: str) -> None:
    """The frame of every page names the factor while the backend's clock runs fast."""
    look(browser, 400, "dark")
    visit(browser, twin_url, "/inbox", "Inbox")
    assert "accelerated 40" in browser.find_element("css selector", ".clock").text


def test_twenty_charts_draw_without_a_long_pause(browser: Any, twin_url: str) -> None:
    """Drawing 20 charts of 500 points anew keeps every frame under a quarter of a second."""
    look(browser, 1440, "light")
    visit(browser, twin_url, "/dashboards/twenty", "Twenty charts")
    scroll_through(browser)
    until(lambda: browser.execute_script(DRAWN) == 20, "twenty charts")
    assert (
        browser.execute_script("return Math.min(...[...window.obskitCharts].map((plot) => plot.data[0].length))") >= 500
    )
    longest_ms = browser.execute_async_script(
        """
        const done = arguments[0];
        const started = performance.now();
        for (const plot of window.obskitCharts) plot.setData(plot.data);
        requestAnimationFrame(() => done(performance.now() - started));
        """
    )
    assert longest_ms < 250, longest_ms


@pytest.mark.needs("shared")
def test_real_dashboards_render(browser: Any, shared_folder: Path) -> None:
    """Dashboards that Google publishes come out whole: every tile has content and nothing throws."""
    from twin import serving

    files = sorted((shared_folder / "corpus" / "dashboards").rglob("*.json"))
    assert files
    look(browser, 1440, "light")
    browser.get_log("browser")
    with serving(extra=files) as url:
        for path in files:
            title = json.loads(path.read_text())["displayName"]
            visit(browser, url, f"/dashboards/{path.parent.name}-{path.stem}", title.split("  ")[0].strip()[:20])
            assert browser.execute_script("return document.querySelectorAll('.tile, .group').length") > 0, path
            assert browser.execute_script("return document.querySelectorAll('.tile-body:empty').length") == 0, path
        assert complaints(browser) == []


def test_the_real_backend_serves_every_page(browser: Any) -> None:
    """An empty backend's pages come through its own content policy without a complaint, and say what is missing."""
    from obskit.local.serve import LocalBackend

    with LocalBackend(http_port=0, grpc_port=0) as backend:
        look(browser, 1440, "light")
        browser.get_log("browser")
        for path, heading in PAGES.items():
            if path.count("/") > 1:
                continue  # a single thing, of which there is none
            visit(browser, backend.http_url, path, heading)
            until(lambda: not browser.find_elements("css selector", ".loading"), f"the content of {path}")
            assert browser.find_elements("css selector", ".empty"), path
            assert not browser.find_elements("css selector", ".problem"), path
        assert complaints(browser) == []
        browser.get("about:blank")
