"""A lane: one signal on its way to one destination, bounded in bytes, with its retries and its tally."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

from obskit.signals.delivery import Outcome

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.signals.reports import ErrorReport

__all__ = ["Lane", "backoff_s", "report_size_bytes", "span_size_bytes"]

BATCH_ITEMS: Final = 512
BATCH_BYTES: Final = 3 * 1024 * 1024  # gRPC servers accept 4 MiB by default; sizes here are estimates in memory
MAX_AGE_S: Final = 900.0
_BACKOFF_FIRST_S: Final = 0.25
_BACKOFF_MOST_S: Final = 30.0
_SPAN_BYTES: Final = 2048  # a finished span without attributes, measured with tracemalloc on CPython 3.11 to 3.13
_ENTRY_BYTES: Final = 64
_EVENT_BYTES: Final = 512


def backoff_s(attempt: int, retry_after_s: float = 0.0) -> float:
    """Return how long to wait before retry number `attempt` (from 1), never less than the backend asked for."""
    most = min(_BACKOFF_MOST_S, _BACKOFF_FIRST_S * 2.0 ** min(attempt - 1, 16))
    return max(retry_after_s, most * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret


def _values_size(attributes: Any) -> int:
    if not attributes:
        return 0
    # A plain dict and C functions: this is paid by the app's own thread at the end of every span.
    values = attributes.copy().values()
    size = sum(map(getsizeof, values))
    for value in values:
        if value.__class__ is tuple:  # getsizeof counts a sequence's own bytes, not its items'
            size += sum(map(getsizeof, value))
    return size + _ENTRY_BYTES * len(values)


def span_size_bytes(span: ReadableSpan) -> int:
    """Return about how much memory a finished span keeps alive."""
    size = _SPAN_BYTES + _values_size(span.attributes)
    for event in span.events:
        size += _EVENT_BYTES + _values_size(event.attributes)
    return size + _EVENT_BYTES * len(span.links)


def report_size_bytes(report: ErrorReport) -> int:
    """Return about how much memory an error report keeps alive, without the exception's own frames."""
    return _SPAN_BYTES + getsizeof(report.message) + getsizeof(report.stack_trace)


