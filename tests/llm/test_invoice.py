"""The invoice: over a random mix of calls, obskit's totals equal the server's ledger to the last token and digit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVE = """
import logging, sys
sys.path.insert(0, "invoice")
logging.disable(logging.CRITICAL)
import run
run.environment = lambda major: sys.executable
result = run.compare(3, 60, int(sys.argv[1]))
assert result["difference"] == 0 and float(result["difference_usd"]) == 0, result
assert result["calls"] > 40, result
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_totals_equal_the_ledger(seed: int) -> None:
    """Tokens by model and kind, units and USD do not differ, retries, failures and left streams included."""
    subprocess.run([sys.executable, "-c", DRIVE, str(seed)], cwd=ROOT, check=True, timeout=180)
