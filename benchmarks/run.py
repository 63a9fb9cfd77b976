"""Compare what observing a service costs: `make bench`, or `python benchmarks/run.py [--only …] [--json]`.

Every variant has a virtual environment of its own, made on the first run. `--only instructions --variants
bare,obskit,prom --framework fastapi` measures a part. A whole run takes about half an hour on 2 cores and writes
docs/performance.md and its chart; a part writes them with `--write` only, and then they hold that part only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import ai
import chart
import cpu
import drivers
import functions
import instructions
import loglines
import report
import scaling
import servers
import starts
from variants import FRAMEWORKS, ROOT, VARIANTS, of_framework, versions

SECTIONS = {
    "instructions": "instructions per request, by callgrind",
    "cpu": "CPU time per request in process",
    "server": "throughput, latency and memory under uvicorn and gunicorn",
    "imports": "time and memory of imports",
    "start": "time from instrument(app) to the first request served",
    "google": "delay of requests while Google's clients load",
    "streams": "throughput of a streamed response of 1 GiB",
    "scaling": "cost by number of routes and of outstanding spans",
    "log": "instructions of one log line",
    "ai": "one generate_content, beside OpenTelemetry's and OpenLLMetry's instrumentations",
}
CHART = "images/performance.svg"


def main() -> None:
    """Measure, print and write."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        # A copy, so that all of a run measures the same code whatever is edited meanwhile.
        shutil.copytree(Path(options.source or ROOT) / "obskit", Path(folder) / "obskit")
        drivers.SOURCES.append(folder)
        _run(options)


def _run(options: argparse.Namespace) -> None:
    begun = time.monotonic()
    sink = drivers.Sink()
    try:
        if options.functions:
            _functions(options, sink.url)
            return
        results = _measure(options, sink.url)
    finally:
        sink.close()
    results |= {
        "command": " ".join(["make bench", *([f'ARGS="{" ".join(_arguments())}"'] if _arguments() else [])]),
        "minutes": round((time.monotonic() - begun) / 60),
        "machine": _machine(),
        "versions": _versions(options.variants),
    }
    print(report.body(results), end="")
    if options.write or options.is_whole:
        (ROOT / "docs" / "performance.md").write_text(report.page(results, CHART), encoding="utf-8")
        (ROOT / "docs" / CHART).write_text(chart.svg(results), encoding="utf-8")
        print("\nwritten: docs/performance.md, docs/" + CHART)
    if options.json:
        print(json.dumps(results))


def _arguments() -> list[str]:
    left = [argument for argument in sys.argv[1:] if argument not in {"--json", "--write"}]
    if "--source" in left:  # where the code lay says nothing to a reader
        del left[left.index("--source") : left.index("--source") + 2]
    return left


def _options() -> argparse.Namespace:
    sections = "\n".join(f"  {name:<13} {text}" for name, text in SECTIONS.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"sections:\n{sections}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line last")
    parser.add_argument("--only", type=_some_of(SECTIONS), default=list(SECTIONS), help="sections, with commas")
    parser.add_argument("--variants", type=_some_of(VARIANTS), default=list(VARIANTS), help=", ".join(VARIANTS))
    parser.add_argument("--framework", type=_some_of(FRAMEWORKS), default=list(FRAMEWORKS), help="fastapi, flask")
    parser.add_argument("--requests", type=int, default=instructions.REQUESTS, help="counted per variant")
    parser.add_argument("--rounds", type=int, default=7, help="of everything that is timed")
    parser.add_argument("--seconds", type=float, default=1.5, help="of load in each round")
    parser.add_argument("--source", metavar="DIR", help="measure the obskit in this folder, e.g. an older one")
    parser.add_argument("--functions", type=int, metavar="N", help="only show the N costliest Python functions")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md in any case")
    options = parser.parse_args()
    is_part = len(options.only) + len(options.variants) + len(options.framework) < len(SECTIONS) + len(VARIANTS) + 2
    if "bare" not in options.variants:
        options.variants.insert(0, "bare")
    options.is_whole = not is_part and not options.source and not options.functions
    return options


