"""AI calls that obskit records: blocks learn what they use, and budgets follow them when asked to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

import obskit
from obskit.budgets import BudgetExceededError, Budgets, Limits, RedisStore
from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.faults import Faults
from obskit.testing import Captured

# The SDK subclasses aiohttp's session, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
MODEL = "gemini-3.8-flash"
BIG = {"free": Limits(daily_tokens=1_000_000, daily_usd=100.0)}


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.needs("redis"))])
def followed(request: pytest.FixtureRequest) -> Iterator[Budgets]:
    store = None if request.param == "memory" else RedisStore(request.getfixturevalue("redis_url"))
    budgets = Budgets(BIG, store=store, timeout="20s")
    budgets.follow_calls()
    yield budgets
    budgets.unfollow_calls()


def settled(budgets: Budgets, **who: Any) -> tuple[float, float]:
    """Return tokens and dollars once nothing is reserved any more."""
    for _ in range(2000):
        tokens, dollars = budgets.standings(**who)
        if not tokens.reserved:
            return tokens.used, dollars.used
    raise AssertionError("a reservation stays")


def billed(gemini: FakeGemini) -> int:
    total = gemini.ledger.total()
    return total.billed_input + total.billed_output


def test_a_block_settles_what_its_calls_have_used(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Two calls in one block, nothing told by hand: the budget has what the provider bills."""
    budgets = Budgets(BIG)
    with budgets.hold(user="a", tier="free", tokens=10):
        client.models.generate_content(model=MODEL, contents="one")
        for _ in client.models.generate_content_stream(model=MODEL, contents="two"):
            pass
    tokens, dollars = settled(budgets, user="a")
    assert tokens == billed(gemini) > 0
    assert dollars == pytest.approx(seen.total("obskit.gen_ai.cost"), abs=1e-8)
    assert seen.total("obskit.budget.tokens", **{"user.tier": "free"}) == tokens


def test_a_block_whose_call_fails_settles_nothing(client: Any, gemini: FakeGemini) -> None:
    """The provider bills nothing for a 503."""
    from google.genai import errors

    budgets = Budgets(BIG)
    gemini.switch.set(Faults(status=503))
    with pytest.raises(errors.ServerError), budgets.hold(user="a"):
        client.models.generate_content(model=MODEL, contents="one")
    assert settled(budgets, user="a") == (0, 0)


def test_followed_calls_settle_what_they_use(client: Any, gemini: FakeGemini, followed: Budgets) -> None:
    """Sync, async and streamed calls, without any block: the sum is the provider's bill."""
    client.models.generate_content(model=MODEL, contents="one")
    for _ in client.models.generate_content_stream(model=MODEL, contents="two"):
        pass

    async def ask() -> None:
        await client.aio.models.generate_content(model=MODEL, contents="three")
        async for _ in await client.aio.models.generate_content_stream(model=MODEL, contents="four"):
            pass
        await client.aio.aclose()

    asyncio.run(ask())
    assert gemini.ledger.calls() == 4
    assert settled(followed)[0] == billed(gemini) > 0


def test_a_block_within_followed_calls_counts_once(client: Any, gemini: FakeGemini, followed: Budgets) -> None:
    """Inside a block, the block reserves and settles, and nothing else does."""
    with followed.hold(tokens=100):
        client.models.generate_content(model=MODEL, contents="one")
    assert settled(followed)[0] == billed(gemini) > 0


def test_a_followed_call_without_budget_is_not_sent(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """The app gets the budget's error, the provider no request."""
    budgets = Budgets({"free": Limits(daily_tokens=100)}, reserve_tokens=101)
    budgets.follow_calls()
    try:
        with pytest.raises(BudgetExceededError):
            client.models.generate_content(model=MODEL, contents="one")
    finally:
        budgets.unfollow_calls()
    assert gemini.ledger.calls() == 0
    assert seen.total("obskit.budget.rejections", **{"user.tier": "free", "obskit.budget.scope": "caller"}) == 1


def test_a_reported_call_counts_too(followed: Budgets) -> None:
    """`obskit.record_usage` tells of a call that has been made; its tokens are used."""
    obskit.record_usage("openai", "some-model", input_tokens=30, output_tokens=12, cost_usd=0.5)
    deadline = time.monotonic() + 20
    while settled(followed) == (0, 0) and time.monotonic() < deadline:  # nothing was reserved that one could wait for
        time.sleep(0.005)
    assert settled(followed) == (42, 0.5)


def test_a_followed_call_that_fails_gives_everything_back(client: Any, gemini: FakeGemini, followed: Budgets) -> None:
    """Nothing stays reserved."""
    from google.genai import errors

    gemini.switch.set(Faults(status=503))
    with pytest.raises(errors.ServerError):
        client.models.generate_content(model=MODEL, contents="one")
    assert settled(followed) == (0, 0)


def test_users_and_sessions_are_no_labels(seen: Captured) -> None:
    """Metrics have the tier; who it was stays in logs and spans."""
    budgets = Budgets({"free": Limits(daily_tokens=5)}, per="session", timeout="20s")
    with budgets.hold(user="u-secret", session="s-secret", tokens=5) as hold:
        hold.settle(tokens=4)
    with pytest.raises(BudgetExceededError):
        budgets.reserve(user="u-secret", session="s-secret", tokens=5)
    points = [point for point in seen.metrics if point.metric.startswith("obskit.budget.") and point.value]
    assert {point.metric for point in points} == {
        "obskit.budget.tokens",
        "obskit.budget.remaining",
        "obskit.budget.warnings",
        "obskit.budget.rejections",
    }
    assert "secret" not in str([point.attributes for point in points])
    labels = {"user.tier": "free", "obskit.budget.scope": "caller", "obskit.budget.unit": "tokens"}
    left = seen.total("obskit.budget.remaining", **labels, **{"obskit.budget.period": "day"})
    assert left == pytest.approx(0.2)
