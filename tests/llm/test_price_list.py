"""The price list is loaded once, and nobody waits for it for ever."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from obskit.llm import price_list, unpriced
from obskit.llm.hooks import CallHook, add_hook, remove_hook
from obskit.llm.record import Call
from obskit.llm.replies import finish
from obskit.llm.usage import Usage
from obskit.signals import chores, endings
from obskit.signals.worker import Worker
from obskit.testing import Captured

pytestmark = pytest.mark.timeout(20)


class Loading:
    """A list that takes until it is let go on, and counts how often it is loaded."""

    def __init__(self) -> None:
        self.times = 0
        self.is_begun, self.goes_on = threading.Event(), threading.Event()
        self.inner: list[Any] = []
        self.threads: list[threading.Thread] = []
        self.does: Any = None

    def __call__(self) -> Loading:
        self.times += 1
        self.is_begun.set()
        if self.does is not None:
            self.does()
        assert self.goes_on.wait(10)
        return self


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loading]:
    found = Loading()
    monkeypatch.setattr(price_list, "PriceList", found)
    monkeypatch.setattr(price_list, "loaded", None)
    monkeypatch.setattr(price_list, "is_tried", False)
    monkeypatch.setattr(price_list, "_PATIENCE_S", 0.2)
    yield found
    found.goes_on.set()
    for thread in found.threads:
        thread.join(10)


def beside(loading: Loading) -> threading.Thread:
    thread = threading.Thread(target=price_list.load, daemon=True)
    thread.start()
    loading.threads.append(thread)
    assert loading.is_begun.wait(10)
    return thread


def test_a_call_does_not_wait_for_ever(loading: Loading) -> None:
    """All calls together wait for so long; then they have no price, until the list is there after all."""
    thread = beside(loading)
    assert price_list.load() is None
    begun = price_list._wanted_s
    assert price_list.monotonic() - begun >= 0.2
    assert [price_list.load() for _ in range(200)] == [None] * 200
    asyncio.run(price_list.wait_until_loaded())
    loading.goes_on.set()
    thread.join(10)
    assert price_list.load() is loading
    assert loading.times == 1


def test_what_is_unpriced_because_it_came_early_is_told_as_such(
    loading: Loading, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, and not as a model without a price."""
    unpriced.forget()
    thread = beside(loading)
    with caplog.at_level(logging.WARNING, "obskit"):
        for model in ("one", "other"):
            unpriced.tell("gcp.gemini", model, Usage(input=1))
        loading.goes_on.set()
        thread.join(10)
        unpriced.tell("gcp.gemini", "one", Usage(input=1))
    unpriced.forget()
    assert [message.split(":")[0] for message in caplog.messages] == [
        "The price list is still being loaded",
        "No price is known of the model one (gcp.gemini)",
    ]


def test_a_call_that_a_finalizer_ends_in_the_middle_of_loading(loading: Loading) -> None:
    """It has no price, and the list is loaded as if nothing had been."""

    class Abandoned:
        def __del__(self) -> None:
            loading.inner.append(price_list.load())

    def collect() -> None:
        abandoned = Abandoned()
        abandoned.itself = abandoned  # type: ignore[attr-defined]
        del abandoned
        gc.collect()

    loading.does = collect
    loading.goes_on.set()
    assert price_list.load() is loading
    assert loading.inner == [None]
    assert loading.times == 1


def test_a_list_that_cannot_be_loaded_is_told_once(loading: Loading, caplog: pytest.LogCaptureFixture) -> None:
    """And is not tried again."""

    def fail() -> None:
        raise ImportError("broken")

    loading.does = fail
    with caplog.at_level(logging.WARNING, "obskit"):
        assert [price_list.load(), price_list.load()] == [None, None]
    assert [record.message.split(":")[0] for record in caplog.records] == ["AI calls are recorded without their cost"]
    assert loading.times == 1


def test_an_interrupted_load_is_tried_again(loading: Loading) -> None:
    """The end of a worker, say, that has been put off."""

    def leave() -> None:
        loading.does = None
        raise SystemExit

    loading.does = leave
    loading.goes_on.set()
    with pytest.raises(SystemExit):
        price_list.load()
    assert price_list.load() is loading
    assert loading.times == 2


