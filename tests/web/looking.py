"""What the tests of the web UI look at a page with."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

DRAWN = """
return [...window.obskitCharts].filter((plot) => {
  const { width, height } = plot.ctx.canvas;
  if (!width || !height || plot.data.length < 2 || !plot.data[1].some((value) => value !== null)) return false;
  const { left, top, width: wide, height: tall } = plot.bbox;
  const pixels = plot.ctx.getImageData(left, top, wide, tall).data;
  const colours = new Set();
  for (let at = 0; at < pixels.length; at += 4) if (pixels[at + 3] > 200) colours.add((pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2]);
  return colours.size > 2;
}).length
"""
CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function channels(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
function light(colour) {
  const [r, g, b] = colour.slice(0, 3).map((value) => value / 255).map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function behind(node) {
  for (let each = node; each; each = each.parentElement) {
    const colour = channels(getComputedStyle(each).backgroundColor);
    if (colour[3] > 250) return colour;
  }
  return channels(getComputedStyle(document.documentElement).backgroundColor);
}
const poor = [];
for (const node of document.querySelectorAll("body *")) {
  const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  if (!text || !node.checkVisibility() || node.closest(".span-length, .skip, svg")) continue;
  const style = getComputedStyle(node);
  const [front, back] = [light(channels(style.color)), light(behind(node))];
  const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  const isLarge = parseFloat(style.fontSize) >= 24;
  if (ratio < (isLarge ? 3 : 4.5)) poor.push([node.className, node.textContent.slice(0, 30), Math.round(ratio * 100) / 100]);
}
return poor.slice(0, 8);
"""
PAGE_READY = "return !document.querySelector('.page > .loading') && document.querySelector('h1')?.textContent"


def until(ask: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"still not there: {what}"
        time.sleep(0.05)


def look(browser: Any, width: int, theme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def visit(browser: Any, url: str, path: str, heading: str) -> None:
    browser.get(url + path)
    until(lambda: heading in (browser.execute_script(PAGE_READY) or ""), f"the heading of {path}")


def scroll_through(browser: Any) -> None:
    """Bring every chart into sight once: those out of sight do not ask for data."""
    height = browser.execute_script("return document.documentElement.scrollHeight")
    for top in range(0, height, 600):
        browser.execute_script("window.scrollTo(0, arguments[0])", top)
        browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


# The twin refuses one query on purpose, which the browser logs as an error; reading pixels is these tests' own doing.
EXPECTED = ("query=fail", "willReadFrequently")


def complaints(browser: Any) -> list[str]:
    """Return what the browser has against the page that it shows; what one before had left open ends when it may."""
    messages = [entry["message"] for entry in browser.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}]
    others = re.compile(rf"http://(?!{re.escape(urlsplit(browser.current_url).netloc)}/)\S+/api/live - Failed to load")
    return [text for text in messages if not others.match(text) and not any(part in text for part in EXPECTED)]
