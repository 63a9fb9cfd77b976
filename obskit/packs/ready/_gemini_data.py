"""Made-up calls of models: what the pack's dashboards are drawn from, and what its alerts are tested by."""

from __future__ import annotations

from typing import Final

from obskit.catalog import (
    AI_COST,
    AI_FALLBACKS,
    AI_GUARD_CIRCUIT,
    AI_GUARD_REFUSED,
    AI_GUARD_RETRIES,
    AI_GUARD_THROTTLED,
    AI_GUARD_WAIT,
    AI_OPERATION_DURATION,
    AI_TIME_TO_FIRST_CHUNK,
    AI_TOKENS,
    AI_UNPRICED_CALLS,
    PROVIDER_STATUS,
)
from obskit.packs.cases import Case, Points, Sizes
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import known_metric

__all__ = ["CASES", "SCENARIO"]

_MODEL: Final = "gen_ai.request.model"
_SESSIONS: Final = known_metric(
    "logging.googleapis.com/user/chat-session-seconds",
    kind="delta",
    value="distribution",
    unit="s",
    labels=["service"],
)
_PRO: Final = {"service": "chat", _MODEL: "gemini-2.5-pro", "gen_ai.provider.name": "gcp.gemini"}
_FLASH: Final = {**_PRO, _MODEL: "gemini-2.5-flash"}
_CHECK: Final = {"service": "chat", "provider": "gemini", "instance": "1"}
_OUTAGE: Final = Bump(at=0.7, lasts=0.08, level=60)


def _model(labels: dict[str, str], calls: float, tokens: float, usd_per_million: float) -> tuple[Signal, ...]:
    kinds = {"input": 0.24, "cached": 0.46, "output": 0.2, "thinking": 0.1}
    return (
        Signal(metric=AI_OPERATION_DURATION, level=calls, labels=labels, median=2.1, swing=0.4, noise=0.15),
        Signal(metric=AI_TIME_TO_FIRST_CHUNK, level=calls, labels=labels, median=0.5, swing=0.4, noise=0.15),
        Signal(
            metric=AI_OPERATION_DURATION,
            level=calls * 0.002,
            labels={**labels, "error.type": "503"},
            median=4,
            noise=0.5,
            bumps=(_OUTAGE,),
        ),
        *(
            Signal(
                metric=AI_TOKENS,
                level=calls * tokens * part,
                labels={**labels, "obskit.token.kind": kind},
                swing=0.4,
                noise=0.15,
            )
            for kind, part in kinds.items()
        ),
        Signal(metric=AI_COST, level=calls * tokens * usd_per_million / 1e6, labels=labels, swing=0.4, noise=0.15),
    )


SCENARIO: Final = Scenario(
    says="A day of a chat service on two models; in the evening the provider fails for two hours.",
    signals=(
        Signal(metric=PROVIDER_STATUS, level=1, labels=_CHECK, noise=0.0, bumps=(Bump(at=0.7, lasts=0.08, level=0),)),
        *_model(_PRO, 0.04, 9_000, 0.9),
        *_model(_FLASH, 0.16, 4_000, 0.25),
        Signal(
            metric=AI_OPERATION_DURATION,
            level=0.004,
            labels={**_PRO, "error.type": "429"},
            median=0.2,
            noise=0.5,
            bumps=(Bump(at=0.45, lasts=0.05, level=30),),
        ),
        Signal(
            metric=AI_GUARD_CIRCUIT,
            level=0.02,
            labels={"service": "chat", _MODEL: "gemini-2.5-pro"},
            noise=0,
            bumps=(Bump(at=0.7, lasts=0.08, level=100),),
        ),
        *(
            Signal(
                metric=metric,
                level=0.0005,
                labels={"service": "chat", _MODEL: "gemini-2.5-pro", **labels},
                noise=0.3,
                bumps=(_OUTAGE,),
            )
            for metric, labels in (
                (AI_GUARD_REFUSED, {"obskit.reason": "circuit_open"}),
                (AI_GUARD_RETRIES, {"error.type": "503"}),
                (AI_GUARD_THROTTLED, {"obskit.quota": "minute"}),
                (AI_FALLBACKS, {"obskit.fallback": "gemini-2.5-flash", "obskit.reason": "circuit_open"}),
            )
        ),
        Signal(
            metric=AI_GUARD_WAIT,
            level=0.02,
            labels={"service": "chat", _MODEL: "gemini-2.5-pro", "obskit.priority": "interactive"},
            median=0.6,
            bumps=(Bump(at=0.45, lasts=0.05, level=4, size=6),),
        ),
        Signal(metric=AI_UNPRICED_CALLS, level=0.0004, labels={**_PRO, _MODEL: "gemini-experimental"}, noise=0.6),
        Signal(metric=_SESSIONS, level=0.02, labels={"service": "chat"}, median=240, bumps=(Bump(at=0.7, size=1.9),)),
    ),
    hours=30,
)


