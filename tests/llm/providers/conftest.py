"""Each SDK in an environment of its own, driven once through all its scenarios."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from fake_providers import Server  # noqa: E402

ROOT = HERE.parents[2]
ENVIRONMENTS = ROOT / "benchmarks" / ".venvs"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("slow") and not config.getoption("slow"):
            item.add_marker(
                pytest.mark.skip(reason="another version, or a large SDK: pytest tests/llm/providers --slow")
            )


def environment(name: str, *requirements: str) -> Path:
    """Return the interpreter of an environment with one SDK, in front of this one's packages; made if need be."""
    folder = ENVIRONMENTS / f"sdk-{name}"
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if stamp.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    made = subprocess.run(pip, check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"the environment of {requirements} cannot be made: {made.stderr[-300:]}")
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "behind.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    stamp.touch()
    return python


@pytest.fixture(scope="session")
def drive() -> Callable[..., dict[str, Any]]:
    """Drives an SDK through all scenarios of a script, once, and returns what obskit and the server have counted."""
    found: dict[tuple[str, str], dict[str, Any]] = {}

    def run(script: str, name: str, *requirements: str) -> dict[str, Any]:
        if (script, name) not in found:
            python = environment(name, *requirements)
            with Server() as server:
                command = [str(python), str(HERE / script), server.url]
                done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=110, cwd=ROOT)
                assert done.returncode == 0, done.stderr[-4000:]
                lines = (line.partition("RECORDED ")[2] for line in done.stdout.splitlines())
                seen = json.loads(next(filter(None, lines)))
                found[script, name] = {"seen": seen, "ledger": server.ledger}
        return found[script, name]

    return run
