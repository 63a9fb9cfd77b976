"""Where the local backend lets the tiles of a mosaic lie."""

from __future__ import annotations

import pytest

from obskit.local.rpc.rules import dashboard_faults


def tile(x, y, width, height, kind="text"):
    return {"xPos": x, "yPos": y, "width": width, "height": height, "widget": {kind: {}}}


def faults(*tiles):
    return dashboard_faults({"displayName": "d", "mosaicLayout": {"columns": 12, "tiles": list(tiles)}})


@pytest.mark.parametrize(
    "tiles",
    [
        [tile(0, 0, 6, 4), tile(6, 0, 6, 4), tile(0, 4, 12, 1)],
        [tile(0, 0, 12, 8, "collapsibleGroup"), tile(0, 0, 12, 4), tile(0, 4, 12, 4)],
        [tile(0, 0, 6, 4), tile(0, 0, 6, 4, "singleViewGroup"), tile(0, 0, 6, 4), tile(0, 0, 6, 4)],
    ],
    ids=["beside", "group", "views"],
)
def test_groups_and_their_members_lie_on_one_another(tiles):
    """Rows and columns, a group over its members, the views of a single-view group in one place."""
    assert faults(*tiles) == []


@pytest.mark.parametrize(
    ("tiles", "fault"),
    [
        ([tile(0, 0, 6, 4), tile(5, 3, 6, 4)], "Field mosaic_layout.tiles[1] overlaps tiles[0]."),
        (
            [tile(0, 0, 6, 4, "singleViewGroup"), tile(0, 0, 6, 4), tile(2, 0, 6, 4)],
            "Field mosaic_layout.tiles[2] overlaps tiles[1].",
        ),
        ([tile(8, 0, 6, 4)], "Field mosaic_layout.tiles[0] does not fit into 12 columns."),
    ],
    ids=["overlap", "beside-the-views", "too-wide"],
)
def test_others_do_not(tiles, fault):
    """Two widgets on the same blocks, and one over the grid's edge, are refused."""
    assert faults(*tiles) == [fault]