def _called(fine: str, failed: str, status: str = "503") -> tuple[Sizes, Sizes]:
    return (
        Sizes(AI_OPERATION_DURATION, {1.0: fine}, _PRO),
        Sizes(AI_OPERATION_DURATION, {1.0: failed}, {**_PRO, "error.type": status}),
    )


def _used(*kinds: tuple[str, str]) -> tuple[Points, ...]:
    return tuple(Points(AI_TOKENS, values, {**_PRO, "obskit.token.kind": kind}) for kind, values in kinds)


_GUARDED: Final = {"service": "chat", _MODEL: "gemini-2.5-pro"}

CASES: Final = (
    Case(
        alert="gemini-down",
        says="one call in ten ends in a 503",
        given=_called("0+54x60", "_x20 6+6x20 126x20"),
        every="30s",
        opens="11m30s",
        closes="22m",
        within="1m",
        labels={"gen_ai_request_model": "gemini-2.5-pro"},
        tells={"pagerduty": 1},
    ),
    Case(
        alert="gemini-down",
        says="one call in twenty-five does",
        given=_called("0+48x60", "0+2x60"),
        every="30s",
    ),
    Case(alert="gemini-down", says="many exceed the quota", given=_called("0+48x60", "0+12x60", "429"), every="30s"),
    Case(
        alert="gemini-errors",
        says="three calls in a hundred are wrong",
        given=_called("0+97x60", "0x20 3+3x40", "400"),
        every="30s",
        opens="17m",
        within="2m",
        tells={"pagerduty": 1},
    ),
    Case(
        alert="gemini-errors",
        says="one in two hundred is",
        given=_called("0+199x60", "0+1x60", "400"),
        every="30s",
    ),
    Case(
        alert="gemini-errors",
        says="many only exceed the quota",
        given=_called("0+90x60", "0+10x60", "429"),
        every="30s",
    ),
    Case(
        alert="gemini-rate-limit",
        says="25 refused calls in a minute",
        given=_called("0+100x40", "_x20 12 25x20", "429"),
        every="30s",
        opens="10m30s",
        closes="12m",
        tells={"pagerduty": 1},
    ),
    Case(
        alert="gemini-rate-limit",
        says="five refused calls a minute, for long",
        given=_called("0+100x60", "0+2.5x60", "429"),
        every="30s",
    ),
    Case(
        alert="daily-cost",
        says="four dollars an hour",
        given=Points(AI_COST, "0+4x60", _PRO),
        every="1h",
        open_at=("24h", "40h"),
        silent_at=("12h", "18h"),
        tells={"slack": 1},
    ),
    Case(alert="daily-cost", says="three dollars an hour", given=Points(AI_COST, "0+3x60", _PRO), every="1h"),
    Case(
        alert="token-spike",
        says="a day of twice the tokens after an even week",
        given=_used(("input", "0+1000x192 194000+2000x48")),
        every="1h",
        open_at=("217h",),
        silent_at=("190h", "200h"),
        tells={"slack": 1},
    ),
    Case(
        alert="token-spike",
        says="a day of 130 % after an even week",
        given=_used(("input", "0+1000x192 193300+1300x48")),
        every="1h",
    ),
    Case(
        alert="tokens-per-request",
        says="50,000 tokens a call",
        given=(
            Sizes(AI_OPERATION_DURATION, {1.0: "0+4x40"}, _PRO),
            *_used(("input", "0+160000x40"), ("output", "0+40000x40")),
        ),
        open_at=("20m", "35m"),
        tells={"slack": 1},
    ),
    Case(
        alert="tokens-per-request",
        says="30,000 tokens a call",
        given=(Sizes(AI_OPERATION_DURATION, {1.0: "0+4x40"}, _PRO), *_used(("input", "0+120000x40"))),
    ),
    Case(
        alert="cache-hit-rate",
        says="a changed prompt ends the cache",
        given=_used(("input", "0+10000x120 1210000+40000x120"), ("cached", "0+30000x120 3600000x120")),
        open_at=("3h30m",),
        silent_at=("1h", "2h"),
        tells={"slack": 1},
    ),
    Case(
        alert="cache-hit-rate",
        says="half of the input is cached",
        given=_used(("input", "0+10000x180"), ("cached", "0+10000x180")),
    ),
    Case(
        alert="cache-hit-rate",
        says="a few calls, none of them cached",
        given=_used(("input", "0+500x180")),
    ),
    Case(
        alert="provider-down",
        says="its health check fails for ten minutes",
        given=Points(PROVIDER_STATUS, "1x10 0x9 1x20", _CHECK),
        opens="12m",
        closes="21m",
        within="1m",
        labels={"provider": "gemini"},
        tells={"pagerduty": 1, "slack": 1},
    ),
    Case(
        alert="provider-down",
        says="one process of three has a network of its own",
        given=tuple(
            Points(PROVIDER_STATUS, values, {**_CHECK, "instance": instance})
            for instance, values in (("1", "1x30"), ("2", "1x30"), ("3", "0x30"))
        ),
    ),
    Case(
        alert="ai-circuit-open",
        says="the circuit of a model opens for five minutes",
        given=(
            Points(AI_GUARD_CIRCUIT, "0x9 2x9 1 0x20", _GUARDED),
            Points(AI_GUARD_REFUSED, "_x10 3+3x9 30x20", {**_GUARDED, "obskit.reason": "circuit_open"}),
        ),
        every="30s",
        opens="6m",
        closes="10m30s",
        tells={"slack": 1},
    ),
    Case(
        alert="ai-circuit-open",
        says="it is open for long, and nobody asks for the model any more",
        given=Points(AI_GUARD_CIRCUIT, "0x9 2x40", _GUARDED),
        every="30s",
    ),
    Case(
        alert="ai-calls-wait",
        says="one call in ten waits for 20 s",
        given=Sizes(
            AI_GUARD_WAIT, {1: "0+9x30 270x20", 20: "0+1x30 30x20"}, {**_GUARDED, "obskit.priority": "interactive"}
        ),
        every="30s",
        open_at=("10m", "14m"),
        tells={"slack": 1},
    ),
    Case(
        alert="ai-calls-wait",
        says="background work waits for long, as it should",
        given=Sizes(AI_GUARD_WAIT, {1: "0+1x40", 20: "0+9x40"}, {**_GUARDED, "obskit.priority": "background"}),
        every="30s",
    ),
    Case(
        alert="chat-session-duration",
        says="after two usual days sessions last twice as long",
        given=Sizes(
            _SESSIONS, {300: "6x288 0x24", 600: "0x288 6x24"}, {"service": "chat"}, bounds=(60, 120, 300, 600, 1200)
        ),
        every="10m",
        open_at=("50h", "51h30m"),
        silent_at=("24h", "47h"),
        tells={"slack": 1},
    ),
    Case(
        alert="chat-session-duration",
        says="a third longer",
        given=Sizes(
            _SESSIONS, {300: "6x288 0x24", 400: "0x288 6x24"}, {"service": "chat"}, bounds=(60, 120, 300, 600, 1200)
        ),
        every="10m",
    ),
    Case(
        alert="chat-session-duration",
        says="three long sessions of a quiet night",
        given=Sizes(
            _SESSIONS,
            {300: "6x288 0x24", 1200: "0x288 _x6 3 _x17"},
            {"service": "chat"},
            bounds=(60, 120, 300, 600, 1200),
        ),
        every="10m",
    ),
)
