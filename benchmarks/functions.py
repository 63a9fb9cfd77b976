"""Where the instructions of a request go, by Python function: `run.py --functions 30`.

Callgrind knows C functions only. At each call and return of a Python function `profiling.c` asks it for its count so
far; what lies between two answers belongs to the function on top. The cost of noting is taken off (`_noting`), but the
interpreter runs slower while it is followed, so the sum is twice what `instructions.py` counts: read shares, not sums.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import drivers
from variants import ROOT

REQUESTS = 40


def table(framework: str, variant: str, sink: str, rows: int) -> list[str]:
    """Return the functions with the most instructions of their own, as lines of text.

    Raises:
        RuntimeError: valgrind, gcc or Python's headers are not here, or the variant failed.
    """
    profile, marks = _run(framework, variant, sink)
    own, inclusive, calls, threads = _add_up(profile, marks)
    lines = [
        f"{framework} {variant}: instructions per request by Python function, without calls into others (own), with",
        "them (inclusive); * on another thread than the request's",
        f"{'own':>8} {'inclusive':>10} {'calls':>6}",
    ]
    for name, cost in own.most_common(rows):
        shown = re.sub(r"\(/.*/(?:site-packages|python3\.\d+)/", "(", name)
        for folder in (*drivers.SOURCES, ROOT):
            shown = shown.replace(f"{folder}/", "")
        figures = f"{cost / REQUESTS:>8,.0f} {inclusive[name] / REQUESTS:>10,.0f} {calls[name] / REQUESTS:>6.2f}"
        lines.append(f"{figures}{'*' if threads[name] else ' '} {shown}")
    packages: Counter[str] = Counter()
    for name, cost in own.items():
        packages[_package(name)] += cost
    lines += [
        "",
        "by package: " + ", ".join(f"{name} {cost / REQUESTS:,.0f}" for name, cost in packages.most_common(9)),
    ]
    return lines


def _run(framework: str, variant: str, sink: str) -> tuple[dict[str, Any], list[int]]:
    libraries = {f"BENCH_{name.upper()}": str(drivers.library(name)) for name in ("counting", "profiling")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        prefix = drivers.callgrind(folder, log_file=log)
        with drivers.Driver(framework, variant, sink, prefix=prefix, **libraries) as driver:
            profile = driver.ask("profile", REQUESTS)
        marks, tid = [], ""
        with log.open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("current-tid: "):
                    tid = line.split()[1]
                elif tid and line.startswith(f"events-{tid}: "):
                    marks.append(int(line.split()[1]))
                    tid = ""
    if len(marks) != len(profile["events"]):
        raise RuntimeError(f"{len(profile['events'])} calls and returns, but {len(marks)} answers of callgrind")
    return profile, marks


def _add_up(profile: dict[str, Any], marks: list[int]) -> tuple[Counter[str], Counter[str], Counter[str], Counter[str]]:
    own: Counter[str] = Counter()
    inclusive: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    elsewhere: Counter[str] = Counter()
    noting = _noting(profile, marks)
    stacks: dict[int, list[list[Any]]] = {}
    last: dict[int, int] = {}
    for (index, thread, is_call), mark in zip(profile["events"], marks, strict=True):
        name = profile["functions"][index]
        stack = stacks.setdefault(thread, [])
        cost = max(0, mark - last.get(thread, mark) - noting)
        last[thread] = mark
        if stack:
            own[stack[-1][0]] += cost
            for frame in stack:
                frame[1] += cost
        if is_call:
            stack.append([name, 0])
            calls[name] += 1
            elsewhere[name] += thread != profile["thread"]
        elif stack and stack[-1][0] == name:
            _, within = stack.pop()
            if all(frame[0] != name for frame in stack):  # a recursion counts once
                inclusive[name] += within
    return own, inclusive, calls, elsewhere


def _noting(profile: dict[str, Any], marks: list[int]) -> int:
    """Return what noting one event costs: the least that lies between a call and a return of the same function."""
    least, before = 1 << 30, None
    for event, mark in zip(profile["events"], marks, strict=True):
        if before is not None and before[0][:2] == event[:2] and before[0][2] and not event[2]:
            least = min(least, mark - before[1])
        before = (event, mark)
    return 0 if least == 1 << 30 else least


def _package(name: str) -> str:
    if any(f"({folder}/obskit/" in name for folder in (*drivers.SOURCES, ROOT)):
        return "obskit"
    found = re.search(r"site-packages/(?:(opentelemetry/\w+)|(\w+))", name)
    if found:
        return found[1] or found[2]
    return "this benchmark" if str(ROOT) in name else "Python"
