"""The script of incidents, as data: what happens when, and which alerts it must set off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from obskit.demo.faults import Faults

__all__ = [
    "CALM",
    "CIRCUIT_OPEN_S",
    "EXPECTED",
    "FALLBACK",
    "LENGTH_S",
    "MODEL",
    "RESERVE_S",
    "SCRIPT",
    "TIERS",
    "Expected",
    "Phase",
]

MODEL: Final = "gemini-3.8-flash"
"""What the chatbot asks."""

FALLBACK: Final = "gemini-3.8-flash-lite"
"""What it asks where that one does not answer."""

TIERS: Final = ("guest", "free", "premium", "enterprise")
"""Who comes; each tier has as many users as the others."""

LENGTH_S: Final = 60.0
"""Real seconds that the phases below are written for; other lengths stretch or shrink them."""

CIRCUIT_OPEN_S: Final = 5.0
"""How long a circuit stays open before its first probe, in a script of `LENGTH_S`; twice as long before the second.

The first probe falls into the outage of 11 s and the second soon after its end.
"""

RESERVE_S: Final = 15 * 60.0
"""Seconds on the backend's clock beside those of the phases, for phases that take longer than planned.

The last phase uses up what is left of them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One part of the script.

    Attributes:
        name: a word for the progress display.
        title: what happens, for people.
        length_s: real seconds in a script of `LENGTH_S`.
        simulated_s: seconds on the backend's clock.
        rate: requests per real second.
        mix: kinds of request with their weights, see `traffic.KINDS`.
        faults: what Gemini does wrong meanwhile.
        tiers: whose users come.
        opens: incidents that each policy, by its id, must have opened since the script began. Where the phase's length
            was too short for that, as on a busy machine, it goes on for a while, on a slower clock.
        is_mending: whether it goes on, in the same way, until the guard makes the model's calls again.
    """

    name: str
    title: str
    length_s: float
    simulated_s: float
    rate: float
    mix: Mapping[str, int]
    faults: Faults = field(default_factory=Faults)
    tiers: tuple[str, ...] = TIERS
    opens: Mapping[str, int] = field(default_factory=dict)
    is_mending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What one of the shipped policies must do during the script.

    Attributes:
        opened: incidents.
        closed: those that end before the script does.
        why: the reason, for the list of mismatches.
    """

    opened: int
    closed: int
    why: str


_USUAL: Final = {
    "chat": 3,
    "chat_sync": 2,
    "chat_stream": 2,
    "recommend": 2,
    "products": 2,
    "product": 2,
    "missing": 1,
    "checkout": 2,
}
_CHATS: Final = {"chat": 3, "chat_sync": 2, "chat_stream": 2, "recommend": 1, "products": 1}
_WITHOUT_GUESTS: Final = TIERS[1:]

CALM: Final = Phase(
    name="calm", title="gentle traffic", length_s=0.0, simulated_s=0.0, rate=2.0, mix=_USUAL, tiers=_WITHOUT_GUESTS
)
"""What goes on after the script, until Ctrl-C."""

