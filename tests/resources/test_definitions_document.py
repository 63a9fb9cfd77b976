"""The examples of docs/definitions.md run, and what they define has no problem."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from obskit.alerts import AlertPolicy
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "definitions.md").read_text()
ENVIRON = {"PAGERDUTY_KEY": "k", "HOOK_PASSWORD": "p"}
SECRETS = {
    f"projects/shop/secrets/{name}": "s"
    for name in ("slack-token/versions/latest", "hook-token/versions/3", "probe-key/versions/latest")
}


@pytest.fixture(scope="module")
def defined():
    """What the examples define, run one after the other as one file."""
    names = {"__name__": "definitions_page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(block, "docs/definitions.md", "exec"), names)
    values = [item for value in names.values() for item in (value if isinstance(value, list | tuple) else [value])]
    return names, [value for value in values if isinstance(value, Definition) and value.named_by == "id"]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_examples_have_no_problem_in_any_stack(defined, stack):
    """Each definition of the page keeps every rule of the platform and renders."""
    context = RenderContext(project="shop", stack=stack, environ=ENVIRON, secrets=SECRETS)
    _, definitions = defined
    assert [str(problem) for each in definitions for problem in each.problems(context)] == []
    assert all(each.to_dict(context) for each in definitions)
    assert len(definitions) > 25


def test_what_the_page_says_of_reading_holds(defined):
    """The field that nobody knows is carried, and what renders is what was stored."""
    names, _ = defined
    condition = names["cpu"].conditions[0]
    assert condition.carried == {"conditionThreshold": {"fieldOfTomorrow": {"kept": True}, "trigger": None}}
    rendered = names["cpu"].to_dict(RenderContext(project="shop"))
    assert rendered["conditions"] == names["stored"]["conditions"]
    assert isinstance(names["cpu"], AlertPolicy)


def test_the_pages_table_of_burn_rates_is_what_is_made(defined):
    """Burn rates of 30 days, and the rounded ones of 28."""
    names, _ = defined
    assert [policy.conditions[0].limit for policy in names["burning"]] == [14.4, 6.0, 3.0, 1.0]
    assert [round(rate * 28 / 30, 2) for rate in (14.4, 6, 3, 1)] == [13.44, 5.6, 2.8, 0.93]
