"""Standard output, to which lines go whole, and which never makes the app wait.

A line is written by the thread that says it, in one call that does not block, so that it is out before that thread
goes on. Only what cannot be written at once (the reader has stalled, the line is larger than the pipe, another
process is in the middle of one) waits in a buffer of limited size, which a thread empties when there is room.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, Final

from obskit import catalog
from obskit.signals.channels import NO_WAIT, TRY_LOCK, UNLOCK, Channel
from obskit.signals.gathering import encoded, gather, gathered

__all__ = ["BUFFER_BYTES", "Output"]

BUFFER_BYTES: Final = 8 * 1024 * 1024
_POLL_MS: Final = 100
_TURN_BYTES: Final = 256 * 1024
_PAUSE_S: Final = 0.001
_STALLED_S: Final = 0.5
_MANY: Final = 100
_BATON_S: Final = 10.0

_lockf: Final = os.lockf
_pwritev: Final = os.pwritev


def _plainly(lines: int, size_bytes: int) -> str:
    return f'{{"severity":"WARNING","message":"obskit: {lines} log lines ({size_bytes} bytes) were dropped"}}\n'


class Output:
    """Standard output, taken as it is at each write, to which lines go whole even when processes share it.

    Args:
        buffer_bytes: most bytes that wait; what comes then is dropped, counted, and told when there is room again.
        tell: makes the line that says how many lines of how many bytes were dropped.
    """

    def __init__(self, buffer_bytes: int = BUFFER_BYTES, tell: Callable[[int, int], str] = _plainly) -> None:
        self.buffer_bytes = buffer_bytes
        self.tell = tell
        self._asked: Any = None
        self._is_terminal = False
        self._is_native = False
        self._gathered = gathered(is_native=False)
        self._reset()
        atexit.register(self.finish)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Begin with nothing in hand: what waits in a parent is the parent's to write."""
        # Who takes the baton out may write; list.pop and list.append cannot be interrupted, and cost less than a lock.
        self._baton: list[None] = [None]
        self._guard = threading.RLock()
        self._waiting: deque[bytes] = deque()  # each one line, or several
        self._waiting_bytes = 0
        self._gathered.until = 0.0  # nobody is to add to them: they go nowhere in this process
        self._gathered = gathered(is_native=self._is_native)
        self._rest: memoryview | None = None  # of the first line that waits, if it has begun
        self._dropped = self._dropped_bytes = 0
        self._has_had_room = False
        self._thread: threading.Thread | None = None
        self._stream: Any = None  # to be looked at anew: the parent's lock is not this process's
        self._channel = Channel(None)

    def use(self, *, is_native: bool) -> None:
        """Say whether the compiled module may keep the lines that wait for each other."""
        if is_native is not self._is_native:
            self._write_gathered()
            self._is_native = is_native
            self._gathered = gathered(is_native=is_native)

    @property
    def is_terminal(self) -> bool:
        """Whether a person is looking."""
        stream = sys.stdout
        if stream is not self._asked:
            try:
                self._asked, self._is_terminal = stream, bool(stream.isatty())
            except (AttributeError, ValueError):  # there is none, or it is closed
                return False
        return self._is_terminal

    # ------------------------------------------------------------------ the thread that says the line

    def gather(self, line: str, loop: Any, now_s: float) -> None:
        """Write one line together with those that are said soon after.

        Args:
            line: ends in a newline.
            loop: the running event loop, or another object with its `call_soon` and `call_later`.
            now_s: the time by a monotonic clock.
        """
        lines, wakes_a_reader = self._gathered, self._channel.has_locks
        gather(lines, line, loop, now_s, write=self._write_gathered, wakes_a_reader=wakes_a_reader)

    def _write_gathered(self) -> None:
        if data := self._gathered.take():
            self._write(data)

    def write(self, line: str) -> None:
        """Write one line, or several, which end in newlines, whole. Never raises, and never waits for a reader."""
        data = encoded(line)
        if len(self._gathered):
            data = self._gathered.take() + data
        self._write(data)

    def _write(self, data: bytes) -> None:
        channel = self._channel
        if self._waiting or sys.stdout is not self._stream or len(data) > channel.most_at_once:
            self._keep(data)
            return
        baton = self._baton
        try:
            baton.pop()
        except IndexError:  # another thread is writing
            self._keep(data)
            return
        try:
            channel.flush()  # what the app has printed comes first, and does not tear this line
            if channel.has_locks:
                fd = channel.fd
                _lockf(fd, TRY_LOCK, 0)
                try:
                    written = _pwritev(fd, (data,), -1, NO_WAIT)
                finally:
                    _lockf(fd, UNLOCK, 0)
            else:
                written = self._write_unlocked(channel, data)
        except (OSError, ValueError):  # there is no room, or it is closed: `_settle` tells them apart
            written = 0
        finally:
            baton.append(None)
        if not written:
            self._keep(data)
        elif self._waiting:
            self._settle()

    def _write_unlocked(self, channel: Channel, data: bytes) -> int:
        written = os.write(channel.fd, data) if channel.is_patient else _pwritev(channel.fd, (data,), -1, NO_WAIT)
        if written < len(data):
            with self._guard:
                self._rest = memoryview(data)[written:]
                self._waiting.appendleft(data)
                self._waiting_bytes += len(data)
        return written

    def _keep(self, data: bytes) -> None:
        """Let lines wait, if there is room, and see whether they can be written."""
        with self._guard:
            is_dropped = self._has_no_room(len(data))
            if is_dropped:
                self._dropped += data.count(b"\n")
                self._dropped_bytes += len(data)
            else:
                self._waiting.append(data)
                self._waiting_bytes += len(data)
        if is_dropped:
            _count_lost("queue_full", data)
        if self._thread is None:
            self._settle()

    def _has_no_room(self, size_bytes: int) -> bool:
        room = self.buffer_bytes - self._waiting_bytes
        if self._dropped and room >= self.buffer_bytes // 2:  # not at the first line of room, which soon is gone
            self._tell_dropped()
        return bool(self._dropped) or size_bytes > room

    def _tell_dropped(self) -> None:
        notice = self.tell(self._dropped, self._dropped_bytes).encode("utf-8", "replace")
        self._dropped = self._dropped_bytes = 0
        self._waiting.append(notice)
        self._waiting_bytes += len(notice)

    # ------------------------------------------------------------------ what waits

    def _settle(self) -> None:
        """Write what waits, as far as that needs no waiting, and leave the rest to the thread."""
        while self._waiting:
            if self._push(_TURN_BYTES) is False:
                self._settle_later()
                return
            if not self._baton:  # who has it looks here again, unless it is lost
                if len(self._waiting) > _MANY:
                    self._settle_later()
                return

    def _settle_later(self) -> None:
        with self._guard:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="obskit-log-lines", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is ending, or there are too many; `flush` and later lines try again
                self._thread = None

    def _run(self) -> None:
        seen: tuple[bytes | None, memoryview | None] = (None, None)
        seen_at = time.monotonic()
        while True:
            is_out = self._push(_TURN_BYTES)
            state = (self._waiting[0] if self._waiting else None, self._rest)
            now = time.monotonic()
            if is_out is not None or state[0] is not seen[0] or state[1] is not seen[1]:
                seen, seen_at = state, now
            elif now - seen_at > _BATON_S:  # nobody writes: an exception of a signal's handler has lost it
                self._baton, seen_at = [None], now
            if not is_out:
                self._pause(_POLL_MS)
            with self._guard:
                if not self._waiting and not self._dropped:
                    self._thread = None
                    return

    def flush(self, timeout_s: float = 1.0) -> bool:
        """Wait until everything that was said is written.

        Args:
            timeout_s: longest time to wait, in seconds.

        Returns:
            Whether nothing waits any more. What does is kept, and written when there is room.
        """
        deadline = time.monotonic() + timeout_s
        self._write_gathered()
        while self._waiting or self._dropped:
            is_out = self._push()
            left_s = deadline - time.monotonic()
            if not is_out:
                if left_s <= 0:
                    return False
                self._pause(min(_POLL_MS, left_s * 1000))
            elif left_s <= 0:  # what has come since need not be waited for
                break
        return True

    def finish(self, timeout_s: float = 5.0) -> bool:
        """Flush as long as somebody reads: give up after half a second in which there was no room.

        Args:
            timeout_s: longest time to wait all the same, in seconds.

        Returns:
            Whether nothing waits any more.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            self._has_had_room = False
            if self.flush(max(0.0, min(_STALLED_S, deadline - time.monotonic()))):
                return True
            if not self._has_had_room or time.monotonic() >= deadline:
                return False

    def _pause(self, most_ms: float) -> None:
        """Wait until standard output may take more."""
        if self._channel.is_writable(most_ms):
            self._has_had_room = True  # somebody reads, even if another process is the quicker one to write
        if not self._channel.is_locked:  # another process or thread may be writing, which no poll tells
            time.sleep(_PAUSE_S)

    # ------------------------------------------------------------------ writing without waiting

    def _push(self, most_bytes: float = inf) -> bool | None:
        """Write what waits in order; return whether everything is out, None where another thread is at it.

        Args:
            most_bytes: how much to write before others get a turn.
        """
        baton = self._baton
        try:
            baton.pop()
        except IndexError:
            return None
        try:
            if sys.stdout is not self._stream and self._rest is None:
                self._channel.close()
                self._stream, self._channel = sys.stdout, Channel(sys.stdout)
            return self._push_lines(self._channel, most_bytes)
        finally:
            baton.append(None)

    def _push_lines(self, channel: Channel, most_bytes: float) -> bool:
        while most_bytes > 0:
            with self._guard:
                if not self._waiting and self._dropped:
                    self._tell_dropped()
                if not self._waiting:
                    return True
                data = self._waiting[0]
            try:
                if not self._push_line(channel, data):
                    return False
            except (AttributeError, OSError, ValueError):  # there is none, it is closed, or its reader is gone
                self._end_line(channel)
                _count_lost("not_written", data)
            with self._guard:
                self._waiting.popleft()
                self._waiting_bytes -= len(data)
            most_bytes -= len(data)
        return not self._waiting

    def _push_line(self, channel: Channel, data: bytes) -> bool:
        """Begin a line, or go on with it; return whether it is out."""
        if channel.fd < 0:
            channel.stream.write(data.decode())
            channel.stream.flush()
            return True
        if self._rest is None:
            if not channel.is_writable(0):
                return False
            channel.flush()
            if not channel.lock():
                return False
            self._rest = memoryview(data)
        while self._rest:
            written = channel.push(self._rest)
            if not written:
                if len(self._rest) == len(data):
                    self._end_line(channel)
                return False
            self._rest = self._rest[written:]
        self._end_line(channel)
        return True

    def _end_line(self, channel: Channel) -> None:
        self._rest = None
        channel.unlock()


def _count_lost(reason: str, data: bytes) -> None:
    from obskit.signals.metrics import record  # noqa: PLC0415 - metrics log, so they come later

    record(catalog.TELEMETRY_LOST, data.count(b"\n"), {"obskit.signal": "logs", "obskit.reason": reason})
