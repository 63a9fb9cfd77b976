"""The rules of the books, once in Python: what a request does to the accounts that it names.

`ledger.lua` is the same for Redis; one suite of tests runs over both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from obskit.llm.budgets.limits import NO_LIMIT, SLOTS
from obskit.llm.budgets.periods import Windows

__all__ = ["KEEP_MS", "REMEMBERED_MS", "STEP_BACK_MS", "Account", "Balance", "Outcome", "Request", "State", "apply"]

Verb = Literal["reserve", "settle", "release", "read"]
Amount = tuple[int, int]
"""Tokens, and billionths of a US dollar."""

STEP_BACK_MS: Final = 7_200_000
"""A store's clock that steps back by less than this over midnight does not open the old day again."""
REMEMBERED_MS: Final = 60_000
"""How long a settled reservation is remembered, so that a request that arrives twice counts once."""
KEEP_MS: Final = 40 * 86_400_000
"""After so long without use a store forgets an account: longer than any month."""

_TOKENS_AND_NANOS: Final = (0, 1, 0, 1)
_IS_MONTH: Final = (0, 0, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One thing that has a budget: a user, a session, a tier, or everybody together.

    Attributes:
        key: what the store knows it by.
        limits: for each of `SLOTS`.
        warnings: for each of `SLOTS`, from what amount on to warn.
    """

    key: str
    limits: tuple[int, ...]
    warnings: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a store is asked to do with all named accounts at once, or with none of them.

    Attributes:
        verb: what to do.
        accounts: with what.
        id: the reservation's.
        reserved: what is, or was, set aside.
        used: what a settled call used in truth.
        ttl_ms: after how many milliseconds a reservation expires.
        windows: the day and month that the asker takes for the present ones; a store whose clock says otherwise
            does nothing and answers ``stale``.
        granted: starts of the day and month that the reservation was made in; (0, 0) for the present ones.
    """

    verb: Verb
    accounts: tuple[Account, ...]
    windows: Windows
    id: str = ""
    reserved: Amount = (0, 0)
    used: Amount = (0, 0)
    ttl_ms: int = 0
    granted: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """How an account stands after a request.

    Attributes:
        used: settled amounts, for each of `SLOTS`.
        held: amounts that are reserved.
        warned: for each of `SLOTS`, whether this request is the first of its period to reach the warning.
        exhausted: the same for the limit, whether reached or asked to be overrun.
    """

    used: tuple[int, ...]
    held: tuple[int, ...]
    warned: tuple[bool, ...]
    exhausted: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a store answers.

    Attributes:
        status: ``ok``; ``refused``, and nothing was set aside; ``stale``, and nothing was done at all.
        now_ms: the store's clock.
        granted: starts of the day and month that counted.
        refused: number of the account, and of the slot, that was too small.
        balances: of each account.
    """

    status: Literal["ok", "refused", "stale"]
    now_ms: int
    granted: tuple[int, int] = (0, 0)
    refused: tuple[int, int] | None = None
    balances: tuple[Balance, ...] = ()


@dataclass(slots=True, kw_only=True)
class State:
    """An account's page in the books.

    Attributes:
        starts: when its day and its month began, in milliseconds since the epoch.
        used: settled amounts, for each of `SLOTS`.
        held: reserved amounts.
        warned: whether the warning has been told in this period.
        exhausted: whether the end has been told in this period.
        holds: reservations by id: expiry, tokens, billionths of a dollar, starts of their day and month.
        done: settled reservations by id: until when they are remembered.
    """

    starts: list[int] = field(default_factory=lambda: [0, 0])
    used: list[int] = field(default_factory=lambda: [0] * len(SLOTS))
    held: list[int] = field(default_factory=lambda: [0] * len(SLOTS))
    warned: list[bool] = field(default_factory=lambda: [False] * len(SLOTS))
    exhausted: list[bool] = field(default_factory=lambda: [False] * len(SLOTS))
    holds: dict[str, list[int]] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)

    def begin(self, starts: tuple[int, int]) -> None:
        """Begin a new day or month where one has begun."""
        for slot, period in enumerate(_IS_MONTH):
            if self.starts[period] != starts[period]:
                self.used[slot] = self.held[slot] = 0
                self.warned[slot] = self.exhausted[slot] = False
        self.starts = list(starts)

    def expire(self, now_ms: int) -> None:
        """Give back what callers set aside who have not been heard of since."""
        for name in [name for name, hold in self.holds.items() if hold[0] <= now_ms]:
            self.drop(name)
        for name in [name for name, until_ms in self.done.items() if until_ms <= now_ms]:
            del self.done[name]

    def drop(self, name: str) -> None:
        """Give back one reservation; nothing happens where it is gone."""
        hold = self.holds.pop(name, None)
        if hold is not None:
            self._hold(hold, -1)

    def take(self, name: str, hold: list[int]) -> None:
        """Set something aside."""
        self.holds[name] = hold
        self._hold(hold, 1)

    def _hold(self, hold: list[int], sign: int) -> None:
        for slot, period in enumerate(_IS_MONTH):
            if hold[3 + period] == self.starts[period]:
                self.held[slot] += sign * hold[1 + _TOKENS_AND_NANOS[slot]]

    def charge(self, used: Amount, granted: tuple[int, int]) -> None:
        """Count what was used, in the periods that it was granted in, if they are not over."""
        for slot, period in enumerate(_IS_MONTH):
            if granted[period] in {0, self.starts[period]}:
                self.used[slot] += used[_TOKENS_AND_NANOS[slot]]

    def too_small(self, account: Account, reserved: Amount) -> int | None:
        """Return the first slot that cannot bear so much more, None if all can."""
        for slot, limit in enumerate(account.limits):
            taken = self.used[slot] + self.held[slot]
            if limit != NO_LIMIT and (taken >= limit or taken + reserved[_TOKENS_AND_NANOS[slot]] > limit):
                return slot
        return None


def apply(request: Request, states: Sequence[State], now_ms: int) -> Outcome:
    """Do what is asked, and return the answer. The states, one for each account, change in place.

    Args:
        request: what is asked.
        states: the pages of the request's accounts.
        now_ms: the store's clock, in milliseconds since the epoch.
    """
    if not request.windows.holds(now_ms):
        return Outcome(status="stale", now_ms=now_ms)
    starts = _starts(request, states, now_ms)
    for state in states:
        state.begin(starts)
        state.expire(now_ms)
    refused: tuple[int, int] | None = None
    told: list[list[int]] = [[] for _ in states]
    if request.verb == "reserve":
        refused = _reserve(request, states, starts, now_ms)
        if refused is not None and not states[refused[0]].exhausted[refused[1]]:
            told[refused[0]].append(refused[1])
            states[refused[0]].exhausted[refused[1]] = True
    elif request.verb != "read":
        _close(request, states, now_ms)
    balances = [
        _balance(account, state, told=slots, is_telling=request.verb != "read")
        for account, state, slots in zip(request.accounts, states, told, strict=True)
    ]
    return Outcome(
        status="ok" if refused is None else "refused",
        now_ms=now_ms,
        granted=starts,
        refused=refused,
        balances=tuple(balances),
    )


def _starts(request: Request, states: Sequence[State], now_ms: int) -> tuple[int, int]:
    wanted = (request.windows.day_start_ms, request.windows.month_start_ms)
    day, month = (
        max(
            [
                wanted[period],
                *(state.starts[period] for state in states if state.starts[period] <= now_ms + STEP_BACK_MS),
            ]
        )
        for period in (0, 1)
    )
    return day, month


def _reserve(request: Request, states: Sequence[State], starts: tuple[int, int], now_ms: int) -> tuple[int, int] | None:
    if any(request.id in state.holds for state in states):  # asked twice, because the answer was lost
        return None
    for number, (account, state) in enumerate(zip(request.accounts, states, strict=True)):
        slot = state.too_small(account, request.reserved)
        if slot is not None:
            return number, slot
    for state in states:
        state.take(request.id, [now_ms + request.ttl_ms, *request.reserved, *starts])
    return None


def _close(request: Request, states: Sequence[State], now_ms: int) -> None:
    for state in states:
        if request.id in state.done:
            continue
        state.done[request.id] = now_ms + REMEMBERED_MS
        state.drop(request.id)
        if request.verb == "settle":
            state.charge(request.used, request.granted)


def _balance(account: Account, state: State, *, told: Sequence[int], is_telling: bool) -> Balance:
    warned, exhausted = [False] * len(SLOTS), [slot in told for slot in range(len(SLOTS))]
    for slot, used in enumerate(state.used if is_telling else ()):
        limit, warning = account.limits[slot], account.warnings[slot]
        if warning != NO_LIMIT and used >= warning and not state.warned[slot]:
            warned[slot] = state.warned[slot] = True
        if limit not in {NO_LIMIT, 0} and used >= limit and not state.exhausted[slot]:
            exhausted[slot] = state.exhausted[slot] = True
    return Balance(used=tuple(state.used), held=tuple(state.held), warned=tuple(warned), exhausted=tuple(exhausted))
