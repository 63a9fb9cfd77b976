"""A provider that refuses most of what it is asked: many real clients, through the guard and through plain retries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

STORM = Path(__file__).resolve().parents[2] / "benchmarks" / "storm.py"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.fault(47, "1,000 clients, a quota of 100 calls a second")
def test_a_storm_ends_in_a_line_and_not_in_a_herd(figure: Callable[[str], None]) -> None:
    """The quota is used, the provider refuses next to nothing, and no client gets its second answer before all have one."""
    command = [sys.executable, str(STORM), "--clients", "1000", "--seconds", "10", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    guard, plain = json.loads(done.stdout.splitlines()[-1])
    figure(
        f"{guard['share_of_quota']:.0%} of the quota used and {guard['refused_by_provider']} calls refused, "
        f"{guard['clients_served']} of 1,000 clients served"
    )
    figure(
        f"the SDK's own retries: {plain['share_of_quota']:.0%}, {plain['refused_by_provider']} refused, "
        f"{plain['clients_served']} clients"
    )
    assert guard["share_of_quota"] >= 0.75  # a busy machine makes the clients slow; alone it is all of it
    assert guard["refused_by_provider"] <= 0.05 * guard["served"]
    assert guard["most_served"] <= guard["least_served"] + 1 + (guard["clients_served"] < 1000)
    assert guard["clients_served"] >= 0.75 * 1000
    assert guard["clients_served"] > 1.5 * plain["clients_served"]
