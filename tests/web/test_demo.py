"""The demo's own dashboards in Chromium, after its script."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from looking import DRAWN, complaints, look, scroll_through, until, visit

TEXT = "return document.body.textContent"
COMMAND = [sys.executable, "-m", "obskit.cli", "demo", "--port", "0", "--duration", "40", "--stay"]


@pytest.fixture
def played() -> Iterator[str]:
    """The UI's address of a demo whose script is over, and which stays up."""
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True)
    address = ""
    for line in process.stdout:
        if found := re.search(r"Web UI: (http://\S+)", line):
            address = found[1]
        if line.startswith("Look around"):
            break
    yield address
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, rest


def listed(url: str) -> dict[str, str]:
    with urllib.request.urlopen(f"{url}/v1/projects/obskit-demo/dashboards") as reply:
        return {
            found["labels"]["obskit-id"]: found["name"].rpartition("/")[2] for found in json.load(reply)["dashboards"]
        }


@pytest.mark.needs("chromium")
@pytest.mark.timeout(240)
def test_the_demos_dashboards_are_drawn_from_its_telemetry(browser: Any, played: str) -> None:
    """Every synced dashboard draws charts with data, those with a threshold name it; the open incidents are listed."""
    look(browser, 1440, "light")
    expected = {
        "service": ("Services", "alert above 2 s", 6),
        "llm": ("AI calls", "alert above 10", 6),
        "llm-guard": ("Guard of AI calls", "Handed to a fallback", 5),
        "budgets": ("AI budgets", "Calls refused", 3),
        "health": ("Providers and jobs", "Providers, share of healthy", 3),
    }
    for name, identity in listed(played).items():
        heading, threshold, charts = expected[name]
        visit(browser, played, f"/dashboards/{identity}", heading)
        scroll_through(browser)
        until(lambda least=charts: browser.execute_script(DRAWN) >= least, f"{charts} charts of {heading}")
        until(lambda text=threshold: text in browser.execute_script(TEXT), f"a scorecard with {threshold}")
    visit(browser, played, "/", "Overview")
    for found in ("chatbot", "shop", "Token spike", "High latency"):
        until(lambda text=found: text in browser.execute_script(TEXT), found)
    assert complaints(browser) == []
