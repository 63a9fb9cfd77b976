"""The page about CI is true: its workflows use inputs that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def examples():
    return [
        yaml.safe_load(text)
        for text in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)
    ]


def test_the_examples_use_inputs_that_there_are():
    """Of the action and of the template."""
    github, gitlab = examples()
    action = yaml.safe_load((ROOT / "ci" / "github" / "action.yml").read_text())
    (template, _) = yaml.safe_load_all((ROOT / "ci" / "gitlab" / "obskit.yml").read_text())
    (step,) = [each for each in github["jobs"]["obskit"]["steps"] if "obskit" in each["uses"]]
    assert set(step["with"]) <= set(action["inputs"])
    assert set(gitlab["include"][0]["inputs"]) <= set(template["spec"]["inputs"])
    assert github["permissions"] == {"contents": "read", "id-token": "write", "pull-requests": "write"}


@pytest.mark.parametrize("name", ["project", "mode", "prune", "comment", "requirement", "working-directory"])
def test_every_input_is_described_on_the_page(name):
    """Those of the action's table."""
    assert f"`{name}`" in (ROOT / "docs" / "ci.md").read_text()
