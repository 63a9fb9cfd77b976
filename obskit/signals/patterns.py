"""Regular expressions that are compiled when they are first used: most processes never use most of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["Pattern"]


class Pattern:
    """A regular expression; what is looked up first is what it costs to compile.

    Args:
        source: as of `re.compile`.
        flags: likewise.
    """

    search: Callable[[str], re.Match[str] | None]
    fullmatch: Callable[[str], re.Match[str] | None]
    sub: Callable[[str | Callable[[re.Match[str]], str], str], str]

    def __init__(self, source: str, flags: re.RegexFlag = re.NOFLAG) -> None:
        self.source = source
        self.flags = flags

    def __getattr__(self, name: str) -> Any:
        """Return what the compiled expression has under that name; from then on it is here too."""
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(re.compile(self.source, self.flags), name)
        setattr(self, name, value)
        return value
