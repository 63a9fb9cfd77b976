"""Lines that come thick and fast, and share a write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from obskit.signals.native import MODULE

__all__ = ["Gathered", "encoded", "gather", "gathered"]

_WAIT_S: Final = 0.005
_OVERDUE_S: Final = 0.05


class Gathered(Protocol):
    """Lines that wait for each other; safe to use from several threads."""

    until: float
    """When they should have been written by, in seconds by the clock of who adds them."""

    def __len__(self) -> int:
        """Return 0 when nothing waits."""

    def append(self, line: str) -> None:
        """Add a line."""

    def take(self) -> bytes:
        """Take all lines out, encoded, one behind the other."""


def encoded(line: str) -> bytes:
    """Return a line as it is written; what cannot be encoded is replaced."""
    try:
        return line.encode()
    except UnicodeEncodeError:
        return line.encode("utf-8", "replace")


def gathered(*, is_native: bool) -> Gathered:
    """Return an empty one, compiled if that may and can be."""
    return cast("Gathered", MODULE.Gathered()) if is_native and MODULE is not None else _Gathered()


def gather(
    lines: Gathered, line: str, loop: Any, now_s: float, *, write: Callable[[], object], wakes_a_reader: bool
) -> None:
    """Add a line to those that wait, and see to it that `write` is called soon.

    A write to a pipe wakes its reader, which costs more than the line: lines wait five milliseconds for each other.
    Elsewhere, those of one turn of the event loop are one write.

    Args:
        lines: those that wait.
        line: ends in a newline.
        loop: the running event loop, or another object with its `call_soon` and `call_later`.
        now_s: the time by a monotonic clock.
        write: takes what is there and writes it.
        wakes_a_reader: whether a pipe is written to.
    """
    is_first = not len(lines)
    lines.append(line)
    if is_first or now_s > lines.until:  # the loop that was to write them may have ended
        lines.until = now_s + _OVERDUE_S
        try:
            if wakes_a_reader:
                loop.call_later(_WAIT_S, write)
            else:
                loop.call_soon(write)
        except RuntimeError:  # it is closed
            write()


class _Gathered(deque[str]):
    until = 0.0

    def take(self) -> bytes:
        lines = []
        try:
            while True:  # another thread may be at it too
                lines.append(self.popleft())
        except IndexError:
            return encoded("".join(lines))
