"""One guarded call while it runs, over its attempts and what takes its place; for each kind of function."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from obskit.llm.guarding.errors import GuardError
from obskit.llm.guarding.plans import Plan
from obskit.llm.guarding.slots import Slot
from obskit.llm.guarding.waiters import Waiter

if TYPE_CHECKING:
    from obskit.llm.guarding.guards import Guard

__all__ = ["Call", "Run"]

Call = Callable[[Slot, Any, Any], Any]
"""Makes one attempt: (slot, args, kwargs) → what the guarded function returns."""


class Run:
    """One guarded call while it runs."""

    __slots__ = ("_args", "_guard", "_kwargs", "_last", "_plan", "_tokens", "_waiter", "_without_self")

    def __init__(
        self,
        guard: Guard,
        plan: Plan,
        tokens: int | Callable[..., int] | None,
        args: Any,
        kwargs: Any,
        *,
        without_self: bool,
    ) -> None:
        self._without_self = without_self
        self._guard, self._plan, self._args, self._kwargs = guard, plan, args, kwargs
        self._tokens = tokens(*args, **kwargs) if callable(tokens) else tokens
        self._waiter: Waiter | None = None
        self._last: Exception | None = None

    def _slot(self) -> Slot:
        slot, self._waiter = self._guard.slot_of(self._plan, self._waiter, self._tokens)
        return slot

    def _next(self, error: Exception, slot: Slot) -> tuple[float, Callable[..., Any] | None]:
        """Return the pause before the next attempt, or the function that takes the call's place; or raise."""
        now = self._guard.clock.now()
        pause_s = self._plan.pause_s(error, slot.verdict, now)
        if pause_s is not None:
            self._last = error
            return pause_s, None
        found = self._plan.fallback(error, slot.verdict, now)
        if found is None:
            if isinstance(error, GuardError) and self._last is not None and error is not self._last:
                raise error from self._last
            raise error
        self._last = error
        if callable(found):
            return 0.0, found
        self._waiter = None
        return 0.0, None

    def _instead(self, function: Callable[..., Any]) -> Any:
        return function(*(self._args[1:] if self._without_self else self._args), **self._kwargs)

    def call(self, call: Call) -> Any:
        """Make a plain call."""
        while True:
            slot = self._slot()
            try:
                with slot:
                    reply = call(slot, self._args, self._kwargs)
                    slot.read(reply)
            except Exception as error:  # noqa: BLE001 - raised again where nothing takes its place
                pause_s, instead = self._next(error, slot)
            else:
                return reply
            if instead is not None:
                return self._instead(instead)
            self._pause(pause_s)

    async def call_async(self, call: Call) -> Any:
        """Make a call of a coroutine function."""
        while True:
            slot = self._slot()
            try:
                async with slot:
                    reply = await self._in_time(call(slot, self._args, self._kwargs), slot)
                    slot.read(reply)
            except Exception as error:  # noqa: BLE001 - raised again where nothing takes its place
                pause_s, instead = self._next(error, slot)
            else:
                return reply
            if instead is not None:
                other = self._instead(instead)
                return await other if inspect.isawaitable(other) else other
            await self._pause_async(pause_s)

    def stream(self, call: Call) -> Iterator[Any]:
        """Make a call whose reply comes in pieces; it is only begun anew before the first one."""
        while True:
            slot, has_begun = self._slot(), False
            try:
                with slot:
                    for item in call(slot, self._args, self._kwargs):
                        has_begun = True
                        slot.read(item)
                        yield item
            except Exception as error:
                if has_begun:
                    raise
                pause_s, instead = self._next(error, slot)
            else:
                return
            if instead is not None:
                yield from self._instead(instead)
                return
            self._pause(pause_s)

    async def stream_async(self, call: Call) -> AsyncIterator[Any]:
        """Make an asynchronous call whose reply comes in pieces."""
        while True:
            slot, has_begun = self._slot(), False
            try:
                async with slot:
                    items = call(slot, self._args, self._kwargs)
                    if inspect.isawaitable(items):
                        items = await self._in_time(items, slot)
                    items = aiter(items)
                    while True:
                        try:
                            item = await self._in_time(anext(items), slot)
                        except StopAsyncIteration:
                            break
                        has_begun = True
                        slot.read(item)
                        yield item
            except Exception as error:
                if has_begun:
                    raise
                pause_s, instead = self._next(error, slot)
            else:
                return
            if instead is not None:
                async for item in self._instead(instead):
                    yield item
                return
            await self._pause_async(pause_s)

    async def _in_time(self, awaitable: Any, slot: Slot) -> Any:
        timeout = asyncio.timeout(slot.remaining_s)
        try:
            async with timeout:
                return await awaitable
        except TimeoutError as error:
            if timeout.expired():
                raise self._plan.timed_out() from error
            raise

    def _pause(self, pause_s: float) -> None:
        if pause_s:
            self._guard.clock.wait(threading.Event(), pause_s)

    async def _pause_async(self, pause_s: float) -> None:
        if pause_s:
            await self._guard.clock.wait_async(asyncio.Event(), pause_s)
