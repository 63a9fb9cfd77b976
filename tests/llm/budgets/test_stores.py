"""What every store keeps: one suite over memory, the real Redis and Firestore's twin."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from firestore_twin import Timed

from obskit.budgets import BudgetExceededError, Budgets, Limits, Standing
from obskit.llm.budgets.ledger import Account, Request
from obskit.llm.budgets.periods import Windows


def only(budgets: Budgets, **who: Any) -> Standing:
    (standing,) = budgets.standings(**who)
    return standing


def test_a_reservation_counts_until_it_is_settled(budgets: Budgets) -> None:
    """What is reserved is not for others; what was used in truth takes its place."""
    hold = budgets.reserve(user="a", tokens=8)
    assert (only(budgets, user="a").used, only(budgets, user="a").reserved) == (0, 8)
    with pytest.raises(BudgetExceededError) as caught:
        budgets.reserve(user="a", tokens=3)
    assert caught.value.remaining == 2
    hold.settle(tokens=5)
    standing = only(budgets, user="a")
    assert (standing.used, standing.reserved, standing.remaining) == (5, 0, 5)


def test_a_released_reservation_leaves_nothing(budgets: Budgets) -> None:
    """Nothing was used, so everything is there again."""
    budgets.reserve(user="a", tokens=8).release()
    assert only(budgets, user="a").remaining == 10


def test_users_do_not_share(budgets: Budgets) -> None:
    """One user's calls leave another's budget alone."""
    budgets.reserve(user="a", tokens=10)
    budgets.reserve(user="b", tokens=10)
    assert only(budgets, user="c").remaining == 10


def test_a_settlement_may_be_more_than_was_reserved(budgets: Budgets) -> None:
    """The bill is the bill; the next call is refused."""
    budgets.reserve(user="a", tokens=1).settle(tokens=25)
    assert only(budgets, user="a").used == 25
    with pytest.raises(BudgetExceededError):
        budgets.reserve(user="a", tokens=0)


def test_a_request_that_arrives_twice_counts_once(budgets: Budgets, store: Any) -> None:
    """A client library may send again what was done already, where the answer was lost."""
    hold = budgets.reserve(user="a", tokens=4)
    again = budgets.hold(user="a", tokens=4)
    again.id = hold.id
    again.begin()
    assert only(budgets, user="a").reserved == 4
    hold.settle(tokens=3)
    again.settle(tokens=3)
    standing = only(budgets, user="a")
    assert (standing.used, standing.reserved) == (3, 0)


def test_all_budgets_of_a_call_or_none(store: Any) -> None:
    """Where the tier's total is used up, nothing stays reserved with the user."""
    budgets = Budgets(
        {"small": Limits(daily_tokens=10)},
        totals={"small": Limits(daily_tokens=15), "*": Limits(monthly_usd=1.0)},
        store=store,
        timeout="20s",
    )
    budgets.reserve(user="a", tokens=10)
    with pytest.raises(BudgetExceededError) as caught:
        budgets.reserve(user="b", tokens=6)
    assert (caught.value.scope, caught.value.remaining) == ("tier", 5)
    assert [(each.scope, each.reserved) for each in budgets.standings(user="b")] == [
        ("user", 0),
        ("tier", 10),
        ("all", pytest.approx(0.01)),
    ]


def test_dollars_are_exact(store: Any) -> None:
    """A thousand calls of a tenth of a cent are one dollar, no more and no less."""
    budgets = Budgets({"small": Limits(monthly_usd=1.0)}, store=store, timeout="20s")
    for _ in range(1000):
        budgets.reserve(user="a", cost_usd=0.001).settle(cost_usd=0.001)
    assert only(budgets, user="a").used == 1.0
    with pytest.raises(BudgetExceededError, match=r"\$0 of \$1 remain"):
        budgets.reserve(user="a", cost_usd=0.001)


def test_large_numbers_are_kept(store: Any) -> None:
    """Trillions of tokens and millions of dollars lose no digit."""
    budgets = Budgets({"small": Limits(monthly_usd=5e6, monthly_tokens=10**13)}, store=store, timeout="20s")
    budgets.reserve(user="a", tokens=1).settle(tokens=1_234_567_890_123, cost_usd=4_321_987.123456789)
    tokens, dollars = budgets.standings(user="a")
    assert (tokens.used, dollars.used) == (1_234_567_890_123, 4_321_987.123456789)


