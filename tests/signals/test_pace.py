"""The export thread's slices."""

from __future__ import annotations

import time
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from obskit.signals.delivery import Outcome
from obskit.signals.lanes import BATCH_ITEMS
from obskit.signals.names import SPANS
from obskit.signals.outlets import Outlet
from obskit.signals.pace import SpanBatch


def read(
    monkeypatch: pytest.MonkeyPatch, *, each_s: float, pause_s: float, is_hurried: bool = False
) -> tuple[list[int], int]:
    """Read a batch by a clock of its own; return what came and how many pauses there were."""
    now, pauses = [0.0], []

    def sleep(_: float) -> None:
        pauses.append(now[0])
        now[0] += pause_s

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    seen = []
    for item in SpanBatch(range(100), None, is_hurried=is_hurried):
        seen.append(item)
        now[0] += each_s
    return seen, len(pauses)


def test_a_batch_is_read_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """All items come in order, with a pause after each slice of a fifth of a millisecond."""
    assert read(monkeypatch, each_s=0.00009, pause_s=0.0001) == (list(range(100)), 33)


def test_a_quick_reader_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes less than a slice goes through."""
    assert read(monkeypatch, each_s=0.000001, pause_s=0.0001)[1] == 0


def test_at_the_end_nothing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush is in a hurry."""
    assert read(monkeypatch, each_s=0.00009, pause_s=0.0001, is_hurried=True) == (list(range(100)), 0)


def test_a_part_of_a_batch_is_one() -> None:
    """What is refused is sent again in halves."""
    batch = SpanBatch(range(10), None, is_hurried=True)
    assert (list(batch[2:4]), batch[3], len(batch[5:])) == ([2, 3], 3, 5)


def test_beside_an_app_that_never_pauses_the_rest_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause that takes fifty times as long as asked for is the last one."""
    assert read(monkeypatch, each_s=0.00009, pause_s=0.005) == (list(range(100)), 1)


class Slow:
    """Takes everything, as beside an app that never pauses."""

    name, handles, metric_spacing_s = "slow", frozenset({SPANS}), 0.0

    def __init__(self, now: list[float]) -> None:
        self.now = now
        self.batches: list[bool] = []

    def export_spans(self, batch: SpanBatch, _: float) -> Outcome:
        self.batches.append(batch.is_hurried)
        for _span in batch:
            self.now[0] += 0.001
        return Outcome(delivered=len(batch))

    def __getattr__(self, name: str) -> Any:
        return lambda *_: Outcome()


def test_what_one_batch_finds_holds_for_those_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try costs the app a turn, with cold caches; the next time that something is due is another matter."""
    now, pauses = [0.0], []

    def sleep(_: float) -> None:
        pauses.append(now[0])
        now[0] += 0.005

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    destination = Slow(now)
    outlet = Outlet(lambda: destination, queue_bytes=1 << 26, tell=lambda problem: pytest.fail(str(problem)))
    span = TracerProvider().get_tracer("t").start_span("a")
    span.end()
    for turn in (1, 2):
        for _ in range(3 * BATCH_ITEMS):
            assert outlet.spans.put(span, 100)
        outlet.load()
        outlet.pump(float("inf"))
        assert destination.batches == [False, True, True] * turn
        assert len(pauses) == turn
