"""Instructions per request, of all threads of the process, by callgrind; they repeat to a fraction of a percent."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import drivers
from variants import VARIANTS, of_framework

REQUESTS = 1000


def measure(frameworks: list[str], variants: list[str], sink: str, *, requests: int = REQUESTS) -> dict[str, Any]:
    """Return, by framework and variant, instructions, spans and lines per request, or why there are none.

    ``instructions_thread`` are those of the thread that serves, without the flush at the end; ``instructions_otlp`` is
    the whole with telemetry going out over OTLP/HTTP, for variants that can.
    """
    jobs = [
        (framework, variant, is_exporting)
        for framework in frameworks
        for variant in of_framework(framework, variants)
        for is_exporting in ((False, True) if VARIANTS[variant].can_export else (False,))
    ]

    def run(job: tuple[str, str, bool]) -> dict[str, Any]:
        framework, variant, is_exporting = job
        found = one(framework, variant, sink, requests, is_exporting=is_exporting)
        shown = f"{found['instructions']:,} instructions" if "instructions" in found else found["failed"]
        print(f"{framework} {variant}{' over OTLP' * is_exporting}: {shown}", file=sys.stderr, flush=True)
        return found

    results: dict[str, Any] = {
        framework: {variant: {} for variant in of_framework(framework, variants)} for framework in frameworks
    }
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (framework, variant, is_exporting), found in zip(jobs, pool.map(run, jobs), strict=True):
            end = "_otlp" if is_exporting else ""
            results[framework][variant] |= {f"{name}{end}": value for name, value in found.items()}
    return results


def one(framework: str, variant: str, sink: str, requests: int, *, is_exporting: bool = False) -> dict[str, Any]:
    """Return what one variant costs."""
    options = ["--no-flush", *(["--exporter", "otlp"] if is_exporting else [])]
    windows = [("count", requests), ("flush", 0)]
    try:
        served, flushed = drivers.counted(framework, variant, sink, windows, options=options)
    except (RuntimeError, OSError, AssertionError) as error:
        return {"failed": str(error)}
    found = {"instructions": round((served["instructions"] + flushed["instructions"]) / requests)}
    spans = served["spans"] + flushed["spans"]
    if VARIANTS[variant].has_spans and not is_exporting and spans < requests:
        return {"failed": f"{spans} spans of {requests} requests arrived"}
    if not is_exporting:
        found |= {
            "instructions_thread": round(served["thread_instructions"] / requests),
            "spans_per_request": round(spans / requests, 2),
            "lines_per_request": round(flushed["lines"] / (requests + 250), 2),
        }
    return found
