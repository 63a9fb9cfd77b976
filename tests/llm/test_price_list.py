"""The price list is loaded once, and nobody waits for it for ever."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from obskit.llm import prices, unpriced
from obskit.llm.usage import Usage

pytestmark = pytest.mark.timeout(20)


class Loading:
    """A list that takes until it is let go on, and counts how often it is loaded."""

    def __init__(self) -> None:
        self.times = 0
        self.is_begun, self.goes_on = threading.Event(), threading.Event()
        self.inner: list[Any] = []
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
    monkeypatch.setattr(prices, "_Calculator", found)
    monkeypatch.setattr(prices, "_calculator", None)
    monkeypatch.setattr(prices, "is_tried", False)
    monkeypatch.setattr(prices, "_PATIENCE_S", 0.2)
    yield found
    found.goes_on.set()


def beside(loading: Loading) -> threading.Thread:
    thread = threading.Thread(target=prices.load, daemon=True)
    thread.start()
    assert loading.is_begun.wait(10)
    return thread


def test_a_call_does_not_wait_for_ever(loading: Loading) -> None:
    """All calls together wait for so long; then they have no price, until the list is there after all."""
    thread = beside(loading)
    assert prices.load() is None
    begun = prices._begun_s
    assert prices.monotonic() - begun >= 0.2
    assert [prices.load() for _ in range(200)] == [None] * 200
    asyncio.run(prices.wait_until_loaded())
    loading.goes_on.set()
    thread.join(10)
    assert prices.load() is loading
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
            loading.inner.append(prices.load())

    def collect() -> None:
        abandoned = Abandoned()
        abandoned.itself = abandoned  # type: ignore[attr-defined]
        del abandoned
        gc.collect()

    loading.does = collect
    loading.goes_on.set()
    assert prices.load() is loading
    assert loading.inner == [None]
    assert loading.times == 1


def test_a_list_that_cannot_be_loaded_is_told_once(loading: Loading, caplog: pytest.LogCaptureFixture) -> None:
    """And is not tried again."""

    def fail() -> None:
        raise ImportError("broken")

    loading.does = fail
    with caplog.at_level(logging.WARNING, "obskit"):
        assert [prices.load(), prices.load()] == [None, None]
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
        prices.load()
    assert prices.load() is loading
    assert loading.times == 2


def test_a_fork_does_not_wait_for_ever_either(loading: Loading) -> None:
    """And its child loads the list itself."""
    thread = beside(loading)
    child = os.fork()
    if not child:
        loading.goes_on.set()
        os._exit(0 if prices.load() is loading and loading.times == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    loading.goes_on.set()
    thread.join(10)
    assert prices.load() is loading
    assert loading.times == 1
