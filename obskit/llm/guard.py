"""Keeps AI calls within the provider's limits, tries again where that helps, and falls back where it does not.

from obskit.llm.guard import Guard

guard = Guard(requests_per_minute=500, tokens_per_minute=2_000_000, deadline="30s")


@guard.protect("gemini-3.8-flash", fallback="gemini-3.8-flash-lite")
async def ask(question, *, model): ...
"""

from __future__ import annotations

from obskit.llm.guarding.breakers import Circuit
from obskit.llm.guarding.clocks import Clock, SystemClock
from obskit.llm.guarding.errors import CircuitOpenError, DailyQuotaError, DeadlineError, GuardError, StoreDownError
from obskit.llm.guarding.gemini import guard_gemini, unguard_gemini
from obskit.llm.guarding.guards import Guard
from obskit.llm.guarding.limits import Grant, Limits, MemoryStore, Store
from obskit.llm.guarding.plans import using
from obskit.llm.guarding.queues import Priority
from obskit.llm.guarding.redis_stores import RedisStore
from obskit.llm.guarding.slots import Slot
from obskit.llm.guarding.verdicts import Failure, Verdict, verdict_on

__all__ = [
    "Circuit",
    "CircuitOpenError",
    "Clock",
    "DailyQuotaError",
    "DeadlineError",
    "Failure",
    "Grant",
    "Guard",
    "GuardError",
    "Limits",
    "MemoryStore",
    "Priority",
    "RedisStore",
    "Slot",
    "Store",
    "StoreDownError",
    "SystemClock",
    "Verdict",
    "guard_gemini",
    "unguard_gemini",
    "using",
    "verdict_on",
]
