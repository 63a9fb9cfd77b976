"""What it costs to begin: importing, and instrumenting an app until its first request is served.

Every figure is of a fresh interpreter, in rounds that alternate over all of them; medians of differences within rounds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import drivers
from variants import FRAMEWORKS, environment

_IMPORTS = {
    "obskit": "import obskit",
    "opentelemetry.sdk.trace": "import opentelemetry.sdk.trace",
    "opentelemetry.sdk.metrics too": "import opentelemetry.sdk.trace, opentelemetry.sdk.metrics",
}
# Not the peak of `wait4`, which begins with that of the process that forked.
_MEMORY = """
print(open("/proc/self/status").read().partition("VmRSS:")[2].split()[0])
"""
# The framework is imported before the clock starts: an app has it anyhow.
_FIRST = """
import json, os, sys, time
import apps, drive
framework, variant = sys.argv[1:]
app = apps.plain(framework)
driver = drive.Driver(app, is_asgi=framework == "fastapi")
wall, cpu = time.perf_counter(), time.thread_time()
if variant == "obskit":
    import obskit
imported = time.perf_counter(), time.thread_time()
if variant == "obskit":  # as its users do, and not with the destination of the other sections, which has to be imported
    handle = obskit.instrument(app, service_name="bench", project="p", exporters=["memory"], log_format="json")
driver.drive(1)
done = time.perf_counter(), time.thread_time()
figures = {"import_wall_ms": imported[0] - wall, "import_cpu_ms": imported[1] - cpu,
           "wall_ms": done[0] - imported[0], "cpu_ms": done[1] - imported[1]}
assert variant != "obskit" or handle.status().is_running
print(json.dumps({name: value * 1000 for name, value in figures.items()}), file=sys.stderr, flush=True)
os._exit(0)
"""


def imports(*, rounds: int) -> dict[str, dict[str, float]]:
    """Return what imports cost over an empty interpreter: ``import_ms`` (wall), ``import_cpu_ms``, ``import_mib``."""
    statements = {"": "pass", **_IMPORTS}
    seen: dict[str, list[dict[str, float]]] = defaultdict(list)
    for number in range(rounds + 1):
        for name, statement in statements.items():
            figures = _run(statement)
            if number:  # the first fills the page cache and the byte code
                seen[name].append(figures)
    return {
        unit: {name: _over(seen[name], seen[""], unit) for name in _IMPORTS}
        for unit in ("import_ms", "import_cpu_ms", "import_mib")
    }


def _over(own: list[dict[str, float]], empty: list[dict[str, float]], unit: str) -> float:
    return round(statistics.median(a[unit] - b[unit] for a, b in zip(own, empty, strict=True)), 1)


def _run(statement: str) -> dict[str, float]:
    begun = time.perf_counter()
    process = subprocess.Popen(
        [str(environment("obskit")), "-c", statement + _MEMORY],
        env=_environ(),
        cwd=tempfile.gettempdir(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    memory = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise RuntimeError(f"{statement!r} failed")
    return {
        "import_ms": wall * 1000,
        "import_cpu_ms": (usage.ru_utime + usage.ru_stime) * 1000,
        "import_mib": int(memory) / 1024,
    }


def first_request(sink: str, *, rounds: int) -> dict[str, dict[str, float]]:
    """Return by framework the milliseconds from ``instrument(app)`` to the end of the first request, over bare's.

    ``of_sdk_import`` is the share that this is of an import of ``opentelemetry.sdk.trace`` over an empty interpreter in
    the same round: it tells more than the milliseconds of a machine whose pace changes from minute to minute.
    """
    found: dict[str, dict[str, float]] = {}
    for framework in FRAMEWORKS:
        seen: dict[str, list[dict[str, float]]] = defaultdict(list)
        shares: list[float] = []
        for number in range(rounds + 1):
            bare, own = (_first(sink, framework, variant) for variant in ("bare", "obskit"))
            empty, sdk = (_run(statement)["import_ms"] for statement in ("pass", _IMPORTS["opentelemetry.sdk.trace"]))
            if not number:
                continue
            for unit in own:
                seen[unit].append(own[unit] - bare[unit])
            shares.append((own["wall_ms"] - bare["wall_ms"]) / (sdk - empty))
        found[framework] = {unit: round(statistics.median(each), 1) for unit, each in seen.items()}
        found[framework]["of_sdk_import"] = round(statistics.median(shares), 3)
        print(f"{framework}: {rounds} first requests", file=sys.stderr, flush=True)
    return found


def _first(sink: str, framework: str, variant: str) -> dict[str, float]:
    done = subprocess.run(
        [str(environment("obskit")), "-c", _FIRST, framework, variant],
        check=False,
        capture_output=True,
        text=True,
        env=_environ(sink),
        cwd=tempfile.gettempdir(),
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    figures: dict[str, float] = json.loads(done.stderr.strip().splitlines()[-1])
    return figures


def _environ(sink: str = "") -> Mapping[str, Any]:
    """Return the environment; what has been installed has its byte code on disk, so it may be written here too."""
    return {name: value for name, value in drivers.environ(sink).items() if name != "PYTHONDONTWRITEBYTECODE"}
