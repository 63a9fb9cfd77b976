"""How sync scales: 10 to 1,000 policies and a fifth as many dashboards, against a local backend on this machine.

`python benchmarks/sync.py` (or `make bench-sync`) writes a repository of each size, syncs it once, and prints for each
how long `obskit check` and a plan without a change take, the plan's list calls and pages, its writes and its peak of
memory. Each command runs in a process of its own; a time is the best of `--runs 3`. `--json`, `--sizes 10,100,1000`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obskit.local.serve import LocalBackend

POLICIES_A_FILE = 50
_CHANNELS = """\"\"\"Who is told.\"\"\"

from obskit.alerts import email

ONCALL = [email(f"oncall-{number}", address=f"oncall-{number}@example.com") for number in range(5)]
"""
_POLICIES = """\"\"\"Policies {first} to {last}.\"\"\"

from alerts.channels import ONCALL
from obskit.alerts import AlertPolicy, PromQLCondition

POLICIES = [
    AlertPolicy(
        id=f"policy-{{number}}",
        display_name=f"Errors of service {{number}}",
        conditions=PromQLCondition(
            query=f'sum(rate(run_googleapis_com:request_count{{{{monitored_resource="cloud_run_revision",'
            f'service_name="service-{{number}}",response_code_class="5xx"}}}}[5m])) > {{number + 1}}',
            duration="5m",
        ),
        channels=[ONCALL[number % 5]],
        labels={{"team": f"team-{{number % 7}}"}},
    )
    for number in range({first}, {last})
]
"""
_DASHBOARDS = """\"\"\"Dashboards {first} to {last}.\"\"\"

from obskit.dashboards import service

DASHBOARDS = [
    service(id=f"service-{{number}}", display_name=f"Service {{number}}") for number in range({first}, {last})
]
"""


def repository(folder: Path, size: int) -> None:
    """Write a folder that defines so many policies and a fifth as many dashboards."""
    for name in ("alerts", "dashboards"):
        (folder / name).mkdir(parents=True)
    (folder / "alerts" / "channels.py").write_text(_CHANNELS)
    for kind, text, count in (("alerts", _POLICIES, size), ("dashboards", _DASHBOARDS, size // 5)):
        for first in range(0, count, POLICIES_A_FILE):
            last = min(first + POLICIES_A_FILE, count)
            (folder / kind / f"part_{first}.py").write_text(text.format(first=first, last=last))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that ended: its seconds, those of its CPU, its peak of memory and what it printed."""

    seconds: float
    cpu_s: float
    mib: float
    text: str


def command(folder: Path, *arguments: str) -> Ran:
    """Run a command."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "obskit.cli", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, error = process.stdout, process.stderr
    assert out is not None
    assert error is not None
    text = out.read().decode() + error.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}: {text[-2000:]}")
    return Ran(seconds=seconds, cpu_s=usage.ru_utime + usage.ru_stime, mib=usage.ru_maxrss / 1024, text=text)


def measured(size: int, runs: int) -> dict[str, Any]:
    """Return the figures of one size."""
    with (
        tempfile.TemporaryDirectory() as name,
        LocalBackend(project="shop", http_port=0, grpc_port=0) as backend,
    ):
        folder = Path(name)
        repository(folder, size)
        sync = ("sync", "--project", "shop", "--local", backend.http_url)
        first = command(folder, *sync)
        checks = [command(folder, "check", "--project", "shop") for _ in range(runs)]
        plans = []
        for _ in range(runs):
            backend.store.faults.clear()
            plans.append(command(folder, *sync, "--dry-run"))
        return {
            "policies": size,
            "dashboards": size // 5,
            "check": best(checks),
            "plan": best(plans),
            "first_apply": best([first]),
            "list_calls": dict(backend.store.faults.calls),
            "summary": plans[-1].text.strip().splitlines()[-1],
        }


def best(runs: list[Ran]) -> dict[str, float]:
    """Return the best times and the highest peak."""
    return {
        "seconds": round(min(run.seconds for run in runs), 2),
        "cpu_s": round(min(run.cpu_s for run in runs), 2),
        "mib": round(max(run.mib for run in runs)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How sync scales.")
    parser.add_argument("--sizes", default="10,100,1000")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measured(int(size), options.runs) for size in options.sizes.split(",")]
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'policies':>8} {'dashboards':>10} {'check':>26} {'plan without a change':>26} {'first apply':>26}")
    for row in rows:
        cells = [
            f"{found['seconds']:>6} s ({found['cpu_s']:>5} CPU) {found['mib']:>4} MiB"
            for found in (row["check"], row["plan"], row["first_apply"])
        ]
        print(f"{row['policies']:>8} {row['dashboards']:>10} {' '.join(cells)}")
        calls = ", ".join(f"{name} {count}" for name, count in sorted(row["list_calls"].items()))
        print(f"{'':>20}{row['summary']} Calls: {calls}.")


if __name__ == "__main__":
    main()
