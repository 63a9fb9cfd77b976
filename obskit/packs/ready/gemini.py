"""Calls of Gemini, Vertex AI and other models: do they get through, what do they use, what do they cost."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final

from obskit.alerts import (
    Severity,
    ai_calls_wait,
    ai_circuit_open,
    daily_cost,
    gemini_rate_limit,
    provider_down,
    token_spike,
)
from obskit.alerts.policies import AlertPolicy
from obskit.catalog import AI_OPERATION_DURATION, AI_TOKENS
from obskit.dashboards import Row, XyChart, llm, llm_guard
from obskit.dashboards.ready.llm import FAILED
from obskit.packs.logs import log_distribution
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, chart, charts, healthy, more_than, only, percent
from obskit.packs.ready._gemini_data import CASES, SCENARIO
from obskit.queries import Query, average, growth, increase, matches, seen, share
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_MODEL: Final = "gen_ai.request.model"
# Kinds of input tokens, the cached ones among them.
_INPUT: Final = "input|cached|cache_write|tool_use"
# What the app logs when a chat ends: log.info("chat session ended", session_seconds=312).
_SESSION_ENDED, _SESSIONS = log_distribution(
    "chat-session-seconds",
    of="EXTRACT(jsonPayload.session_seconds)",
    counts='jsonPayload.message="chat session ended" AND jsonPayload.session_seconds>=0',
    unit="s",
    description="How long a chat session lasted, from its first message to its end.",
    labels={"service": "EXTRACT(jsonPayload.service)"},
)


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        service: only this one's calls; those of all services together when empty.
        provider: the name of its health check (`obskit.health`).
        down: share of calls that end in a 5xx. Source: 5 %.
        errors: share of calls that fail in any way but for the quota. Source: 1 %, with a target of 0.1 %.
        rate_limit: refused calls (429) a minute. Source: 10.
        daily_cost: US dollars in 24 hours. Source: $75, with a target of $50.
        token_spike: times an average day's tokens. Source: 150 %.
        tokens_per_request: on average. Source: 40,000, with a target of 25,000.
        cache_hit_rate: cached share of the input tokens. Source: 40 %, with a target of 60 %.
        session_growth: by how much a chat session lasts longer than those of the last week. Source: +50 %.
    """

    noun: ClassVar[str] = "settings of pack gemini"

    service: str = given(as_text, default="")
    provider: str = given(as_text, default="gemini")
    down: float = given(as_share, default=0.05)
    errors: float = given(as_share, default=0.01)
    rate_limit: float = given(as_positive, default=10)
    daily_cost: float = given(as_positive, default=75)
    token_spike: float = given(as_positive, default=1.5)
    tokens_per_request: float = given(as_positive, default=40_000)
    cache_hit_rate: float = given(as_share, default=0.4)
    session_growth: float = given(as_positive, default=0.5)


def _make(settings: Settings) -> Objects:
    to, one = settings.receivers, settings.service or None
    limit = gemini_rate_limit(threshold=settings.rate_limit, service=one, channels=to.page)
    cost = daily_cost(threshold=settings.daily_cost, service=one, channels=to.team)
    spike = token_spike(threshold=settings.token_spike, service=one, channels=to.team)
    circuit = ai_circuit_open(service=one, channels=to.team)
    waits = ai_calls_wait(service=one, channels=to.team)
    sick = provider_down(provider=settings.provider, service=one, channels=(*to.team, *to.page))
    down, errors = _down(settings), _errors(settings)
    large, cold, long = _large(settings), _cold(settings), _long(settings)
    calls = llm(
        service=one,
        cost=cost,
        rate_limit=limit,
        errors=errors,
        down=down,
        cache=cold,
        tokens_per_call=large,
        policies=(spike, long),
    )
    *rows, last = calls.rows
    below = [*last.widgets, _sessions(settings)] if isinstance(last, Row) else [last, _sessions(settings)]
    calls = replace(calls, rows=(*rows, Row(widgets=below)))
    guard = llm_guard(service=one, circuit=circuit, waits=waits, policies=(limit, down, sick))
    guard = replace(guard, rows=(*guard.rows, charts(_health(settings, sick))))
    alerts = (down, sick, errors, limit, cost, spike, large, cold, long, circuit, waits)
    return Objects(dashboards=(calls, guard), alerts=alerts, resources=(_SESSION_ENDED,))


def _where(settings: Settings, **more: str) -> Labels:
    return {**only("service", settings.service), **more}


def _calls(where: Labels, window: str) -> Query:
    return growth(AI_OPERATION_DURATION, where=where, by=_MODEL, window=window)


def _down(settings: Settings) -> AlertPolicy:
    where = _where(settings)
    failed: Labels = {**where, "error.type": matches("5..")}
    # Two exports fall into 90 s. One failed call of a handful is no outage.
    found = more_than(settings.down, _calls(failed, "90s"), of=_calls(where, "90s"), least=5)
    return alert(
        "gemini-down",
        "Gemini API down",
        found,
        to=settings.receivers.page,
        for_="1m",
        severity=Severity.CRITICAL,
        condition=f"5xx above {percent(settings.down)}",
        means=f"More than {percent(settings.down)} of the calls of a model end in a 5xx of the provider. With a "
        "guard, its calls go to the fallback by now; without one, users see errors.",
        looks=(
            "The *llm-guard* dashboard: is the circuit open, and do the fallbacks take the calls?",
            "The provider's status page (for Gemini, https://status.cloud.google.com): an outage, or only you?",
            "One model or all? One: switch to another in the app's settings. All: the network or the credentials.",
        ),
    )


