"""docs/packs.md: it lists every pack with its alerts and settings, and its examples work.

`python tests/packs/test_packs_page.py` writes the list anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from obskit.alerts import per_stack
from obskit.cli import app
from obskit.packs import packs
from obskit.packs.files import settings_table
from obskit.packs.ready.cloud_sql import PACK, Settings
from obskit.queries.context import RenderContext
from obskit.sync.load import load

PAGE = Path(__file__).parents[2] / "docs" / "packs.md"
HEADING = "## All packs\n\n"
ROLES = {"pagerduty": "page", "slack": "team", "email": "mail", "finance": "finance"}


def listed():
    """Return the part of the page that lists the packs."""
    parts = []
    for pack in packs():
        objects = pack.objects()
        lines = [f"### {pack.name}", "", f"{pack.title}. {pack.summary} Data: {', '.join(pack.needs)}."]
        if objects.alerts:
            lines += ["", "| alert | id | tells |", "|---|---|---|"]
            for each in objects.alerts:
                told = ", ".join(f"`{ROLES[channel]}`" for channel in each.channels)
                lines.append(f"| {each.display_name} | `{each.id}` | {told} |")
        if objects.resources:
            lines += ["", f"With it: {', '.join(f'{each.noun} `{each.id}`' for each in objects.resources)}."]
        lines += ["", "```text", *settings_table(pack), "```", ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def test_the_page_lists_every_pack():
    """With each alert, whom it tells, and each setting with its default."""
    assert PAGE.read_text().partition(HEADING)[2] == listed()


def test_its_examples_work(tmp_path):
    """The files as they stand there, in a repository that init has begun."""
    assert CliRunner().invoke(app, ["init", str(tmp_path), "--pack", "service"]).exit_code == 0
    for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        path = re.match(r"# (\S+)\n", text)[1]
        (tmp_path / path).write_text(text)
    loaded = load([tmp_path / "alerts", tmp_path / "dashboards"])
    assert [str(each) for each in loaded.problems] == []
    (policy,) = (each for each in loaded.definitions if each.id == "cloud-sql-storage")
    assert policy.threshold == 0.7
    assert {each.id for each in loaded.definitions} >= {"cloud-sql", "cloud-sql-backups", "service"}


def test_init_says_what_the_page_shows(tmp_path):
    """Line by line."""
    shown = re.search(r"```console\n\$ obskit init --project shop-prod\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)[1]
    assert CliRunner().invoke(app, ["init", str(tmp_path), "--project", "shop-prod"]).output == shown


def test_a_setting_may_differ_from_stack_to_stack():
    """The policy and the line in its chart alike; what the setting does not touch is one for all."""
    objects = PACK.objects(Settings(storage=per_stack({"dev": 0.95, "prod": 0.7})))
    found = {}
    for stack in ("dev", "prod"):
        context = RenderContext(project="p", stack=stack)
        assert [str(found) for each in objects.all for found in each.problems(context)] == []
        condition = objects.alert("cloud-sql-storage").to_dict(context)["conditions"][0]
        query = condition["conditionPrometheusQueryLanguage"]["query"]
        (chart,) = (
            tile["widget"]["xyChart"]
            for tile in objects.dashboards[0].to_dict(context)["mosaicLayout"]["tiles"]
            if tile["widget"].get("title") == "Disk"
        )
        found[stack] = (query.rpartition(" ")[2], [line["value"] for line in chart["thresholds"]])
    assert found == {"dev": ("0.95", [0.95]), "prod": ("0.7", [0.7])}


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(HEADING)[0] + HEADING + listed())
