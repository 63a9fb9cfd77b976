"""Where the books are kept: what a store must do, and the one in this process's memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from obskit.llm.budgets.ledger import KEEP_MS, Outcome, Request, State, apply

__all__ = ["MemoryStore", "Store"]

_SWEEP_AT: Final = 10_000


class Store(Protocol):
    """Keeps the books.

    Attributes:
        is_local: whether `apply` returns at once, without asking anybody outside of this process.
    """

    is_local: bool

    def apply(self, request: Request, *, timeout_s: float) -> Outcome:
        """Do what is asked with all of the request's accounts at once, or with none, by the store's own clock.

        Args:
            request: what is asked.
            timeout_s: after how many seconds to give up.

        Raises:
            Exception: of any kind, where the store cannot be reached or refuses.
        """


class MemoryStore:
    """Keeps the books in this process's memory: for one process, for development and for tests.

    A forked child begins with empty books.

    Args:
        clock: returns seconds since the epoch.
    """

    is_local = True

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._pages: dict[str, State] = {}
        self._sweep_at = _SWEEP_AT
        self._lock = threading.Lock()
        self._process = os.getpid()

    def apply(self, request: Request, *, timeout_s: float) -> Outcome:  # noqa: ARG002 - it takes no time
        """Do what is asked; see `Store.apply`."""
        if self._process != os.getpid():  # another thread of the parent may have held the lock
            self._process, self._lock, self._pages = os.getpid(), threading.Lock(), {}
        with self._lock:
            now_ms = int(self._clock() * 1000)
            states = [self._pages.get(account.key) or State() for account in request.accounts]
            outcome = apply(request, states, now_ms)
            if outcome.status != "stale":
                self._pages.update(zip((account.key for account in request.accounts), states, strict=True))
            if len(self._pages) >= self._sweep_at:
                self._sweep(now_ms)
            return outcome

    def _sweep(self, now_ms: int) -> None:
        """Forget accounts that say nothing any more, so that memory follows the users of this month."""
        for key, state in list(self._pages.items()):
            is_old = max(state.starts) < now_ms - KEEP_MS
            if is_old or not (any(state.used) or state.holds or state.done):
                del self._pages[key]
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._pages))
