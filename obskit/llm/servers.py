"""Where calls go, as attributes of their spans."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import urlsplit

__all__ = ["server_attributes"]


@functools.lru_cache(maxsize=256)
def server_attributes(base_url: str) -> dict[str, Any]:
    """Return where calls go, as attributes of a span; not to be changed."""
    parts = urlsplit(base_url)
    if not parts.hostname:
        return {}
    return {"server.address": parts.hostname, "server.port": parts.port or (80 if parts.scheme == "http" else 443)}
