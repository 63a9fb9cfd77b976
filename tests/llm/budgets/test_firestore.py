"""The Firestore store through Google's own client, against a server on loopback that speaks Firestore's gRPC."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from obskit.budgets import BudgetExceededError, Budgets, BudgetUnavailableError, FirestoreStore, Limits
from obskit.testing import FixedClock

pytest.importorskip("google.cloud.firestore", reason="needs google-cloud-firestore, of the extra firestore")

from firestore_server import FirestoreServer

LIMITS = {"small": Limits(daily_tokens=10, monthly_tokens=25)}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(1_767_225_600.0)  # 2026-01-01T00:00:00Z


@pytest.fixture
def server(clock: FixedClock) -> Iterator[FirestoreServer]:
    with FirestoreServer(clock.time) as made:
        yield made


@pytest.fixture
def client(server: FirestoreServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from google.cloud import firestore

    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.address)
    made = firestore.Client(project="p", credentials=AnonymousCredentials())
    yield made
    made.close()


@pytest.fixture
def budgets(client: Any) -> Budgets:
    return Budgets(LIMITS, store=FirestoreStore(client), timeout="20s", when_down="closed")


def test_a_reservation_is_settled_in_two_transactions(budgets: Budgets, server: FirestoreServer) -> None:
    """Reserve, refuse, settle, by one document a user, whose name does not tell the user."""
    budgets.standings(user="someone@example.com")  # the process learns what day it is there
    before = server.asked["commit"]
    hold = budgets.reserve(user="someone@example.com", tokens=8)
    assert server.asked["commit"] == before + 1
    with pytest.raises(BudgetExceededError) as caught:
        budgets.reserve(user="someone@example.com", tokens=3)
    assert caught.value.remaining == 2
    hold.settle(tokens=5)
    assert [each.used for each in budgets.standings(user="someone@example.com")] == [5, 5]
    (name,) = server.documents
    assert name.startswith("projects/p/databases/(default)/documents/obskit_budgets/")
    assert "someone" not in name


def test_another_client_sees_the_same_books(budgets: Budgets, client: Any) -> None:
    """Two processes would: what one has used, the other has not."""
    budgets.reserve(user="a", tokens=9).settle(tokens=9)
    other = Budgets(LIMITS, store=FirestoreStore(client), timeout="20s", when_down="closed")
    with pytest.raises(BudgetExceededError):
        other.reserve(user="a", tokens=2)


def test_the_servers_clock_begins_the_day(budgets: Budgets, clock: FixedClock) -> None:
    """The caller's clock is months off; after the server's midnight the day's budget is whole again."""
    hold = budgets.reserve(user="a", tokens=10)
    with pytest.raises(BudgetExceededError) as caught:
        budgets.reserve(user="a", tokens=1)
    assert caught.value.resets_at.isoformat() == "2026-01-02T00:00:00+00:00"
    hold.settle()
    clock.advance(86_400)
    assert [each.used for each in budgets.standings(user="a")] == [0, 10]


def test_an_aborted_transaction_is_run_again(budgets: Budgets, server: FirestoreServer) -> None:
    """Others were faster twice: the third attempt counts, and once only."""
    budgets.standings(user="a")
    server.aborts = 2
    budgets.reserve(user="a", tokens=10).settle(tokens=10)
    assert server.asked["aborted"] == 2
    assert budgets.standings(user="a")[0].used == 10


def test_too_much_contention_is_a_store_that_is_down(budgets: Budgets, client: Any, server: FirestoreServer) -> None:
    """Google's client gives up after five attempts; nothing has been counted then."""
    budgets.standings(user="a")
    server.aborts = 5
    with pytest.raises(BudgetUnavailableError, match="Failed to commit transaction in 5 attempts"):
        budgets.reserve(user="a", tokens=10)
    fresh = Budgets(LIMITS, store=FirestoreStore(client), timeout="20s", when_down="closed")
    assert fresh.standings(user="a")[0].reserved == 0


@pytest.mark.fault(45, "twenty threads, Google's client and Firestore's transactions")
def test_a_crowd_never_exceeds_a_budget(budgets: Budgets, client: Any, server: FirestoreServer) -> None:
    """Twenty at once want one of ten: those that get through are counted, and never more than ten of them."""
    budgets.standings(user="a")
    passed: list[object] = []

    def call() -> None:
        own = Budgets(LIMITS, store=FirestoreStore(client), timeout="20s", when_down="closed")
        try:
            passed.append(own.reserve(user="a", tokens=1))
        except (BudgetExceededError, BudgetUnavailableError):
            return

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(passed) <= 10
    assert budgets.standings(user="a")[0].reserved == len(passed)


def test_a_server_that_is_gone_is_told_in_time(client: Any, server: FirestoreServer) -> None:
    """Within the budgets' own timeout, whatever the client's is."""
    budgets = Budgets(LIMITS, store=FirestoreStore(client), timeout="300ms", when_down="closed")
    server.__exit__()
    with pytest.raises(BudgetUnavailableError):
        budgets.reserve(user="a", tokens=1)
