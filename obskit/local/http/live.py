"""Server-sent events: which kinds of data have changed, at most twice a second for each page."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

__all__ = ["LiveFeed"]

INTERVAL_S: Final = 0.5
PING_S: Final = 15.0


class LiveFeed:
    """Hands changes of the store, told from any thread, to the pages that listen.

    Args:
        now_ms: the backend's clock.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._listeners: dict[int, set[str]] = {}
        self._next_id = 0
        self._is_closed = False

    def changed(self, kinds: AbstractSet[str]) -> None:
        """Tell every page that these kinds of data have changed."""
        with self._lock:
            for pending in self._listeners.values():
                pending.update(kinds)

    def close(self) -> None:
        """End all streams, within one interval."""
        self._is_closed = True

    def routes(self) -> list[Route]:
        """Return the feed's routes."""
        return [Route("/api/live", self._serve, methods=["GET"])]

    async def _serve(self, _request: Request) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._events(), media_type="text/event-stream", headers=headers)

    async def _events(self) -> AsyncIterator[str]:
        identity = self._listen()
        quiet_s = 0.0
        try:
            yield f"retry: 1000\n{self._event(set())}"
            while not self._is_closed:
                await asyncio.sleep(INTERVAL_S)
                kinds = self._take(identity)
                quiet_s = 0.0 if kinds else quiet_s + INTERVAL_S
                if kinds:
                    yield self._event(kinds)
                elif quiet_s >= PING_S:
                    quiet_s = 0.0
                    yield ": still here\n\n"
        finally:
            with self._lock:
                del self._listeners[identity]

    def _listen(self) -> int:
        with self._lock:
            self._next_id += 1
            self._listeners[self._next_id] = set()
            return self._next_id

    def _take(self, identity: int) -> set[str]:
        with self._lock:
            kinds, self._listeners[identity] = self._listeners[identity], set()
            return kinds

    def _event(self, kinds: AbstractSet[str]) -> str:
        data = json.dumps({"kinds": sorted(kinds), "now_ms": self._now_ms()})
        return f"event: change\ndata: {data}\n\n"
