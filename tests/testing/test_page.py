"""docs/testing-alerts.md is true: its files are tests that run, its commands print what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from obskit.cli import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing-alerts.md"
FILES = dict(re.findall(r"^```(?:python|yaml)\n(# (\S+)\n.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))
FILES = {path: text for text, path in FILES.items()}
COMMANDS = re.findall(r"^```console\n\$ (.*?)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The page's files, in their places."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def timeless(text):
    return re.sub(r"in \d+\.\d\d s", "in TIME", text).strip()


@pytest.mark.parametrize("index", range(len(COMMANDS)))
def test_each_command_prints_what_the_page_shows(project, index):
    """Except for how long it took; the first one is of a project with nothing but the first two files."""
    command, shown = COMMANDS[index]
    if index == 0:
        for name in FILES.keys() - {"alerts/health.py", "alerts/test_health.py"}:
            (project / name).unlink()
    done = CliRunner().invoke(app, shlex.split(command)[1:], catch_exceptions=False)
    assert timeless(done.stdout) == timeless(shown)
    assert done.exit_code == (1 if "FAIL" in shown else 0)


def test_the_other_files_are_tests_that_pass(project):
    """All but the one that shows a failure."""
    for name in ("alerts/test_forgotten.py", "tests/test_with_pytest.py"):
        (project / name).unlink()
    done = CliRunner().invoke(app, ["test-alerts", "alerts"], catch_exceptions=False)
    assert done.exit_code == 0, done.stdout
    assert "5 passed" in done.stdout
    assert len(COMMANDS) == 3
    assert len(FILES) == 7


def test_every_option_of_the_page_exists():
    """Those of its text, too."""
    named = ("test-alerts", "backtest", "tune")
    for option in set(re.findall(r"`(--[a-z-]+)", PAGE.read_text())):
        holders = [name for name in named if option in CliRunner().invoke(app, [name, "--help"]).stdout]
        assert holders, option
