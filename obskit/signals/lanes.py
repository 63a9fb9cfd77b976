"""A lane: one signal on its way to one destination, bounded in bytes, with its retries and its tally."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import repeat, starmap
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

from obskit.signals.ended import RECORD
from obskit.signals.intakes import intake

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.signals.delivery import Outcome
    from obskit.signals.reports import ErrorReport

__all__ = ["Lane", "backoff_s", "report_size_bytes", "span_size_bytes", "values_size"]

BATCH_ITEMS: Final = 512
BATCH_BYTES: Final = 3 * 1024 * 1024  # gRPC servers accept 4 MiB by default; sizes here are estimates in memory
ITEM_BYTES: Final = 4 * 1024 * 1024  # a larger one would fit nowhere, and take several times its size on the way
MAX_AGE_S: Final = 900.0  # counted from the first failure that an item has lived through, while the process is awake
MOST_PAUSE_S: Final = 900.0  # a backend that asks for more is asked again sooner
_BACKOFF_FIRST_S: Final = 0.25
_BACKOFF_MOST_S: Final = 30.0
_SPAN_BYTES: Final = 2048  # a finished span without attributes, measured with tracemalloc on CPython 3.11 to 3.13
_ENTRY_BYTES: Final = 64
_EVENT_BYTES: Final = 512
_READY: Final = frozenset({RECORD}) - {tuple}
"""The type of a request's record, which is ready as it is, where the compiled module has one of its own for it."""


