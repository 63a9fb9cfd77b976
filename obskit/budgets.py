"""Budgets of AI calls that hold: for users, sessions and tiers, by the day and the month, in tokens or US dollars.

    from obskit.budgets import Budgets, RedisStore

    budgets = Budgets(store=RedisStore("redis://localhost:6379/0"), zone="Europe/Berlin")

    with budgets.hold(tokens=4_000):
        reply = client.models.generate_content(model=MODEL, contents=question)

A call reserves before it begins, and settles what it used in truth when it has ended.
"""

from __future__ import annotations

from obskit.errors import BudgetExceededError, BudgetUnavailableError
from obskit.llm.budgets.answers import answer_of, install_answers
from obskit.llm.budgets.budgets import Budgets
from obskit.llm.budgets.firestore_store import FirestoreStore
from obskit.llm.budgets.holds import Hold
from obskit.llm.budgets.limits import TIERS, UNLIMITED, Limits
from obskit.llm.budgets.redis_store import RedisStore
from obskit.llm.budgets.standings import Standing
from obskit.llm.budgets.stores import MemoryStore, Store

__all__ = [
    "TIERS",
    "UNLIMITED",
    "BudgetExceededError",
    "BudgetUnavailableError",
    "Budgets",
    "FirestoreStore",
    "Hold",
    "Limits",
    "MemoryStore",
    "RedisStore",
    "Standing",
    "Store",
    "answer_of",
    "install_answers",
]
