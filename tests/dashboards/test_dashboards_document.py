"""The examples of docs/dashboards.md run, and what they define has no problem and is read back the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from obskit import dashboards
from obskit.dashboards import Dashboard
from obskit.dashboards.kinds import KINDS
from obskit.queries.context import RenderContext
from obskit.sync.canonical import canonical
from obskit.sync.kinds import DASHBOARD

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "dashboards.md").read_text()
CONTEXT = RenderContext(project="p")


@pytest.fixture(scope="module")
def made():
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/dashboards.md", "exec"), names)  # the page's own code
    return {name: value for name, value in names.items() if isinstance(value, Dashboard)}


def test_the_examples_have_no_problem(made):
    """Nothing that the page shows would be refused."""
    assert len(made) == 7
    assert [str(problem) for each in made.values() for problem in each.problems(CONTEXT)] == []


def test_the_examples_come_back(made):
    """What they become reads back to what says the same."""
    for each in made.values():
        document = each.to_dict(CONTEXT)
        again = Dashboard.from_json(document)
        assert again.layout is None
        assert again.carried == {}
        assert canonical(again.to_dict(CONTEXT), DASHBOARD) == canonical(document, DASHBOARD)


def test_every_widget_is_on_the_page():
    """A class that a reader can import and that is a widget, a layout or a query is named."""
    assert [kind.__name__ for kind in KINDS.values() if f"`{kind.__name__}`" not in PAGE] == []
    quiet = {"Mode", "Plot", "Scale", "Spark", "Event", "Pick", "SortedBy", "Breakdown", "Dimension", "Measure"}
    quiet |= {"MonitoredResource", "PieData", "TableData", "TreemapData", "TimeRange"}
    assert [name for name in dashboards.__all__ if name not in quiet and name not in PAGE] == []
