"""`obskit demo`, the whole of it: real servers, real clients, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "obskit.cli", "demo", "--port", "0"]
KEYS = [
    "requests",
    "server_spans",
    "cross_service_traces",
    "log_lines",
    "input_tokens",
    "output_tokens",
    "billed_tokens",
    "cost_usd",
    "error_groups",
    "dashboards",
    "policies",
    "incidents",
    "notifications",
    "lost",
]


def marked_processes(mark: str) -> list[str]:
    """Return the command lines of all processes that inherited the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.fixture
def mark() -> str:
    return f"demo-test-{uuid.uuid4().hex}"


@pytest.mark.timeout(240)
def test_every_figure_is_what_the_script_implies(mark: str, tmp_path: Path) -> None:
    """From another folder, the checked demo exits 0, prints its figures last, and leaves no process behind."""
    done = subprocess.run(
        [*COMMAND, "--duration", "45", "--check"],
        cwd=tmp_path,
        env={**os.environ, "DEMO_MARK": mark},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert set(KEYS) <= set(figures)
    assert figures["requests"] == figures["server_spans"] == figures["access_lines"] == figures["histogram_count"]
    assert figures["billed_tokens"] == figures["input_tokens"] + figures["output_tokens"]
    assert {row["policy"]: row["opened"] for row in figures["incidents"]} == {
        "ai-circuit-open": 2,
        "budget-exceeded": 1,
        "daily-cost": 0,
        "error-spike": 2,
        "gemini-rate-limit": 1,
        "latency-p95": 1,
        "provider-down": 1,
        "token-spike": 1,
    }
    assert figures["budget_rejections"] > 0
    assert figures["throttled"] > 20
    assert figures["fallbacks"] > 20
    assert figures["provider_status_lowest"] == 0
    assert figures["lost"] == 0
    assert marked_processes(mark) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything(mark: str, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C or SIGTERM in the middle of the script ends the services too, with their workers, in a few seconds."""
    process = subprocess.Popen(
        COMMAND, cwd=tmp_path, env={**os.environ, "DEMO_MARK": mark}, stdout=subprocess.PIPE, text=True
    )
    try:
        for line in process.stdout:
            if line.startswith("normal:"):
                break
        assert len(marked_processes(mark)) >= 5
        begun = time.monotonic()
        process.send_signal(number)
        process.stdout.read()
        assert process.wait(30) == 130
        assert time.monotonic() - begun < 15
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    assert marked_processes(mark) == []
