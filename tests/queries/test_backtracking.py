"""Which regular expressions may take Python's `re` for ever."""

from __future__ import annotations

import re

import pytest

from obskit.queries.backtracking import is_explosive

EXPLOSIVE = [
    r"(a+)+",
    r"^(\w+\s?)*$",
    r"(a|a)*",
    r"(a?a?)*$",
    r"(.*)*",
    r"(?:\s*\w+)+x",
    r"(a{1,5})*b",
    r"((ab|a)b?)+c",
    r"(?i)(a+A)*b",
    r"(a+)+?b",
    r"(?:a|b|ab)*c",
    r"(?:.|\s)*x",
    r"(,\w*\w*)*;",
    r"x(y(z+)*)w",
    r"(\w+\s?){5}x",
]
QUICK = [
    r"",
    r"a+b+",
    r".*foo.*",
    r"(?:\w+\.)+com",
    r"^(/[^/]+)+$",
    r"(ab|cd)*",
    r"(\d+,)*\d+",
    r"([^ ]+ )+x",
    r"(a|ab)*c",
    r"(?:\d{1,3}\.){3}\d{1,3}",
    r"(?i)error|fail.*",
    r"[[:alpha:]]+\z",
    r"^(?:[a-f0-9]{2}:)+$",
]


@pytest.mark.parametrize("pattern", EXPLOSIVE)
def test_patterns_that_may_take_for_ever(pattern: str):
    """A repetition can divide a text among its turns in more than one way."""
    assert is_explosive(pattern)


@pytest.mark.parametrize("pattern", QUICK)
def test_patterns_that_do_not(pattern: str):
    """There is one way only, or there are few."""
    assert not is_explosive(pattern)


def test_a_pattern_that_is_none():
    """It is told as where it is compiled."""
    with pytest.raises(re.error, match="unterminated"):
        is_explosive("(")