class Lane:
    """Keeps what waits for one destination, delivers it in order, and knows exactly what became of each item.

    `put` is called by the app's threads and never blocks on anything that the export thread holds, so it is
    safe in a signal handler; `pump` is called by the export thread alone.

    Args:
        signal: which signal it carries.
        cap_bytes: most bytes that may wait; what comes then is refused and counted as ``queue_full``.
        clock: monotonic seconds.
    """

    def __init__(self, signal: str, cap_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.signal = signal
        self.sent = 0
        self._cap_bytes = cap_bytes
        self._clock = clock
        self._put_lock = threading.RLock()  # re-entrant: a signal handler may end a span while its thread is in put
        self._items: deque[tuple[Any, int, float]] = deque()
        self._put_bytes = 0
        self._put_count = 0
        self._refused: Counter[str] = Counter()
        self._closed_as: str | None = None
        self._settle_lock = threading.Lock()
        self._flight: deque[tuple[Any, int, float]] = deque()
        self._taken_bytes = 0
        self._lost: Counter[str] = Counter()
        self._forgotten = 0
        self._attempt = 0
        self._not_before = 0.0
        self._asked_until = 0.0

    # ------------------------------------------------------------------ the app's side

    def put(self, item: Any, size_bytes: int) -> bool:
        """Queue one item, or refuse and count it."""
        with self._put_lock:
            if self._closed_as is not None:
                if self._closed_as:
                    self._refused[self._closed_as] += 1
                return False
            if self._put_bytes - self._taken_bytes + size_bytes > self._cap_bytes:
                self._refused["queue_full"] += 1
                return False
            self._put_bytes += size_bytes
            self._put_count += 1
            self._items.append((item, size_bytes, self._clock()))
        return True

    # ------------------------------------------------------------------ figures

    @property
    def accepted(self) -> int:
        """Items taken in so far."""
        return self._put_count

    @property
    def given_up(self) -> int:
        """Accepted items that were lost."""
        return sum(self._lost.values())

    @property
    def queued(self) -> int:
        """Items that wait or are on the wire."""
        return self._put_count - self.sent - self.given_up - self._forgotten

    @property
    def waiting_bytes(self) -> int:
        """Bytes of what waits or is on the wire."""
        return self._put_bytes - self._taken_bytes

    def lost(self) -> Counter[str]:
        """Return how many items were refused or given up, by reason."""
        return self._lost + self._refused

    def due_in_s(self, interval_s: float) -> float | None:
        """Return the seconds until this lane wants the export thread, None when it holds nothing."""
        now = self._clock()
        if self._flight:
            return max(0.0, self._not_before - now)
        if not self._items:
            return None
        if len(self._items) >= BATCH_ITEMS or self.waiting_bytes >= min(BATCH_BYTES, self._cap_bytes // 4):
            return max(0.0, self._not_before - now)
        return max(0.0, self._not_before - now, self._items[0][2] + interval_s - now)

    # ------------------------------------------------------------------ the export thread's side

    def pump(self, send: Callable[[Sequence[Any]], Outcome], *, until: float, pressed: Callable[[], bool]) -> None:
        """Send batches until nothing is left or the destination asks for a pause.

        Args:
            send: delivers one batch; must not raise.
            until: on the lane's clock, in seconds; no batch is begun after it.
            pressed: whether the thread is wanted elsewhere; asked between two batches.
        """
        while self._clock() < until and self._not_before <= self._clock() and self._take():
            outcome = send([item for item, _, _ in self._flight])
            if not self._settle(outcome) or pressed():
                return

    def hurry(self) -> None:
        """Let go of the lane's own patience, not of the pause that the destination asked for; time is running out."""
        self._attempt = 0
        self._not_before = min(self._not_before, self._asked_until)

    def _take(self) -> bool:
        size = 0
        while not self._flight or (self._items and len(self._flight) < BATCH_ITEMS and size < BATCH_BYTES):
            if self._flight and not size:
                return True  # the rest of a batch that is tried again goes out as it is
            if not self._items:
                return False
            entry = self._items.popleft()
            size += entry[1]
            self._flight.append(entry)
        return True

    def _settle(self, outcome: Outcome) -> bool:
        with self._settle_lock:
            self._finish(outcome.delivered, None)
            self._finish(outcome.lost, outcome.reason or "rejected")
            if not self._flight:
                self._attempt, self._not_before = 0, 0.0
                return True
            if outcome.retry_after_s is None:
                self._finish(len(self._flight), outcome.reason or "rejected")
                return True
            while self._flight and self._clock() - self._flight[0][2] > MAX_AGE_S:
                self._finish(1, "expired")
            self._attempt = 1 if outcome.delivered else self._attempt + 1
            self._asked_until = self._clock() + outcome.retry_after_s
            self._not_before = self._clock() + backoff_s(self._attempt, outcome.retry_after_s)
        return False

    def _finish(self, count: int, lost_as: str | None) -> None:
        count = min(count, len(self._flight))
        for _ in range(count):
            self._taken_bytes += self._flight.popleft()[1]
        if lost_as is None:
            self.sent += count
        elif count:
            self._lost[lost_as] += count

    def close(self, reason: str) -> int:
        """Give up all that waits, for `reason`, and refuse what still comes; with no reason, forget it uncounted.

        Returns:
            How many items were given up.
        """
        with self._settle_lock:
            self._closed_as = reason
            while self._items:
                self._flight.append(self._items.popleft())
            count = len(self._flight)
            self._taken_bytes += sum(size for _, size, _ in self._flight)
            self._flight.clear()
            if reason:
                self._lost[reason] += count
            else:
                self._forgotten += count
        return count

    def reopen(self) -> None:
        """Accept items again after `close`."""
        self._closed_as = None
