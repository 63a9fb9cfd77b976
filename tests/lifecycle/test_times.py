"""Time stands still while the process does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from twins import Bench, Twin

from obskit.config import Config
from obskit.signals.delivery import Outcome
from obskit.signals.lanes import MAX_AGE_S, Lane
from obskit.signals.outlets import Outlet
from obskit.signals.tally import Tally
from obskit.signals.taps import MetricTap
from obskit.signals.times import AwakeClock
from obskit.signals.worker import Worker

HOUR_S = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_freeze_is_taken_off() -> None:
    """What a wait took beyond its measure did not pass; a wait of a busy machine did."""
    clock = Clock()
    awake = AwakeClock(clock)
    begun = awake()
    clock.now += 6.0
    assert awake.woke(begun, 5.0) == 0.0
    assert awake() == begun + 6.0
    clock.now += HOUR_S
    assert awake.woke(begun + 6.0, 5.0) > HOUR_S - 10.0
    assert awake() < begun + 15.0


def test_a_frozen_lane_does_not_age() -> None:
    """After an hour's freeze what failed before is tried again; after a quarter of an hour awake it is given up."""
    clock = Clock()
    awake = AwakeClock(clock)
    lane = Lane("spans", 1000, clock, awake=awake)
    lane.put("item", 1)
    fail = Outcome(reason="503", retry_after_s=0.0)
    calls: list[Sequence[Any]] = []

    def send(batch: Sequence[Any]) -> Outcome:
        calls.append(batch)
        return fail

    def pump() -> None:
        lane.pump(send, until=float("inf"), pressed=lambda: False)

    pump()
    begun = awake()
    clock.now += HOUR_S
    awake.woke(begun, 30.0)
    pump()
    assert len(calls) == 2
    assert lane.queued == 1
    clock.now += MAX_AGE_S
    pump()
    assert lane.lost() == {"expired": 1}


def test_what_comes_later_has_its_own_age() -> None:
    """Items that were queued during an outage are given up by their own age, not by that of the first."""
    clock = Clock()
    lane = Lane("spans", 1000, clock)

    def pump() -> None:
        lane.pump(lambda _: Outcome(retry_after_s=0.0), until=float("inf"), pressed=lambda: False)

    lane.put("old", 1)
    pump()
    clock.now += MAX_AGE_S / 2
    lane.put("young", 1)
    pump()
    clock.now += MAX_AGE_S / 2 + 1
    pump()
    assert (lane.queued, lane.lost()) == (1, {"expired": 1})
    clock.now += MAX_AGE_S / 2
    pump()
    assert (lane.queued, lane.lost()) == (0, {"expired": 2})


def test_a_frozen_flush_goes_on() -> None:
    """A flush whose wait took an hour instead of a moment has its time still before it."""
    clock, twin = Clock(), Twin()
    awake = AwakeClock(clock)
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        clock.now += seconds + (HOUR_S if len(sleeps) == 1 else 0.0)
        twin.trouble = None

    outlet = Outlet(lambda: twin, queue_bytes=10_000, tell=lambda problem: None, clock=clock, awake=awake)
    worker = Worker(
        Config(), [outlet], MetricTap(lambda _: True), Tally(), count_lost=lambda *_: None, awake=awake, sleep=sleep
    )
    twin.trouble = Outcome(reason="503", retry_after_s=0.0)
    for number in range(3):
        outlet.errors.put(number, 1)
    assert worker.flush(awake() + 6.0)
    assert twin.errors == [0, 1, 2]
    assert sleeps


def ending(twin: Twin, *, answers: int | None) -> tuple[bool, float, int]:
    """Flush at the end of a process with 6 s; the backend fails for so many calls, or for all of them."""
    clock = Clock()
    awake = AwakeClock(clock)
    twin.trouble = Outcome(reason="503", retry_after_s=0.0)

    def sleep(seconds: float) -> None:
        clock.now += seconds + 0.001  # a call takes a moment too
        if answers is not None and twin.calls >= answers:
            twin.trouble = None

    outlet = Outlet(lambda: twin, queue_bytes=10_000, tell=lambda problem: None, clock=clock, awake=awake)
    worker = Worker(
        Config(), [outlet], MetricTap(lambda _: True), Tally(), count_lost=lambda *_: None, awake=awake, sleep=sleep
    )
    outlet.errors.put("error", 1)
    begun = clock.now
    is_delivered = worker.flush(awake() + 6.0, is_end=True)
    return is_delivered, clock.now - begun, twin.calls


