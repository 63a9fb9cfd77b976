"""CPU time per request in process: `thread_us` of the thread that serves, `cpu_us` of the process with the export."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from contextlib import ExitStack
from typing import Any

import drivers

REQUESTS = 300


def measure(framework: str, variants: list[str], sink: str, *, rounds: int) -> dict[str, Any]:
    """Return microseconds by variant, or why there are none.

    In each round every variant serves in turn, each right after bare, whose speed then is the yardstick: what is over
    bare is the median over rounds of the share by which a variant was slower, times bare's own median.
    """
    results: dict[str, Any] = {}
    with ExitStack() as stack:
        running: dict[str, drivers.Driver] = {}
        for variant in ["bare", *(variant for variant in variants if variant != "bare")]:
            try:
                running[variant] = stack.enter_context(drivers.Driver(framework, variant, sink))
            except (RuntimeError, OSError) as error:
                results[variant] = {"failed": str(error)}
        seen: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for _ in range(rounds):
            for variant, driver in running.items():
                bare = running["bare"].ask("time", REQUESTS)
                own = driver.ask("time", REQUESTS)
                for unit, value in own.items():
                    seen[unit]["bare"].append(bare[unit])
                    seen[unit][variant + " ratio"].append(value / bare[unit])
        print(f"{framework}: {rounds} rounds of CPU time", file=sys.stderr, flush=True)
    for variant in running:
        results[variant] = {}
        for unit, values in seen.items():
            bare_us = statistics.median(values["bare"])
            ratio = 1.0 if variant == "bare" else statistics.median(values[variant + " ratio"])
            results[variant][unit] = round(bare_us * ratio, 1)
    return results