def backoff_s(attempt: int, retry_after_s: float = 0.0) -> float:
    """Return how long to wait before retry number `attempt` (from 1), never less than the backend asked for."""
    most = min(_BACKOFF_MOST_S, _BACKOFF_FIRST_S * 2.0 ** min(attempt - 1, 16))
    return max(retry_after_s, most * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret


def values_size(attributes: Any) -> int:
    """Return about how much memory the values of some attributes keep alive."""
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
    size = _SPAN_BYTES + values_size(span.attributes)
    for event in span.events:
        size += _EVENT_BYTES + values_size(event.attributes)
    return size + _EVENT_BYTES * len(span.links)


def report_size_bytes(report: ErrorReport) -> int:
    """Return about how much memory an error report keeps alive; its exception's frames are none of it by now."""
    size = _SPAN_BYTES + getsizeof(report.message) + getsizeof(report.stack_trace) + values_size(report.labels)
    if report.http:
        size += values_size(report.http)
    return size + sum(raised.size_bytes for raised in report.raised)


class Lane:
    """Keeps what waits for one destination, delivers it in order, and knows exactly what became of each item.

    `put` is called by the app's threads, on the way of every request, and waits for nobody for longer than a few
    instructions; it is safe in a signal handler. `pump` and `unload` are called by the export thread alone.

    Args:
        signal: which signal it carries.
        cap_bytes: most bytes that may wait; what comes then is refused and counted as ``queue_full``.
        clock: monotonic seconds.
        awake: the seconds by which items age; those of `clock` by default.
        prepare: makes an item ready for its destination, once, on the export thread.
        wake: called when a quarter of the bytes has gathered.
        is_native: whether the compiled module may take items in.

    Attributes:
        intake: where items come in.
    """

    def __init__(
        self,
        signal: str,
        cap_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        awake: Callable[[], float] | None = None,
        prepare: Callable[[Any], Any] = lambda item: item,
        wake: Callable[[], None] = lambda: None,
        is_native: bool = False,
    ) -> None:
        self.signal = signal
        self.sent = 0
        self.moved = 0
        self.cap_bytes = cap_bytes
        self._clock = clock
        self._awake = awake or clock
        self._prepare = prepare
        # Side by side, as a pair for each would be one more object for the garbage collector to look at.
        self._items: deque[Any] = deque()
        self._sizes: deque[int] = deque()
        self._wake_room = cap_bytes - min(BATCH_BYTES, cap_bytes // 4)
        self.intake = intake(
            self._items,
            self._sizes,
            cap_bytes,
            most_bytes=min(ITEM_BYTES, cap_bytes),
            urgent_room=self._wake_room,
            refuse=self._refuse,
            wake=wake,
            is_native=is_native,
        )
        self._refused: Counter[str] = Counter()
        self._refused_lock = threading.RLock()  # re-entrant: a signal handler may end a span, too
        self._closed_as: str | None = None
        self._settle_lock = threading.RLock()
        self._flight: deque[Any] = deque()
        self._flight_sizes: deque[int] = deque()
        self._lost: Counter[str] = Counter()
        self._forgotten = 0
        self._failures: deque[tuple[int, float]] = deque()  # how many had been put at a failure, and when it was
        self._attempt = 0
        self._pumped_at = clock()
        self._not_before = 0.0
        self._asked_until = 0.0

    # ------------------------------------------------------------------ the app's side

    def put(self, item: Any, size_bytes: int) -> bool:
        """Queue one item, or refuse and count it."""
        return self.intake.put(item, size_bytes)

    def _refuse(self, size_bytes: int) -> None:
        reason = self._closed_as
        if reason is None:
            reason = "too_large" if size_bytes > self.intake.most_bytes else "queue_full"
        if reason:
            with self._refused_lock:
                self._refused[reason] += 1

    # ------------------------------------------------------------------ figures

    @property
    def accepted(self) -> int:
        """Items taken in so far."""
        return self.intake.put_count

    @property
    def given_up(self) -> int:
        """Accepted items that were lost."""
        return sum(self._lost.values())

    @property
    def queued(self) -> int:
        """Items that wait or are on the wire."""
        return self.intake.put_count - self._settled

    @property
    def _settled(self) -> int:
        return self.sent + self.moved + self.given_up + self._forgotten

    @property
    def is_pausing(self) -> bool:
        """Whether the last batch failed and the next one must wait."""
        return bool(self._flight) and self._clock() < self._not_before

    @property
    def waiting_bytes(self) -> int:
        """Bytes of what waits or is on the wire."""
        return self.cap_bytes - self.intake.room if self._closed_as is None else 0

    def lost(self) -> Counter[str]:
        """Return how many items were refused or given up, by reason."""
        return self._lost + self._refused

    def due_in_s(self, interval_s: float) -> float | None:
        """Return the seconds until this lane wants the export thread, None when it holds nothing.

        Args:
            interval_s: how long an item may wait for others to join it.
        """
        now = self._clock()
        if self._flight:
            return max(0.0, self._not_before - now)
        if not self._items:
            return None
        if len(self._items) >= BATCH_ITEMS or self.intake.room < self._wake_room:
            return max(0.0, self._not_before - now)
        return max(0.0, self._not_before - now, self._pumped_at + interval_s - now)

    # ------------------------------------------------------------------ the export thread's side

    def pump(self, send: Callable[[Sequence[Any]], Outcome], *, until: float, pressed: Callable[[], bool]) -> None:
        """Send batches until nothing is left or the destination asks for a pause.

        Args:
            send: delivers one batch; must not raise.
            until: in seconds of `awake`; no batch is begun after it.
            pressed: whether the thread is wanted elsewhere; asked between two batches.
        """
        self._pumped_at = self._clock()
        while self._awake() < until and self._not_before <= self._clock() and self._take():
            outcome = send(list(self._flight))
            if not self._settle(outcome) or pressed():
                return

    def hurry(self) -> None:
        """Let go of the lane's own patience, not of the pause that the destination asked for; time is running out."""
        self._attempt = 0
        self._not_before = min(self._not_before, self._asked_until)

    def unload(self, keep: Callable[[Sequence[Any]], bool], *, down_to_bytes: int = -1) -> None:
        """Hand what waits to another keeper, oldest first, while more than `down_to_bytes` wait.

        Args:
            keep: takes one batch and says whether it has it; when it has not, the rest stays.
            down_to_bytes: where to stop; by default when nothing is left.
        """
        while self.waiting_bytes > down_to_bytes and self._take():
            is_kept = keep(list(self._flight))
            if not is_kept:
                return
            with self._settle_lock:
                self.moved += self._drop(len(self._flight))

    def _take(self) -> bool:
        """Fill the flight; what is left of a batch that is tried again goes out as it is."""
        with self._settle_lock:
            if self._flight or self._take_ready():
                return True
            size, sizes, prepare = 0, self._sizes, self._prepare
            while self._items and len(self._flight) < BATCH_ITEMS and (not size or size + sizes[0] <= BATCH_BYTES):
                item, item_size = self._items.popleft(), sizes.popleft()
                try:
                    # A request's record, as most are, is ready as it is; the call would cost more than all else here.
                    is_ready = item.__class__ is RECORD and (RECORD is not tuple or item[0].__class__ is str)
                    self._flight.append(item if is_ready else prepare(item))
                except Exception as error:  # noqa: BLE001 - one item that cannot be read, and no other
                    self._lost[f"unreadable ({type(error).__name__})"] += 1
                    self._give_back(item_size)
                    continue
                self._flight_sizes.append(item_size)
                size += item_size
            return bool(self._flight)

    def _take_ready(self) -> bool:
        """Fill the flight where all of it is ready, as most often; one by one is most of the way of a span."""
        items, sizes = self._items, self._sizes
        first = range(min(len(items), BATCH_ITEMS))
        if not first or not _READY.issuperset(map(type, map(items.__getitem__, first))):
            return False
        if sum(map(sizes.__getitem__, first)) > BATCH_BYTES:
            return False
        # In this order: an exception of a signal's handler in between leaves the items where they are counted.
        self._flight_sizes.extend(starmap(sizes.popleft, repeat((), len(first))))
        self._flight.extend(starmap(items.popleft, repeat((), len(first))))
        return True

    def _settle(self, outcome: Outcome) -> bool:
        with self._settle_lock:
            self.sent += self._drop(outcome.delivered)
            self._lose(outcome.lost, outcome.reason or "rejected")
            if self._flight and outcome.retry_after_s is None:
                self._lose(len(self._flight), outcome.reason or "rejected")
            if not self._flight:
                self._attempt, self._not_before, self.intake.urgent_room = 0, 0.0, self._wake_room
                while self._failures and self._failures[0][0] <= self._settled:
                    self._failures.popleft()
                return True
            self._attempt = 1 if outcome.delivered else self._attempt + 1
            asked_s = min(outcome.retry_after_s or 0.0, MOST_PAUSE_S)
            self._asked_until = self._clock() + asked_s
            self._not_before = self._clock() + backoff_s(self._attempt, asked_s)
            self.intake.urgent_room = -1  # nothing can be hurried now
            self._expire()
        return False

    def _expire(self) -> None:
        now = self._awake()
        self._failures.append((self.intake.put_count, now))
        while now - self._failures[0][1] > MAX_AGE_S:
            count, _ = self._failures.popleft()
            while self._settled < count and (self._flight or self._take()):
                self._lose(1, "expired")

    def _lose(self, count: int, reason: str) -> None:
        if count := self._drop(count):
            self._lost[reason] += count

    def _drop(self, count: int) -> int:
        count = min(count, len(self._flight))
        if count == len(self._flight):
            size = sum(self._flight_sizes)
            self._flight.clear()
            self._flight_sizes.clear()
        else:
            size = 0
            for _ in range(count):
                self._flight.popleft()
                size += self._flight_sizes.popleft()
        self._give_back(size)
        return count

    def _give_back(self, size: int) -> None:
        self.intake.give_back(size)

    def close(self, reason: str) -> int:
        """Give up all that waits, for `reason`, and refuse what still comes; with no reason, forget it uncounted.

        Returns:
            How many items were given up.
        """
        with self._settle_lock:
            self._closed_as = reason
            self.intake.close()
            count = len(self._items) + len(self._flight)
            self._items.clear()
            self._sizes.clear()
            self._flight.clear()
            self._flight_sizes.clear()
            if reason:
                self._lost[reason] += count
            else:
                self._forgotten += count
        return count
