"""Other AI providers, billed by image, second of video or minute: are they there, do calls fail, what do they cost.

All of it is obskit's own: the health checks (`obskit.health`) and the calls that the app records.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.catalog import AI_COST, AI_OPERATION_DURATION, AI_UNITS, AI_UNPRICED_CALLS, PROVIDER_STATUS
from obskit.dashboards import Dashboard, Plot
from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, warning
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import growth, matches, over_time, percentile, rate, ratio, share
from obskit.queries.definitions import as_number, as_positive, as_share, as_text, definition, given, many
from obskit.queries.promql import LabelList, Labels, query, select

__all__ = ["PACK", "Settings"]

_PROVIDER: Final = "gen_ai.provider.name"
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
    names = matches("|".join(re.escape(name) for name in settings.providers))
    checked: Labels = {"provider": names}
    where: Labels = {_PROVIDER: names}
    to = settings.receivers
    healthy = query(
        "avg by (",
        LabelList(("provider",)),
        ") (last_over_time(",
        select(PROVIDER_STATUS, where=checked, window="3m"),
        "))",
    )
    calls = growth(AI_OPERATION_DURATION, where=where, by=_PROVIDER, window="15m")
    failed = growth(AI_OPERATION_DURATION, where={**where, "error.type": _FAILED}, by=_PROVIDER, window="15m")
    spent = growth(AI_COST, where=where, by=_PROVIDER, window="1d")
    unpriced = growth(AI_UNPRICED_CALLS, where=where, by=_PROVIDER, window="1h")
    down = alert(
        "ai-providers-down",
        "AI provider down",
        healthy < settings.healthy,
        to=[*to.page, *to.team],
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
    failing = alert(
        "ai-providers-failing",
        "AI provider: calls fail",
        (ratio(failed, calls) > settings.failed).when(calls >= settings.least_calls),
        to=to.team,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"more than {settings.failed * 100:g} % of the calls fail",
        means=f"More than {settings.failed * 100:g} % of a provider's calls fail. Users get no picture or video; some "
        "providers bill failed calls too.",
        looks=(
            "The *ai-providers* dashboard, failed calls by error: 402 is the balance, 429 the limit, 5xx the provider.",
            "A trace of a failed call: what was asked for, how long did it take until it failed?",
            "Is *AI provider down* open too? Then go on with its runbook.",
        ),
    )
    dear = alert(
        "ai-providers-cost",
        "AI provider: daily cost",
        spent > settings.daily_usd,
        to=to.finance,
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
    unknown = alert(
        "ai-providers-unpriced",
        "AI provider: price unknown",
        unpriced > 0,
        to=to.mail,
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
    alerts = (down, failing, dear, unknown)
    dashboard = Dashboard(
        id="ai-providers",
        display_name="AI providers",
        rows=(
            cards(
                card(
                    "Healthy providers",
                    over_time(PROVIDER_STATUS, "avg", where=checked, window="3m"),
                    unit=PERCENT,
                    limits=(warning(1, is_below=True),),
                ),
                card(
                    "Failed calls, 15 min",
                    share(
                        growth(AI_OPERATION_DURATION, where={**where, "error.type": _FAILED}, window="15m"),
                        growth(AI_OPERATION_DURATION, where=where, window="15m"),
                    ),
                    unit=PERCENT,
                    limits=(failing, warning(settings.failed / 2)),
                ),
                card("Cost, 24 h", growth(AI_COST, where=where, window="1d"), unit="USD"),
                card(
                    "Calls without a price, 1 h",
                    growth(AI_UNPRICED_CALLS, where=where, window="1h").otherwise(0),
                    unit="1",
                    limits=(warning(0.5),),
                ),
                policies=alerts,
            ),
            charts(
                chart("Healthy", {"${labels.provider}": healthy}, unit=PERCENT, label="share of the processes"),
                chart("Cost, last 24 h", {_LEGEND: spent}, unit="USD", label="US dollars", limits=[dear]),
            ),
            charts(
                chart(
                    "Failed calls by error",
                    {
                        f"{_LEGEND} ${{labels.error_type}}": growth(
                            AI_OPERATION_DURATION,
                            where={**where, "error.type": _FAILED},
                            by=(_PROVIDER, "error.type"),
                            window="5m",
                        )
                    },
                    unit="1",
                    label="calls in 5 minutes",
                    plot=Plot.STACKED_BAR,
                ),
                chart(
                    "Duration of a call, p95",
                    {_LEGEND: percentile(95, AI_OPERATION_DURATION, where=where, by=_PROVIDER, window="1h")},
                    unit="s",
                    label="seconds",
                ),
                chart(
                    "Calls",
                    {_LEGEND: rate(AI_OPERATION_DURATION, where=where, by=_PROVIDER, window="5m") * 60},
                    unit="1",
                    label="calls per minute",
                ),
            ),
            charts(
                chart(
                    "What is billed, per hour",
                    {
                        f"{_LEGEND} ${{labels.obskit_unit}}": rate(
                            AI_UNITS, where=where, by=(_PROVIDER, "obskit.unit"), window="15m"
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
                            AI_UNPRICED_CALLS, where=where, by=(_PROVIDER, "gen_ai.request.model"), window="1h"
                        )
                    },
                    unit="1",
                    label="calls in the last hour",
                    plot=Plot.STACKED_BAR,
                ),
            ),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _of(provider: str, model: str, operation: str = "image_generation") -> dict[str, str]:
    return {_PROVIDER: provider, "gen_ai.request.model": model, "gen_ai.operation.name": operation, "service": "studio"}


_IMAGES: Final = _of("replicate", "flux-1.1-pro")
_VIDEO: Final = _of("piapi", "kling-2.1", "video_generation")
_CLIPS: Final = _of("pollo", "pollo-1.6", "video_generation")
_SPEECH: Final = _of("a2e", "lip-sync", "video_generation")
_BROKEN: Final = Bump(at=0.72, lasts=0.14, level=40.0)


def _status(provider: str, bumps: tuple[Bump, ...] = ()) -> Signal:
    labels = {"provider": provider, "service": "studio"}
    return Signal(metric=PROVIDER_STATUS, level=1, labels=labels, noise=0.0, bumps=bumps)


def _calls(
    who: dict[str, str], level: float, median: float, *, error: str = "", bumps: tuple[Bump, ...] = ()
) -> Signal:
    labels = {**who, **({"error.type": error} if error else {})}
    return Signal(metric=AI_OPERATION_DURATION, level=level, labels=labels, median=median, spread=1.5, bumps=bumps)


def _healthy(values: str, provider: str) -> Points:
    return Points(PROVIDER_STATUS, values, {"provider": provider, "service": "studio"})


PACK: Final = Pack(
    name="ai-providers",
    title="Other AI providers",
    summary="Health, failures and cost of providers billed by image, second of video or minute.",
    needs=("obskit",),
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="One provider of videos is down for fifty minutes.",
        signals=(
            _status("replicate"),
            _status("piapi", (Bump(at=0.72, lasts=0.14, level=0.0),)),
            _status("pollo"),
            _status("a2e"),
            _calls(_IMAGES, 3 / 60, 5.5),
            _calls(_VIDEO, 1 / 60, 38.0, bumps=(Bump(at=0.72, lasts=0.14, level=0.3),)),
            _calls(_VIDEO, 0.02 / 60, 12.0, error="503", bumps=(_BROKEN,)),
            _calls(_CLIPS, 0.6 / 60, 31.0),
            _calls(_SPEECH, 0.5 / 60, 22.0),
            Signal(metric=AI_COST, level=3 / 60 * 0.01, labels=_IMAGES, swing=0.3),
            Signal(metric=AI_COST, level=1 / 60 * 0.05, labels=_VIDEO, swing=0.3),
            Signal(metric=AI_COST, level=0.6 / 60 * 0.04, labels=_CLIPS, swing=0.3),
            Signal(metric=AI_UNITS, level=3 / 60, labels={**_IMAGES, "obskit.unit": "images"}, swing=0.3),
            Signal(metric=AI_UNITS, level=5 / 60, labels={**_VIDEO, "obskit.unit": "seconds"}, swing=0.3),
            Signal(metric=AI_UNITS, level=3 / 60, labels={**_CLIPS, "obskit.unit": "seconds"}, swing=0.3),
            Signal(metric=AI_UNITS, level=0.25 / 60, labels={**_SPEECH, "obskit.unit": "minutes"}, swing=0.3),
            Signal(metric=AI_UNPRICED_CALLS, level=0.0004, labels=_SPEECH, noise=0.3),
        ),
    ),
    cases=(
        Case(
            alert="ai-providers-down",
            says="a provider's check fails for ten minutes",
            given=(_healthy("1x10 0x9 1x20", "piapi"), _healthy("1x40", "replicate")),
            opens="12m",
            closes="21m",
            within="1m",
            labels={"provider": "piapi"},
            tells={"pagerduty": 1, "slack": 1},
        ),
        Case(alert="ai-providers-down", says="Gemini's check is another pack's", given=_healthy("1x10 0x20", "gemini")),
        Case(
            alert="ai-providers-failing",
            says="every other call fails",
            given=(
                Sizes(AI_OPERATION_DURATION, {5.0: "0+4x50"}, _IMAGES),
                Sizes(AI_OPERATION_DURATION, {5.0: "_x20 4+4x30"}, {**_IMAGES, "error.type": "503"}),
            ),
            opens="27m",
            within="3m",
            labels={"gen_ai_provider_name": "replicate"},
        ),
        Case(
            alert="ai-providers-failing",
            says="the only call of an hour fails",
            given=Sizes(AI_OPERATION_DURATION, {5.0: "_x20 1x30"}, {**_IMAGES, "error.type": "503"}),
        ),
        Case(
            alert="ai-providers-cost",
            says="two dollars an hour",
            given=Points(AI_COST, "0+2x30", _VIDEO),
            opens="13h",
            within="1h",
            every="1h",
            tells={"finance": 1},
        ),
        Case(
            alert="ai-providers-cost",
            says="two providers at a dollar an hour each, 24 dollars a day",
            given=(Points(AI_COST, "0+1x30", _VIDEO), Points(AI_COST, "0+1x30", _IMAGES)),
            every="1h",
        ),
        Case(
            alert="ai-providers-unpriced",
            says="a model that is not in the list",
            given=Points(AI_UNPRICED_CALLS, "_x10 1x20 2x30", _SPEECH),
            open_at=("12m",),
            labels={"gen_ai_provider_name": "a2e"},
        ),
        Case(
            alert="ai-providers-unpriced",
            says="calls that have a price",
            given=Sizes(AI_OPERATION_DURATION, {5.0: "0+4x50"}, _IMAGES),
        ),
    ),
)
