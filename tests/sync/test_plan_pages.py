"""Golden pages: what a plan says of each of the newer kinds, as text, as JSON and as a pull request's comment.

A page of `tests/sync/plans` has the definitions before and after, what somebody did in the console in between, and the
plan, with `--prune`. `python tests/sync/test_plan_pages.py` writes the plans anew; read their diff before committing it.
"""

from __future__ import annotations

import io
import json
import re
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from rich.console import Console

from obskit.queries.context import RenderContext
from obskit.sync.apply import apply
from obskit.sync.backend import MemoryBackend
from obskit.sync.kinds import KINDS
from obskit.sync.load import load
from obskit.sync.plan import Plan, make_plan
from obskit.sync.present import as_json, print_plan
from obskit.sync.reports import markdown

PAGES = Path(__file__).parent / "plans"
NAMES = [
    "billing-budgets",
    "log-metrics",
    "metric-descriptors",
    "services",
    "slos",
    "snoozes",
    "uptime-checks",
]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CONTEXT = RenderContext(project="shop-prod", stack="prod")
# Four backquotes, since the comment has blocks of three.
_BLOCK = re.compile(r"^````(?P<kind>\w+) (?P<name>.+)\n(?P<text>(?:.*\n)*?)````$", re.MULTILINE)


def planned(blocks: dict[str, str]) -> Plan:
    """Return the plan that leads from the first definitions, and what the console made of them, to the second."""
    backend = MemoryBackend(CONTEXT.project)

    def plan() -> Plan:
        loaded = load(["alerts"])
        assert loaded.problems == ()
        existing = {kind: backend.list(kind) for kind in KINDS}
        return make_plan(loaded.definitions, existing, CONTEXT, kinds=KINDS, prune=True, now=NOW)

    with TemporaryDirectory() as folder, chdir(folder):
        file = Path("alerts/all.py")
        file.parent.mkdir()
        file.write_text(blocks["before"])
        apply(plan(), backend)
        assert plan().writes == ()
        for change in json.loads(blocks["in the console"]):
            edited(backend, **change)
        file.write_text(blocks["after"])
        return plan()


def edited(backend: MemoryBackend, *, name: str, path: str = "", value: object = None, made: object = None) -> None:
    """Set a field of an object, or make one."""
    if made is not None:
        backend.objects[name] = {**made, "name": name}
        return
    target = backend.objects[name]
    *above, last = path.split(".")
    for key in above:
        target = target[int(key)] if isinstance(target, list) else target[key]
    target[last] = value


def told(plan: Plan) -> dict[str, str]:
    """Return the three ways in which a plan is told."""
    text = io.StringIO()
    print_plan(plan, Console(file=text, highlight=False, width=500))
    return {
        "as text": text.getvalue(),
        "as JSON": json.dumps(as_json(plan, None), indent=2, ensure_ascii=False) + "\n",
        "as a comment": markdown(plan),
    }


def blocks_of(page: str) -> dict[str, str]:
    """Return the blocks of a page by their names."""
    return {block["name"]: block["text"] for block in _BLOCK.finditer(page)}


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_is_told_as_on_its_page(name):
    """Creates, updates, deletes, drift and what is left alone, word for word."""
    blocks = blocks_of((PAGES / f"{name}.md").read_text())
    for way, text in told(planned(blocks)).items():
        assert text == blocks[way], way


def test_every_page_has_every_action():
    """Something is made, changed, deleted and left alone on each page, and every page is tested."""
    assert sorted(path.stem for path in PAGES.glob("*.md")) == NAMES
    for name in NAMES:
        counts = json.loads(blocks_of((PAGES / f"{name}.md").read_text())["as JSON"])["counts"]
        assert all(counts[action] for action in ("create", "update", "delete", "unchanged")), name


if __name__ == "__main__":
    for path in PAGES.glob("*.md"):
        page = path.read_text()
        now_told = told(planned(blocks_of(page)))

        def block(match: re.Match[str], texts: dict[str, str] = now_told) -> str:
            return f"````{match['kind']} {match['name']}\n{texts.get(match['name'], match['text'])}````"

        path.write_text(_BLOCK.sub(block, page))
