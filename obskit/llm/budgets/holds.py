"""A call's share of its budgets, from before the call until what it used is known."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

from obskit.llm.budgets.ledger import Amount, Outcome, Request
from obskit.llm.budgets.limits import nanos
from obskit.llm.budgets.standings import Caller
from obskit.signals.context import leave

__all__ = ["Books", "Hold", "Steps", "current_hold"]

T = TypeVar("T")
Steps = Generator[Request, Outcome, T]
"""What is to be asked of a store, one request after the other; whoever drives it may wait as it likes."""

_current: Final[ContextVar[Hold | None]] = ContextVar("obskit_budget_hold", default=None)


def current_hold() -> Hold | None:
    """Return the innermost hold whose block the running code is in."""
    return _current.get()


class Books(Protocol):
    """What a hold wants of its budgets."""

    def reserving(self, hold: Hold) -> Steps[tuple[int, int] | None]:
        """Set aside what the hold asks for; returns the periods that it is from, None if no store was asked."""

    def settling(self, hold: Hold, used: Amount) -> Steps[None]:
        """Count what was used, and give the reservation back."""

    def releasing(self, hold: Hold) -> Steps[None]:
        """Give the reservation back."""

    def drive(self, steps: Steps[T]) -> T:
        """Ask the store, and wait."""

    async def drive_async(self, steps: Steps[T]) -> T:
        """Ask the store, and let others run meanwhile."""

    def drive_soon(self, steps: Steps[None]) -> None:
        """Have the store asked, and do not wait."""


class Hold:
    """Something set aside for one call, or for some calls that belong together. Made by `Budgets.hold`.

    As a block, ``with`` or ``async with``: it reserves at the beginning. At the end it settles what was used: what
    `add` was told, which AI calls that obskit records do by themselves, or else all that was reserved. A block
    that an exception leaves before anything was used gives everything back. `settle` and `release` may be called
    before the end; the first of them counts.

    Attributes:
        id: of the reservation.
        caller: who makes the call, and the budgets that it touches.
        reserved: tokens, and billionths of a US dollar.
        is_reserved: whether a store has set it aside: not before the beginning, not where nothing is limited, and
            not where the call was let through because the store is down.
        granted: starts of the day and month that it was granted in.
    """

    __slots__ = (
        "_books",
        "_is_closed",
        "_is_priced",
        "_lock",
        "_token",
        "_used",
        "caller",
        "granted",
        "id",
        "is_reserved",
        "reserved",
    )

    def __init__(self, books: Books, *, id: str, caller: Caller, reserved: Amount) -> None:  # noqa: A002 - its name
        self.id = id
        self.caller = caller
        self.reserved = reserved
        self.granted = (0, 0)
        self.is_reserved = False
        self._books = books
        self._is_closed = False
        self._used: Amount | None = None
        self._is_priced = True
        self._token: Token[Hold | None] | None = None
        self._lock = threading.Lock()

    # ------------------------------------------------------------------ what was used

    def add(self, *, tokens: int, cost_usd: float | None) -> None:
        """Tell what one call of the block has used; several add up.

        Args:
            tokens: all that is billed.
            cost_usd: US dollars; None where the price is unknown: then at least what was reserved counts.
        """
        with self._lock:
            before = self._used or (0, 0)
            self._used = (before[0] + max(tokens, 0), before[1] + nanos(max(cost_usd or 0.0, 0.0)))
            self._is_priced = self._is_priced and cost_usd is not None

    def settle(self, *, tokens: int | None = None, cost_usd: float | None = None) -> None:
        """Count what was used, and give the reservation back. Never raises on account of the store.

        Args:
            tokens: all that is billed; what `add` was told, or was reserved, where not given.
            cost_usd: US dollars; likewise.
        """
        if self._close():
            self._books.drive(self._books.settling(self, self._amount(tokens, cost_usd)))

    async def settle_async(self, *, tokens: int | None = None, cost_usd: float | None = None) -> None:
        """Count what was used, and give the reservation back; see `settle`."""
        if self._close():
            await self._books.drive_async(self._books.settling(self, self._amount(tokens, cost_usd)))

    def release(self) -> None:
        """Give the reservation back; nothing was used. Never raises on account of the store."""
        if self._close():
            self._books.drive(self._books.releasing(self))

    async def release_async(self) -> None:
        """Give the reservation back; see `release`."""
        if self._close():
            await self._books.drive_async(self._books.releasing(self))

    def settle_soon(self) -> None:
        """Settle what `add` was told, or was reserved, without waiting for the store."""
        if self._close():
            self._books.drive_soon(self._books.settling(self, self._amount(None, None)))

    def release_soon(self) -> None:
        """Release without waiting for the store."""
        if self._close():
            self._books.drive_soon(self._books.releasing(self))

    @property
    def is_closed(self) -> bool:
        """Whether it has been settled or released."""
        return self._is_closed

    def _close(self) -> bool:
        with self._lock:
            is_first, self._is_closed = not self._is_closed, True
            return is_first

    def _amount(self, tokens: int | None, cost_usd: float | None) -> Amount:
        used = self._used or self.reserved
        used_nanos = used[1] if self._is_priced else max(used[1], self.reserved[1])
        return (
            used[0] if tokens is None else max(tokens, 0),
            used_nanos if cost_usd is None else nanos(max(cost_usd, 0.0)),
        )

    # ------------------------------------------------------------------ the block

    def begin(self) -> Self:
        """Reserve.

        Raises:
            BudgetExceededError: a budget has not enough left.
            BudgetUnavailableError: the store is down, and the budgets fail closed.
        """
        self._granted(self._books.drive(self._books.reserving(self)))
        return self

    async def begin_async(self) -> Self:
        """Reserve; see `begin`."""
        self._granted(await self._books.drive_async(self._books.reserving(self)))
        return self

    def _granted(self, granted: tuple[int, int] | None) -> None:
        self.is_reserved = granted is not None
        self.granted = granted or (0, 0)

    def __enter__(self) -> Self:
        self.begin()
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        if error is None or self._used is not None:
            self.settle()
        else:
            self.release()

    async def __aenter__(self) -> Self:
        await self.begin_async()
        self._token = _current.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        if error is None or self._used is not None:
            await self.settle_async()
        else:
            await self.release_async()

    def _leave(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            leave(token)
