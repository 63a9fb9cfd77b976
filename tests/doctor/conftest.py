"""Runs the doctor as a user does, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lifecycle"), str(HERE.parent / "exporters")]

from doctoring import Found, GooglePlace, clean_environment  # noqa: E402


@pytest.fixture
def doctor(tmp_path):
    """Runs `obskit doctor` in a folder of its own; JSON unless `as_text`."""

    def run(*arguments: str, as_text: bool = False, **environ: str) -> Found:
        command = [sys.executable, "-c", "from obskit.cli import main; main()", "doctor", *arguments]
        done = subprocess.run(
            command if as_text else [*command, "--json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=clean_environment(tmp_path, **environ),
            timeout=60,
        )
        return Found(done)

    return run


@pytest.fixture
def write(tmp_path):
    """Writes a file of the app's folder."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


@pytest.fixture
def google_place():
    with GooglePlace() as place:
        yield place
