"""What is behind standard output, and how to write to it whole lines without ever waiting for its reader."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
from contextlib import suppress
from typing import Any, Final

__all__ = ["MOST_AT_ONCE", "NO_WAIT", "TRY_LOCK", "UNLOCK", "Channel"]

MOST_AT_ONCE: Final = min(select.PIPE_BUF, 4096)
"""A pipe takes so many bytes whole or not at all. Source: POSIX, `write`, PIPE_BUF."""
NO_WAIT: Final = getattr(os, "RWF_NOWAIT", 0) if hasattr(os, "pwritev") else 0
TRY_LOCK: Final = os.F_TLOCK
UNLOCK: Final = os.F_ULOCK
_PIECE: Final = 64 * 1024
_PIPE_BYTES: Final = 1024 * 1024  # Source: Linux's fs.pipe-max-size, which an ordinary process may ask for
_CANNOT: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ESPIPE, errno.EPERM})
_TAKEN: Final = frozenset({errno.EAGAIN, errno.EACCES})


class Channel:
    """A stream's descriptor.

    A pipe takes longer writes in pieces, between which another process may write. A record lock on the pipe, which
    the kernel drops when its holder dies, keeps those of obskit's processes apart.

    Args:
        stream: a text stream; None and streams without a descriptor make a channel that is written through `stream`.

    Attributes:
        fd: the descriptor, -1 where there is none.
        flush: writes what the app has printed.
        is_patient: whether writing makes nobody wait, as with a file or /dev/null.
        has_locks: whether other processes may share it, and heed its lock.
        most_at_once: most bytes that one call writes whole and without waiting, -1 where it takes more than a call.
    """

    __slots__ = (
        *("_can_skip_wait", "_is_locked", "_terminal", "fd", "flush", "has_locks", "is_patient", "most_at_once"),
        "stream",
    )

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        try:
            self.fd = stream.fileno()
            mode = os.fstat(self.fd).st_mode
            is_terminal = os.isatty(self.fd)
        except (AttributeError, OSError, ValueError):  # a test's, or there is none
            self.fd, mode, is_terminal = -1, 0, False
        self.flush = stream.flush if self.fd >= 0 else bool
        self._terminal = _reopened(self.fd) if is_terminal else -1
        self.is_patient = stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and self._terminal < 0)
        self.has_locks = stat.S_ISFIFO(mode)
        self._can_skip_wait = bool(NO_WAIT) and not self.is_patient and self._terminal < 0
        self._is_locked = False
        if self.has_locks:
            _widen(self.fd)
        self._set_most_at_once()

    def _set_most_at_once(self) -> None:
        is_direct = self.is_patient or (self._can_skip_wait and self.fd >= 0)
        self.most_at_once = MOST_AT_ONCE if is_direct else -1

    def close(self) -> None:
        """Give up what it has opened itself."""
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def is_writable(self, timeout_ms: float) -> bool:
        """Wait until it may take something; return whether it does."""
        if self.fd < 0 or self.is_patient:
            return True
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        try:
            return bool(poll.poll(timeout_ms))
        except (OSError, ValueError):
            return True  # the write will say what is wrong

    @property
    def is_locked(self) -> bool:
        """Whether this process keeps the others from writing."""
        return self._is_locked

    def lock(self) -> bool:
        """Keep the other processes of obskit from writing to the same pipe; return whether that could be done now."""
        if self.has_locks:
            try:
                os.lockf(self.fd, TRY_LOCK, 0)
            except OSError as error:
                if error.errno in _TAKEN:
                    return False
                self.has_locks = False  # lines are then written without
            else:
                self._is_locked = True
        return True

    def unlock(self) -> None:
        """Let the others write."""
        if self._is_locked:
            self._is_locked = False
            with suppress(OSError):  # closed, and the lock gone with it
                os.lockf(self.fd, UNLOCK, 0)

    def push(self, rest: memoryview) -> int:
        """Write what can be written without waiting; return how many bytes.

        Raises:
            OSError: its reader is gone, or the disk is full.
            ValueError: it is closed.
        """
        if self.stream.closed:  # and its descriptor perhaps another file's by now
            raise ValueError("standard output is closed")
        try:
            if self._can_skip_wait:
                try:
                    return os.pwritev(self.fd, (rest[:_PIECE],), -1, NO_WAIT)
                except OSError as error:
                    if error.errno not in _CANNOT:
                        raise
                    self._can_skip_wait = False  # neither this kernel nor this kind of file knows the flag
                    self._set_most_at_once()
            if self._terminal >= 0:
                return os.write(self._terminal, rest[:MOST_AT_ONCE])
            if self.is_patient:
                return os.write(self.fd, rest)
            return os.write(self.fd, rest[:MOST_AT_ONCE]) if self.is_writable(0) else 0
        except BlockingIOError:
            return 0


def _reopened(terminal: int) -> int:
    """Return a descriptor of the same terminal whose writes do not wait, -1 where there cannot be one.

    A terminal that is writable may still keep a writer waiting, and others share its first descriptor's flags.
    """
    try:
        return os.open(os.ttyname(terminal), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return -1


def _widen(pipe: int) -> None:
    """Let a pipe hold a burst of lines, or several of the longest, as far as the system allows."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            if fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) < _PIPE_BYTES:
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