SCRIPT: Final = (
    Phase(
        name="normal",
        title="a usual afternoon",
        length_s=4.0,
        simulated_s=240.0,
        rate=8.0,
        mix={**_USUAL, "restock": 1},
    ),
    Phase(
        name="budget",
        title="guests ask for essays, until the day's tokens of their tier are used up: they get 429",
        length_s=4.0,
        simulated_s=180.0,
        rate=10.0,
        mix=_CHATS,
        faults=Faults(token_multiplier=60),
        tiers=("guest",),
        opens={"budget-exceeded": 1},
    ),
    Phase(
        name="slow",
        title="the guests are gone; Gemini takes 2.4 s for an answer",
        length_s=9.0,
        simulated_s=480.0,
        rate=3.0,
        mix={"chat": 3, "chat_sync": 2, "chat_stream": 2, "products": 1},
        faults=Faults(latency_s=2.4),
        tiers=_WITHOUT_GUESTS,
        opens={"latency-p95": 1},
    ),
    Phase(
        name="relief",
        title="Gemini is fast again",
        length_s=3.0,
        simulated_s=180.0,
        rate=6.0,
        mix=_USUAL,
        tiers=_WITHOUT_GUESTS,
    ),
    Phase(
        name="errors",
        title="customers come with a coupon that the shop does not know",
        length_s=7.0,
        simulated_s=270.0,
        rate=12.0,
        mix={"checkout_unknown_coupon": 3, "checkout": 4, "products": 3, "chat": 1, "recommend": 1},
        tiers=_WITHOUT_GUESTS,
        opens={"error-spike": 1},
    ),
    Phase(
        name="tokens",
        title="the coupon is withdrawn; a large customer's prompts are 400 times as long",
        length_s=4.0,
        simulated_s=180.0,
        rate=10.0,
        mix={"chat": 2, "chat_sync": 2, "chat_stream": 1, "products": 1},
        faults=Faults(token_multiplier=400),
        tiers=("enterprise",),
    ),
    Phase(
        name="storm",
        title="Gemini refuses calls (429): they wait and slow down, and none fails",
        length_s=5.0,
        simulated_s=120.0,
        rate=10.0,
        mix=_CHATS,
        faults=Faults(status=429, share=0.65, retry_after_s=0.02, model=MODEL),
        tiers=_WITHOUT_GUESTS,
        opens={"gemini-rate-limit": 1},
    ),
    Phase(
        name="mended",
        title="the quota is back",
        length_s=3.0,
        simulated_s=240.0,
        rate=5.0,
        mix=_USUAL,
        tiers=_WITHOUT_GUESTS,
    ),
    Phase(
        name="fallback",
        title=f"{MODEL} fails (503): {FALLBACK} answers in its place",
        length_s=4.0,
        simulated_s=150.0,
        rate=8.0,
        mix=_CHATS,
        faults=Faults(status=503, model=MODEL),
        tiers=_WITHOUT_GUESTS,
        opens={"ai-circuit-open": 1},
    ),
    Phase(
        name="down",
        title="all of Gemini is down",
        length_s=7.0,
        simulated_s=240.0,
        rate=12.0,
        mix=_CHATS,
        faults=Faults(status=503),
        tiers=_WITHOUT_GUESTS,
        opens={"error-spike": 2, "provider-down": 1, "ai-circuit-open": 2},
    ),
    Phase(
        name="mending",
        title="Gemini is back: a probe of the circuit finds out",
        length_s=3.0,
        simulated_s=90.0,
        rate=6.0,
        mix=_USUAL,
        tiers=_WITHOUT_GUESTS,
        is_mending=True,
    ),
    Phase(
        name="recovery",
        title="all is well again",
        length_s=7.0,
        simulated_s=600.0,
        rate=6.0,
        mix=_USUAL,
        tiers=_WITHOUT_GUESTS,
    ),
)

EXPECTED: Final[Mapping[str, Expected]] = {
    "budget-exceeded": Expected(opened=1, closed=1, why="the guests' tokens of the day run out, then the guests leave"),
    "latency-p95": Expected(opened=1, closed=1, why="the chatbot is slow for 8 simulated minutes, then fast again"),
    "error-spike": Expected(opened=2, closed=2, why="the shop fails over a coupon, and the chatbot without Gemini"),
    "token-spike": Expected(opened=1, closed=0, why="its window is a day, so it outlasts the script"),
    "gemini-rate-limit": Expected(opened=1, closed=1, why="the storm of 429s passes"),
    "ai-circuit-open": Expected(opened=2, closed=2, why="first one model fails, then the one in its place, then none"),
    "provider-down": Expected(opened=1, closed=1, why="the health check of Gemini fails while Gemini is down"),
    "daily-cost": Expected(opened=0, closed=0, why="the script stays far below the limit"),
}
"""By the policy's id in `alerts/`."""
