"""Who goes next: interactive calls before background ones, and every client in its turn."""

from __future__ import annotations

import heapq
import itertools
from enum import StrEnum
from typing import Final, Protocol

__all__ = ["FairQueue", "Priority", "Waiting"]

_BACKGROUND_EVERY: Final = 20
_FORGET_ABOVE: Final = 4096


class Priority(StrEnum):
    """How urgent a call is."""

    INTERACTIVE = "interactive"
    """Somebody waits for it."""
    BACKGROUND = "background"
    """Goes when no interactive call waits, and one in twenty even then."""


class Waiting(Protocol):
    """What the queue needs to know of a call.

    Attributes:
        client: whose call it is; clients take turns.
        priority: how urgent it is.
        cost: how much of the limits it takes; one call of the usual size is 1.
        turn: its place in line, kept when it has to come again; None before the first time.
    """

    client: str
    priority: Priority
    cost: float
    turn: float | None


class _Line:
    """Start-time fair queueing: a call's turn is the time at which its client has been served all it asked before."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Waiting]] = []
        self._served: dict[str, float] = {}
        self._at = 0.0
        self._order = itertools.count()
        self._gone: set[int] = set()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, call: Waiting) -> None:
        if call.turn is None:
            call.turn = max(self._at, self._served.get(call.client, 0.0))
            self._served[call.client] = call.turn + call.cost
        heapq.heappush(self._heap, (call.turn, next(self._order), call))
        self._size += 1

    def peek(self) -> Waiting | None:
        while self._heap and id(self._heap[0][2]) in self._gone:
            self._gone.discard(id(heapq.heappop(self._heap)[2]))
        return self._heap[0][2] if self._heap else None

    def take(self, call: Waiting) -> None:
        """Let the first one go."""
        self._at = max(self._at, call.turn or 0.0)
        self.drop(call)
        if len(self._served) > _FORGET_ABOVE:
            self._served = {client: turn for client, turn in self._served.items() if turn > self._at}

    def drop(self, call: Waiting) -> None:
        """Take out one that does not wait any more."""
        if self.peek() is call:
            heapq.heappop(self._heap)
        else:
            self._gone.add(id(call))
        self._size -= 1


class FairQueue:
    """Calls that wait for one limit. Not thread-safe: its owner locks."""

    def __init__(self) -> None:
        self._lines = {priority: _Line() for priority in Priority}
        self._passed_over = 0

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def push(self, call: Waiting) -> None:
        """Have a call wait."""
        self._lines[call.priority].push(call)

    def head(self) -> Waiting | None:
        """Return the call that goes next, None when nobody waits."""
        return self._next_line().peek()

    def take(self, call: Waiting) -> None:
        """Let a call go that is, or has been, the head."""
        if call.priority is Priority.BACKGROUND:
            self._passed_over = 0
        elif self._lines[Priority.BACKGROUND]:
            self._passed_over += 1
        self._lines[call.priority].take(call)

    def drop(self, call: Waiting) -> None:
        """Take out a call that does not wait any more."""
        self._lines[call.priority].drop(call)

    def _next_line(self) -> _Line:
        background, interactive = self._lines[Priority.BACKGROUND], self._lines[Priority.INTERACTIVE]
        if background and (not interactive or self._passed_over >= _BACKGROUND_EVERY - 1):
            return background
        return interactive