def test_the_end_is_not_given_up_after_a_few_failures() -> None:
    """A backend that fails five times in a row, at the end of the process, is asked a sixth time."""
    twin = Twin()
    is_delivered, _, calls = ending(twin, answers=5)
    assert (is_delivered, calls, twin.errors) == (True, 6, ["error"])


def test_a_dead_backend_does_not_get_all_of_the_end() -> None:
    """Where nothing is delivered at all, the process ends after three fifths of the time, having tried until then."""
    is_delivered, took_s, calls = ending(Twin(), answers=None)
    assert not is_delivered
    assert 2.6 < took_s <= 3.6
    assert calls >= 4


def test_the_end_waits_until_the_last_points_may_be_written() -> None:
    """Points that must not be written for another 5 s, and nothing else, are not given up before that."""
    clock, twin = Clock(), Twin(metric_spacing_s=5.0)
    awake = AwakeClock(clock)

    def sleep(seconds: float) -> None:
        clock.now += seconds + 0.001

    outlet = Outlet(lambda: twin, queue_bytes=10_000, tell=lambda problem: None, clock=clock, awake=awake)
    tap = MetricTap(lambda _: True)
    meters = MeterProvider([tap.reader], shutdown_on_exit=False)
    counter = meters.get_meter("t").create_counter("t")
    worker = Worker(Config(), [outlet], tap, Tally(), count_lost=lambda *_: None, awake=awake, sleep=sleep)
    for _ in range(2):  # the second time the first points have just been written
        counter.add(1)
        begun = clock.now
        assert worker.flush(awake() + 6.0, is_end=True)
    assert len(twin.snapshots) == 2
    assert 4.9 < clock.now - begun < 6.0


def test_points_stay_in_order_when_the_clock_is_set_back() -> None:
    """After a step back of an hour points are dated on from the last that arrived, until the clock has caught up."""
    wall = [time.time_ns()]
    twin = Twin()
    outlet = Outlet(lambda: twin, queue_bytes=10_000, tell=lambda problem: None)
    tap = MetricTap(lambda _: True)
    meters = MeterProvider([tap.reader], shutdown_on_exit=False)
    counter = meters.get_meter("t").create_counter("t")
    worker = Worker(Config(), [outlet], tap, Tally(), count_lost=lambda *_: None, wall=lambda: wall[0])
    for step_s in (0, -HOUR_S, 0):
        wall[0] = time.time_ns() + int(step_s * 1e9)
        counter.add(1)
        assert worker.flush(time.monotonic() + 5.0)
    dated = [
        point.time_unix_nano
        for data in twin.snapshots
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
    assert len(dated) == 3
    # The SDK's own reading is not set back here, so the second point is moved ahead by the step.
    assert dated[1] - dated[0] >= int(HOUR_S * 1e9) - 1_000_000_000


def test_a_pause_that_is_asked_for_is_bounded() -> None:
    """A backend that asks for a year is asked again after a quarter of an hour."""
    clock = Clock()
    lane = Lane("spans", 1000, clock)
    lane.put("item", 1)
    lane.pump(lambda _: Outcome(retry_after_s=3e7), until=float("inf"), pressed=lambda: False)
    wait_s = lane.due_in_s(0.0)
    assert wait_s is not None
    assert 0 < wait_s <= 900.0


def test_a_large_item_is_refused() -> None:
    """What would need several times the queue's bytes on its way is dropped and counted, and takes no room."""
    with Bench() as bench:
        bench.spans(1, payload="x" * 5_000_000)
        bench.spans(1)
        assert not bench.pipeline.flush(5.0)
        assert bench.pipeline.status().lost_by_reason == {"spans: too_large": 1}
        assert len(bench.twin.spans) == 1