def test_a_fork_does_not_wait_for_ever_either(loading: Loading) -> None:
    """And its child loads the list itself."""
    thread = beside(loading)
    child = os.fork()
    if not child:
        loading.goes_on.set()
        os._exit(0 if price_list.load() is loading and loading.times == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    loading.goes_on.set()
    thread.join(10)
    assert price_list.load() is loading
    assert loading.times == 1


def test_what_may_not_wait_is_done_once_the_list_is_there(loading: Loading) -> None:
    """By the thread that has loaded it."""
    thread = beside(loading)
    done: list[threading.Thread] = []
    price_list.once_there(lambda: done.append(threading.current_thread()))
    chores.run()
    assert done == []
    loading.goes_on.set()
    thread.join(10)
    assert done == [thread]
    price_list.once_there(lambda: done.append(threading.current_thread()))
    assert done == [thread, threading.current_thread()]


def test_what_may_not_wait_is_done_without_a_list_that_hangs(loading: Loading) -> None:
    """As soon as its time is over."""
    beside(loading)
    done: list[bool] = []
    price_list.once_there(lambda: done.append(price_list.is_coming()))
    deadline = time.monotonic() + 10
    while not done and time.monotonic() < deadline:
        chores.run()
        time.sleep(0.01)
    assert done == [False]


def test_the_end_of_the_process_does_not_wait_for_a_list_that_hangs(
    loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was put off is done then, without a price."""
    monkeypatch.setattr(price_list, "_PATIENCE_S", 60.0)
    monkeypatch.setattr(price_list, "_LAST_PATIENCE_S", 0.1)
    beside(loading)
    done: list[bool] = []
    price_list.once_there(lambda: done.append(price_list.is_coming()))
    endings._act_at_last()
    assert done == [False]


def test_a_thread_that_cannot_be_started_costs_nothing(loading: Loading, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wants a price loads the list."""

    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(price_list, "_thread", None)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    price_list.warm_up()
    assert not price_list.is_coming()
    loading.goes_on.set()
    assert price_list.load() is loading


# --------------------------------------------------------------------------- calls that end while it is loaded


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The list itself, which is there once the event is set."""
    goes_on = threading.Event()

    class Slow(price_list.PriceList):
        def __init__(self) -> None:
            assert goes_on.wait(10)
            super().__init__()

    monkeypatch.setattr(price_list, "PriceList", Slow)
    monkeypatch.setattr(price_list, "loaded", None)
    monkeypatch.setattr(price_list, "is_tried", False)
    monkeypatch.setattr(price_list, "_thread", None)
    yield goes_on
    goes_on.set()
    price_list._thread.join(10)


MODEL = "gemini-2.5-flash"


def a_call() -> Call:
    return Call(operation="generate_content", provider="gcp.gemini", model=MODEL)


def ended(seen: Captured) -> Any:
    return seen.span(f"generate_content {MODEL}")


def test_a_call_that_is_left_meanwhile_is_priced_all_the_same(slowly: threading.Event, seen: Captured) -> None:
    """And took no longer than until it was left."""
    call = a_call()
    call.end(usage=Usage(input=1_000, output=10), is_abandoned=True)
    assert call.is_ended
    assert call.cost_usd is None
    time.sleep(0.3)
    slowly.set()
    span = ended(seen)
    assert span.attributes["obskit.gen_ai.cost_usd"] > 0
    assert span.end_time - span.start_time < 250_000_000
    assert seen.total("gen_ai.client.operation.duration") == 1


def test_the_event_loop_does_not_stand_still_meanwhile(slowly: threading.Event, seen: Captured) -> None:
    """A call that ends on it without a chance to wait is priced later."""

    async def end() -> float:
        begun = time.monotonic()
        a_call().end(usage=Usage(input=1_000, output=10))
        return time.monotonic() - begun

    assert asyncio.run(end()) < 2.0
    slowly.set()
    assert ended(seen).attributes["obskit.gen_ai.cost_usd"] > 0


def test_a_call_on_a_thread_waits_for_its_price(slowly: threading.Event, seen: Captured) -> None:
    """Its request's line tells the cost."""
    call = a_call()
    threading.Timer(0.2, slowly.set).start()
    call.end(usage=Usage(input=1_000, output=10))
    assert call.cost_usd
    assert ended(seen).attributes["obskit.gen_ai.cost_usd"] == call.cost_usd


class Told:
    """A reply that has told its usage."""

    is_complete = False

    def tell(self, _call: Call) -> Usage:
        return Usage(input=1_000, output=10)


class Left:
    """A stream's follower that only the garbage collector ends."""

    def __init__(self, call: Call) -> None:
        self.call, self.itself = call, self

    def __del__(self) -> None:
        finish(self.call, Told(), is_abandoned=True)  # type: ignore[arg-type]


def test_a_stream_that_the_collector_finds_in_the_thread_that_loads_the_list(
    monkeypatch: pytest.MonkeyPatch, seen: Captured
) -> None:
    """Where it would have waited for itself, with all AI calls of the process behind it."""
    call = a_call()

    class Littered(price_list.PriceList):
        def __init__(self) -> None:
            Left(call)
            gc.collect()
            super().__init__()

    monkeypatch.setattr(price_list, "PriceList", Littered)
    monkeypatch.setattr(price_list, "loaded", None)
    monkeypatch.setattr(price_list, "is_tried", False)
    loader = threading.Thread(target=price_list.load, daemon=True)
    loader.start()
    loader.join(10)
    assert not loader.is_alive()
    assert ended(seen).attributes["obskit.gen_ai.cost_usd"] > 0


def test_a_stream_that_the_collector_finds_in_a_thread_that_holds_a_lock(seen: Captured) -> None:
    """A hook's lock, say of a budget, that its end wants too."""
    lock, settled = threading.Lock(), []

    class Budget(CallHook):
        def after(self, call: Call) -> None:
            with lock:
                settled.append(call.cost_usd)

    budget = Budget()
    add_hook(budget)
    try:
        call = a_call()
        call.start()
        Left(call)
        with lock:
            gc.collect()
        assert ended(seen).attributes["obskit.gen_ai.is_abandoned"] is True
        assert settled == [call.cost_usd]
    finally:
        remove_hook(budget)


def test_the_next_call_ends_what_was_left(seen: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that budgets know of it before they grant another, also where nothing is exported."""
    monkeypatch.setattr(Worker, "tick", lambda *_: None)
    call = a_call()
    Left(call)
    gc.collect()
    assert not call.is_ended
    a_call().end(error="429")
    assert call.is_ended
    assert len(seen.spans) == 2
