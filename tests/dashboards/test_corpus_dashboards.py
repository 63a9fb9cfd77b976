"""Dashboards by others: read, written as Python, executed, rendered: nothing is lost, and nothing is made up."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from obskit.dashboards import Dashboard, GridLayout, RawWidget
from obskit.local.rpc.rules import dashboard_faults
from obskit.queries.context import RenderContext
from obskit.sync.canonical import canonical
from obskit.sync.kinds import DASHBOARD
from obskit.sync.source import module

CONTEXT = RenderContext(project="somebody-elses")
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "dashboards"
FILES = sorted(CORPUS.rglob("*.json"))

pytestmark = pytest.mark.needs("shared")


@cache
def dashboard(path):
    return Dashboard.from_json(json.loads(path.read_text()))


def executed(text):
    names = {}
    exec(compile(text, "imported.py", "exec"), names)  # what `obskit import` writes
    return next(value for value in names.values() if isinstance(value, Dashboard))


def test_every_dashboard_comes_back_with_every_field():
    """48 of 48 say the same after JSON → model → Python → model → JSON, and the model is the same too."""
    assert len(FILES) == 48
    lost = []
    for path in FILES:
        document = json.loads(path.read_text())
        read = dashboard(path)
        again = executed(module([read], doc="Imported."))
        same = canonical(again.to_dict(CONTEXT), DASHBOARD) == canonical(document, DASHBOARD)
        if not same or again != read:
            lost.append(path.name)
    assert lost == []


def test_every_dashboard_is_read_into_rows_and_known_widgets():
    """No mosaic needs positions, no widget is carried as JSON, and only three fields that Google's API leaves out are."""
    layouts, raw, carried = {"rows": 0, "grid": 0, "other": 0}, 0, []
    for path in FILES:
        read = dashboard(path)
        kind = "rows" if read.layout is None else "grid" if isinstance(read.layout, GridLayout) else "other"
        layouts[kind] += 1
        for widget in read._widgets():
            raw += isinstance(widget, RawWidget)
            carried += widget.carried
        carried += read.carried
    assert layouts == {"rows": 38, "grid": 10, "other": 0}
    assert raw == 0
    assert sorted(carried) == ["description"] * 3 + ["timeSeriesTable"]


def test_no_dashboard_that_google_shows_has_a_problem():
    """What the API took is not refused here: variables, secondary aggregations and filters of all spellings."""
    found = {path.name: [str(problem) for problem in dashboard(path).problems(CONTEXT)] for path in FILES}
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_the_local_backend_takes_every_dashboard():
    """Its rules for layouts and labels let pass what Google's own dashboards do."""
    faults = {}
    for path in FILES:
        rendered = dashboard(path).to_dict(CONTEXT)
        faults[path.name] = list(dashboard_faults(rendered))
    assert {name: found for name, found in faults.items() if found} == {}


def test_what_is_written_is_formatted_and_free_of_lint(tmp_path):
    """ruff would change nothing, neither in the layout nor in the order of imports."""
    for number, path in enumerate(FILES):
        read = dashboard(path)
        (tmp_path / f"imported_{number}.py").write_text(module([read], doc="Imported."))
    for command in (["format", "--check"], ["check", "--select", "E4,E7,E9,F,I,Q,UP"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "--line-length", "120", tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
