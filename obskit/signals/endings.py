"""Forks and the end of the process: hooks that are set once and serve every pipeline."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - it cannot be imported once the interpreter has begun to end
import functools
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any, Final, Protocol

from obskit.signals import chores, logs
from obskit.signals.imports import when_imported

__all__ = ["Ending", "before_the_end", "watch"]


class Ending(Protocol):
    """What wants to hear of forks and of the end."""

    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork_in_child(self) -> None: ...
    def settle(self, timeout_s: float | None = None) -> bool: ...
    def shutdown(self, timeout_s: float | None = None) -> bool: ...


_MOST_S: Final = 7.8  # for all that is to be done at the end, log lines included
_LEAST_LINES_S: Final = 0.5
_FOUND: Final = "_obskit_found_sigterm"

_watched: Final[weakref.WeakSet[Ending]] = weakref.WeakSet()
_last_acts: Final[list[Callable[[], object]]] = []
_forking = threading.RLock()  # one fork at a time: what is taken before it is given back after it
_is_hooked = False
_is_dying = False


def watch(ending: Ending) -> None:
    """Tell `ending` of forks and of the end of the process: at exit, with uvicorn, and at SIGTERM."""
    global _is_hooked
    _watched.add(ending)
    if not _is_hooked:
        _is_hooked = True
        atexit.register(_shut_down_all)
        # From Python 3.12 on no thread can be started by then, and a client that is loaded late may want one. This
        # runs before the other threads of the process are waited for; what they still record is for the hook above.
        if hasattr(threading, "_register_atexit"):
            threading._register_atexit(_settle_all)  # noqa: SLF001 - as concurrent.futures does
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
            )
        when_imported("multiprocessing.util", _end_with_workers)
        when_imported("uvicorn.server", _end_with_uvicorn)
    _take_signals()


def before_the_end(act: Callable[[], object]) -> None:
    """Have `act` called before the last telemetry is delivered, once or several times.

    It does not raise, and waits for a second at most.
    """
    if act not in _last_acts:
        _last_acts.append(act)


def _act_at_last() -> None:
    for act in tuple(_last_acts):
        act()
    chores.run()


def _end_with_workers(util: ModuleType) -> None:
    # A forked worker of multiprocessing ends by os._exit, after its finalizers and without atexit.
    util.register_after_fork(_watched, lambda _: util.Finalize(None, _shut_down_all, exitpriority=0))


def _shut_down_all() -> None:
    begun = time.monotonic()
    _act_at_last()
    for ending in tuple(_watched):
        ending.shutdown()
    _finish_lines(begun)


def _finish_lines(begun: float) -> None:
    """Write the log lines that wait, as long as somebody reads them; where nobody does, it takes half a second."""
    logs.finish(max(_LEAST_LINES_S, begun + _MOST_S - time.monotonic()))


def _before_fork() -> None:
    _forking.acquire()
    for ending in tuple(_watched):
        ending.before_fork()


def _after_fork_in_parent() -> None:
    for ending in tuple(_watched):
        ending.after_fork_in_parent()
    _forking.release()


def _after_fork_in_child() -> None:
    global _forking
    _forking = threading.RLock()
    for ending in tuple(_watched):
        ending.after_fork_in_child()


def _end_with_uvicorn(server: ModuleType) -> None:
    """Deliver when uvicorn has served its last request, also where the app's lifespan is off.

    Started from the command line, uvicorn sets its signal handlers before it imports the app, gives the signals back
    to the system at its end, and raises them again: after SIGTERM the process is gone, and no exit handler has run.
    """
    served = server.Server.shutdown
    if hasattr(served, "__wrapped__"):
        return

    import asyncio  # noqa: PLC0415 - uvicorn has loaded it, which others need not

    @functools.wraps(served)
    async def shutdown(self: Any, *args: Any, **options: Any) -> None:
        await served(self, *args, **options)
        is_hurried = getattr(self, "force_exit", False)
        if threading.current_thread() is threading.main_thread() and not is_hurried:
            # A server that ran before this hook has imported the app, and found the signals as the system has them.
            is_deadly = getattr(self, _FOUND, signal.SIG_DFL) is signal.SIG_DFL
            is_last = is_deadly and signal.SIGTERM in getattr(self, "_captured_signals", ())
            await asyncio.get_running_loop().run_in_executor(None, _shut_down_all if is_last else _settle_all)

    server.Server.shutdown = shutdown
    captured = getattr(server.Server, "capture_signals", None)
    if captured is None:
        return

    @contextmanager
    def capture_signals(self: Any) -> Iterator[None]:
        setattr(self, _FOUND, signal.getsignal(signal.SIGTERM))
        with captured(self):
            yield

    server.Server.capture_signals = capture_signals


def _settle_all() -> None:
    begun = time.monotonic()
    _act_at_last()
    for ending in tuple(_watched):
        ending.settle()
    _finish_lines(begun)


def _take_signals() -> None:
    # gunicorn and uvicorn have set their own handler by the time that they import the app, or set it after that;
    # then this one is not installed, or never called until they give the signal back at their very end.
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)
    # gunicorn ends a worker that hangs by SIGABRT. Its own workers raise SystemExit then, so that the request fails
    # and exit handlers run; uvicorn's worker for gunicorn gives the signal back to the system, and dies on the spot.
    # A process of gunicorn that reopens its logs at SIGUSR1 by the time that it imports the app is a worker.
    is_worker = "gunicorn" in sys.modules and signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
    if is_worker and signal.getsignal(signal.SIGABRT) is signal.SIG_DFL:
        signal.signal(signal.SIGABRT, _on_sigabrt)


def _on_sigabrt(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(1)


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
