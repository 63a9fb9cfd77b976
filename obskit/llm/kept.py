"""What is remembered of calls whose usage is told later."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final

__all__ = ["Kept"]

_MOST_KEPT: Final = 10_000


class Kept:
    """Remembers the newest things by name, within a limit. All methods may be called by several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._things: OrderedDict[str, Any] = OrderedDict()

    def put(self, name: str, thing: Any) -> bool:
        """Keep a thing; returns whether there was none of that name."""
        with self._lock:
            is_new = name not in self._things
            self._things[name] = thing
            while len(self._things) > _MOST_KEPT:
                self._things.popitem(last=False)
            return is_new

    def get(self, name: str) -> Any:
        """Return the thing of that name, or None."""
        return self._things.get(name)

    def take(self, name: str) -> Any:
        """Return the thing of that name, or None, and forget it."""
        with self._lock:
            return self._things.pop(name, None)
