"""docs/queries.md is true: its code runs, prints what it says, and its slips are told as it says."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "queries.md"
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks():
    return [(match[1], match[2].strip(), match[3]) for match in BLOCK.finditer(PAGE.read_text())]


def test_the_code_of_the_page_prints_what_the_page_says():
    """Every block runs, one after the other, and what it prints is the text below it."""
    found = blocks()
    namespace: dict[str, object] = {}
    shown = 0
    for number, (language, argument, code) in enumerate(found):
        if language != "python" or argument:
            continue
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(code, f"queries.md block {number}", "exec"), namespace)
        after = found[number + 1] if number + 1 < len(found) else ("", "", "")
        assert said.getvalue() == (after[2] if after[0] == "text" else "")
        shown += after[0] == "text"
    assert shown >= 6


def test_the_slips_of_the_page_are_told_as_the_page_says(tmp_path):
    """The file with slips gives the problems that the page shows."""
    ((_, argument, code),) = [each for each in blocks() if each[1].startswith("file=")]
    ((_, _, told),) = [each for each in blocks() if each[1] == "command=check"]
    path = tmp_path / argument.removeprefix("file=")
    path.parent.mkdir()
    path.write_text(code)

    done = subprocess.run(
        [sys.executable, "-c", "from obskit.cli import main; main()", "check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_COLOR": "1"},
    )

    assert done.returncode == 1
    assert done.stderr == told
