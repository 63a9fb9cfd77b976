"""Compare what one request costs: `make bench`, or `python benchmarks/run.py [--json] [--cpu] [--requests N]`.

Each variant has a virtual environment of its own, because installed plug-ins of one would slow another. Under valgrind
a request is counted in instructions, which repeat to a fraction of a percent; without it, in CPU time, in alternating
rounds. Writes docs/performance.md unless --no-write is given.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))
import apps  # noqa: E402

ENVIRONMENTS = HERE / ".venvs"
PEERS = [
    "opentelemetry-instrumentation-fastapi",
    "opentelemetry-instrumentation-flask",
    "opentelemetry-exporter-otlp-proto-http",
    "structlog",
]
CPU_ROUNDS, CPU_REQUESTS = 7, 1500


class Sink(BaseHTTPRequestHandler):
    """An OTLP receiver that takes everything, so that both sides really export."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@dataclass
class Runner:
    """Runs variants, each in its environment."""

    endpoint: str

    def environment(self, variant: str) -> Path:
        """Return the interpreter of the variant's environment, made if it is not there."""
        name = variant.split("_", maxsplit=1)[0]
        folder = ENVIRONMENTS / name
        if not (folder / ".installed").exists():
            what = {"otel": PEERS, "obskit": [str(ROOT)]}.get(name, [])
            print(f"making the environment of {name} …", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "fastapi", "flask", *what], check=True)
            (folder / ".installed").touch()
        elif name == "obskit":  # the code under test changes, its dependencies rarely do
            pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--no-deps", "--force-reinstall", str(ROOT)], check=True)
        return folder / "bin/python"

    def start(self, framework: str, variant: str, *, prefix: list[str]) -> subprocess.Popen[str]:
        """Start a driver."""
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OBSKIT_"))},
            "PYTHONHASHSEED": "0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            # Under valgrind time runs about fifty times slow: a periodic export would be counted far too often.
            "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
            "OBSKIT_METRIC_EXPORT_INTERVAL": "1h",
        }
        command = [*prefix, str(self.environment(variant)), str(HERE / "drive.py"), framework, variant]
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environ,
            cwd=tempfile.gettempdir(),
        )

    def instructions(self, framework: str, variant: str, requests: int) -> float:
        """Return instructions per request, all threads of the process together, by callgrind."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            prefix = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
            process = self.start(framework, variant, prefix=prefix)
            pid = _reply(process)["pid"]
            subprocess.run(["callgrind_control", "-i", "on", str(pid)], check=True, capture_output=True)
            _go(process, requests)
            subprocess.run(["callgrind_control", "-i", "off", str(pid)], check=True, capture_output=True)
            _end(process)
            text = "".join(path.read_text() for path in sorted(Path(folder).glob("out*")))
        totals = [int(found) for found in re.findall(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)]
        return max(totals) / requests

    def cpu(self, framework: str) -> dict[str, float]:
        """Return CPU microseconds per request of the request's thread, the variants in alternating rounds."""
        running = {variant: self.start(framework, variant, prefix=[]) for variant in apps.VARIANTS}
        for process in running.values():
            _reply(process)
        seen: dict[str, list[float]] = {variant: [] for variant in running}
        for _ in range(CPU_ROUNDS):
            for variant, process in running.items():
                seen[variant].append(_go(process, CPU_REQUESTS)["thread_us"])
        for process in running.values():
            _end(process)
        return {variant: statistics.median(values) for variant, values in seen.items()}


def _reply(process: subprocess.Popen[str]) -> dict[str, float]:
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a driver ended early: {process.args}")
    return json.loads(line)


