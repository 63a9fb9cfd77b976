"""What a finalizer puts off is done soon, once, and by somebody who may wait."""

from __future__ import annotations

import contextvars
import gc
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import obskit
from obskit.signals import chores
from obskit.testing import capture, capturing

pytestmark = pytest.mark.timeout(20)


@pytest.fixture(autouse=True)
def nothing_waits() -> Iterator[None]:
    chores.watch()
    chores.run()
    yield
    chores.waiting.clear()


class Dropped:
    """Tells at its end where it was, and keeps itself from being dropped at once if wanted."""

    def __init__(self, told: list[Any], *, in_cycle: bool) -> None:
        self.told = told
        self.itself = self if in_cycle else None

    def __del__(self) -> None:
        self.told.append(chores.is_collecting())


def test_a_finalizer_knows_whether_the_collector_has_called_it() -> None:
    """One that runs where the last reference was dropped is in nobody's way."""
    told: list[Any] = []
    Dropped(told, in_cycle=False)
    Dropped(told, in_cycle=True)
    gc.collect()
    assert told == [False, True]
    assert not chores.is_collecting()


def test_another_thread_does_not_collect_what_this_one_does() -> None:
    """The collector is one thread's at a time."""
    told: list[bool] = []

    class Asking:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            thread = threading.Thread(target=lambda: told.append(chores.is_collecting()))
            thread.start()
            thread.join(10)

    Asking()
    gc.collect()
    assert told == [False]


def test_it_is_watched_once() -> None:
    """However often it is asked for."""
    chores.watch()
    assert gc.callbacks.count(chores._note) == 1


def test_each_chore_is_done_once_in_order() -> None:
    """And one that is put off in the middle waits for the next time."""
    done: list[str] = []

    def again() -> None:
        done.append("one")
        chores.later(lambda: done.append("three"))

    chores.later(again)
    chores.later(lambda: done.append("two"))
    assert chores.are_waiting()
    chores.run()
    assert done == ["one", "two"]
    chores.run()
    chores.run()
    assert done == ["one", "two", "three"]
    assert not chores.are_waiting()


def test_one_that_fails_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and the rest is done."""
    done: list[str] = []

    def fail() -> None:
        raise ValueError("broken")

    chores.later(fail)
    chores.later(lambda: done.append("done"))
    with caplog.at_level(logging.WARNING, "obskit"):
        chores.run()
    assert done == ["done"]
    assert caplog.messages == ["obskit could not end what was left behind: ValueError: broken"]


def test_it_is_no_part_of_what_the_thread_is_at() -> None:
    """Neither of its request nor of its export."""
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("a request")
    seen: list[str] = []
    chores.later(lambda: seen.append(variable.get()))
    chores.run()
    assert seen == ["none"]


def test_a_child_leaves_its_parent_the_work() -> None:
    """Otherwise it would be done twice."""
    chores.later(lambda: None)
    child = os.fork()
    if not child:
        os._exit(1 if chores.are_waiting() else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert chores.are_waiting()


def test_one_that_hangs_does_not_cost_what_waits_for_its_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush gives it half of its time, delivers the rest in the other half, and does not call that whole."""
    hangs = threading.Event()
    handle = obskit.instrument(exporters="memory", service_name="chores", project="p")
    try:
        with capture() as seen:
            with obskit.span("waits"):
                pass
            thread = threading.Thread(target=chores.run, daemon=True)
            chores.later(lambda: hangs.wait(10))
            thread.start()
            while chores.waiting:
                time.sleep(0.001)
            assert not handle.flush("1s")
            monkeypatch.setattr(capturing, "_deliver", lambda: None)
            assert [span.name for span in seen.spans] == ["waits"]
            hangs.set()
            thread.join(10)
        assert handle.flush("1s")
    finally:
        hangs.set()
        handle.shutdown(5)


def test_a_chore_that_forks() -> None:
    """Its child goes on as if nothing were."""
    children: list[int] = []
    chores.later(lambda: children.append(os.fork()))
    chores.run()
    if not children[0]:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
