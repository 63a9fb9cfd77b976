"""Keeps what takes long on one thread from holding up the others; what the app has set is put back exactly."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["short_turns", "without_collection"]

_TURN_S: Final = 0.0005
"""How long a thread keeps the interpreter while another waits for it; ten times as long is usual."""

_put_off: Final[list[None]] = []
_turns: Final[list[float]] = []


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep the garbage collector from looking at the whole app, in vain, because modules are being imported.

    One look takes tens of milliseconds in which no thread runs.
    """
    was_enabled = gc.isenabled()
    if was_enabled:
        gc.disable()
        _put_off.append(None)
    try:
        yield
    finally:
        if was_enabled and _put_off:
            _put_off.pop()
            gc.enable()


@contextmanager
def short_turns() -> Iterator[None]:
    """Let other threads have the interpreter ten times as soon as usual, unless somebody changes that meanwhile."""
    before = sys.getswitchinterval()
    if before <= _TURN_S:
        yield
        return
    sys.setswitchinterval(_TURN_S)
    short = sys.getswitchinterval()
    _turns.append(before)
    try:
        yield
    finally:
        if _turns:
            _turns.pop()
            if sys.getswitchinterval() == short:
                _set_turns(before)


def _set_turns(interval_s: float) -> None:
    # It is kept in whole microseconds, cut off: what `getswitchinterval` has returned may come back as one less.
    sys.setswitchinterval((round(interval_s * 1e6) + 0.5) / 1e6)


def _restore_in_child() -> None:
    """Put back what a thread of the parent would have."""
    if _put_off:
        _put_off.clear()
        gc.enable()
    if _turns:
        _set_turns(_turns[0])
        _turns.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restore_in_child)
