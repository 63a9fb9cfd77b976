"""Whose budgets a call touches, and how they stand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final, Literal

from obskit.llm.budgets.ledger import Account, Outcome
from obskit.llm.budgets.limits import NO_LIMIT, SLOTS, Limits, Period, Unit, usd
from obskit.llm.budgets.periods import Windows

__all__ = ["EVERYBODY", "Caller", "Scope", "Standing", "standings"]

Scope = Literal["user", "session", "anonymous", "tier", "all"]
"""Who shares a budget: one user, one session, all of a tier that are neither, a tier, or everybody."""

EVERYBODY: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one budget stands.

    Attributes:
        scope: who shares it.
        tier: whose limit it is.
        user: the user's id, where it is that user's budget.
        session: the session's id, where it is that session's budget.
        period: ``day`` or ``month``.
        unit: ``tokens`` or ``usd``: in what the next three are.
        limit: of the period.
        used: by calls that have ended.
        reserved: by calls that have not.
        resets_at: when the next period begins, in the budgets' time zone.
    """

    scope: Scope
    tier: str
    user: str | None
    session: str | None
    period: Period
    unit: Unit
    limit: float
    used: float
    reserved: float
    resets_at: datetime

    @property
    def remaining(self) -> float:
        """What calls may still reserve, 0 or more."""
        return max(self.limit - self.used - self.reserved, 0)

    @property
    def remaining_share(self) -> float:
        """The share of the limit that is not used, 0 to 1; reservations do not count."""
        return max(1 - self.used / self.limit, 0.0) if self.limit else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a call, and the budgets that it touches.

    Attributes:
        tier: of the limits.
        user: the user's id.
        session: the session's id.
        scopes: of each account.
        accounts: those with any limit.
    """

    tier: str
    user: str | None
    session: str | None
    scopes: tuple[Scope, ...] = ()
    accounts: tuple[Account, ...] = ()

    def with_budgets(self, limited: Mapping[Scope, Limits]) -> Caller:
        """Return the caller with an account for each scope that is limited at all."""
        found = {scope: limits for scope, limits in limited.items() if not limits.is_unlimited}
        return Caller(
            tier=self.tier,
            user=self.user,
            session=self.session,
            scopes=tuple(found),
            accounts=tuple(
                Account(key=self._key(scope), limits=limits.amounts(), warnings=limits.warnings())
                for scope, limits in found.items()
            ),
        )

    def is_limited_in(self, unit: int) -> bool:
        """Return whether any account limits tokens (0), or US dollars (1)."""
        return any(limit != NO_LIMIT for account in self.accounts for limit in account.limits[unit::2])

    def _key(self, scope: Scope) -> str:
        match scope:
            case "user":
                return f"user:{_digest(self.user or '')}"
            case "session":
                return f"session:{_digest(self.session or '')}"
            case "all":
                return "all"
            case _:
                return f"{scope}:{_digest(self.tier)}"


def _digest(name: str) -> str:
    """Return what stands for an id in a store: bounded, and no personal data."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def standings(caller: Caller, outcome: Outcome, windows: Windows, zone: tzinfo) -> Iterator[tuple[int, int, Standing]]:
    """Yield each limit that a caller is under: the account's number, the slot's, and how it stands."""
    for number, (scope, account, balance) in enumerate(
        zip(caller.scopes, caller.accounts, outcome.balances, strict=True)
    ):
        for slot, kind in enumerate(SLOTS):
            limit = account.limits[slot]
            if limit == NO_LIMIT:
                continue
            end_ms = windows.day_end_ms if kind.period == "day" else windows.month_end_ms
            resets_at = datetime.fromtimestamp(end_ms // 1000, UTC).astimezone(zone)
            amounts = (limit, balance.used[slot], max(balance.held[slot], 0))
            limit_, used, reserved = amounts if kind.unit == "tokens" else tuple(map(usd, amounts))
            yield (
                number,
                slot,
                Standing(
                    scope=scope,
                    tier=caller.tier,
                    user=caller.user if scope == "user" else None,
                    session=caller.session if scope == "session" else None,
                    period=kind.period,
                    unit=kind.unit,
                    limit=limit_,
                    used=used,
                    reserved=reserved,
                    resets_at=resets_at,
                ),
            )
