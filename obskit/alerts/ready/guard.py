"""Ready-made policies for the guard of AI calls: a provider that is down, and calls that wait too long."""

from __future__ import annotations

from collections.abc import Sequence

from obskit.alerts.conditions import PromQLCondition
from obskit.alerts.policies import AlertPolicy, Severity
from obskit.alerts.ready.runbooks import runbook
from obskit.alerts.strategies import Channel
from obskit.catalog import AI_GUARD_CIRCUIT, AI_GUARD_REFUSED, AI_GUARD_WAIT
from obskit.queries.definitions import as_positive, checked, ready_made
from obskit.queries.durations import DurationLike
from obskit.queries.metrics import growth, percentile
from obskit.queries.promql import LabelList, Labels, labels_of, query, select

__all__ = ["ai_calls_wait", "ai_circuit_open"]

Channels = Sequence[Channel]

_MODEL = "gen_ai.request.model"


@ready_made("policy")
def ai_circuit_open(
    *,
    threshold: float = 0.5,
    for_: DurationLike = "1m",
    window: DurationLike = "5m",
    service: str | None = None,
    channels: Channels = (),
    id: str = "ai-circuit-open",  # noqa: A002 - the field's name
    display_name: str = "AI circuit open",
) -> AlertPolicy:
    """Return the policy: a guard makes no calls of a model because the provider fails. One incident a model.

    A circuit stays open until a call probes it, so that of a model that nobody asks for any more may stay so for long.
    That is no incident: calls must have been turned away.

    Args:
        threshold: above which state it fires: 0 is closed, 1 half-open, 2 open.
        for_: for how long.
        window: over which calls must have been turned away; at least two exports, of 30 s each.
        service: only this service's guards.
        channels: whom to tell.
        id: the policy's id.
        display_name: the policy's name.
    """
    limit = checked(as_positive, threshold, name="threshold", noun=f'policy "{id}"', otherwise=0.5)
    where: Labels = {} if service is None else {"service": service}
    names = labels_of(AI_GUARD_CIRCUIT, (_MODEL,))
    state = query("max by (", LabelList(names), ") (", select(AI_GUARD_CIRCUIT, where=where), ")")
    turned_away = growth(AI_GUARD_REFUSED, where={**where, "obskit.reason": "circuit_open"}, by=_MODEL, window=window)
    is_open = (state > limit).when(turned_away > 0, on=names)
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.ERROR,
        conditions=(PromQLCondition(query=is_open, duration=for_, display_name="circuit not closed"),),
        channels=tuple(channels),
        documentation=runbook(
            "So many calls of a model have failed that the guard makes no more of them, but for a probe now and then. "
            "Users get the fallback, or an error at once.",
            "The *llm-guard* dashboard: which models, and do the fallbacks take the calls?",
            "The provider's status page, and the errors of the last calls in the *llm* dashboard.",
            "One process only, or all? One alone points at its network or its credentials.",
        ),
        auto_close="30m",
    )


@ready_made("policy")
def ai_calls_wait(
    *,
    threshold: float = 10.0,
    for_: DurationLike = "5m",
    service: str | None = None,
    channels: Channels = (),
    id: str = "ai-calls-wait",  # noqa: A002 - the field's name
    display_name: str = "AI calls wait",
) -> AlertPolicy:
    """Return the policy: calls that somebody waits for stand in a guard's line for long.

    Args:
        threshold: seconds of the 95th percentile of the interactive calls that had to wait.
        for_: for how long.
        service: only this service's guards.
        channels: whom to tell.
        id: the policy's id.
        display_name: the policy's name.
    """
    limit_s = checked(as_positive, threshold, name="threshold", noun=f'policy "{id}"', otherwise=10.0)
    where: Labels = {"obskit.priority": "interactive"} | ({} if service is None else {"service": service})
    waits = percentile(95, AI_GUARD_WAIT, where=where, window="5m")
    return AlertPolicy(
        id=id,
        display_name=display_name,
        severity=Severity.WARNING,
        conditions=(PromQLCondition(query=waits > limit_s, duration=for_, display_name=f"p95 above {limit_s:g} s"),),
        channels=tuple(channels),
        documentation=runbook(
            f"Interactive AI calls that have to wait for the limits wait more than {limit_s:g} s (p95). More is asked "
            "for than the quota allows.",
            "The *llm-guard* dashboard: are calls refused (429), so that the pace is cut, or is the limit set too low?",
            "Background work at this hour: is it marked `background`?",
            "Relief: a higher quota, another model as a fallback, smaller prompts where tokens are what is short.",
        ),
        auto_close="30m",
    )
