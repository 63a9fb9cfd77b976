"""The examples at the end of each command's help."""

from __future__ import annotations

import shlex

import pytest
import typer

from obskit.cli import COMMANDS, app
from obskit.cli.examples import EXAMPLES, shown_examples

GROUP = typer.main.get_command(app)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_examples_with_options_that_it_has(name):
    """Each example is of its command, and names only options that the command knows."""
    command = GROUP.get_command(None, name)
    known = {option for each in command.params for option in each.opts}
    assert shown_examples(name) in command.epilog
    assert EXAMPLES[name]
    for example in EXAMPLES[name]:
        for part in example.split(" | "):
            words = shlex.split(part)
            assert words[0] == "obskit"
            assert words[1] in COMMANDS
            if words[1] == name:
                own = words[: words.index("--")] if "--" in words else words
                assert {word for word in own if word.startswith("--")} <= known


def test_no_example_is_of_a_command_that_is_gone():
    """The table holds the commands that there are."""
    assert set(EXAMPLES) == set(COMMANDS)
