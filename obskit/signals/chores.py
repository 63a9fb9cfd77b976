"""What must not be done in the middle of a garbage collection, and is done soon after it by somebody else.

The collector runs wherever an object is made, under whatever locks that code holds, its own thread's and those that
others wait for. What a finalizer waits for may so wait for the finalizer, and Python cannot tell. One that finds itself
there puts off what it has to do.
"""

from __future__ import annotations

import gc
import logging
import os
from _thread import get_ident
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final

__all__ = ["are_waiting", "is_collecting", "later", "run", "waiting", "watch"]

_log = logging.getLogger("obskit")

waiting: Final[deque[Callable[[], object]]] = deque()
"""What is to be done, in order; not to be changed."""
_busy: Final[list[int]] = []
"""The threads that are at it."""
_collector = 0
"""The thread that collects garbage, 0 while nobody does."""


def watch() -> None:
    """Have `is_collecting` tell the truth from now on. Safe to call again."""
    if _note not in gc.callbacks:
        gc.callbacks.append(_note)


def _note(phase: str, _found: dict[str, Any]) -> None:
    global _collector
    _collector = get_ident() if phase == "start" else 0


def is_collecting() -> bool:
    """Return whether the caller is called by the garbage collector."""
    return _collector != 0 and _collector == get_ident()


def later(chore: Callable[[], object]) -> None:
    """Have something done soon: by the export thread, by the next AI call, or at the end of the process.

    May be called at any point, by a finalizer too, and waits for nothing.
    """
    waiting.append(chore)


def are_waiting() -> bool:
    """Return whether there is something to do, or another thread is still at it."""
    return bool(waiting) or any(thread != get_ident() for thread in tuple(_busy))


def run() -> None:
    """Do what waits by now; what a chore puts off in turn is left for the next time. Never raises."""
    me = get_ident()
    _busy.append(me)
    try:
        for _ in range(len(waiting)):
            try:
                chore = waiting.popleft()
            except IndexError:  # somebody else does it
                return
            try:
                Context().run(chore)  # not as part of what this thread is at, which may be an export
            except Exception as error:  # noqa: BLE001 - whoever does it has nothing to do with it
                _log.warning("obskit could not end what was left behind: %s: %s", type(error).__name__, error)
    finally:
        if me in _busy:  # not in a child that a chore has forked
            _busy.remove(me)


def _leave_to_parent() -> None:
    waiting.clear()
    _busy.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
