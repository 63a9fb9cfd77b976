"""Regular expressions in RE2's syntax, which Google and Prometheus have, as Python's `re` can run them."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Final

__all__ = ["compiled"]

# Source: "Syntax" of the RE2 documentation, ASCII character classes.
_CLASSES: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_DIFFERENT: Final = re.compile(r"\\(.)|\[:(\w+):\]", re.DOTALL)


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    r"""Return the pattern of a regular expression; use its ``fullmatch``.

    Classes such as ``[[:alpha:]]`` and ``\z`` are known; Unicode classes (``\pL``) are not.

    Raises:
        re.error: the expression does not compile.
    """

    def translated(match: re.Match[str]) -> str:
        if match[1]:
            return r"\Z" if match[1] == "z" else match[0]
        if match[2] not in _CLASSES:
            raise re.error(f"unknown character class [:{match[2]}:]", pattern, match.start())
        return _CLASSES[match[2]]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of [[, which is no nested set in RE2
        return re.compile(_DIFFERENT.sub(translated, pattern), re.ASCII)
