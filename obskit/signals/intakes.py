"""The entrance of a queue: what every request passes at its end, bounded in bytes, and never waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, cast

from obskit.signals.native import MODULE

__all__ = ["Fan", "Intake", "fan", "intake"]


class Intake(Protocol):
    """Takes items into a queue as long as there is room."""

    room: int
    """Bytes that may still come, below 0 when it is closed."""
    most_bytes: int
    """Of one item."""
    urgent_room: int
    """With less room than that, somebody is woken at each item."""
    put_count: int
    """Items taken in."""

    def put(self, item: Any, size_bytes: int) -> bool:
        """Take one item in; return whether there was room."""

    def give_back(self, size_bytes: int) -> None:
        """Make room again, unless it is closed."""

    def close(self) -> None:
        """Refuse everything from here on."""


class Fan(Protocol):
    """Puts what is to go everywhere into the queue of each destination."""

    intakes: tuple[Intake, ...]

    def submit(self, item: Any, size_bytes: int) -> None:
        """Put one item into each queue that has room."""


def intake(
    items: deque[Any],
    sizes: deque[int],
    room: int,
    *,
    most_bytes: int,
    urgent_room: int,
    refuse: Callable[[int], object],
    wake: Callable[[], object],
    is_native: bool,
) -> Intake:
    """Make the entrance of a queue.

    Args:
        items: the queue.
        sizes: the bytes of each item in it, side by side with it.
        room: bytes that may come.
        most_bytes: of one item.
        urgent_room: with less room than that, somebody is woken at each item.
        refuse: told the size of an item that is not taken in.
        wake: called without arguments.
        is_native: whether the compiled module may do it.
    """
    if is_native and MODULE is not None:
        made = MODULE.Intake(items, sizes, room, most_bytes, urgent_room, refuse, wake)
        return cast("Intake", made)
    return _Intake(items, sizes, room, most_bytes, urgent_room, refuse, wake)


def fan(*, is_native: bool) -> Fan:
    """Make one without entrances; `is_native` as of `intake`."""
    return cast("Fan", MODULE.Fan()) if is_native and MODULE is not None else _Fan()


class _Intake:
    __slots__ = ("_items", "_lock", "_refuse", "_sizes", "_wake", "most_bytes", "put_count", "room", "urgent_room")

    def __init__(
        self,
        items: deque[Any],
        sizes: deque[int],
        room: int,
        most_bytes: int,
        urgent_room: int,
        refuse: Callable[[int], object],
        wake: Callable[[], object],
    ) -> None:
        self._items = items
        self._sizes = sizes
        self.room = room
        self.most_bytes = most_bytes
        self.urgent_room = urgent_room
        self.put_count = 0
        self._refuse = refuse
        self._wake = wake
        self._lock = threading.RLock()  # re-entrant: a signal handler may end a span while its thread is in put

    def put(self, item: Any, size_bytes: int) -> bool:
        with self._lock:
            room = self.room - size_bytes
            if room < 0 or size_bytes > self.most_bytes:
                self._refuse(size_bytes)
                return False
            self._sizes.append(size_bytes)
            try:
                self._items.append(item)
            except BaseException:  # no memory
                self._sizes.pop()
                raise
            self.room = room
            self.put_count += 1
        if room < self.urgent_room:
            self._wake()
        return True

    def give_back(self, size_bytes: int) -> None:
        with self._lock:
            if self.room >= 0:
                self.room += size_bytes

    def close(self) -> None:
        with self._lock:
            self.room = -1


class _Fan:
    def __init__(self) -> None:
        self.intakes: tuple[Intake, ...] = ()

    def submit(self, item: Any, size_bytes: int) -> None:
        for each in self.intakes:
            each.put(item, size_bytes)
