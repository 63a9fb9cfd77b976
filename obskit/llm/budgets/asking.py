"""Asks a store in bounded time: on threads of its own, so that one that hangs never holds up a caller or the exit.

A store that has failed is left alone for a moment, so that not every call waits for it in turn.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Final

from obskit.llm.budgets.ledger import Outcome, Request
from obskit.llm.budgets.stores import Store

__all__ = ["Asking", "StoreDownError"]

_log = logging.getLogger("obskit")

_THREADS: Final = 16
_LEAVE_ALONE_S: Final = 1.0

Late = Callable[[Outcome], None]
"""Hears an answer that came when nobody waited for it any more."""


class StoreDownError(Exception):
    """The store has not answered in time, or with an error, or is left alone for having done so just now."""


class Asking:
    """Asks one store.

    Args:
        store: that is asked.
        timeout_s: the longest that a caller waits, in seconds.
    """

    def __init__(self, store: Store, timeout_s: float) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._tasks: SimpleQueue[tuple[Future[Outcome], Request]] = SimpleQueue()
        self._threads = self._idle = 0
        self._down_until = 0.0
        self._is_down = False

    def ask(self, request: Request, late: Late) -> Outcome:
        """Return the store's answer.

        Args:
            request: what is asked.
            late: hears the answer if it comes after all.

        Raises:
            StoreDownError: there is none in time.
        """
        if self._store.is_local:
            return self._store.apply(request, timeout_s=self._timeout_s)
        future = self._send(request)
        try:
            outcome = future.result(self._timeout_s)
        except Exception as error:
            raise self._failed(future, late, error) from error
        except BaseException:  # the caller is being stopped, and will never give back what it may get
            _hear(future, late)
            raise
        self._answered()
        return outcome

    async def ask_async(self, request: Request, late: Late) -> Outcome:
        """Return the store's answer without holding up the event loop; see `ask`."""
        if self._store.is_local:
            return self._store.apply(request, timeout_s=self._timeout_s)
        future = self._send(request)
        try:
            outcome = await asyncio.wait_for(asyncio.wrap_future(future), self._timeout_s)
        except Exception as error:
            raise self._failed(future, late, error) from error
        except BaseException:
            _hear(future, late)
            raise
        self._answered()
        return outcome

    def ask_soon(self, request: Request, then: Callable[[Outcome | StoreDownError], Request | None]) -> None:
        """Have the store asked by a thread, without waiting for it.

        Args:
            request: what is asked.
            then: takes the answer, and returns what is to be asked next, None for nothing.
        """
        try:
            future = self._send(request)
        except StoreDownError as error:
            then(error)
            return

        def done(future: Future[Outcome]) -> None:
            error = future.exception()
            if error is None:
                self._answered()
                following = then(future.result())
            else:
                following = then(self._failed(future, _nobody, error))
            if following is not None:
                self.ask_soon(following, then)

        future.add_done_callback(done)

    def _send(self, request: Request) -> Future[Outcome]:
        if self._process != os.getpid():
            self._lock = threading.Lock()  # a thread of the parent may have held it
            self._begin()
        with self._lock:
            now = time.monotonic()
            if now < self._down_until:
                raise StoreDownError("it has failed a moment ago")
            if self._is_down:  # one asks again, the others wait for what it finds
                self._down_until = now + max(_LEAVE_ALONE_S, self._timeout_s)
            if not self._idle and self._threads < _THREADS:
                self._threads += 1
                threading.Thread(target=self._work, name="obskit-budgets", daemon=True).start()
            elif self._idle:
                self._idle -= 1
        future: Future[Outcome] = Future()
        self._tasks.put((future, request))
        return future

    def _work(self) -> None:
        tasks = self._tasks
        while True:
            future, request = tasks.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._store.apply(request, timeout_s=self._timeout_s))
                except BaseException as error:  # noqa: BLE001 - it is the caller's
                    future.set_exception(error)
            del future, request
            with self._lock:
                self._idle += 1

    def _failed(self, future: Future[Outcome], late: Late, error: BaseException) -> StoreDownError:
        _hear(future, late)
        what = f"no answer within {self._timeout_s:g} s" if isinstance(error, TimeoutError) else _said(error)
        with self._lock:
            is_first, self._is_down = not self._is_down, True
            self._down_until = time.monotonic() + _LEAVE_ALONE_S
        if is_first:
            _log.warning("The store of the budgets does not work: %s. This is said once until it works again.", what)
        return StoreDownError(what)

    def _answered(self) -> None:
        if self._is_down:
            with self._lock:
                was_down, self._is_down, self._down_until = self._is_down, False, 0.0
            if was_down:
                _log.warning("The store of the budgets works again.")


def _hear(future: Future[Outcome], late: Late) -> None:
    """Have a late answer heard; a request that no thread has begun is taken back instead."""
    if future.cancel():
        return

    def tell(done: Future[Outcome]) -> None:
        if not done.cancelled() and done.exception() is None:
            late(done.result())

    future.add_done_callback(tell)


def _nobody(_outcome: Outcome) -> None:
    """Hear nothing."""


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
