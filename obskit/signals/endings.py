"""Forks and the end of the process: hooks that are set once and serve every pipeline."""

from __future__ import annotations

import atexit
import os
import signal
import threading
import weakref
from types import FrameType, ModuleType
from typing import Final, Protocol

from obskit.signals.imports import when_imported

__all__ = ["Ending", "watch"]


class Ending(Protocol):
    """What wants to hear of forks and of the end."""

    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork_in_child(self) -> None: ...
    def shutdown(self, timeout_s: float | None = None) -> bool: ...


_watched: Final[weakref.WeakSet[Ending]] = weakref.WeakSet()
_is_hooked = False
_is_dying = False


def watch(ending: Ending) -> None:
    """Tell `ending` of forks and of the end of the process: at exit, and at SIGTERM where no server handles it."""
    global _is_hooked
    _watched.add(ending)
    if not _is_hooked:
        _is_hooked = True
        atexit.register(_shut_down_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
            )
        when_imported("multiprocessing.util", _end_with_workers)
    _take_sigterm()


def _end_with_workers(util: ModuleType) -> None:
    # A forked worker of multiprocessing ends by os._exit, after its finalizers and without atexit.
    util.register_after_fork(_watched, lambda _: util.Finalize(None, _shut_down_all, exitpriority=0))


def _shut_down_all() -> None:
    for ending in tuple(_watched):
        ending.shutdown()


def _before_fork() -> None:
    for ending in tuple(_watched):
        ending.before_fork()


def _after_fork_in_parent() -> None:
    for ending in tuple(_watched):
        ending.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for ending in tuple(_watched):
        ending.after_fork_in_child()


def _take_sigterm() -> None:
    # gunicorn and uvicorn have set their own handler by the time that they import the app, or set it after that;
    # then this one is not installed, or never called until they give the signal back at their very end.
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, _frame: FrameType | None) -> None:
    global _is_dying
    if _is_dying:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    _is_dying = True
    # Not here: the signal may have come in the middle of anything, with any lock held by this very thread.
    threading.Thread(target=_end_by, args=(number,), name="obskit-sigterm").start()


def _end_by(number: int) -> None:
    try:
        _shut_down_all()
    finally:
        os.kill(os.getpid(), number)
