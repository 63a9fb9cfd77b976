"""The alerts of budgets of AI calls."""

from __future__ import annotations

from obskit.alerts import budget_exceeded, budget_warning, monthly_budget
from obskit.catalog import AI_COST, BUDGET_REJECTIONS, BUDGET_WARNINGS
from obskit.testing import AlertTest

EXCEEDED = budget_exceeded(channels=["product"])
PREMIUM = budget_exceeded(tier="premium", id="budget-exceeded-premium", channels=["product"])
WARNING = budget_warning(channels=["product"])
MONTH = monthly_budget(budget_usd=100, channels=["finance"])


def refusals(says, counts, policy=EXCEEDED, metric=BUDGET_REJECTIONS):
    return AlertTest(policy, says).metric(metric, counts, where={"user.tier": "free"}, service="chat")


def month(says, dollars):
    """What a day's dollars add up to, from day to day, exported every hour."""
    return AlertTest(MONTH, says, every="1h").metric(AI_COST, dollars, service="chat")


first_refusal = (
    refusals("the first call is refused, and no other", "_x20 1x40")
    .is_open("10m", until="15m")
    .notifies("product", times=1)
)
long_past_refusals = refusals("calls were refused an hour ago, and none since", "0+1x10 10x180").is_silent_at(
    "20m", "80m"
)
not_one_refused = refusals("a process that has never refused a call", "0x60").stays_silent()
one_tier_only = (
    refusals(
        "users of the free tier are refused all the time, which an alert on the premium tier does not hear of",
        "0+5x60",
        PREMIUM,
    )
    .metric(BUDGET_REJECTIONS, "_x20 1x40", where={"user.tier": "premium"}, service="chat")
    .is_open("10m", until="15m", **{"user.tier": "premium"})
    .notifies("product", times=1)
)

first_warning = refusals("one budget reaches 80 %", "_x20 1x40", WARNING, BUDGET_WARNINGS).is_open("10m", until="15m")
no_warning = refusals("budgets that last", "0x60", WARNING, BUDGET_WARNINGS).stays_silent()

four_a_day = (
    month("four dollars a day, with 80 in the month before day 21", "0+0.16666667x840")
    .is_open_at("21d", "30d")
    .is_silent_at("10d", "19d")
    .notifies("finance", times=1)
)
two_and_a_half_a_day = month("two and a half dollars a day, for two months", "0+0.1041666x1440").stays_silent()
