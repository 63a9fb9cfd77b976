"""What may be used: limits by the day and by the month, in tokens and in US dollars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from obskit.errors import ConfigError, Problem, report

__all__ = ["NO_LIMIT", "SLOTS", "TIERS", "UNLIMITED", "Limits", "Period", "Slot", "Unit", "nanos", "usd"]

Period = Literal["day", "month"]
Unit = Literal["tokens", "usd"]

NO_LIMIT: Final = -1
_NANO: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One of the four things that an account counts.

    Attributes:
        period: after which it begins anew.
        unit: in which it is counted.
    """

    period: Period
    unit: Unit

    @property
    def argument(self) -> str:
        """The field of `Limits` that limits it."""
        return f"{'daily' if self.period == 'day' else 'monthly'}_{self.unit}"


SLOTS: Final = (
    Slot(period="day", unit="tokens"),
    Slot(period="day", unit="usd"),
    Slot(period="month", unit="tokens"),
    Slot(period="month", unit="usd"),
)
"""What an account counts, in the order that the stores keep."""


def nanos(amount_usd: float) -> int:
    """Return US dollars as whole billionths, rounded up: sums of them are exact, and never below what was spent."""
    return math.ceil(round(amount_usd * _NANO, 3))


def usd(amount_nanos: int) -> float:
    """Return billionths of a US dollar as US dollars."""
    return amount_nanos / _NANO


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be used. Nothing given means no limit.

    Attributes:
        daily_tokens: tokens from midnight to midnight, 0 or more.
        monthly_tokens: tokens of a calendar month, 0 or more.
        daily_usd: US dollars from midnight to midnight, 0 or more.
        monthly_usd: US dollars of a calendar month, 0 or more.
        warn_at: share of a limit, above 0 and at most 1, at which `Budgets(on_warning=…)` is called, once in a
            period; None for no warning.

    Raises:
        ConfigError: a number is out of its range.
    """

    daily_tokens: int | None = None
    monthly_tokens: int | None = None
    daily_usd: float | None = None
    monthly_usd: float | None = None
    warn_at: float | None = 0.8

    def __post_init__(self) -> None:
        problems = [
            Problem(
                place=f"Limits({slot.argument}={value!r})",
                problem="a limit is a number, 0 or more",
                way_out="Give such a number, or leave it out for no limit",
            )
            for slot in SLOTS
            if (value := self._of(slot)) is not None and not _is_amount(value)
        ]
        if self.warn_at is not None and not 0 < self.warn_at <= 1:
            problems.append(
                Problem(
                    place=f"Limits(warn_at={self.warn_at!r})",
                    problem="a share is above 0 and at most 1",
                    way_out="Use for example warn_at=0.8, or None for no warning",
                )
            )
        report(problems, error=ConfigError)

    def _of(self, slot: Slot) -> float | None:
        value: float | None = getattr(self, slot.argument)
        return value

    @property
    def is_unlimited(self) -> bool:
        """Whether nothing is limited."""
        return all(self._of(slot) is None for slot in SLOTS)

    def amounts(self) -> tuple[int, ...]:
        """Return the limit of each of `SLOTS` in tokens or billionths of a dollar, `NO_LIMIT` where there is none."""
        return tuple(_amount(slot, self._of(slot)) for slot in SLOTS)

    def warnings(self) -> tuple[int, ...]:
        """Return for each of `SLOTS` from what amount on to warn, `NO_LIMIT` for never."""
        share = self.warn_at
        if share is None:
            return (NO_LIMIT,) * len(SLOTS)
        return tuple(NO_LIMIT if limit == NO_LIMIT else max(math.ceil(limit * share), 1) for limit in self.amounts())


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _amount(slot: Slot, value: float | None) -> int:
    if value is None:
        return NO_LIMIT
    return int(value) if slot.unit == "tokens" else nanos(value)


UNLIMITED: Final = Limits()
"""No limit at all."""

TIERS: Final[Mapping[str, Limits]] = {
    "guest": Limits(daily_tokens=10_000, warn_at=None),
    "free": Limits(daily_tokens=50_000, monthly_tokens=500_000, warn_at=None),
    "premium": Limits(daily_tokens=200_000, monthly_tokens=3_000_000, warn_at=0.8),
    "enterprise": UNLIMITED,
}
"""An example, and the default: what each user of a tier may use.

Source: the project's requirements, "Token budgets by tier".
"""