def test_a_warning_is_told_once_in_a_period_to_one_caller(store: Any) -> None:
    """Whoever crosses the line hears of it; nobody does again, from another process either."""
    heard: list[tuple[str, float]] = []
    several = [
        Budgets(
            {"small": Limits(daily_tokens=10, warn_at=0.8)},
            store=store,
            timeout="20s",
            on_warning=lambda standing: heard.append(("warning", standing.used)),
            on_exhausted=lambda standing: heard.append(("exhausted", standing.used)),
        )
        for _ in range(2)
    ]
    for number in range(10):
        several[number % 2].reserve(user="a", tokens=1).settle()
    for each in several:
        with pytest.raises(BudgetExceededError):
            each.reserve(user="a", tokens=1)
    assert heard == [("warning", 8), ("exhausted", 10)]


def test_a_budget_of_nothing_lets_nothing_through(store: Any) -> None:
    """A limit of 0 refuses from the first call on."""
    budgets = Budgets({"none": Limits(daily_tokens=0)}, store=store, timeout="20s")
    with pytest.raises(BudgetExceededError):
        budgets.reserve(user="a", tokens=0)


def test_threads_never_exceed_a_budget(budgets: Budgets) -> None:
    """Of fifty threads at once, exactly ten pass on a budget for ten."""
    passed: list[int] = []
    start = threading.Barrier(50)

    def call() -> None:
        start.wait()
        try:
            budgets.reserve(user="a", tokens=1)
        except BudgetExceededError:
            return
        passed.append(1)

    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 10
    assert only(budgets, user="a").reserved == 10


def test_every_store_begins_periods_anew_by_the_same_rules(store: Any) -> None:
    """A new day empties the day and keeps the month; a reservation of the old day counts for the month only."""
    now_ms = time.time_ns() // 1_000_000
    account = Account(key="user:x", limits=(10, -1, 25, -1), warnings=(8, -1, -1, -1))
    old = Windows(
        day_start_ms=now_ms - 9_000_000,
        day_end_ms=now_ms + 9_000_000,
        month_start_ms=now_ms - 90_000_000,
        month_end_ms=now_ms + 90_000_000,
    )
    new = replace(old, day_start_ms=now_ms - 1_000_000)

    def ask(verb: Any, windows: Windows, **more: Any) -> Any:
        outcome = store.apply(Request(verb=verb, accounts=(account,), windows=windows, **more), timeout_s=20)
        (balance,) = outcome.balances
        return outcome, balance

    first, _ = ask("reserve", old, id="1", reserved=(4, 0), ttl_ms=600_000)
    assert first.granted == (old.day_start_ms, old.month_start_ms)
    _, balance = ask("settle", old, id="1", reserved=(4, 0), used=(9, 0), granted=first.granted)
    assert (balance.used, balance.held, balance.warned[0]) == ((9, 0, 9, 0), (0, 0, 0, 0), True)
    first, _ = ask("reserve", old, id="2", reserved=(1, 0), ttl_ms=600_000)
    second, balance = ask("reserve", new, id="3", reserved=(5, 0), ttl_ms=600_000)
    assert (second.status, balance.used, balance.held) == ("ok", (0, 0, 9, 0), (5, 0, 6, 0))
    _, balance = ask("settle", new, id="2", reserved=(1, 0), used=(1, 0), granted=first.granted)
    assert (balance.used, balance.held) == ((0, 0, 10, 0), (5, 0, 5, 0))
    refused, balance = ask("reserve", new, id="4", reserved=(6, 0), ttl_ms=600_000)
    assert (refused.status, refused.refused, balance.exhausted[0]) == ("refused", (0, 0), True)
    _, balance = ask("release", new, id="3", reserved=(5, 0), granted=second.granted)
    assert (balance.used, balance.held) == ((0, 0, 10, 0), (0, 0, 0, 0))
    _, balance = ask("reserve", old, id="5", reserved=(5, 0), ttl_ms=600_000)  # the clock has stepped back
    assert (balance.used, balance.held) == ((0, 0, 10, 0), (5, 0, 5, 0))
    gone = replace(new, day_start_ms=now_ms + 5_000_000, day_end_ms=now_ms + 9_000_000)
    assert store.apply(Request(verb="read", accounts=(account,), windows=gone), timeout_s=20).status == "stale"


