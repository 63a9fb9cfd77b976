"""Ready-made policies for AI calls: tokens, cost and rate limits.

Source of the thresholds, targets and durations: the project's requirements, "The alert policies that must exist".
"""

from __future__ import annotations

from collections.abc import Sequence

from obskit.alerts.conditions import PromQLCondition
from obskit.alerts.policies import AlertPolicy, Severity
from obskit.alerts.ready.runbooks import runbook
from obskit.alerts.strategies import Channel
from obskit.catalog import AI_COST, AI_OPERATION_DURATION, AI_TOKENS
from obskit.queries.definitions import as_positive, checked, ready_made
from obskit.queries.durations import DurationLike, whole_seconds
from obskit.queries.metrics import growth, increase, seen

__all__ = ["daily_cost", "gemini_rate_limit", "token_spike"]

Channels = Sequence[Channel]


@ready_made("policy")
def token_spike(
    *,
    threshold: float = 1.5,
    for_: DurationLike = "0s",
    service: str | None = None,
    channels: Channels = (),
    id: str = "token-spike",  # noqa: A002 - the field's name
    display_name: str = "Token spike",
) -> AlertPolicy:
    """Return the policy: the last day's tokens are far above the daily average of the week before.

    It stays silent until there is a week to compare with (data from at least six of its seven days): the average
    of a service's first days says nothing.

    Args:
        threshold: so many times the average. Source: 150 %.
        for_: for how long.
        service: only this service's tokens; those of all services together when not given.
        channels: whom to tell. Source: Slack.
        id: the policy's id.
        display_name: the policy's name.
    """
    factor = checked(as_positive, threshold, name="threshold", noun=f'policy "{id}"', otherwise=1.5)
    where = {} if service is None else {"service": service}
    today = increase(AI_TOKENS, where=where, window="1d")
    week = increase(AI_TOKENS, where=where, window="7d", offset="1d")
    # The baseline is the week from 8 days to 1 day ago; this looks at its first two days.
    has_baseline = seen(AI_TOKENS, where=where, window="2d", offset="6d")
    query = (today > factor * week / 7).when(has_baseline, on=())
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.WARNING,
        conditions=(
            # Source: a query that looks back 8 days may be evaluated every 5 minutes.
            PromQLCondition(
                query=query, duration=for_, interval="5m", display_name=f"day above {factor * 100:g} % of average"
            ),
        ),
        channels=tuple(channels),
        documentation=runbook(
            f"The AI calls of the last 24 hours used more than {factor * 100:g} % of the tokens of an average day of "
            "the week before. It is money first; rate limits and slower answers may follow.",
            "The *llm* dashboard, tokens by model and by kind: more calls, or larger ones? Did the cached share fall?",
            "Logs with the most `gemini_tokens`, by `user_id` and `endpoint`: one user, one loop, one new feature?",
            "The last deployment: a longer prompt, a bigger context, retries that call the model again.",
        ),
        auto_close="1d",
    )


@ready_made("policy")
def gemini_rate_limit(
    *,
    threshold: float = 10,
    for_: DurationLike = "0s",
    window: DurationLike = "2m",
    service: str | None = None,
    channels: Channels = (),
    id: str = "gemini-rate-limit",  # noqa: A002 - the field's name
    display_name: str = "Gemini rate limit",
) -> AlertPolicy:
    """Return the policy: the provider turns calls away with status 429.

    Args:
        threshold: refused calls a minute. Source: 10 per min.
        for_: for how long.
        window: over which the calls a minute are averaged; at least two exports, of 30 s each.
        service: only this service's calls; those of all services together when not given, as the quota is shared.
        channels: whom to tell. Source: PagerDuty.
        id: the policy's id.
        display_name: the policy's name.
    """
    noun = f'policy "{id}"'
    limit = checked(as_positive, threshold, name="threshold", noun=noun, otherwise=10)
    minutes = checked(_minutes, window, name="window", noun=noun, otherwise=2.0)
    where = {"error.type": "429"} | ({} if service is None else {"service": service})
    # The series of the 429s is born with the first of them, and a storm begins with many.
    per_minute = growth(AI_OPERATION_DURATION, where=where, window=f"{minutes * 60:g}s") / minutes
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.ERROR,
        conditions=(
            PromQLCondition(query=per_minute > limit, duration=for_, display_name=f"more than {limit:g} 429s a minute"),
        ),
        channels=tuple(channels),
        documentation=runbook(
            f"The AI provider refuses more than {limit:g} calls a minute for being over the quota. "
            "Users wait for retries, or get errors.",
            "The *llm* dashboard: which model, and since when? Did the calls grow, or did the quota shrink?",
            "A trace with a 429: its `quotaId` tells a limit per minute, which passes, from one per day, which stays.",
            "Relief: a higher quota in the console, another model or region, fewer retries, smaller prompts.",
        ),
        auto_close="30m",
    )


@ready_made("policy")
def daily_cost(
    *,
    threshold: float = 75,
    for_: DurationLike = "0s",
    service: str | None = None,
    channels: Channels = (),
    id: str = "daily-cost",  # noqa: A002 - the field's name
    display_name: str = "Daily AI cost",
) -> AlertPolicy:
    """Return the policy: the AI calls of the last 24 hours cost too much.

    Calls whose price is unknown are not in the sum; the *llm* dashboard shows how many there are.

    Args:
        threshold: US dollars. Source: $75.
        for_: for how long.
        service: only this service's calls; those of all services together when not given.
        channels: whom to tell. Source: Slack.
        id: the policy's id.
        display_name: the policy's name.
    """
    limit_usd = checked(as_positive, threshold, name="threshold", noun=f'policy "{id}"', otherwise=75.0)
    # What short-lived processes spend before their second export would be missing from a mere increase.
    spent = growth(AI_COST, where={} if service is None else {"service": service}, window="1d")
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.WARNING,
        conditions=(
            PromQLCondition(
                query=spent > limit_usd, duration=for_, interval="5m", display_name=f"day above ${limit_usd:g}"
            ),
        ),
        channels=tuple(channels),
        documentation=runbook(
            f"The AI calls of the last 24 hours cost more than ${limit_usd:g}. The target is below $50.",
            "The *llm* dashboard, cost by model: did the dear model take over, or did all grow?",
            "Is there an open *Token spike*? Then the number of tokens is the cause; go on with its runbook.",
            "The cache hit rate: a changed prompt prefix makes every call pay the full price of its input.",
        ),
        auto_close="1d",
    )


def _minutes(window: DurationLike) -> float:
    return whole_seconds(window) / 60
