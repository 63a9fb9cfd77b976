"""Take the pictures of the web UI that the README shows: `make screenshots`.

Starts `obskit demo`, waits until its script has been played, and photographs pages in Debian's Chromium, at 1440 and
400 pixels, light and dark, into docs/images (or the folder given as an argument).
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

HERE = Path(__file__).resolve().parent
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
DRAWN = "return [...(window.obskitCharts ?? [])].filter((plot) => plot.data?.[0]?.length > 1).length"
# name → path, charts that must have been drawn
SHOTS = {
    "overview": ("/", 0),
    "dashboard": ("/dashboards/{service}", 5),
    "llm": ("/dashboards/{llm}", 5),
    "guard": ("/dashboards/{llm-guard}", 4),
    "budgets": ("/dashboards/{budgets}", 3),
}
NARROW = ("overview", "dashboard")


@contextmanager
def playing_demo() -> Iterator[str]:
    """Start the demo and give the UI's address once the script has been played; end it afterwards."""
    command = [sys.executable, "-m", "obskit.cli", "demo", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    address = ""
    try:
        for line in process.stdout or ():
            if found := re.search(r"Web UI: (http://\S+)", line):
                address = found[1]
            if line.startswith("Look around"):
                break
        else:
            raise SystemExit(f"the demo ended early, with exit code {process.wait()}")
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser that looks at nothing but this machine."""
    with tempfile.TemporaryDirectory(prefix="obskit-chromium-", ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            yield driver
        finally:
            driver.quit()


def dashboards(url: str) -> dict[str, str]:
    """Return the ids of the demo's dashboards by what they are."""
    with urllib.request.urlopen(f"{url}/v1/projects/obskit-demo/dashboards") as reply:  # noqa: S310 - our own backend
        listed = json.load(reply)["dashboards"]
    return {found["labels"]["obskit-id"]: found["name"].rpartition("/")[2] for found in listed}


def photograph(driver: Any, url: str, folder: Path) -> list[Path]:
    """Take every picture and return the files."""
    taken = []
    ids = dashboards(url)
    for width, height, names in ((1440, 900, tuple(SHOTS)), (400, 860, NARROW)):
        for theme in ("light", "dark"):
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
            )
            driver.execute_cdp_cmd(
                "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
            )
            for name in names:
                path, charts = SHOTS[name]
                driver.get(url + path.format(**ids))
                wait(lambda charts=charts: driver.execute_script(DRAWN) >= charts, f"the charts of {name}")
                time.sleep(1.0)  # until the live values of this moment stand
                file = folder / f"{name}-{theme}{'-narrow' if width == 400 else ''}.png"
                driver.save_screenshot(str(file))
                taken.append(file)
    return taken


def wait(ask: Any, what: str, seconds: float = 30) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not ask():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come within {seconds:g} s")
        time.sleep(0.1)


def main() -> None:
    """Play the demo and photograph it."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with playing_demo() as url, chromium() as driver:
        for file in photograph(driver, url, folder):
            print(file)


if __name__ == "__main__":
    main()
