"""Whether a request's cost grows: with routes (each a metrics series of its own), and with outstanding exports.

Instructions per request over the bare app with the same routes; the flush is counted apart, as it happens once per
interval whatever the number of requests.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import drivers

ROUTES = (10, 100, 1000)
OUTSTANDING = (0, 1000, 5000)
REQUESTS = 200


def routes(framework: str, sink: str) -> dict[str, Any]:
    """Return by number of routes what obskit adds to a request, and what one export of their series costs."""
    jobs = [(number, variant) for number in ROUTES for variant in ("bare", "obskit")]

    def run(job: tuple[int, str]) -> list[float]:
        number, variant = job
        options = ["--routes", str(number), "--no-flush"]
        # The spans of the first window go out before the second flush, so that this holds the metrics alone.
        windows = [("count", REQUESTS), ("flush", 0), ("flush", 0)]
        found = drivers.counted(framework, variant, sink, windows, options=options)
        print(f"{framework} {variant}: {number} routes", file=sys.stderr, flush=True)
        return [window["instructions"] for window in found]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(jobs, pool.map(run, jobs), strict=True))
    return {
        str(number): {
            "over_bare": round((found[number, "obskit"][0] - found[number, "bare"][0]) / REQUESTS),
            "metrics_export": found[number, "obskit"][2],
        }
        for number in ROUTES
    }


def outstanding(framework: str, sink: str) -> dict[str, Any]:
    """Return by number of spans that wait for a backend that does not answer what obskit adds to a request."""
    window = [("count", REQUESTS)]
    bare = drivers.counted(framework, "bare", sink, window, options=["--no-flush"])[0]["instructions"]

    def run(number: int) -> float:
        options = ["--no-flush", "--exporter", "stuck", "--waiting", str(number)]
        return drivers.counted(framework, "obskit", sink, window, options=options)[0]["instructions"]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(OUTSTANDING, pool.map(run, OUTSTANDING), strict=True))
    return {str(number): {"over_bare": round((value - bare) / REQUESTS)} for number, value in found.items()}