def _errors(settings: Settings) -> AlertPolicy:
    where = _where(settings)
    failed: Labels = {**where, "error.type": matches(FAILED)}
    every = growth(AI_OPERATION_DURATION, where=where, window="5m")
    wrong = growth(AI_OPERATION_DURATION, where=failed, window="5m")
    found = more_than(settings.errors, wrong, of=every, least=50)
    return alert(
        "gemini-errors",
        "AI calls fail",
        found,
        to=settings.receivers.page,
        for_="5m",
        condition=f"errors above {percent(settings.errors)}",
        means=f"More than {percent(settings.errors)} of the AI calls fail, those that only exceed a quota aside. The "
        "target is below 0.1 %. Retries hide some of it; the rest are errors that users see.",
        looks=(
            "The *llm* dashboard, refused and failed calls: which `error.type`? A 400 or 404 is ours, a 5xx theirs.",
            "*Error Reporting*: the newest group of the SDK's exceptions, and a trace of it.",
            "What changed: a model's name, a prompt that is too long, a key or a permission that expired.",
        ),
    )


def _large(settings: Settings) -> AlertPolicy:
    where = _where(settings)
    requests = growth(AI_OPERATION_DURATION, where=where, window="15m")
    found = (growth(AI_TOKENS, where=where, window="15m") / requests > settings.tokens_per_request).when(requests >= 5)
    return alert(
        "tokens-per-request",
        "Tokens per request",
        found,
        to=settings.receivers.team,
        for_="5m",
        condition=f"average above {settings.tokens_per_request:,.0f}",
        means=f"An AI call uses more than {settings.tokens_per_request:,.0f} tokens on average. The target is below "
        "25,000. Large calls are slow, and each is paid for.",
        looks=(
            "The *llm* dashboard, tokens by kind: is it input (a longer history, more documents) or thinking?",
            "Logs with the most `gemini_tokens`, by `endpoint`: one feature, or all?",
            "Is the history of chats cut or summarised, and does the number of retrieved documents have a limit?",
        ),
    )


def _cold(settings: Settings) -> AlertPolicy:
    inputs = growth(AI_TOKENS, where={**_where(settings), "obskit.token.kind": matches(_INPUT)}, window="1h")
    cached = growth(AI_TOKENS, where={**_where(settings), "obskit.token.kind": "cached"}, window="1h")
    # Some thousand tokens an hour are too few to tell, and cost nothing.
    found = (share(cached, inputs) < settings.cache_hit_rate).when(inputs > 100_000)
    return alert(
        "cache-hit-rate",
        "Cache hit rate",
        found,
        to=settings.receivers.team,
        for_="15m",
        condition=f"below {percent(settings.cache_hit_rate)}",
        means=f"Less than {percent(settings.cache_hit_rate)} of the input tokens come from the provider's cache. The "
        "target is above 60 %. The rest is paid for in full and takes longer.",
        looks=(
            "The last deployment: what changes from call to call must stand at the prompt's end, not at its beginning.",
            "The *llm* dashboard, tokens by kind: did `cached` stop at once? Then a cache expired or was deleted.",
            "Did the traffic become so thin, or so mixed, that a cached prefix expires before it is used again?",
        ),
    )


def _long(settings: Settings) -> AlertPolicy:
    where = _where(settings)
    usual = 1 + settings.session_growth
    longer = average(_SESSIONS, where=where, window="1h") > usual * average(_SESSIONS, where=where, window="7d")
    many = increase(_SESSIONS, where=where, window="1h") >= 20
    has_baseline = seen(_SESSIONS, where=where, window="1d", offset="1d")
    return alert(
        "chat-session-duration",
        "Chat session duration",
        longer.when(many, on=()).when(has_baseline, on=()),
        to=settings.receivers.team,
        for_="15m",
        interval="5m",
        condition=f"{percent(settings.session_growth)} above the last week's",
        means=f"Chat sessions of the last hour lasted {percent(settings.session_growth)} longer on average than those "
        "of the last week. People wait for answers, or do not get what they came for. Or they like it: look first.",
        looks=(
            "The *llm* dashboard, duration of a call: does the model answer more slowly?",
            "Turns a session, in the logs of some long ones: do people ask the same thing again and again?",
            "What changed: the prompt, the model, the tools, or who comes (a campaign, a new feature).",
        ),
        auto_close="1d",
    )


def _health(settings: Settings, sick: AlertPolicy) -> XyChart:
    found = healthy(_where(settings, provider=settings.provider))
    return chart(
        "Health check",
        {"${labels.provider}": found},
        unit=PERCENT,
        label="share of the processes that find it healthy",
        limits=[sick],
    )


def _sessions(settings: Settings) -> XyChart:
    where = _where(settings)
    lines = {
        "last hour": average(_SESSIONS, where=where, window="1h"),
        "last week": average(_SESSIONS, where=where, window="7d"),
    }
    return chart("Chat sessions, mean duration", lines, unit="s", label="seconds")


PACK: Final = Pack(
    name="gemini",
    title="Gemini, Vertex AI and other models",
    summary="Whether AI calls get through, how fast, how many tokens they use and what they cost.",
    needs=("obskit", "logging.googleapis.com"),
    logs="severity>=WARNING AND jsonPayload.service:*",
    settings=Settings,
    make=_make,
    scenario=SCENARIO,
    cases=CASES,
)
