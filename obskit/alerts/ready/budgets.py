"""Ready-made policies for budgets of AI calls.

Source of the thresholds: the project's requirements, "The alert policies that must exist".
"""

from __future__ import annotations

from collections.abc import Sequence

from obskit.alerts.conditions import PromQLCondition
from obskit.alerts.policies import AlertPolicy, Severity
from obskit.alerts.ready.runbooks import runbook
from obskit.alerts.strategies import Channel
from obskit.catalog import AI_COST, BUDGET_REJECTIONS, BUDGET_WARNINGS
from obskit.queries.definitions import as_number, as_positive, as_share, checked, ready_made
from obskit.queries.durations import DurationLike
from obskit.queries.metrics import growth
from obskit.queries.promql import Labels

__all__ = ["budget_exceeded", "budget_warning", "monthly_budget"]

Channels = Sequence[Channel]


@ready_made("policy")
def budget_exceeded(
    *,
    threshold: float = 0,
    for_: DurationLike = "0s",
    window: DurationLike = "5m",
    tier: str | None = None,
    service: str | None = None,
    channels: Channels = (),
    id: str = "budget-exceeded",  # noqa: A002 - the field's name
    display_name: str = "Token budget exceeded",
) -> AlertPolicy:
    """Return the policy: calls are refused because a budget of `obskit.budgets` is used up. One incident a tier.

    Args:
        threshold: so many refused calls in the window are no alert. Source: a user tier's limit is reached.
        for_: for how long.
        window: over which refused calls are counted; at least two exports, of 30 s each.
        tier: only this tier's budgets; those of all tiers, each for itself, when not given.
        service: only this service's calls.
        channels: whom to tell. The app itself hears of it through `Budgets(on_exhausted=…)`.
        id: the policy's id.
        display_name: the policy's name.
    """
    calls = checked(as_number, threshold, name="threshold", noun=f'policy "{id}"', otherwise=0.0)
    refused = growth(BUDGET_REJECTIONS, where=_where(tier, service), by="user.tier", window=window)
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.WARNING,
        conditions=(
            PromQLCondition(
                query=refused > calls, duration=for_, display_name=f"more than {calls:g} calls refused for their budget"
            ),
        ),
        channels=tuple(channels),
        documentation=runbook(
            "A budget has reached its limit: calls of that tier get 429 until the next day or month begins.",
            "The *budgets* dashboard, refused calls by scope: single users (`caller`), or a `tier` as a whole?",
            "Logs with the most `gemini_tokens` of that tier, by `user_id`: one user in a loop, or a normal day's use?",
            "Relief: a higher limit in the app's `Budgets(…)`; it holds from the next call on, nothing is lost.",
        ),
        auto_close="30m",
    )


@ready_made("policy")
def budget_warning(
    *,
    threshold: float = 0,
    for_: DurationLike = "0s",
    window: DurationLike = "5m",
    tier: str | None = None,
    service: str | None = None,
    channels: Channels = (),
    id: str = "budget-warning",  # noqa: A002 - the field's name
    display_name: str = "Token budget nearly used up",
) -> AlertPolicy:
    """Return the policy: budgets of `obskit.budgets` have reached their warning, at 80 % by default.

    Each budget says so once in a day or month, so that the incident closes by itself. One incident a tier.

    Args:
        threshold: so many budgets in the window are no alert.
        for_: for how long.
        window: over which warnings are counted; at least two exports, of 30 s each.
        tier: only this tier's budgets; those of all tiers, each for itself, when not given.
        service: only this service's calls.
        channels: whom to tell.
        id: the policy's id.
        display_name: the policy's name.
    """
    budgets = checked(as_number, threshold, name="threshold", noun=f'policy "{id}"', otherwise=0.0)
    warned = growth(BUDGET_WARNINGS, where=_where(tier, service), by="user.tier", window=window)
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.WARNING,
        conditions=(
            PromQLCondition(
                query=warned > budgets, duration=for_, display_name=f"more than {budgets:g} budgets at their warning"
            ),
        ),
        channels=tuple(channels),
        documentation=runbook(
            "A budget has reached the share at which it warns (`Limits(warn_at=…)`). Nothing is refused yet.",
            "The *budgets* dashboard, what is left by tier: at this pace, does it last until the period ends?",
            "Logs with the most `gemini_tokens` of that tier, by `user_id` and `endpoint`.",
            "The last deployment: a longer prompt, or a loop that calls the model again?",
        ),
        auto_close="30m",
    )


@ready_made("policy")
def monthly_budget(
    *,
    budget_usd: float,
    threshold: float = 0.8,
    for_: DurationLike = "0s",
    service: str | None = None,
    channels: Channels = (),
    id: str = "monthly-budget",  # noqa: A002 - the field's name
    display_name: str = "Monthly AI budget",
) -> AlertPolicy:
    """Return the policy: the AI calls of the last 30 days have cost most of the month's budget.

    It looks back 30 days rather than to the first of the month, which a query cannot say, and is evaluated every two
    hours, as often as Cloud Monitoring lets such a query. Calls whose price is unknown are not in the sum.

    Args:
        budget_usd: the budget of a month in US dollars.
        threshold: share of it, above 0. Source: 80 %.
        for_: for how long.
        service: only this service's calls; those of all services together when not given.
        channels: whom to tell. Source: email to finance.
        id: the policy's id.
        display_name: the policy's name.
    """
    noun = f'policy "{id}"'
    whole = checked(as_positive, budget_usd, name="budget_usd", noun=noun, otherwise=1.0)
    share = checked(as_share, threshold, name="threshold", noun=noun, otherwise=0.8)
    spent = growth(AI_COST, where=_where(None, service), window="30d")
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.WARNING,
        conditions=(
            PromQLCondition(
                query=spent > whole * share,
                duration=for_,
                interval="2h",
                display_name=f"30 days above {share * 100:g} % of ${whole:g}",
            ),
        ),
        channels=tuple(channels),
        documentation=runbook(
            f"The AI calls of the last 30 days cost more than {share * 100:g} % of ${whole:g}.",
            "The *llm* dashboard, cost by model: did the dear model take over, or did all grow?",
            "The *budgets* dashboard, cost by tier: who uses it?",
            'Relief: lower limits, or one for everybody: `Budgets(totals={"*": Limits(monthly_usd=…)})`.',
        ),
        auto_close="1d",
    )


def _where(tier: str | None, service: str | None) -> Labels:
    return {
        **({} if tier is None else {"user.tier": tier}),
        **({} if service is None else {"service": service}),
    }
