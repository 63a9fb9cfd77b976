"""How fast the backend's clock goes in the demo's phases, and how long a phase waits for its incidents."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from obskit.demo.pacing import Pacing
from obskit.demo.readings import BackendReader
from obskit.demo.script import EXPECTED, RESERVE_S, SCRIPT, Phase
from obskit.local.clock import Clock
from obskit.local.serve import LocalBackend

SIMULATED_S = sum(phase.simulated_s for phase in SCRIPT) + RESERVE_S


@pytest.fixture(scope="module")
def reader() -> Iterator[BackendReader]:
    """A backend without any incident."""
    with LocalBackend(project="p", http_port=0, grpc_port=0) as backend:
        yield BackendReader(backend.http_url, "p")


class Hand:
    """A real clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.mark.parametrize("stretch", [0.75, 1.0, 5.0])
def test_each_phase_takes_its_simulated_time_and_the_last_one_the_rest(reader: BackendReader, stretch: float) -> None:
    """At any length, the clock goes as far as the phase says, and meets the present at the end of the last one."""
    hand = Hand()
    clock = Clock.waiting(simulated_s=SIMULATED_S, real_s=60 * stretch, read_ms=hand)
    clock.begin()
    pacing = Pacing(clock, reader, stretch)
    for phase in SCRIPT:
        before_ms = clock.now_ms()
        length_s = pacing.begin(phase).length_s
        assert length_s == phase.length_s * stretch
        hand.now_ms += round(length_s * 1000)
        if phase is not SCRIPT[-1]:
            assert clock.now_ms() - before_ms == pytest.approx(max(phase.simulated_s, 2 * length_s) * 1000, abs=2)
    assert clock.now_ms() == hand.now_ms


def phase_named(name: str) -> Phase:
    return next(phase for phase in SCRIPT if phase.name == name)


def test_a_phase_without_its_incident_goes_on_with_a_slower_clock(reader: BackendReader) -> None:
    """It slows the clock down, and ends when only the time of the later phases is left."""
    hand = Hand()
    clock = Clock.waiting(simulated_s=SIMULATED_S, real_s=60, read_ms=hand)
    clock.begin()
    pacing = Pacing(clock, reader, 1.0)
    goes_on = pacing.begin(phase_named("down")).goes_on
    fast = clock.scale
    assert goes_on()
    assert clock.scale == pytest.approx(fast / 4)
    later_s = sum(phase.simulated_s - phase.length_s for phase in SCRIPT[-2:])
    hand.now_ms += round((clock.behind_s - later_s) / (clock.scale - 1) * 1000) + 100
    deadline = time.monotonic() + 30
    while goes_on():
        assert time.monotonic() < deadline


@pytest.mark.parametrize("name", ["normal", "mending"])
def test_a_phase_that_waits_for_nothing_more_ends(reader: BackendReader, name: str) -> None:
    """Without incidents to wait for, and with no circuit open, its length is all."""
    clock = Clock.waiting(simulated_s=SIMULATED_S, real_s=60)
    clock.begin()
    assert not Pacing(clock, reader, 1.0).begin(phase_named(name)).goes_on()


def test_phases_wait_for_incidents_that_are_expected() -> None:
    """What all phases together wait for is what the script must open, but for what outlasts it."""
    awaited: dict[str, int] = {}
    for phase in SCRIPT:
        awaited |= phase.opens
    assert awaited == {
        policy: expected.opened for policy, expected in EXPECTED.items() if expected.closed == expected.opened > 0
    }


def test_requests_that_take_longer_than_the_phase_slow_its_clock_down(reader: BackendReader) -> None:
    """A machine that cannot keep up loses no simulated time by it."""
    clock = Clock.waiting(simulated_s=SIMULATED_S, real_s=60)
    clock.begin()
    extension = Pacing(clock, reader, 1e-3).begin(phase_named("errors"))
    fast = clock.scale
    deadline = time.monotonic() + 30
    while clock.scale == fast:
        extension.watch()
        assert time.monotonic() < deadline
    assert clock.scale == pytest.approx(fast / 4)
