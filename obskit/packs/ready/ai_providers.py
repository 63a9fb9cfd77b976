"""Other AI providers, billed by image, second of video or minute: are they there, do calls fail, what do they cost.

All of it is obskit's own: the health checks (`obskit.health`) and the calls that the app records.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.catalog import AI_COST, AI_OPERATION_DURATION, AI_UNITS, AI_UNPRICED_CALLS
from obskit.dashboards import Dashboard, Plot, Row, Scorecard
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import (
    PERCENT,
    alarm,
    alert,
    card,
    cards,
    chart,
    charts,
    early,
    healthy,
    more_than,
    percent,
    warning,
)
from obskit.packs.ready._ai_providers_data import CASES, PROVIDER, SCENARIO
from obskit.queries import Query, growth, matches, percentile, rate, share
from obskit.queries.definitions import as_number, as_positive, as_share, as_text, definition, given, many
from obskit.queries.promql import Labels, Matching, query

__all__ = ["PACK", "Settings"]

_LEGEND: Final = "${labels.gen_ai_provider_name}"
_FAILED: Final = matches(".+")


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        providers: as the app names them in its calls and its health checks.
        healthy: a provider is down while a smaller share of the processes finds it healthy.
        failed: share of a provider's calls that may fail.
        least_calls: so many calls in 15 minutes are too few to judge by.
        daily_usd: what one provider may cost in 24 hours, in US dollars.
    """

    noun: ClassVar[str] = "settings of pack ai-providers"

    providers: Sequence[str] = given(many(str, parse=as_text), default=("replicate", "piapi", "pollo", "a2e"))
    healthy: float = given(as_share, default=0.5)
    failed: float = given(as_share, default=0.1)
    least_calls: float = given(as_number, default=10)
    daily_usd: float = given(as_positive, default=25)


