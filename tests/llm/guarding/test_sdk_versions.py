"""Guard and budgets with each major version of google-genai: the same troubles, the same outcomes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRIVE = Path(__file__).parent / "drive_sdk.py"
ENVIRONMENTS = Path(__file__).resolve().parents[3] / "benchmarks" / ".venvs"
EXPECTED = {
    "storm": ["answered", 2, 2],
    "broken": ["answered", 1],
    "fallback": ["answered", ["gemini-3.8-flash-lite"], True],
    "too_late": "DeadlineError",
    "outage": ["ServerError", "ServerError", "CircuitOpenError"],
    "budget": [["BudgetExceededError", "answered"], "BudgetExceededError", True],
}
KINDS = {"plain", "stream", "tools", "plain_async", "stream_async", "tools_async"}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("major", ["installed", "1", "2"])
def test_every_kind_of_call_is_guarded_and_budgeted(major: str) -> None:
    """Refused, broken, without quota, too late, down, out of budget: alike for each kind of call and version."""
    python = Path(sys.executable) if major == "installed" else ENVIRONMENTS / f"genai-{major}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"google-genai {major}.x is not here (make invoice makes its environment)")
    done = subprocess.run([str(python), str(DRIVE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert major == "installed" or found["version"].startswith(f"{major}.")
    assert found["calls"] == dict.fromkeys(KINDS, EXPECTED)