def _go(process: subprocess.Popen[str], requests: int) -> dict[str, float]:
    process.stdin.write(f"{requests}\n")
    process.stdin.flush()
    return _reply(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.stdin.close()
    process.wait(120)


def import_ms() -> dict[str, float]:
    """Return the CPU time of some imports over an empty interpreter, medians of nine."""
    python = Runner("").environment("obskit")
    statements = {"obskit": "import obskit", "opentelemetry.sdk.trace": "import opentelemetry.sdk.trace"}
    code = "import time; a = time.process_time(); {}; print((time.process_time() - a) * 1000)"
    found = {}
    for name, statement in statements.items():
        runs = [
            float(
                subprocess.run(
                    [python, "-c", code.format(statement)], capture_output=True, text=True, check=True
                ).stdout
            )
            for _ in range(9)
        ]
        found[name] = statistics.median(runs)
    return found


def table(results: dict[str, dict[str, dict[str, float]]], unit: str) -> list[str]:
    """Return the comparison as Markdown rows."""
    scale, label = (1e6, "M instructions") if unit == "instructions" else (1.0, "CPU µs")
    rows = [f"| framework | variant | {label} | over bare | obskit's share of it |", "|---|---|---|---|---|"]
    for framework, variants in results.items():
        bare, ours = variants["bare"][unit], variants["obskit"][unit]
        for variant, values in variants.items():
            over = values[unit] - bare
            share = f"{(ours - bare) / over:.2f}" if variant not in {"bare", "obskit"} and over > 0 else ""
            rows.append(f"| {framework} | {variant} | {values[unit] / scale:.3f} | {over / scale:+.3f} | {share} |")
    return rows


def _sdk_version(name: str) -> str:
    python = ENVIRONMENTS / name / "bin/python"
    code = "import importlib.metadata as m; print(m.version('opentelemetry-sdk'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def page(results: dict[str, dict[str, dict[str, float]]], unit: str, imports: dict[str, float]) -> str:
    """Return docs/performance.md."""
    how = "valgrind's callgrind counts instructions" if unit == "instructions" else "medians of CPU time"
    rows = [
        "# Performance",
        "",
        "Written by `make bench`; run it to get the figures of your machine.",
        "",
        f"Python {platform.python_version()} on {platform.machine()}, {how}. One in-process request with a Cloud Run",
        "request's nine headers to a route that answers a small JSON document; every variant makes a server span, a",
        "duration histogram and one JSON log line, and exports over OTLP to a receiver on this machine.",
        f"OpenTelemetry {_sdk_version('otel')} beside it, {_sdk_version('obskit')} under obskit.",
        "`otel_structlog` is its stock instrumentation with a structlog access line; `otel_structlog_tuned` is without",
        "the spans per ASGI message. The figures are those of all threads, with one export of 300 requests' telemetry.",
        "",
        *table(results, unit),
        "",
        "CPU milliseconds of an import in a new interpreter (median of nine):",
        "",
        "| import | ms |",
        "|---|---|",
        *(f"| `{name}` | {value:.0f} |" for name, value in imports.items()),
    ]
    return "\n".join(rows) + "\n"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON line last")
    parser.add_argument("--cpu", action="store_true", help="CPU time even where valgrind is present")
    parser.add_argument("--requests", type=int, default=300, help="requests per variant under valgrind")
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    runner = Runner(f"http://127.0.0.1:{server.server_port}")
    unit = "thread_us" if options.cpu or not shutil.which("valgrind") else "instructions"
    results: dict[str, dict[str, dict[str, float]]] = {}
    for framework in apps.FRAMEWORKS:
        if unit == "thread_us":
            results[framework] = {variant: {unit: value} for variant, value in runner.cpu(framework).items()}
            continue
        results[framework] = {}
        for variant in apps.VARIANTS:
            results[framework][variant] = {unit: runner.instructions(framework, variant, options.requests)}
            print(f"{framework} {variant}: {results[framework][variant][unit]:,.0f} instructions", file=sys.stderr)
    imports = import_ms()
    print("\n".join(table(results, unit)))
    print(", ".join(f"import {name}: {value:.0f} ms" for name, value in imports.items()))
    if not options.no_write:
        (ROOT / "docs" / "performance.md").write_text(page(results, unit, imports), encoding="utf-8")
    if options.json:
        print(json.dumps({**results, "import_ms": imports}))
    server.shutdown()


if __name__ == "__main__":
    main()
