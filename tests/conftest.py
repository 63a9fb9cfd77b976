"""Skips what needs a part that this machine lacks, and makes that a failure where CI says so."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from pathlib import Path

import pytest

pytest_plugins = ["obskit.testing"]

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

PARTS = {
    "redis": lambda: shutil.which("redis-server"),
    "prometheus": lambda: shutil.which("prometheus") and shutil.which("promtool"),
    "chromium": lambda: shutil.which("chromium") and shutil.which("chromedriver"),
    "valgrind": lambda: shutil.which("valgrind"),
    "native": lambda: import_module("obskit.signals.native").MODULE,
    "shared": SHARED.is_dir,
}
# The corpus is not part of the repository, so its absence is never a failure.
OPTIONAL = {"shared"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow fault tests too, as make faults does")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for part in marker.args:
            if PARTS[part]():
                continue
            how = "pip install -e . compiles it" if part == "native" else "make test-deps installs it"
            reason = f"needs {part}, which is not here ({how})"
            if os.environ.get("TEST_STRICT") and part not in OPTIONAL:
                pytest.fail(reason)
            pytest.skip(reason)


@pytest.fixture
def shared_folder() -> Path:
    return SHARED
