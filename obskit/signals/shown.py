"""What of a request may be shown: its path, query and user agent without secrets; what comes again is known."""

from __future__ import annotations

import re
from typing import Final

from obskit.signals.lines import plain
from obskit.signals.redaction import Redactor

__all__ = ["Shown", "is_plain_path"]

_MOST_CHARS: Final = 512
_MOST_URL_CHARS: Final = 2048
_MOST_KNOWN: Final = 1000

is_plain_path: Final = re.compile(r"(?:/[\w.~-]{0,12}){1,20}", re.ASCII).fullmatch
"""Tells a path whose segments are too short for a secret of any shape, without a sign that JSON escapes."""


class Shown:
    """Shows texts of requests.

    Args:
        redactor: knows what is secret.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._agents: dict[str, str] = {}

    def path(self, path: str) -> str:
        """Return a path, at most 2,048 characters of it."""
        if is_plain_path(path) is not None:
            return path
        return self._redactor.url(path if path.isascii() else plain(path))[:_MOST_URL_CHARS]

    def url(self, url: str) -> str:
        """Return a URL, at most 2,048 characters of it."""
        return self._redactor.url(plain(url[:_MOST_URL_CHARS]))

    def query(self, query: str) -> str:
        """Return a query without its mark, at most 2,048 characters of it."""
        return self._redactor.query(query)[:_MOST_URL_CHARS]

    def agent(self, agent: str) -> str:
        """Return a user agent, at most 512 characters of it."""
        known = self._agents.get(agent)
        if known is None:
            if len(self._agents) >= _MOST_KNOWN:
                self._agents.clear()
            known = self._agents[agent] = self._redactor.text(agent[:_MOST_CHARS])
        return known
