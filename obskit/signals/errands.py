"""What a caller wants of the export thread, and how long the caller waits for it."""

from __future__ import annotations

import threading
import time
from typing import Final

__all__ = ["GRACE_S", "Errand"]

GRACE_S: Final = 0.1
"""Seconds between the export thread's own deadline and that of the caller who waits for it."""

_SLICE_S: Final = 0.5  # a caller who waits notices within this time that the process was frozen
_WRITE_S: Final = 1.0  # what is half on disk at the deadline is worth that much; a batch is a few MiB
_FROZEN_S: Final = 2.0  # a wait that takes so much longer than it should was a frozen process's


class Errand:
    """A flush, or an end.

    Args:
        deadline: for the export thread, in monotonic seconds; a frozen process does not come nearer to it.
        is_last: whether the thread is to end afterwards.
        is_saving: whether what cannot be delivered goes to disk.

    Attributes:
        deadline: as given.
        is_last: as given.
        is_saving: as given.
        is_writing: whether that is happening now.
        done: set when the thread has finished with it.
        is_delivered: whether everything was; known before it is done, as there may be connections to close.
    """

    __slots__ = ("deadline", "done", "is_delivered", "is_last", "is_saving", "is_writing")

    def __init__(self, *, deadline: float, is_last: bool = False, is_saving: bool = False) -> None:
        self.deadline = deadline
        self.is_last = is_last
        self.is_saving = is_saving
        self.is_writing = False
        self.done = threading.Event()
        self.is_delivered = False

    def wait(self) -> None:
        """Wait until it is done, or a moment longer than the export thread may take."""
        while (wait_s := min(_SLICE_S, self.deadline + GRACE_S - time.monotonic())) > 0:
            begun = time.monotonic()
            if self.done.wait(wait_s):
                return
            if (beyond_s := time.monotonic() - begun - wait_s) > _FROZEN_S:
                self.deadline += beyond_s
        if self.is_writing:
            self.done.wait(_WRITE_S)
