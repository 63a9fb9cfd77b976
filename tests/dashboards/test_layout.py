from __future__ import annotations

from itertools import combinations

import pytest

from obskit.dashboards import CollapsibleGroup, Dashboard, Row, SectionHeader, Text, llm, service
from obskit.dashboards.layout import place
from obskit.errors import DefinitionError
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(project="p")


def text(**size):
    return Text(content="x", **size)


def boxes(*items):
    return [(tile.x, tile.y, tile.width, tile.height) for tile in place(items)]


def test_a_row_shares_the_width_between_its_widgets():
    """Widgets without a width get equal parts of what the others leave, and the grid is filled."""
    assert boxes(Row(widgets=[text(), text(), text()])) == [(0, 0, 16, 16), (16, 0, 16, 16), (32, 0, 16, 16)]
    assert boxes(Row(widgets=[text(width=10), text(), text()])) == [(0, 0, 10, 16), (10, 0, 19, 16), (29, 0, 19, 16)]
    assert [box[2] for box in boxes(Row(widgets=[text() for _ in range(5)]))] == [10, 10, 10, 9, 9]


def test_rows_stand_below_each_other():
    """The next row begins below the highest widget of the one before."""
    rows = Row(widgets=[text(height=20), text()], height=8), SectionHeader(title="s"), text(height=6)
    assert boxes(*rows) == [(0, 0, 24, 20), (24, 0, 24, 8), (0, 20, 48, 4), (0, 24, 48, 6)]


def test_a_group_covers_its_rows():
    """The platform tells a group's members by where they lie: within the group's tile."""
    group = CollapsibleGroup(title="g", rows=[Row(widgets=[text(), text()]), text(height=4)], is_collapsed=True)
    assert boxes(text(height=2), group, text(height=2)) == [
        (0, 0, 48, 2),
        (0, 2, 48, 20),
        (0, 2, 24, 16),
        (24, 2, 24, 16),
        (0, 18, 48, 4),
        (0, 22, 48, 2),
    ]
    assert group.to_dict(CONTEXT) == {"title": "g", "collapsibleGroup": {"collapsed": True}}


@pytest.mark.parametrize("dashboard", [service(), service(service="a"), llm()], ids=["all", "one", "llm"])
def test_ready_made_tiles_lie_on_the_grid_and_do_not_overlap(dashboard):
    """Only a group may lie over other tiles, and at most a screen and a half is filled."""
    tiles = place(dashboard.rows)
    assert all(tile.x >= 0 and tile.x + tile.width <= 48 for tile in tiles)
    plain = [tile for tile in tiles if not isinstance(tile.widget, CollapsibleGroup)]
    for one, other in combinations(plain, 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        above = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert beside or above
    assert max(tile.y + tile.height for tile in tiles) <= 90


def test_a_row_that_is_too_wide_is_a_problem():
    """Wider than the grid is told at the row's line."""
    row = Row(widgets=[text(width=40), text(width=10)])
    (problem,) = Dashboard(id="d", rows=[row]).problems(CONTEXT)
    assert problem.place == f'{row.source}: dashboard "d", row'
    assert problem.problem == "the row's widgets are 50 blocks wide or more, the grid has 48"


def test_a_single_widget_that_is_too_wide_is_a_problem_at_its_line():
    """A widget that stands for a row is told at its own line."""
    wide = text(width=49)
    (problem,) = Dashboard(id="d", rows=[wide]).problems(CONTEXT)
    assert problem.place.startswith(f"{wide.source}: ")


def test_empty_rows_groups_and_dashboards_are_problems():
    """What would show nothing is told."""
    made = Dashboard(id="d", rows=[Row(widgets=[]), CollapsibleGroup(title="g", rows=[])])
    assert [problem.problem for problem in made.problems(CONTEXT)] == [
        "the group has no rows",
        "the row has no widgets",
    ]
    assert [p.problem for p in Dashboard(id="d", rows=[]).problems(CONTEXT)] == ["the dashboard has no widgets"]


@pytest.mark.parametrize("size", [0, -1, 1.5, "8", None, True])
def test_a_width_is_a_whole_number_of_blocks(size):
    """Anything else is refused where it is written, but for None, which shares."""
    if size is None:
        assert text(width=None).width is None
        return
    with pytest.raises(DefinitionError):
        text(width=size)


def test_only_widgets_fit_into_a_row():
    """A text in quotes is no widget, and groups do not nest."""
    with pytest.raises(DefinitionError, match="does not fit into a row"):
        Row(widgets=["hello"])
    with pytest.raises(DefinitionError, match="does not fit into a row"):
        Row(widgets=[CollapsibleGroup(title="g", rows=[text()])])
