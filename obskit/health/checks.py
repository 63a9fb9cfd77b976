"""One check: at most one run of it at a time, which all who ask wait for, and nobody longer than its timeout."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import Any, Final

from obskit import catalog
from obskit.health.results import Result
from obskit.signals.lines import described, plain
from obskit.signals.metrics import record
from obskit.signals.redaction import Redactor

__all__ = ["Check"]

_log = logging.getLogger("obskit.health")

_MOST_CHARS: Final = 500
_redactor: Final = Redactor()


_Outcome = Future[str]
"""Empty when the check passed, else why it failed."""


class _Run:
    """A run that has begun.

    Attributes:
        begun_s: in monotonic seconds.
        outcome: of the run.
        loop: that it runs on; None for a thread of its own.
        task: on that loop; held here, as a loop holds its tasks weakly.
        is_overdue: whether its timeout has been told.
    """

    __slots__ = ("begun_s", "is_overdue", "loop", "outcome", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.begun_s = time.monotonic()
        self.outcome: _Outcome = Future()
        self.loop = loop
        self.task: asyncio.Task[None] | None = None
        self.is_overdue = False

    @property
    def is_lost(self) -> bool:
        """Whether it can never end: its event loop was closed."""
        return self.loop is not None and self.loop.is_closed() and not self.outcome.done()


class Check:
    """A named check.

    Args:
        name: of the check, and the label `provider` of its metric.
        function: plain or coroutine; it fails by raising or by returning False.
        timeout_s: after so many seconds a run counts as failed.
        cache_s: for so many seconds a result stands.
        is_required: whether the service is not ready without it.
    """

    def __init__(
        self, name: str, function: Callable[[], Any], *, timeout_s: float, cache_s: float, is_required: bool
    ) -> None:
        self.name = name
        self._function = function
        self._timeout_s = timeout_s
        self._cache_s = cache_s
        self._is_required = is_required
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - its kind is wanted, not whether it is there
        )
        self._lock = threading.Lock()
        self._running: _Run | None = None
        self._last: Result | None = None
        self._message = ""

    def renew(self) -> None:
        """Forget the runs of the parent's threads; called in a forked child."""
        self._lock = threading.Lock()
        self._running = self._last = None

    def begin(self) -> Callable[[], Result]:
        """Begin a run unless a result stands or one has begun; what is returned waits for it, up to the timeout."""
        return partial(self._wait, self._begin(None))

    def _wait(self, found: Result | _Run) -> Result:
        if isinstance(found, Result):
            return found
        try:
            found.outcome.result(max(0.0, self._left_s(found)))
        except FutureTimeoutError:
            return self._overdue(found)
        return self._finished(found)

    async def result_async(self) -> Result:
        """Return the result that stands, or that of a run; a coroutine function runs on the caller's loop."""
        loop = asyncio.get_running_loop()
        found = self._begin(loop if self._is_async else None)
        if isinstance(found, Result):
            return found
        outcome = asyncio.wrap_future(found.outcome)
        # Not `wait_for`: it would wait for a check that does not let itself be cancelled. Shielded is the run itself,
        # others may be waiting for it.
        done, _ = await asyncio.wait({asyncio.shield(outcome)}, timeout=max(0.0, self._left_s(found)))
        return self._finished(found) if done else self._overdue(found)

    # ----------------------------------------------------------------- a run

    def _begin(self, loop: asyncio.AbstractEventLoop | None) -> Result | _Run:
        with self._lock:
            last = self._last
            if last is not None and time.monotonic() - last.at_s < self._cache_s:
                return last
            running = self._running
            if running is not None and not running.is_lost:
                if running.is_overdue and last is not None:
                    return self._again(running)
                return running
            run = self._running = _Run(loop)
        try:
            self._start(run)
        except RuntimeError as error:  # no thread can be started: the process is at its limit, or ending
            self._settle(run, f"could not be started: {type(error).__name__}")
        return run

    def _start(self, run: _Run) -> None:
        if run.loop is not None:
            run.task = run.loop.create_task(self._run_async(run))
            return
        threading.Thread(target=self._run, args=(run,), name=f"obskit-health-{self.name}", daemon=True).start()

    def _run(self, run: _Run) -> None:
        try:
            answer = self._function()
            if inspect.iscoroutine(answer):
                answer = asyncio.run(asyncio.wait_for(answer, self._timeout_s + 0.5))
            self._settle(run, _reason(answer))
        except BaseException as error:  # noqa: BLE001 - a check that calls sys.exit() has failed, no more
            self._settle(run, self._failed(error))

    async def _run_async(self, run: _Run) -> None:
        try:
            self._settle(run, _reason(await self._function()))
        except asyncio.CancelledError:
            self._settle(run, "was cancelled")
            raise
        except BaseException as error:  # noqa: BLE001 - it must not end the app's loop
            self._settle(run, self._failed(error))

    def _settle(self, run: _Run, reason: str) -> None:
        with self._lock:
            if self._running is run:
                self._running = None
            if not reason:
                self._message = ""
            if not run.is_overdue:
                self._keep(self._made(run, reason))
        run.outcome.set_result(reason)

    def _failed(self, error: BaseException) -> str:
        # The message goes to the log, without its secrets, and never to the endpoint.
        self._message = f": {_redactor.text(plain(described(error)))[:_MOST_CHARS]}"
        return type(error).__qualname__

    # ----------------------------------------------------------------- its result

    def _left_s(self, run: _Run) -> float:
        return run.begun_s + self._timeout_s - time.monotonic()

    def _finished(self, run: _Run) -> Result:
        last = self._last
        return last if last is not None and not run.is_overdue else self._made(run, run.outcome.result())

    def _overdue(self, run: _Run) -> Result:
        with self._lock:
            if run.outcome.done() or run.is_overdue:
                return self._last or self._made(run, "took too long")
            run.is_overdue = True
            result = self._made(run, f"took longer than {self._timeout_s:g} s")
            self._keep(result)
        if run.task is not None and run.loop is not None and not run.loop.is_closed():
            run.loop.call_soon_threadsafe(run.task.cancel)
        return result

    def _again(self, run: _Run) -> Result:
        """Keep the check failed while a run that is overdue has still not ended; no second one is begun beside it."""
        result = self._made(run, "has not come back yet")
        self._keep(result)
        return result

    def _made(self, run: _Run, reason: str) -> Result:
        now = time.monotonic()
        return Result(
            name=self.name,
            is_healthy=not reason,
            is_required=self._is_required,
            duration_s=now - run.begun_s,
            reason=reason,
            at_s=now,
        )

    def _keep(self, result: Result) -> None:
        before, self._last = self._last, result
        record(catalog.PROVIDER_STATUS, int(result.is_healthy), {"provider": self.name})
        if before is None or before.is_healthy != result.is_healthy:
            if not result.is_healthy:
                _log.warning("health check %s fails: %s%s", self.name, result.reason, self._message)
            elif before is not None:
                _log.warning("health check %s passes again", self.name)


def _reason(answer: object) -> str:
    return "returned False" if answer is False else ""