# ------------------------------------------------------------------ time


def small(timed: Timed, **more: Any) -> Budgets:
    limits = Limits(daily_tokens=10, monthly_tokens=25)
    return Budgets({"small": limits}, store=timed.store, timeout="20s", **more)


def test_a_crashed_callers_reservation_expires(timed: Timed) -> None:
    """What nobody settles is there again after its time, and not before."""
    budgets = small(timed, reservation_ttl="10m")
    budgets.reserve(user="a", tokens=10)
    timed.clock.advance(599)
    with pytest.raises(BudgetExceededError):
        budgets.reserve(user="a", tokens=1)
    timed.clock.advance(1)
    assert budgets.standings(user="a")[0].remaining == 10


def test_a_late_settlement_counts_though_its_reservation_has_expired(timed: Timed) -> None:
    """The tokens were used, whenever that is told."""
    budgets = small(timed, reservation_ttl="10m")
    hold = budgets.reserve(user="a", tokens=10)
    timed.clock.advance(700)
    hold.settle(tokens=7)
    day, month = budgets.standings(user="a")
    assert (day.used, month.used) == (7, 7)


def test_a_day_begins_anew_and_the_month_goes_on(timed: Timed) -> None:
    """After midnight the day's budget is whole, the month's is not."""
    budgets = small(timed)
    for _ in range(2):
        budgets.reserve(user="a", tokens=10).settle()
        timed.clock.advance(86_400)
    day, month = budgets.standings(user="a")
    assert (day.used, month.used) == (0, 20)
    with pytest.raises(BudgetExceededError) as caught:
        budgets.reserve(user="a", tokens=6)
    assert (caught.value.period, caught.value.remaining) == ("month", 5)
    assert caught.value.resets_at.isoformat() == "2026-02-01T00:00:00+00:00"
    timed.clock.advance(29 * 86_400)
    assert [each.used for each in budgets.standings(user="a")] == [0, 0]


def test_a_call_over_midnight_belongs_to_the_day_that_granted_it(timed: Timed) -> None:
    """It was set aside from yesterday's budget, so today's is whole; the month has both days."""
    budgets = small(timed)
    timed.clock.advance(86_399)
    hold = budgets.reserve(user="a", tokens=10)
    timed.clock.advance(2)
    assert [each.reserved for each in budgets.standings(user="a")] == [0, 10]
    hold.settle(tokens=9)
    assert [(each.used, each.reserved) for each in budgets.standings(user="a")] == [(0, 0), (9, 0)]


def test_a_clock_that_steps_back_over_midnight_opens_no_old_day(timed: Timed) -> None:
    """The store's clock goes back an hour: what was used since midnight stays used."""
    budgets = small(timed)
    timed.clock.advance(86_400 + 1800)
    budgets.reserve(user="a", tokens=10).settle()
    timed.clock.advance(-3600)
    with pytest.raises(BudgetExceededError):
        budgets.reserve(user="a", tokens=1)


def test_a_warning_is_told_again_in_the_next_period(timed: Timed) -> None:
    """Each day has its own."""
    heard: list[str] = []
    budgets = Budgets(
        {"small": Limits(daily_tokens=10)},
        store=timed.store,
        on_warning=lambda standing: heard.append(standing.resets_at.date().isoformat()),
    )
    for _ in range(2):
        budgets.reserve(user="a", tokens=9).settle()
        timed.clock.advance(86_400)
    assert heard == ["2026-01-02", "2026-01-03"]


def test_the_stores_clock_decides_not_the_callers(timed: Timed) -> None:
    """The callers' clocks are months off, the store's day holds; it is asked once more, and then no more."""
    budgets = small(timed)
    asked: list[str] = []
    apply = timed.store.apply

    def counting(request: Any, **keywords: Any) -> Any:
        outcome = apply(request, **keywords)
        asked.append(outcome.status)
        return outcome

    timed.store.apply = counting
    with pytest.raises(BudgetExceededError) as caught:
        budgets.reserve(user="a", tokens=11)
    assert caught.value.resets_at.isoformat() == "2026-01-02T00:00:00+00:00"
    assert caught.value.retry_after_s == 86_400
    budgets.reserve(user="a", tokens=1)
    assert asked == ["stale", "refused", "ok"]
