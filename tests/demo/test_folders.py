"""What the demo brings along: its folders, and a Python for the examples."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from obskit.demo import interpreter
from obskit.demo.folders import bundle_folder

ROOT = Path(__file__).resolve().parents[2]


def test_folders_of_the_checkout_are_found() -> None:
    """In a checkout the demo runs the very files that the repository shows."""
    folder = bundle_folder()
    assert (folder / "examples" / "fastapi_app" / "main.py").is_file()
    assert (folder / "examples" / "flask_app" / "main.py").is_file()


def test_the_examples_need_what_the_extra_installs() -> None:
    """The modules that are looked for are those of the extra `demo`, so that one covers the other."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert sorted(interpreter.REQUIREMENTS.values()) == sorted(extras["demo"])


def test_this_python_is_taken_where_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No environment is made where all packages are there."""
    monkeypatch.setattr(interpreter, "missing", list)
    assert interpreter.interpreter(pytest.fail) == Path(sys.executable)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that cannot be found counts as missing, also where its parent package is missing."""
    monkeypatch.setattr(
        interpreter, "REQUIREMENTS", {"json": "json", "no_such.module": "no-such", "also_missing": "also"}
    )
    assert interpreter.missing() == ["no-such", "also"]
