"""What happens when the store is down, slow or strange."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from obskit.budgets import BudgetExceededError, Budgets, BudgetUnavailableError, Limits, MemoryStore, RedisStore
from obskit.testing import Captured

LIMITS = {"small": Limits(daily_tokens=10)}


class Flaky(MemoryStore):
    """A store elsewhere that fails, or hangs until it is let go."""

    is_local = False

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def apply(self, request: Any, *, timeout_s: float) -> Any:
        self.asked += 1
        self.gate.wait(60)
        if self.error is not None:
            raise self.error
        return super().apply(request, timeout_s=timeout_s)


@pytest.fixture
def flaky() -> Any:
    store = Flaky()
    yield store
    store.gate.set()


def outcomes(seen: Captured, outcome: str) -> float:
    return seen.total("obskit.budget.store_failures", **{"obskit.budget.outcome": outcome})


@pytest.mark.fault(46, "open: every call passes and is counted")
@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "unix:///nowhere/r.sock"])
def test_a_store_that_is_down_lets_calls_through(url: str, seen: Captured, caplog: Any) -> None:
    """Failing open: every call passes and is counted, the log says it once, a block's end raises nothing."""
    budgets = Budgets(LIMITS, store=RedisStore(url))
    with caplog.at_level(logging.WARNING, "obskit"):
        for _ in range(5):
            with budgets.hold(user="a", tokens=100) as hold:
                assert not hold.is_reserved
    assert outcomes(seen, "let_through") == 5
    assert outcomes(seen, "unsettled") == 5
    assert sum("The store of the budgets does not work" in record.message for record in caplog.records) == 1


@pytest.mark.fault(46, "closed: every call is refused")
def test_a_store_that_is_down_refuses_calls(seen: Captured) -> None:
    """Failing closed: an error that says what is wrong and what to do."""
    budgets = Budgets(LIMITS, store=RedisStore("redis://127.0.0.1:1/0"), when_down="closed")
    for _ in range(3):
        with pytest.raises(BudgetUnavailableError, match=r"budgets: their store does not work: .*\. Start the store"):
            budgets.reserve(user="a")
    assert outcomes(seen, "refused") == 3
    with pytest.raises(BudgetUnavailableError):
        budgets.standings(user="a")


@pytest.mark.fault(46, "one call waits, for its timeout")
def test_a_store_that_hangs_holds_nobody_up(flaky: Flaky, seen: Captured) -> None:
    """One call waits for the timeout, the next ones do not ask at all; what it grants late is given back."""
    budgets = Budgets(LIMITS, store=flaky, timeout="50ms")
    flaky.gate.clear()
    holds = [budgets.reserve(user="a", tokens=10) for _ in range(20)]
    assert flaky.asked == 1
    assert not any(hold.is_reserved for hold in holds)
    flaky.gate.set()
    deadline = time.monotonic() + 20
    while flaky.asked < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert flaky.asked == 2  # the late reservation was given back
    fresh = Budgets(LIMITS, store=flaky, timeout="20s")
    while fresh.standings(user="a")[0].reserved and time.monotonic() < deadline:
        time.sleep(0.005)
    fresh.reserve(user="a", tokens=10)


@pytest.mark.fault(46, "budgets hold again")
def test_a_store_that_works_again_is_used_again(flaky: Flaky, caplog: Any) -> None:
    """After its moment alone it is asked again, and budgets hold again; both are said."""
    budgets = Budgets(LIMITS, store=flaky, timeout="20s")
    flaky.error = ConnectionError("gone")
    with caplog.at_level(logging.WARNING, "obskit"):
        assert not budgets.reserve(user="a", tokens=10).is_reserved
        flaky.error = None
        deadline = time.monotonic() + 20
        while not budgets.reserve(user="a", tokens=10).is_reserved and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(BudgetExceededError):
            budgets.reserve(user="a", tokens=1)
    said = [record.message for record in caplog.records if "store of the budgets" in record.message]
    assert said == [
        "The store of the budgets does not work: ConnectionError: gone. This is said once until it works again.",
        "The store of the budgets works again.",
    ]


def test_a_cancelled_caller_leaves_no_reservation(flaky: Flaky) -> None:
    """A task that is cancelled while it waits for the store gives back what it gets."""
    budgets = Budgets(LIMITS, store=flaky, timeout="20s")
    flaky.gate.clear()

    async def cancelled() -> None:
        task = asyncio.create_task(budgets.reserve_async(user="a", tokens=10))
        while not flaky.asked:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        flaky.gate.set()
        deadline = time.monotonic() + 20
        while flaky.asked < 2 and time.monotonic() < deadline:
            await asyncio.sleep(0.001)
        await budgets.reserve_async(user="a", tokens=10)

    asyncio.run(cancelled())


def test_a_callback_that_fails_breaks_no_call(caplog: Any) -> None:
    """Its error is logged, the call goes on."""

    def broken(_standing: Any) -> None:
        raise RuntimeError("no mail server")

    budgets = Budgets(LIMITS, on_warning=broken)
    with caplog.at_level(logging.WARNING, "obskit"):
        budgets.reserve(user="a", tokens=1).settle(tokens=9)
    assert "A callback of the budgets failed: RuntimeError" in caplog.text


@pytest.mark.needs("redis")
def test_a_client_of_the_apps_own_is_used_too(redis_url: str) -> None:
    """Also one that decodes its answers."""
    import redis

    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        budgets = Budgets(LIMITS, store=RedisStore(client, prefix="{mine}"), timeout="20s")
        budgets.reserve(user="someone@example.com", tokens=10)
        with pytest.raises(BudgetExceededError):
            budgets.reserve(user="someone@example.com", tokens=1)
        keys = client.keys("*")
        assert len(keys) == 2
        assert all(key.startswith("{mine}:user:") for key in keys)
        assert "someone" not in str(keys)
        assert all(0 < client.pttl(key) <= 40 * 86_400_000 for key in keys)


@pytest.mark.needs("redis")
@pytest.mark.fault(46, "a store that has forgotten everything")
def test_a_redis_that_was_restarted_begins_anew(redis_url: str) -> None:
    """Neither the script nor the books are there: the next call loads the one and opens the others, nothing fails."""
    import redis

    budgets = Budgets(LIMITS, store=RedisStore(redis_url), timeout="20s", when_down="closed")
    hold = budgets.reserve(user="a", tokens=10)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        client.script_flush()
    hold.settle(tokens=4)
    assert budgets.standings(user="a")[0].used == 4
    with pytest.raises(BudgetExceededError):
        budgets.reserve(user="a", tokens=7)
