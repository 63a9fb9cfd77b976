from __future__ import annotations

import pytest

from obskit.errors import DefinitionError
from obskit.queries.context import RenderContext, env


def test_the_environment_is_read_when_rendering():
    """A value comes from the context's environment, else from the default."""
    assert env("A").read(RenderContext(project="p", environ={"A": "1"})) == "1"
    assert env("A", default="2").read(RenderContext(project="p")) == "2"
    assert env("A", default="2").read(RenderContext(project="p", environ={"A": ""})) == "2"


def test_a_missing_variable_is_a_clear_problem():
    """The name of the variable and what to do stand in the error."""
    with pytest.raises(DefinitionError, match=r"environment variable A is not set\. Set A, or give a default"):
        env("A").read(RenderContext(project="p"))


def test_what_does_not_exist_yet_is_a_reference():
    """Sync finds references by their form and resolves them once the object exists."""
    context = RenderContext(project="p", channel_names={"a": "projects/p/notificationChannels/7"})
    assert context.channel_name("a") == "projects/p/notificationChannels/7"
    assert context.channel_name("b") == "projects/p/notificationChannels/obskit:b"
    assert context.policy_name("c") == "projects/p/alertPolicies/obskit:c"
