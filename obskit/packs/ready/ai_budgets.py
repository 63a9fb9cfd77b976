"""Budgets of AI calls: whose tokens are used up, and what the month costs."""

from __future__ import annotations

from typing import ClassVar, Final

from obskit.alerts import budget_exceeded, budget_warning, monthly_budget
from obskit.catalog import (
    AI_COST,
    BUDGET_COST,
    BUDGET_REJECTIONS,
    BUDGET_REMAINING,
    BUDGET_STORE_FAILURES,
    BUDGET_TOKENS,
    BUDGET_WARNINGS,
)
from obskit.dashboards import budgets
from obskit.packs.cases import Case, Points
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given

__all__ = ["PACK", "Settings"]


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        service: only this one's calls; those of all services when empty.
        monthly_usd: the AI budget of a month in US dollars.
        share: of the month's budget, at which finance is told. Source: 80 %.
    """

    noun: ClassVar[str] = "settings of pack ai-budgets"

    service: str = given(as_text, default="")
    monthly_usd: float = given(as_positive, default=1500)
    share: float = given(as_share, default=0.8)


def _make(settings: Settings) -> Objects:
    to, one = settings.receivers, settings.service or None
    alerts = (
        budget_exceeded(service=one, channels=to.team),
        budget_warning(service=one, channels=to.mail),
        monthly_budget(budget_usd=settings.monthly_usd, threshold=settings.share, service=one, channels=to.finance),
    )
    return Objects(dashboards=(budgets(service=one, policies=alerts),), alerts=alerts)


_CHAT: Final = {"service": "chat"}
_FREE: Final = {**_CHAT, "user.tier": "free"}
_OF_A_CALLER: Final = {"obskit.budget.scope": "caller", "obskit.budget.period": "day", "obskit.budget.unit": "tokens"}
_OF_A_TIER: Final = {**_OF_A_CALLER, "obskit.budget.scope": "tier", "obskit.budget.period": "month"}


def _tier(tier: str, tokens: float, usd_per_million: float, left: float) -> tuple[Signal, ...]:
    labels = {**_CHAT, "user.tier": tier}
    # The loop is in the free tier: there, somebody's day is used up after three fifths of the time.
    is_used_up = tier == "free"
    fall = Bump(at=0, lasts=0.6 if is_used_up else 1, level=0.02 if is_used_up else 0.4, is_gradual=True)
    return (
        Signal(metric=BUDGET_TOKENS, level=tokens, labels=labels, swing=0.4, noise=0.15),
        Signal(metric=BUDGET_COST, level=tokens * usd_per_million / 1e6, labels=labels, swing=0.4, noise=0.15),
        Signal(metric=AI_COST, level=tokens * usd_per_million / 1e6, labels=labels, swing=0.4, noise=0.15),
        Signal(metric=BUDGET_REMAINING, level=left, labels={**labels, **_OF_A_CALLER}, noise=0.01, bumps=(fall,)),
        Signal(
            metric=BUDGET_REMAINING,
            level=left,
            labels={**labels, **_OF_A_TIER},
            noise=0.005,
            bumps=(Bump(at=0, lasts=1, level=0.8, is_gradual=True),),
        ),
    )


PACK: Final = Pack(
    name="ai-budgets",
    title="AI budgets",
    summary="Token budgets of user tiers: what is left, who is refused; and the month's AI budget.",
    needs=("obskit",),
    logs="jsonPayload.gemini_tokens.input>0 OR httpRequest.status=429",
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="One user of the free tier is in a loop: the day's budget is used up by noon, and calls are refused.",
        signals=(
            *_tier("guest", 40, 0.4, 0.9),
            *_tier("free", 260, 0.4, 0.45),
            *_tier("premium", 190, 0.7, 0.95),
            Signal(
                metric=BUDGET_REJECTIONS,
                level=0.0004,
                labels={**_FREE, "obskit.budget.scope": "caller", "obskit.budget.period": "day"},
                noise=0.5,
                bumps=(Bump(at=0.6, lasts=0.2, level=400),),
            ),
            Signal(
                metric=BUDGET_STORE_FAILURES,
                level=0.0001,
                labels={**_CHAT, "obskit.budget.outcome": "allowed"},
                bumps=(Bump(at=0.3, lasts=0.05, level=60),),
            ),
            Signal(
                metric=BUDGET_WARNINGS,
                level=0.0003,
                labels={**_FREE, "obskit.budget.period": "day"},
                noise=0.5,
                bumps=(Bump(at=0.5, lasts=0.1, level=20),),
            ),
        ),
    ),
    cases=(
        Case(
            alert="budget-exceeded",
            says="the first call is refused, and no other",
            given=Points(BUDGET_REJECTIONS, "_x20 1x40", _FREE),
            every="30s",
            opens="10m",
            closes="15m",
            tells={"slack": 1},
        ),
        Case(
            alert="budget-exceeded",
            says="a process that has never refused a call",
            given=Points(BUDGET_REJECTIONS, "0x60", _FREE),
            every="30s",
        ),
        Case(
            alert="budget-warning",
            says="one budget reaches 80 %",
            given=Points(BUDGET_WARNINGS, "_x20 1x40", _FREE),
            every="30s",
            opens="10m",
            closes="15m",
            tells={"email": 1},
        ),
        Case(
            alert="budget-warning", says="budgets that last", given=Points(BUDGET_WARNINGS, "0x60", _FREE), every="30s"
        ),
        Case(
            alert="monthly-budget",
            says="sixty dollars a day",
            given=Points(AI_COST, "0+2.5x840", _CHAT),
            every="1h",
            open_at=("21d", "30d"),
            silent_at=("10d", "19d"),
            tells={"finance": 1},
        ),
        Case(alert="monthly-budget", says="thirty-five a day", given=Points(AI_COST, "0+1.45x840", _CHAT), every="1h"),
    ),
)
