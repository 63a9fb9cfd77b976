"""The report of the faults forgets nothing: what has no test, failed, or was skipped says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import peers
import pytest

RUN = Path(__file__).parent / "run.py"

TESTS = """
import pytest

@pytest.mark.fault(1, "holds")
def test_holds(record_property):
    record_property("figure", "10 of 10 spans")

@pytest.mark.fault(1, "holds too")
@pytest.mark.slow
def test_slow():
    pass

@pytest.mark.fault(2, "breaks")
def test_breaks():
    assert 1 == 2

@pytest.mark.fault(3, "needs what is not here")
def test_skips():
    pytest.skip("no such part")

@pytest.mark.fault(5, "out of two, one is skipped")
@pytest.mark.parametrize("part", ["here", "absent"])
def test_in_part(part):
    if part == "absent":
        pytest.skip("absent")
"""


def run(folder: Path, *options: str) -> tuple[int, list[str]]:
    code = f"import sys, pathlib; sys.path.insert(0, {str(RUN.parent)!r}); import run\n"
    code += f"sys.exit(run.main({list(options)!r}, pathlib.Path({str(folder)!r})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_some.py").write_text(TESTS)
    options = 'parser.addoption("--slow", action="store_true")'
    (tmp_path / "conftest.py").write_text(f"def pytest_addoption(parser):\n    {options}\n")
    markers = "[pytest]\nmarkers =\n    fault(number, text): a fault\n    slow: takes long\n"
    (tmp_path / "pytest.ini").write_text(markers)
    return tmp_path


def test_verdicts(folder: Path) -> None:
    """Held, failed and skipped faults are told apart, a number without a test has failed, and the exit code is 1."""
    code, printed = run(folder, "--json", "--only", "1,2,3,4,5")
    assert code == 1
    assert json.loads(printed[-1]) == {"held": [1, 5], "failed": [2, 4], "skipped": [3]}
    text = "\n".join(printed)
    assert "10 of 10 spans" in text
    assert "FAILED test_some.py::test_breaks" in text
    assert "no test" in text
    assert "1 skipped: absent" in text


def test_the_table(folder: Path) -> None:
    """The table stands between its marks; what is around it stays, and so do rows of faults that were not asked for."""
    page = folder / "page.md"
    page.write_text("# Before\n\n<!-- written by make faults -->\nstale\n<!-- end -->\n\nafter\n")
    run(folder, "--only", "1,2", "--table", str(page))
    text = page.read_text()
    assert text.startswith("# Before\n\n<!-- written by make faults -->\n| # |")
    assert text.endswith("<!-- end -->\n\nafter\n")
    assert "stale" not in text
    assert "| held | 10 of 10 spans |" in text
    assert "| failed | FAILED test_some.py::test_breaks |" in text
    run(folder, "--only", "3", "--table", str(page))
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows] == ["#", "1", "2", "3"]
    assert rows[1] in text


def test_only(folder: Path) -> None:
    """The faults asked for alone decide, and all of them held is exit code 0."""
    code, printed = run(folder, "--json", "--only", "1")
    assert code == 0
    assert json.loads(printed[-1]) == {"held": [1], "failed": [], "skipped": []}


def test_a_module_that_does_not_import(folder: Path) -> None:
    """A test module that cannot be imported fails the run, whatever the others say."""
    (folder / "test_broken.py").write_text("import no_such_module")
    assert run(folder, "--only", "1")[0] == 1


def test_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer's figure stands under its name, and one that cannot be measured says why."""
    monkeypatch.setattr(peers, "REGISTRY", [])
    monkeypatch.setattr(peers, "python_with", lambda packages, name: Path(sys.executable))

    @peers.peer(1, "one", "package")
    def measured(python: Path) -> str:
        return f"0 of 10 with {python.name[:6]}"

    @peers.peer(1, "two")
    def broken(python: Path) -> str:
        raise OSError("no room")

    assert peers.figures(1) == ["one: 0 of 10 with python", "two: not measured (OSError: no room)"]
    assert peers.figures(2) == []