def _some_of(known: Any) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        words = text.split(",")
        if unknown := [word for word in words if word not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is not among {', '.join(known)}")
        return words

    return parse


def _functions(options: argparse.Namespace, sink: str) -> None:
    variants = ["obskit"] if len(options.variants) == len(VARIANTS) else options.variants
    for framework in options.framework:
        for variant in variants:
            print("\n".join([*functions.table(framework, variant, sink, options.functions), ""]))


# --------------------------------------------------------------------------- measuring


def _measure(options: argparse.Namespace, sink: str) -> dict[str, Any]:
    results: dict[str, Any] = {}
    only, rounds = options.only, options.rounds

    def attempt(section: str, run: Callable[[], None]) -> None:
        """One part that fails must not take the others along."""
        if section not in only:
            return
        print(f"{section}: {SECTIONS[section]}", file=sys.stderr, flush=True)
        try:
            run()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            results.setdefault("failed", {})[section] = reason
            print(f"{section} failed: {reason}", file=sys.stderr, flush=True)

    def counted() -> None:
        for framework, found in instructions.measure(
            options.framework, options.variants, sink, requests=options.requests
        ).items():
            _merge(results, framework, "instructions", found)

    def timed() -> None:
        for framework in options.framework:
            _merge(
                results,
                framework,
                "cpu",
                cpu.measure(framework, of_framework(framework, options.variants), sink, rounds=3 * rounds),
            )

    def served() -> None:
        for framework in options.framework:
            names = of_framework(framework, options.variants)
            found = servers.measure(framework, names, sink, rounds=rounds, seconds=options.seconds)
            _merge(results, framework, "server", found)

    def scaled() -> None:
        for framework in options.framework:
            results.setdefault("routes", {})[framework] = scaling.routes(framework, sink)
            results.setdefault("outstanding", {})[framework] = scaling.outstanding(framework, sink)

    def streamed() -> None:
        for framework in options.framework:
            results.setdefault("streams", {})[framework] = servers.streams(framework, sink, rounds=max(20, 5 * rounds))

    def count_only(run: Callable[[], None]) -> Callable[[], None]:
        def checked() -> None:
            if not drivers.can_count():
                raise RuntimeError("valgrind and gcc count instructions, and are not here; `make test-deps`")
            run()

        return checked

    attempt("instructions", count_only(counted))
    attempt("scaling", count_only(scaled))
    attempt("log", count_only(lambda: results.update(log_line=loglines.measure())))
    attempt("ai", count_only(lambda: results.update(ai=ai.measure(rounds=rounds))))
    attempt("cpu", timed)
    attempt("imports", lambda: results.update(starts.imports(rounds=3 * rounds)))
    attempt("start", lambda: results.update(start_ms=starts.first_request(sink, rounds=5 * rounds)))
    attempt("server", served)
    attempt("streams", streamed)
    attempt("google", lambda: results.update(google_loading=servers.google(sink, rounds=max(10, rounds))))
    return results


def _merge(results: dict[str, Any], framework: str, section: str, found: dict[str, Any]) -> None:
    for variant, values in found.items():
        into = results.setdefault(framework, {}).setdefault(variant, {})
        for key, value in values.items():
            if key.startswith("failed"):
                into.setdefault("failed", {})[section + key.removeprefix("failed")] = value
            else:
                into[key] = value


# --------------------------------------------------------------------------- the machine


def _machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _versions(variants: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    there = versions("bare")
    found |= {name: there[name] for name in ("fastapi", "starlette", "flask", "uvicorn", "gunicorn")}
    for variant in variants:
        name = VARIANTS[variant].distribution
        if name and name not in found:
            found[name] = versions(VARIANTS[variant].environment).get(name, "not installed")
    return found


if __name__ == "__main__":
    main()