def _make(settings: Settings) -> Objects:
    down, failing, dear = _down(settings), _failing(settings), _dear(settings)
    alerts = (down, failing, dear, _unknown(settings))
    dashboard = Dashboard(
        id="ai-providers",
        display_name="AI providers",
        rows=(
            cards(*_numbers(settings, down, failing), policies=alerts),
            _symptoms(settings, down, failing, dear),
            *_causes(settings),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _names(settings: Settings) -> Matching:
    return matches("|".join(re.escape(name) for name in settings.providers))


def _where(settings: Settings) -> Labels:
    return {PROVIDER: _names(settings)}


def _healthy(settings: Settings) -> Query:
    return healthy({"provider": _names(settings)})


def _spent(settings: Settings) -> Query:
    return growth(AI_COST, where=_where(settings), by=PROVIDER, window="1d")


def _down(settings: Settings) -> AlertPolicy:
    return alert(
        "ai-providers-down",
        "AI provider down",
        _healthy(settings) < settings.healthy,
        to=[*settings.receivers.page, *settings.receivers.team],
        for_="1m",
        severity=Severity.CRITICAL,
        condition="health check fails",
        means="The health check of a provider of images, video or speech fails. What users ask of it fails, or waits.",
        looks=(
            "The label `provider` names the check. Its log line says with which exception it fails, and since when.",
            "The provider's status page, and its console: is the balance used up, or the key withdrawn?",
            "All providers at once: the network or the DNS of this service, not the providers.",
        ),
    )


def _calls(settings: Settings) -> Query:
    return growth(AI_OPERATION_DURATION, where=_where(settings), by=PROVIDER, window="15m")


def _failed(settings: Settings) -> Query:
    where = {**_where(settings), "error.type": _FAILED}
    return growth(AI_OPERATION_DURATION, where=where, by=PROVIDER, window="15m")


def _failing(settings: Settings) -> AlertPolicy:
    return alert(
        "ai-providers-failing",
        "AI provider: calls fail",
        more_than(settings.failed, _failed(settings), of=_calls(settings), least=settings.least_calls),
        to=settings.receivers.team,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"more than {percent(settings.failed)} of the calls fail",
        means=f"More than {percent(settings.failed)} of a provider's calls fail. Users get no picture or video; some "
        "providers bill failed calls too.",
        looks=(
            "The *ai-providers* dashboard, failed calls by error: 402 is the balance, 429 the limit, 5xx the provider.",
            "A trace of a failed call: what was asked for, how long did it take until it failed?",
            "Is *AI provider down* open too? Then go on with its runbook.",
        ),
    )


def _dear(settings: Settings) -> AlertPolicy:
    return alert(
        "ai-providers-cost",
        "AI provider: daily cost",
        _spent(settings) > settings.daily_usd,
        to=settings.receivers.finance,
        interval="5m",
        condition=f"day above ${settings.daily_usd:g}",
        means=f"A provider's calls of the last 24 hours cost more than ${settings.daily_usd:g}.",
        looks=(
            "The *ai-providers* dashboard, units: more images and seconds, or the same of a dearer model?",
            "Logs of those calls by `user_id` and `endpoint`: one user, one loop, one new feature?",
            "Relief: a budget in the app, `obskit.budgets.Limits(daily_usd=…)`, which refuses what is above it.",
        ),
        auto_close="1d",
    )


def _unknown(settings: Settings) -> AlertPolicy:
    unpriced = growth(AI_UNPRICED_CALLS, where=_where(settings), by=PROVIDER, window="1h")
    return alert(
        "ai-providers-unpriced",
        "AI provider: price unknown",
        unpriced > 0,
        to=settings.receivers.mail,
        condition="calls without a price",
        means="Calls were made whose price obskit does not know. They are counted, their cost is not: the cost above "
        "is too low.",
        looks=(
            "The *ai-providers* dashboard, calls without a price: which model?",
            "The provider's price list; give it to the app in `pyproject.toml` under `[tool.obskit.prices]`.",
            "`obskit prices` shows what is known, and what a given usage would cost.",
        ),
        auto_close="1d",
    )


def _numbers(settings: Settings, down: AlertPolicy, failing: AlertPolicy) -> tuple[Scorecard, ...]:
    where = _where(settings)
    return (
        card(
            "Health of the worst",
            query("min(", _healthy(settings), ")"),
            unit=PERCENT,
            limits=(alarm(down), warning(1, is_below=True)),
        ),
        card(
            "Failed calls, 15 min",
            share(
                growth(AI_OPERATION_DURATION, where={**where, "error.type": _FAILED}, window="15m"),
                growth(AI_OPERATION_DURATION, where=where, window="15m"),
            ),
            unit=PERCENT,
            limits=(failing, early(failing, 0.5)),
        ),
        card("Cost, 24 h", growth(AI_COST, where=where, window="1d"), unit="USD"),
        card(
            "Unpriced calls, 1 h",
            growth(AI_UNPRICED_CALLS, where=where, window="1h").otherwise(0),
            unit="1",
            limits=(warning(0.5),),
        ),
    )


def _symptoms(settings: Settings, down: AlertPolicy, failing: AlertPolicy, dear: AlertPolicy) -> Row:
    return charts(
        chart(
            "Healthy",
            {"${labels.provider}": _healthy(settings)},
            unit=PERCENT,
            label="share of the processes",
            limits=[down],
        ),
        chart(
            "Failed calls",
            {_LEGEND: share(_failed(settings), _calls(settings))},
            unit=PERCENT,
            label="share of the calls, 15 min",
            limits=[failing],
        ),
        chart("Cost, last 24 h", {_LEGEND: _spent(settings)}, unit="USD", label="US dollars", limits=[dear]),
    )


def _causes(settings: Settings) -> tuple[Row, ...]:
    where = _where(settings)
    return (
        charts(
            chart(
                "Failed calls by error",
                {
                    f"{_LEGEND} ${{labels.error_type}}": growth(
                        AI_OPERATION_DURATION,
                        where={**where, "error.type": _FAILED},
                        by=(PROVIDER, "error.type"),
                        window="5m",
                    )
                },
                unit="1",
                label="calls in 5 minutes",
                plot=Plot.STACKED_BAR,
            ),
            chart(
                "Duration of a call, p95",
                {_LEGEND: percentile(95, AI_OPERATION_DURATION, where=where, by=PROVIDER, window="1h")},
                unit="s",
                label="seconds",
            ),
            chart(
                "Calls",
                {_LEGEND: rate(AI_OPERATION_DURATION, where=where, by=PROVIDER, window="5m") * 60},
                unit="1",
                label="calls per minute",
            ),
        ),
        charts(
            chart(
                "What is billed, per hour",
                {
                    f"{_LEGEND} ${{labels.obskit_unit}}": rate(
                        AI_UNITS, where=where, by=(PROVIDER, "obskit.unit"), window="15m"
                    )
                    * 3600
                },
                unit="1",
                label="images, seconds, minutes per hour",
            ),
            chart(
                "Calls without a price",
                {
                    f"{_LEGEND} ${{labels.gen_ai_request_model}}": growth(
                        AI_UNPRICED_CALLS, where=where, by=(PROVIDER, "gen_ai.request.model"), window="1h"
                    )
                },
                unit="1",
                label="calls in the last hour",
                plot=Plot.STACKED_BAR,
            ),
        ),
    )


PACK: Final = Pack(
    name="ai-providers",
    title="Other AI providers",
    summary="Health, failures and cost of providers billed by image, second of video or minute.",
    needs=("obskit",),
    logs="severity>=WARNING AND jsonPayload.service:*",
    settings=Settings,
    make=_make,
    scenario=SCENARIO,
    cases=CASES,
)
