"""Time as a guard sees it, so that tests can bring their own."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> float:
        """Return seconds since the epoch, as all processes of one guard should see them."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Return when the event is set, or after so many seconds."""

    async def wait_async(self, event: asyncio.Event, seconds: float) -> None:
        """Return when the event is set, or after so many seconds."""


class SystemClock:
    """The machine's clock, as it was when this was made and steady from then on."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Return seconds since the epoch; steps of the machine's clock are not followed."""
        return time.monotonic() + self._offset

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Return when the event is set, or after so many seconds."""
        event.wait(seconds)

    async def wait_async(self, event: asyncio.Event, seconds: float) -> None:
        """Return when the event is set, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
