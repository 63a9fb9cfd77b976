"""Lines that come thick and fast, and share a write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Gathered"]

_WAIT_S: Final = 0.005
_OVERDUE_S: Final = 0.05


class Gathered(deque[str]):
    """Lines that wait for each other."""

    _until = 0.0

    def add(self, line: str, loop: Any, now_s: float, *, write: Callable[[], object], wakes_a_reader: bool) -> None:
        """Add a line, and see to it that `write` is called soon.

        A write to a pipe wakes its reader, which costs more than the line: lines wait five milliseconds for each other.
        Elsewhere, those of one turn of the event loop are one write.

        Args:
            line: ends in a newline.
            loop: the running event loop, or another object with its `call_soon` and `call_later`.
            now_s: the time by a monotonic clock.
            write: takes what is here and writes it.
            wakes_a_reader: whether a pipe is written to.
        """
        self.append(line)
        if len(self) == 1 or now_s > self._until:  # the loop that was to write them may have ended
            self._until = now_s + _OVERDUE_S
            try:
                if wakes_a_reader:
                    loop.call_later(_WAIT_S, write)
                else:
                    loop.call_soon(write)
            except RuntimeError:  # it is closed
                write()

    def take(self) -> str:
        """Take all lines out, joined."""
        lines = []
        try:
            while True:  # another thread may be at it too
                lines.append(self.popleft())
        except IndexError:
            return "".join(lines)
