"""The examples of docs/budgets.md run as they stand, and print what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import obskit

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "budgets.md"


def test_the_examples_do_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    """All blocks of code, one after the other; a block of text is what the code before it prints."""
    from obskit.budgets import Budgets
    from obskit.llm.budgets.budgets import remove_hook

    names: dict[str, object] = {}
    try:
        printed = ""
        for kind, block in re.findall(r"```(\w+)\n(.*?)```", DOCUMENT.read_text(), re.DOTALL):
            if kind == "python":
                exec(compile(block, str(DOCUMENT), "exec"), names)
                printed = capsys.readouterr().out
            else:
                assert printed == block
    finally:
        obskit.bind(user_id=None, user_tier=None)
        budgets = names.get("budgets")
        if isinstance(budgets, Budgets):
            remove_hook(budgets._follower)


def test_all_that_is_public_is_in_the_document() -> None:
    """Each name of `obskit.budgets` is mentioned, but for those of type annotations."""
    import obskit.budgets

    text = DOCUMENT.read_text()
    assert [
        name
        for name in obskit.budgets.__all__
        if name not in {"Hold", "Store", "Standing", "UNLIMITED"} and name not in text
    ] == []
