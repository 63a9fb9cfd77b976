from __future__ import annotations

import re

import pytest

from obskit.queries.re2 import compiled


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("[[:digit:]]+", "123", True),
        ("[[:digit:]]+", ":", False),
        ("[^[:space:]]*", "a b", False),
        (r"a\z", "a", True),
        (r"\d", "\N{ARABIC-INDIC DIGIT ONE}", False),
        (r"\[:alpha:\]", "[:alpha:]", True),
        ("(?i)chat", "CHAT", True),
        ("a.b", "a\nb", False),
    ],
)
def test_regular_expressions_speak_re2(pattern, text, expected):
    r"""Named classes, ASCII digits and \z mean what they mean to Google."""
    assert (compiled(pattern).fullmatch(text) is not None) is expected


def test_an_unknown_character_class_does_not_compile():
    """It is an error, and not a set of letters."""
    with pytest.raises(re.error, match="character class"):
        compiled("[[:vowel:]]")
