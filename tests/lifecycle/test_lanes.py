"""A lane is bounded, delivers in order, tries again as asked, and counts exactly."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from obskit.signals.delivery import Outcome
from obskit.signals.lanes import BATCH_ITEMS, MAX_AGE_S, Lane, backoff_s


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Backend:
    """Answers with the outcomes that it was given, then with success, and keeps what it took."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.batches: list[list[object]] = []
        self.taken: list[object] = []

    def __call__(self, batch: Sequence[object]) -> Outcome:
        self.batches.append(list(batch))
        outcome = self.outcomes.pop(0) if self.outcomes else Outcome(delivered=len(batch))
        self.taken += batch[: outcome.delivered]
        return outcome


def pump(lane: Lane, backend: Backend) -> None:
    lane.pump(backend, until=float("inf"), pressed=lambda: False)


def filled(count: int, clock: Clock, size_bytes: int = 1, cap_bytes: int = 1_000_000) -> Lane:
    lane = Lane("spans", cap_bytes, clock)
    for number in range(count):
        lane.put(number, size_bytes)
    return lane


def test_delivers_in_order_and_in_batches() -> None:
    """What was put first is delivered first, at most a batch at a time."""
    lane, backend = filled(BATCH_ITEMS + 5, Clock()), Backend()
    pump(lane, backend)
    assert backend.taken == list(range(BATCH_ITEMS + 5))
    assert [len(batch) for batch in backend.batches] == [BATCH_ITEMS, 5]
    assert (lane.sent, lane.queued, lane.waiting_bytes) == (BATCH_ITEMS + 5, 0, 0)


def test_refuses_what_does_not_fit() -> None:
    """Beyond its bytes a lane refuses and counts, and has room again once something was delivered."""
    clock = Clock()
    lane = filled(15, clock, size_bytes=10, cap_bytes=100)
    assert (lane.queued, lane.lost()) == (10, {"queue_full": 5})
    pump(lane, Backend())
    assert lane.put("more", 100)
    assert not lane.put("one too many", 1)
    assert lane.lost() == {"queue_full": 6}


def test_tries_the_same_batch_again() -> None:
    """A batch that must wait is kept, in order, and goes out again no sooner than the backend asked."""
    clock = Clock()
    lane, backend = filled(3, clock), Backend(Outcome(retry_after_s=7.0))
    pump(lane, backend)
    pump(lane, backend)
    assert len(backend.batches) == 1
    wait_s = lane.due_in_s(0.0)
    assert wait_s is not None
    assert wait_s >= 7.0
    clock.now += wait_s
    pump(lane, backend)
    assert backend.taken == [0, 1, 2]
    assert lane.lost() == {}


def test_partial_delivery() -> None:
    """Of a batch that was taken in part, the refused items are lost and the rest is tried again."""
    clock = Clock()
    lane = filled(10, clock)
    backend = Backend(Outcome(delivered=4, lost=1, reason="rejected", retry_after_s=0.0))
    pump(lane, backend)
    assert (lane.sent, lane.queued, lane.lost()) == (4, 5, {"rejected": 1})
    clock.now += 60
    pump(lane, backend)
    assert backend.taken == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_gives_up_what_is_refused_for_good() -> None:
    """A batch that the backend refuses is lost, and the next one is sent."""
    lane = filled(BATCH_ITEMS + 2, Clock())
    backend = Backend(Outcome(reason="rejected"))
    pump(lane, backend)
    assert lane.lost() == {"rejected": BATCH_ITEMS}
    assert backend.taken == [BATCH_ITEMS, BATCH_ITEMS + 1]


def test_gives_up_what_is_too_old() -> None:
    """What could not be delivered for a quarter of an hour makes room for what is new."""
    clock = Clock()
    lane, backend = filled(2, clock), Backend(*[Outcome(retry_after_s=0.0)] * 2)
    pump(lane, backend)
    clock.now += MAX_AGE_S + 1
    pump(lane, backend)
    assert lane.lost() == {"expired": 2}
    assert lane.queued == 0


def test_close_counts_everything_once() -> None:
    """Closing in the middle of a call counts each item once, whatever the call says afterwards."""
    lane = filled(5, Clock())

    def send(batch: Sequence[object]) -> Outcome:
        lane.close("timeout")
        return Outcome(delivered=len(batch))

    lane.pump(send, until=float("inf"), pressed=lambda: False)
    assert (lane.sent, lane.lost()) == (0, {"timeout": 5})
    lane.put("late", 1)
    assert lane.lost() == {"timeout": 6}


def test_forgets_what_a_destination_does_not_take() -> None:
    """Spans for a destination of errors only are neither sent nor lost."""
    lane = filled(5, Clock())
    lane.close("")
    lane.put("more", 1)
    assert (lane.sent, lane.queued, lane.lost(), lane.waiting_bytes) == (0, 0, {}, 0)


def test_counts_from_many_threads() -> None:
    """Items put by many threads while another delivers are all accounted for."""
    lane, backend = Lane("spans", 10_000), Backend()
    threads = [threading.Thread(target=lambda: [lane.put(0, 10) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        pump(lane, backend)
    pump(lane, backend)
    assert lane.sent + sum(lane.lost().values()) == 8000
    assert lane.waiting_bytes == 0


@pytest.mark.parametrize("attempt", [1, 5, 50, 5000])
def test_backoff_is_bounded(attempt: int) -> None:
    """Waits grow to half a minute at most, and never undercut what the backend asked for."""
    assert 0 < backoff_s(attempt) <= 30.0
    assert backoff_s(attempt, 100.0) == 100.0


def test_hurry_keeps_the_destinations_pause_only() -> None:
    """When time runs out a lane forgets its own backoff, but not the pause that the backend asked for."""
    clock = Clock()
    lane, backend = filled(1, clock), Backend(*[Outcome(retry_after_s=0.0)] * 8, Outcome(retry_after_s=20.0))
    for _ in range(8):
        pump(lane, backend)
        clock.now += 30
    lane.hurry()
    pump(lane, backend)
    assert len(backend.batches) == 9
    lane.hurry()
    pump(lane, backend)
    assert len(backend.batches) == 9
    clock.now += 20
    lane.hurry()
    pump(lane, backend)
    assert backend.taken == [0]
