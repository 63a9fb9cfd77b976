"""The mark of an owner in a text, for objects that have no labels."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MARK", "unmarked"]

MARK: Final = re.compile(r"\s*\[obskit (?P<stack>[a-z0-9_-]+)/(?P<id>[a-z0-9-]+)(?: (?P<hash>[0-9a-f]{32}))?\]\s*$")


def unmarked(text: str) -> str:
    """Return a text without the mark at its end."""
    return MARK.sub("", text)
