"""Made-up calls of AI providers: what the dashboard is drawn from, and what the alerts are tested by."""

from __future__ import annotations

from typing import Final

from obskit.catalog import AI_COST, AI_OPERATION_DURATION, AI_UNITS, AI_UNPRICED_CALLS, PROVIDER_STATUS
from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.scenarios import Bump, Scenario, Signal

__all__ = ["CASES", "PROVIDER", "SCENARIO"]

PROVIDER: Final = "gen_ai.provider.name"


def _of(provider: str, model: str, operation: str = "image_generation") -> dict[str, str]:
    return {PROVIDER: provider, "gen_ai.request.model": model, "gen_ai.operation.name": operation, "service": "studio"}


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


def _healthy(values: str, provider: str, instance: str = "1") -> Points:
    return Points(PROVIDER_STATUS, values, {"provider": provider, "service": "studio", "instance": instance})


SCENARIO: Final = Scenario(
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
)

CASES: Final = (
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
    Case(
        alert="ai-providers-down",
        says="one of three processes cannot reach it",
        given=(_healthy("1x30", "piapi"), _healthy("1x30", "piapi", "2"), _healthy("1x10 0x20", "piapi", "3")),
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
        given=(Sizes(AI_OPERATION_DURATION, {5.0: "0+4x50"}, _IMAGES), Points(AI_UNPRICED_CALLS, "0x50", _IMAGES)),
    ),
)
