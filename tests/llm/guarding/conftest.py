from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from typing import Any

import pytest

from obskit.llm.guard import Guard, Limits, unguard_gemini


class VirtualClock:
    """A clock that moves only where somebody waits."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.at

    def wait(self, event: Any, seconds: float) -> None:
        assert seconds > 0
        if not event.is_set():
            self.waits.append(seconds)
            self.at += seconds

    async def wait_async(self, event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


class _Jumping(selectors.DefaultSelector):
    """Where nothing is ready, the next timer is due at once."""

    clock: VirtualClock

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            return super().select(1)
        if not ready and timeout:
            self.clock.at += timeout + 1e-6  # more than the rounding of such large numbers
        return ready


def run_virtually(clock: VirtualClock, main: Any) -> Any:
    """Run a coroutine in a loop whose time is the clock's."""
    selector = _Jumping()
    selector.clock = clock
    loop = asyncio.SelectorEventLoop(selector)
    begun = clock.now()
    loop.time = lambda: clock.now() - begun  # type: ignore[method-assign]
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def make(clock: VirtualClock) -> Any:
    def make_guard(*, limits: Limits | None = None, **options: Any) -> Guard:
        own = {"m": limits} if limits is not None else None
        return Guard(limits=own, clock=clock, **options)

    return make_guard


@pytest.fixture(autouse=True)
def unguarded() -> Iterator[None]:
    yield
    unguard_gemini()
