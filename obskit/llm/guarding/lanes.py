"""One model's way in: the queue before it, its limits, and its circuit breaker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from obskit import catalog
from obskit.errors import Problem
from obskit.llm.guarding.breakers import Breaker, Circuit
from obskit.llm.guarding.clocks import Clock
from obskit.llm.guarding.errors import CircuitOpenError, DailyQuotaError, DeadlineError, GuardError
from obskit.llm.guarding.limits import Grant, Limits, Store
from obskit.llm.guarding.queues import FairQueue
from obskit.llm.guarding.resets import as_date, next_reset
from obskit.llm.guarding.verdicts import Failure, Verdict
from obskit.llm.guarding.waiters import Waiter
from obskit.signals.metrics import record

__all__ = ["Lane"]

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 60.0


class Lane:
    """Lets calls of one model go, one by one, as its limits allow.

    Args:
        name: the model.
        limits: what the provider allows.
        store: counts it; shared by all lanes of a guard.
        clock: tells the time and waits.
        breaker: the model's own.
        reset_zone: whose midnight ends the provider's day.
    """

    def __init__(
        self, name: str, *, limits: Limits, store: Store, clock: Clock, breaker: Breaker, reset_zone: str
    ) -> None:
        self.name, self.limits, self._store, self._clock, self._breaker = name, limits, store, clock, breaker
        self._reset_zone = reset_zone
        self._queue = FairQueue()
        self._is_asking = False
        self._strikes = 0
        self._mean_tokens = 0.0
        self._told_circuit = Circuit.CLOSED
        self.renew_lock()

    def renew_lock(self) -> None:
        """Begin with nobody waiting, as a forked child does."""
        self._lock = threading.Lock()
        self._queue, self._is_asking = FairQueue(), False

    @property
    def circuit(self) -> Circuit:
        """The breaker's state."""
        return self._breaker.circuit

    @property
    def waiting(self) -> int:
        """How many calls wait in this process."""
        return len(self._queue)

    def usual_tokens(self) -> int:
        """Return how many tokens a call has used on the average of late."""
        return int(self._mean_tokens)

    # ------------------------------------------------------------------ in

    def enter(self, waiter: Waiter) -> None:
        """Return when the call may be made.

        Raises:
            GuardError: it may not, or not before its deadline.
        """
        begun = self._clock.now()
        if self._at_once(begun) and self._answer(waiter, self._ask(waiter, begun), begun, is_queued=False):
            if waiter.starts_in_s:
                self._clock.wait(threading.Event(), waiter.starts_in_s)
                self._waited(waiter, begun)
            return
        event = threading.Event()
        self._queue_up(waiter, event.set)
        try:
            while True:
                seconds = self._step(waiter)
                if seconds <= 0:
                    now = self._clock.now()
                    if self._answer(waiter, self._ask(waiter, now), now, is_queued=True):
                        break
                    continue
                self._clock.wait(event, seconds)
                event.clear()
        except BaseException:
            self._leave(waiter)
            raise
        if waiter.starts_in_s:
            self._clock.wait(threading.Event(), waiter.starts_in_s)
        self._waited(waiter, begun)

    async def enter_async(self, waiter: Waiter) -> None:
        """Return when the call may be made; the same as `enter`."""
        begun = self._clock.now()
        if self._at_once(begun):
            grant = await self._ask_async(waiter, begun)
            if self._answer(waiter, grant, begun, is_queued=False):
                if waiter.starts_in_s:
                    await self._clock.wait_async(asyncio.Event(), waiter.starts_in_s)
                    self._waited(waiter, begun)
                return
        event = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # its loop has ended, and the call with it
                loop.call_soon_threadsafe(event.set)

        self._queue_up(waiter, wake)
        try:
            while True:
                seconds = self._step(waiter)
                if seconds <= 0:
                    now = self._clock.now()
                    if self._answer(waiter, await self._ask_async(waiter, now), now, is_queued=True):
                        break
                    continue
                await self._clock.wait_async(event, seconds)
                event.clear()
        except BaseException:
            self._leave(waiter)
            raise
        if waiter.starts_in_s:
            await self._clock.wait_async(asyncio.Event(), waiter.starts_in_s)
        self._waited(waiter, begun)

    def _at_once(self, now: float) -> bool:
        """Begin to ask without standing in line, where there is none."""
        with self._lock:
            self._refuse_if_open(now)
            if self._is_asking or len(self._queue):
                return False
            self._is_asking = True
            return True

    def _queue_up(self, waiter: Waiter, wake: Callable[[], object]) -> None:
        usual = max(self._mean_tokens, 1.0)
        waiter._wake = wake  # noqa: SLF001 - the same module
        waiter.cost = max(1.0, waiter.tokens / usual) if self._mean_tokens else 1.0
        with self._lock:
            self._queue.push(waiter)

    def _step(self, waiter: Waiter) -> float:
        """Return for how many seconds the waiter should wait, 0 to ask the store now."""
        with self._lock:
            now = self._clock.now()
            if now >= waiter.deadline:
                raise self._too_late(waiter.deadline - now)
            self._refuse_if_open(now)
            is_first = self._queue.head() is waiter
            if not is_first or self._is_asking:
                return waiter.deadline - now
            if waiter.ask_at > now:
                return min(waiter.ask_at, waiter.deadline) - now
            self._is_asking = True
            return 0.0

    def _ask(self, waiter: Waiter, now: float) -> Grant:
        try:
            return self._store.take(self.name, self.limits, waiter.tokens, now)
        except BaseException:
            self._asked()
            raise

    async def _ask_async(self, waiter: Waiter, now: float) -> Grant:
        if not self._store.is_remote:
            return self._ask(waiter, now)
        try:
            return await asyncio.to_thread(self._store.take, self.name, self.limits, waiter.tokens, now)
        except BaseException:
            self._asked()
            raise

    def _asked(self) -> None:
        with self._lock:
            self._is_asking = False
            head = self._queue.head()
        self._wake(head)

    def _answer(self, waiter: Waiter, grant: Grant, now: float, *, is_queued: bool) -> bool:
        """Take in the store's answer; returns whether the call may go."""
        head: Any = None
        try:
            with self._lock:
                self._is_asking = False
                head = self._queue.head()
                if grant.wait_s <= 0:
                    waiter.starts_in_s = grant.starts_in_s
                    if now + grant.starts_in_s >= waiter.deadline:
                        raise self._too_late(grant.starts_in_s)
                    waiter.is_probe = self._breaker.circuit is not Circuit.CLOSED and self._breaker.begin()
                    if is_queued:
                        self._queue.take(waiter)
                head = self._queue.head()
                if grant.wait_s <= 0:
                    return True
                waiter.ask_at = now + grant.wait_s
                self._refuse(waiter, grant, now)
                return False
        finally:
            if head is not None and head is not waiter:
                head.wake()

    def _refuse(self, waiter: Waiter, grant: Grant, now: float) -> None:
        if grant.is_daily:
            raise self._used_up(now)
        if waiter.ask_at >= waiter.deadline:
            raise self._too_late(grant.wait_s)

    def _leave(self, waiter: Waiter) -> None:
        with self._lock:
            self._queue.drop(waiter)
            head = self._queue.head()
        self._wake(head)

    def _wake(self, head: Any) -> None:
        if head is not None:
            head.wake()

    def _waited(self, waiter: Waiter, begun: float) -> None:
        waited_s = self._clock.now() - begun
        if waited_s > 0:
            labels = {"gen_ai.request.model": self.name, "obskit.priority": str(waiter.priority)}
            record(catalog.AI_GUARD_WAIT, waited_s, labels)

    # ------------------------------------------------------------------ what came of it

    def used(self, waiter: Waiter, tokens: int | None) -> None:
        """Tell that a call has succeeded, with so many tokens; None where nobody knows."""
        if self._strikes or self._breaker.circuit is not Circuit.CLOSED or waiter.is_probe or self._breaker.has_failed:
            with self._lock:
                self._strikes = 0
                self._breaker.succeeded(is_probe=waiter.is_probe)
            self._tell_circuit()
        if tokens is not None:
            self._mean_tokens = tokens if not self._mean_tokens else 0.9 * self._mean_tokens + 0.1 * tokens
            if tokens != waiter.tokens:
                self._store.settle(self.name, self.limits, tokens - waiter.tokens, self._clock.now())

    def failed(self, waiter: Waiter, verdict: Verdict) -> None:
        """Tell that a call has failed."""
        now = self._clock.now()
        quota = ""
        with self._lock:
            if verdict.failure is Failure.BROKEN:
                self._breaker.failed(now, is_probe=waiter.is_probe)
            else:
                self._breaker.succeeded(is_probe=waiter.is_probe)
            pause_s = verdict.pause_s
            if verdict.failure is Failure.MINUTE_QUOTA:
                self._strikes += 1
                quota = "minute"
                if pause_s is None:
                    pause_s = min(_FIRST_PAUSE_S * 2 ** min(self._strikes - 1, 10), _LONGEST_PAUSE_S)
            elif verdict.failure is Failure.DAILY_QUOTA:
                quota, pause_s = "day", next_reset(now, self._reset_zone) - now
            head = self._queue.head()
        if quota:
            self._store.refused(self.name, self.limits, pause_s or 0.0, now, is_daily=quota == "day")
            record(catalog.AI_GUARD_THROTTLED, 1, {"gen_ai.request.model": self.name, "obskit.quota": quota})
        self._tell_circuit()
        self._wake(head)

    def abandoned(self, waiter: Waiter) -> None:
        """Tell that a call was given up, so that nobody knows how it would have gone."""
        if waiter.is_probe:
            with self._lock:
                self._breaker.abandoned(is_probe=True)

    def _tell_circuit(self) -> None:
        circuit = self._breaker.circuit
        if circuit is not self._told_circuit:
            self._told_circuit = circuit
            record(catalog.AI_GUARD_CIRCUIT, int(circuit), {"gen_ai.request.model": self.name})

    # ------------------------------------------------------------------ refusals

    def _refuse_if_open(self, now: float) -> None:
        if self._breaker.circuit is Circuit.CLOSED:
            return
        wait_s = self._breaker.refusal_s(now)
        if wait_s is not None:
            raise self._counted(
                CircuitOpenError(
                    self._problem(
                        f"the provider fails, so no call is made for {wait_s:.3g} s",
                        "Try again then, or give the guard a fallback",
                    ),
                    retry_after_s=wait_s,
                )
            )

    def _too_late(self, wait_s: float) -> GuardError:
        problem = (
            f"the limits allow the call in {wait_s:.3g} s, which is after its deadline"
            if wait_s > 0
            else "the deadline came while the call waited for its turn"
        )
        way_out = "Allow it more time, make fewer calls, raise the limits if the quota allows it, or name a fallback"
        return self._counted(DeadlineError(self._problem(problem, way_out), retry_after_s=wait_s))

    def _used_up(self, now: float) -> GuardError:
        at = next_reset(now, self._reset_zone)
        resets_at = as_date(at)
        return self._counted(
            DailyQuotaError(
                self._problem(
                    f"the provider's quota for the day is used up until {resets_at:%Y-%m-%d %H:%M} UTC",
                    "Wait until then, raise the quota, or name a fallback model, which has a quota of its own",
                ),
                retry_after_s=at - now,
                resets_at=resets_at,
            )
        )

    def _counted(self, error: GuardError) -> GuardError:
        labels = {"gen_ai.request.model": self.name, "obskit.reason": error.reason}
        record(catalog.AI_GUARD_REFUSED, 1, labels)
        return error

    def _problem(self, problem: str, way_out: str) -> Problem:
        return Problem(place=f'guard, model "{self.name}"', problem=problem, way_out=way_out)
