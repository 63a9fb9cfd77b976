"""Keeps what takes long on one thread from holding up the others; what the app has set is put back exactly."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["collect_seldom", "collected_seldom", "short_turns", "without_collection", "without_full_collection"]

_TURN_S: Final = 0.0005
"""How long a thread keeps the interpreter while another waits for it; ten times as long is usual."""

_NEVER: Final = 1_000_000
_OLD_DEFAULT: Final = 700
"""Of CPython up to 3.12."""

_MOST_IMMORTAL: Final = 2000 if sys.version_info[:2] == (3, 12) else 0
"""CPython 3.12 keeps its own immortal objects, some hundreds, with the frozen ones; an app has tens of thousands."""

_put_off: Final[list[None]] = []
_thresholds: Final[list[tuple[int, int, int]]] = []
_seldom: Final[list[int]] = []
_turns: Final[list[float]] = []


def collect_seldom(threshold: int) -> None:
    """Let the garbage collector wait for more new objects, where nobody has said yet for how many.

    A request that is observed keeps a dozen objects more until it ends. With the 700 of CPython up to 3.12 some tens of
    requests at once, which were below it, are above it with them, and the collector runs once for all of them again and
    again, finds nothing, and takes a twentieth of all time.

    Args:
        threshold: as the first of `gc.set_threshold`; 0 leaves all as it is.
    """
    now, *older = gc.get_threshold()
    if now == _OLD_DEFAULT and threshold > now:
        gc.set_threshold(threshold, *older)
        _seldom[:] = [threshold]


def collected_seldom() -> int:
    """Return the threshold that `collect_seldom` has set and that holds still, 0 where it has set none."""
    return _seldom[0] if _seldom and gc.get_threshold()[0] == _seldom[0] else 0


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep the garbage collector from looking at what modules make while they are imported, which is no garbage.

    For a short time, as what is garbage is not looked at either.
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
            _promote()
            gc.enable()


@contextmanager
def without_full_collection() -> Iterator[None]:
    """Keep the garbage collector from looking at more than the youngest objects.

    To look at all of an app takes it tens of milliseconds, in which no thread runs.
    """
    before = gc.get_threshold()
    if before[1] >= _NEVER:
        yield
        return
    put_off = (before[0], _NEVER, before[2])
    gc.set_threshold(*put_off)
    _thresholds.append(before)
    try:
        yield
    finally:
        if _thresholds:
            _thresholds.pop()
            _promote()
            if gc.get_threshold() == put_off:
                gc.set_threshold(*before)


def _promote() -> None:
    """Make all objects old ones at once; the next full collection looks at them, and none is due on their account.

    CPython begins one when a quarter of the old objects are new among them. Those that come this way are not counted.
    """
    if gc.get_freeze_count() <= _MOST_IMMORTAL:  # what the app has frozen must stay so
        gc.freeze()
        gc.unfreeze()


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
    if _thresholds:
        gc.set_threshold(*_thresholds[0])
        _thresholds.clear()
    if _turns:
        _set_turns(_turns[0])
        _turns.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restore_in_child)
