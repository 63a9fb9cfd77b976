"""What every fault test may use: its marker is checked, slow ones wait for `make faults`, figures reach the report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lifecycle"), str(HERE.parent / "exporters")]

from catalogue import FAULTS  # noqa: E402
from servers import gemini, served, sinks  # noqa: E402, F401 - fixtures for every module


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        numbers = [marker.args[0] for marker in item.iter_markers("fault")]
        if (not numbers and item.path.name != "test_harness.py") or not set(numbers) <= FAULTS.keys():
            raise pytest.UsageError(f"{item.nodeid}: mark it with fault(number, text), a number of catalogue.py")
        if item.get_closest_marker("slow") and not config.getoption("slow"):
            item.add_marker(pytest.mark.skip(reason="runs under make faults"))


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Hand what was measured to the report of `make faults`, such as "10 of 10 spans"."""
    return lambda text: record_property("figure", text)
