"""The incident's script, as data: what happens when, and which alerts it must set off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from obskit.demo.faults import Faults

__all__ = ["CALM", "EXPECTED", "LENGTH_S", "SCRIPT", "SIMULATED_S", "Expected", "Phase"]

LENGTH_S: Final = 60.0
"""Real seconds that the phases below are written for; other lengths stretch or shrink them."""

SIMULATED_S: Final = 40 * 60.0
"""Seconds on the backend's clock that the script takes, however long it really takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One part of the script.

    Attributes:
        name: a word for the progress display.
        title: what happens, for people.
        length_s: real seconds in a script of `LENGTH_S`.
        rate: requests per real second.
        mix: kinds of request with their weights, see `traffic.KINDS`.
        faults: what Gemini does wrong meanwhile.
    """

    name: str
    title: str
    length_s: float
    rate: float
    mix: Mapping[str, int]
    faults: Faults = field(default_factory=Faults)


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

CALM: Final = Phase(name="calm", title="gentle traffic", length_s=0.0, rate=2.0, mix=_USUAL)
"""What goes on after the script, until Ctrl-C."""

SCRIPT: Final = (
    Phase(name="normal", title="a usual afternoon", length_s=7.0, rate=10.0, mix=_USUAL),
    Phase(
        name="slow",
        title="Gemini takes 2.4 s for an answer",
        length_s=12.0,
        rate=4.0,
        mix={"chat": 3, "chat_sync": 2, "chat_stream": 2, "products": 1},
        faults=Faults(latency_s=2.4),
    ),
    Phase(name="relief", title="Gemini is fast again", length_s=5.0, rate=10.0, mix=_USUAL),
    Phase(
        name="errors",
        title="guests come with a coupon that the shop does not know",
        length_s=8.0,
        rate=12.0,
        mix={"checkout_unknown_coupon": 3, "checkout": 4, "products": 3, "chat": 1, "recommend": 1},
    ),
    Phase(name="mended", title="the coupon is withdrawn", length_s=4.0, rate=10.0, mix=_USUAL),
    Phase(
        name="tokens",
        title="every prompt is 400 times as long",
        length_s=6.0,
        rate=8.0,
        mix={"chat": 2, "chat_sync": 2, "chat_stream": 1, "products": 1},
        faults=Faults(token_multiplier=400),
    ),
    Phase(
        name="storm",
        title="Gemini refuses calls: 429",
        length_s=8.0,
        rate=14.0,
        mix={"chat": 3, "chat_sync": 2, "chat_stream": 2, "recommend": 1, "products": 1},
        faults=Faults(status=429, share=0.9),
    ),
    Phase(name="recovery", title="all is well again", length_s=10.0, rate=8.0, mix=_USUAL),
)

EXPECTED: Final[Mapping[str, Expected]] = {
    "latency-p95": Expected(opened=1, closed=1, why="the chatbot is slow for 8 simulated minutes, then fast again"),
    "error-spike": Expected(opened=1, closed=1, why="a quarter of the shop's requests fails for 5 simulated minutes"),
    "token-spike": Expected(opened=1, closed=0, why="its window is a day, so it outlasts the script"),
    "gemini-rate-limit": Expected(opened=1, closed=1, why="the storm of 429s passes"),
    "daily-cost": Expected(opened=0, closed=0, why="the script stays far below the limit"),
}
"""By the policy's id in `alerts/`."""
