"""Who hears of budgets: metrics, the app's callbacks, and the caller that is refused."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import datetime
from typing import Final

from obskit import catalog
from obskit.errors import BudgetExceededError, BudgetUnavailableError, Problem
from obskit.llm.budgets.ledger import Amount, Outcome
from obskit.llm.budgets.limits import SLOTS, usd
from obskit.llm.budgets.standings import Caller, Standing
from obskit.signals.metrics import record

__all__ = ["Notice", "Telling", "exceeded", "unavailable"]

_log = logging.getLogger("obskit")

Notice = Callable[[Standing], object]
"""Hears of a budget once in a period. It runs where the call is made, and must not take long."""

_BUSY_RETRY_S: Final = 5


class Telling:
    """Tells metrics and callbacks.

    Args:
        on_warning: hears that a budget has reached its `warn_at`.
        on_exhausted: hears that a budget has reached its limit.
    """

    def __init__(self, on_warning: Notice | None, on_exhausted: Notice | None) -> None:
        self._on_warning, self._on_exhausted = on_warning, on_exhausted
        self._lowest: dict[tuple[str, ...], tuple[datetime, float]] = {}

    def settled(self, tier: str, used: Amount) -> None:
        """Count what a call has used."""
        labels = {"user.tier": tier}
        if used[0]:
            record(catalog.BUDGET_TOKENS, used[0], labels)
        if used[1]:
            record(catalog.BUDGET_COST, usd(used[1]), labels)

    def stand(self, each: list[tuple[int, int, Standing]], outcome: Outcome) -> None:
        """Tell how budgets stand after a request."""
        for number, slot, standing in each:
            labels = _labels(standing)
            record(catalog.BUDGET_REMAINING, self._share(standing, labels), labels)
            balance = outcome.balances[number]
            if balance.warned[slot]:
                record(catalog.BUDGET_WARNINGS, 1, labels)
                _notify(self._on_warning, standing)
            if balance.exhausted[slot]:
                _notify(self._on_exhausted, standing)

    def _share(self, standing: Standing, labels: dict[str, str]) -> float:
        share = standing.remaining_share
        if labels["obskit.budget.scope"] != "caller":
            return share
        key = tuple(labels.values())
        until, lowest = self._lowest.get(key, (standing.resets_at, 1.0))
        if until == standing.resets_at:
            share = min(share, lowest)
        self._lowest[key] = (standing.resets_at, share)
        return share

    def refused(self, standing: Standing) -> None:
        """Count a call that was refused."""
        record(catalog.BUDGET_REJECTIONS, 1, _labels(standing))

    def store_failed(self, outcome: str) -> None:
        """Count a call during which the store did not answer."""
        record(catalog.BUDGET_STORE_FAILURES, 1, {"obskit.budget.outcome": outcome})


def _labels(standing: Standing) -> dict[str, str]:
    return {
        "user.tier": standing.tier,
        "obskit.budget.scope": standing.scope if standing.scope in {"tier", "all"} else "caller",
        "obskit.budget.period": standing.period,
        "obskit.budget.unit": standing.unit,
    }


def _notify(notice: Notice | None, standing: Standing) -> None:
    if notice is None:
        return
    try:
        notice(standing)
    except Exception as error:  # noqa: BLE001 - the call must go through
        _log.exception("A callback of the budgets failed: %s", type(error).__name__)


def exceeded(standing: Standing, slot: int, caller: Caller, reserved: Amount, now_ms: int) -> BudgetExceededError:
    """Return the error for a caller that is refused."""
    asked = reserved[0] if standing.unit == "tokens" else usd(reserved[1])
    until_reset_s = math.ceil(standing.resets_at.timestamp() - now_ms / 1000)
    waits_for_others = standing.reserved > 0 and standing.used + asked <= standing.limit
    sharer = {"tier": "the whole tier", "all": "everybody"}.get(standing.scope, f"one {standing.scope}")
    if standing.scope == "anonymous":
        sharer = "all callers without an id"
    problem = Problem(
        place=f'budget of tier "{caller.tier}" for {sharer}, by the {standing.period}',
        problem=(
            f"{_said(standing.remaining, standing.unit)} of {_said(standing.limit, standing.unit)} remain, "
            f"the call asks for {_said(asked, standing.unit)}"
        ),
        way_out=f"Wait until {standing.resets_at:%Y-%m-%d %H:%M %Z}, or raise Limits({SLOTS[slot].argument}=…)",
    )
    return BudgetExceededError(
        problem,
        tier=caller.tier,
        scope=standing.scope,
        period=standing.period,
        unit=standing.unit,
        limit=standing.limit,
        used=standing.used,
        remaining=standing.remaining,
        resets_at=standing.resets_at,
        retry_after_s=max(min(until_reset_s, _BUSY_RETRY_S) if waits_for_others else until_reset_s, 1),
    )


def _said(amount: float, unit: str) -> str:
    return f"{amount:,.0f} tokens" if unit == "tokens" else f"${amount:,.4f}".rstrip("0").rstrip(".")


def unavailable(error: Exception) -> BudgetUnavailableError:
    """Return what the caller is told whose budgets cannot be asked."""
    return BudgetUnavailableError(
        Problem(
            place="budgets",
            problem=f"their store does not work: {error}",
            way_out='Start the store, or let calls through meanwhile with Budgets(when_down="open")',
        )
    )
