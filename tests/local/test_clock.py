"""The backend's clock, over a real clock that the tests hold in their hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from obskit.local.clock import Clock

START_MS = 1_800_000_000_000


class Hand:
    """A real clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def fast(hand: Hand) -> Clock:
    """Forty minutes in one."""
    return Clock.catching_up(simulated_s=2400, real_s=60, read_ms=hand)


def test_a_plain_clock_is_real_time(hand: Hand):
    """Without a fast part every moment is itself, to the nanosecond, and traces are not moved."""
    clock = Clock(read_ms=hand)
    assert clock.now_ms() == START_MS
    assert clock.to_backend_ms(5) == 5
    assert clock.to_backend_ns(1_234_567_890_123_456_789) == 1_234_567_890_123_456_789
    assert clock.trace_shift_ns("a" * 32, 17) == 0
    assert not clock.is_accelerated


def test_a_fast_clock_starts_in_the_past_and_catches_up(fast: Clock, hand: Hand):
    """It begins so far back that it meets real time at the end of its fast part, and stays with it."""
    assert fast.scale == 40
    assert fast.is_accelerated
    assert fast.now_ms() == START_MS + 60_000 - 2_400_000
    hand.now_ms += 30_000
    assert fast.now_ms() == START_MS + 60_000 - 1_200_000
    hand.now_ms += 30_000
    assert fast.now_ms() == hand.now_ms
    assert not fast.is_accelerated
    hand.now_ms += 1_000_000
    assert fast.now_ms() == hand.now_ms


def test_backend_time_never_goes_back(fast: Clock):
    """Over the beginning and the end of the fast part, a later real moment is a later moment of the backend."""
    real = range(START_MS - 5_000, START_MS + 70_000, 137)
    mapped = [fast.to_backend_ms(moment) for moment in real]
    assert all(earlier < later for earlier, later in pairwise(mapped))


def test_moments_before_the_fast_part_keep_their_distance(fast: Clock):
    """What happened two seconds before the clock began is two seconds before its beginning."""
    assert fast.to_backend_ms(START_MS) - fast.to_backend_ms(START_MS - 2_000) == 2_000


def test_nanoseconds_keep_their_fraction(fast: Clock):
    """The part below a millisecond is not scaled, and not lost."""
    real_ns = (START_MS + 1_000) * 1_000_000 + 123_456
    assert fast.to_backend_ns(real_ns) == fast.to_backend_ms(START_MS + 1_000) * 1_000_000 + 123_456


def test_a_trace_moves_as_a_whole(fast: Clock):
    """All spans of a trace are moved by the distance of the first one, so that they keep durations and nest."""
    start_ns = (START_MS + 10_000) * 1_000_000
    shift = fast.trace_shift_ns("a" * 32, start_ns)
    assert start_ns + shift == fast.to_backend_ns(start_ns)
    assert fast.trace_shift_ns("a" * 32, start_ns + 5_000_000_000) == shift
    assert fast.trace_shift_ns("b" * 32, start_ns + 5_000_000_000) != shift


def test_a_waiting_clock_stands_back_until_it_is_told_to_begin(hand: Hand):
    """Till then it goes at real speed, behind by what it has to catch up; it does not jump when it begins."""
    clock = Clock.waiting(simulated_s=2400, real_s=60, read_ms=hand)
    behind = hand.now_ms - clock.now_ms()
    assert behind == 2_340_000
    hand.now_ms += 120_000
    assert hand.now_ms - clock.now_ms() == behind
    clock.begin()
    assert hand.now_ms - clock.now_ms() == behind
    hand.now_ms += 60_000
    assert clock.now_ms() == hand.now_ms


@pytest.mark.parametrize(("scale", "begin_ms", "end_ms"), [(0.5, 0, 10), (2.0, 10, 5)])
def test_a_clock_that_could_not_catch_up_is_refused(scale: float, begin_ms: int, end_ms: int):
    """Slower than real time, or with its end before its beginning, a clock is a mistake."""
    with pytest.raises(ValueError, match="scale is at least 1"):
        Clock(scale=scale, begin_ms=begin_ms, end_ms=end_ms)


def test_the_speed_can_change_on_the_way(hand: Hand):
    """It goes on from where it is at the new speed, past moments stay where they were, and it meets the present once."""
    clock = Clock.waiting(simulated_s=2400, real_s=60, read_ms=hand)
    clock.begin()
    before = clock.now_ms()
    hand.now_ms += 10_000
    clock.pace(10.0)
    assert clock.now_ms() == before + 400_000
    assert clock.scale == 10.0
    assert clock.to_backend_ms(hand.now_ms - 5_000) == before + 200_000
    hand.now_ms += 10_000
    assert clock.now_ms() == before + 500_000
    clock.pace(1.0 + clock.behind_s / 5)
    hand.now_ms += 4_000
    assert clock.is_accelerated
    hand.now_ms += 1_000
    assert clock.now_ms() == hand.now_ms
    assert not clock.is_accelerated
    moments = [clock.to_backend_ms(moment) for moment in range(START_MS - 5_000, hand.now_ms + 10_000, 137)]
    assert all(earlier < later for earlier, later in pairwise(moments))


@pytest.mark.parametrize("scale", [1.0, 0.0, -3.0, float("nan")])
def test_a_speed_that_never_catches_up_is_refused(scale: float, fast: Clock):
    """Real time's speed or a slower one would leave the clock behind for ever."""
    with pytest.raises(ValueError, match="never catch up"):
        fast.pace(scale)
