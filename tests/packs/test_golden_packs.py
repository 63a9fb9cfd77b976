"""Golden pairs: each pack, made with its example settings, and the JSON that it becomes.

`python tests/packs/test_golden_packs.py [NAME…]` writes the files anew; read their diff before committing it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from obskit.catalog import Route
from obskit.packs import pack_named
from obskit.packs.registry import pack_names
from obskit.queries.context import RenderContext

GOLDEN = Path(__file__).parent / "golden"


def rendered(name, route=Route.GCP):
    context = RenderContext(project="golden-project", route=route)
    objects = pack_named(name).example_objects()
    shown = {f"{each.noun} {each.id}": each.to_dict(context) for each in objects.all}
    return json.dumps(shown, indent=1, ensure_ascii=False) + "\n"


def routes(name):
    """Packs that use obskit's own metrics are rendered for both export routes."""
    return tuple(Route) if "obskit" in pack_named(name).needs else (Route.GCP,)


PAIRS = [(name, route) for name in pack_names() for route in routes(name)]


@pytest.mark.parametrize(("name", "route"), PAIRS, ids=str)
def test_a_pack_renders_as_committed(name, route):
    """What a pack becomes only changes together with its golden file."""
    assert rendered(name, route) == (GOLDEN / f"{name}.{route}.json").read_text()


@pytest.mark.parametrize("name", pack_names())
def test_only_packs_that_say_so_use_obskits_own_metrics(name):
    """A pack of Google's metrics alone is the same on both routes."""
    is_same = rendered(name, Route.GCP) == rendered(name, Route.OTLP)
    assert is_same == ("obskit" not in pack_named(name).needs)


def test_no_golden_file_is_left_over():
    """Each file belongs to a pack."""
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.{route}.json" for name, route in PAIRS}


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, route in PAIRS:
        if name in sys.argv[1:] or not sys.argv[1:]:
            (GOLDEN / f"{name}.{route}.json").write_text(rendered(name, route))
