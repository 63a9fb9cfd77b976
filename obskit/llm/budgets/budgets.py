"""The budgets of an app: who may use how much, asked before each call and told after it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta, tzinfo
from typing import Final, Literal, TypeVar

from obskit.errors import ConfigError, report
from obskit.llm.budgets.arguments import choice, known_id, seconds, unknown_tiers
from obskit.llm.budgets.asking import Asking, Late, StoreDownError
from obskit.llm.budgets.following import OBSERVER, Follower
from obskit.llm.budgets.holds import Hold, Steps
from obskit.llm.budgets.ledger import Amount, Outcome, Request
from obskit.llm.budgets.limits import TIERS, Limits, nanos
from obskit.llm.budgets.periods import Windows, windows_at, zone_named
from obskit.llm.budgets.standings import EVERYBODY, Caller, Scope, Standing, standings
from obskit.llm.budgets.stores import MemoryStore, Store
from obskit.llm.budgets.telling import Notice, Telling, exceeded, unavailable
from obskit.llm.hooks import add_hook, remove_hook
from obskit.signals.context import bound

__all__ = ["Budgets"]

T = TypeVar("T")
_NOTHING: Final = (0, 0)
_MOST_TRIES: Final = 4


class Budgets:
    """How much each user of a tier, a whole tier, and everybody together may use.

    Args:
        tiers: what each user, or session, of a tier may use. The default, `TIERS`, is an example.
        totals: what all of a tier together may use, by tier; under ``"*"`` everybody together.
        users: what single users may use instead of what their tier says, by user id.
        per: ``user`` counts by user id, and by session id where no user is known; ``session`` the other way round.
            Callers with neither share one budget in each tier.
        default_tier: the tier of those who have none, or one that `tiers` does not name; the first of `tiers`.
        store: where the books are kept; by default in this process's memory, which other processes do not see.
        zone: the time zone whose midnight begins a day: an IANA name, or a `tzinfo`.
        timeout: the longest that a call waits for the store, above 0: a `timedelta`, or such as ``"500ms"``.
        when_down: ``open`` lets calls through while the store is down, ``closed`` refuses them.
        reservation_ttl: after how long the reservation of a caller that has vanished expires; longer than the
            longest call.
        reserve_tokens: what a call reserves that says nothing, where its tokens are limited, 0 or more.
        reserve_usd: the same in US dollars.
        on_warning: called with a `Standing` when a budget reaches its `warn_at`, once in a period.
        on_exhausted: the same when one reaches its limit.

    Raises:
        ConfigError: an argument makes no sense; the message says which, and all of them.
    """

    def __init__(
        self,
        tiers: Mapping[str, Limits] = TIERS,
        *,
        totals: Mapping[str, Limits] | None = None,
        users: Mapping[str, Limits] | None = None,
        per: Literal["user", "session"] = "user",
        default_tier: str | None = None,
        store: Store | None = None,
        zone: str | tzinfo = "UTC",
        timeout: timedelta | str = "500ms",
        when_down: Literal["open", "closed"] = "open",
        reservation_ttl: timedelta | str = "10m",
        reserve_tokens: int = 2_000,
        reserve_usd: float = 0.01,
        on_warning: Notice | None = None,
        on_exhausted: Notice | None = None,
    ) -> None:
        self._tiers, self._totals, self._users = dict(tiers), dict(totals or {}), dict(users or {})
        self._default_tier = next(iter(self._tiers), "") if default_tier is None else default_tier
        self._per, self._is_open = per, when_down == "open"
        problems = [
            *choice("per", per, ("user", "session")),
            *choice("when_down", when_down, ("open", "closed")),
            *unknown_tiers([self._default_tier, *(name for name in self._totals if name != EVERYBODY)], self._tiers),
        ]
        timeout_s = seconds("timeout", timeout, problems)
        self._ttl_ms = int(seconds("reservation_ttl", reservation_ttl, problems) * 1000)
        report(problems, error=ConfigError)
        self._zone = zone_named(zone)
        self._reserve: Amount = (max(reserve_tokens, 0), nanos(max(reserve_usd, 0.0)))
        self._store: Store = MemoryStore() if store is None else store
        self._timeout_s = timeout_s
        self._asking = Asking(self._store, timeout_s)
        self._telling = Telling(on_warning, on_exhausted)
        self._follower = Follower(self)
        self._windows: Windows | None = None
        self._ahead_ms = 0
        add_hook(OBSERVER)

    # ------------------------------------------------------------------ for the app

    def hold(
        self,
        *,
        tokens: int | None = None,
        cost_usd: float | None = None,
        user: str | None = None,
        session: str | None = None,
        tier: str | None = None,
    ) -> Hold:
        """Return a block, for ``with`` or ``async with``, that reserves at its beginning and settles at its end.

        Args:
            tokens: what the calls in it may use together, thinking included; `reserve_tokens` where not given.
            cost_usd: the same in US dollars; `reserve_usd` where not given.
            user: the user's id; by default what `obskit.bind(user_id=…)` says.
            session: the session's id; by default `obskit.bind(session_id=…)`.
            tier: the user's tier; by default `obskit.bind(user_tier=…)`.
        """
        caller = self._caller(user, session, tier)
        by_default = [self._reserve[unit] if caller.is_limited_in(unit) else 0 for unit in (0, 1)]
        reserved = (
            by_default[0] if tokens is None else max(int(tokens), 0),
            by_default[1] if cost_usd is None else nanos(max(cost_usd, 0.0)),
        )
        return Hold(self, id=os.urandom(12).hex(), caller=caller, reserved=reserved)

    def reserve(
        self,
        *,
        tokens: int | None = None,
        cost_usd: float | None = None,
        user: str | None = None,
        session: str | None = None,
        tier: str | None = None,
    ) -> Hold:
        """Reserve, and return what `settle` or `release` must be called on; the arguments are those of `hold`.

        Raises:
            BudgetExceededError: a budget has not enough left.
            BudgetUnavailableError: the store is down, and the budgets fail closed.
        """
        return self.hold(tokens=tokens, cost_usd=cost_usd, user=user, session=session, tier=tier).begin()

    async def reserve_async(
        self,
        *,
        tokens: int | None = None,
        cost_usd: float | None = None,
        user: str | None = None,
        session: str | None = None,
        tier: str | None = None,
    ) -> Hold:
        """Reserve, for `settle_async` or `release_async`; see `reserve`."""
        hold = self.hold(tokens=tokens, cost_usd=cost_usd, user=user, session=session, tier=tier)
        return await hold.begin_async()

    def standings(
        self, *, user: str | None = None, session: str | None = None, tier: str | None = None
    ) -> tuple[Standing, ...]:
        """Return how the budgets of a caller stand, one for each limit; the arguments are those of `hold`.

        Raises:
            BudgetUnavailableError: the store is down.
        """
        return self.drive(self._reading(self._caller(user, session, tier)))

    async def standings_async(
        self, *, user: str | None = None, session: str | None = None, tier: str | None = None
    ) -> tuple[Standing, ...]:
        """Return how the budgets of a caller stand; see `standings`."""
        return await self.drive_async(self._reading(self._caller(user, session, tier)))

    def follow_calls(self) -> None:
        """Reserve and settle by itself for each AI call that obskit records and that is made outside of a block.

        Each round of automatic function calling is a call. A call for which not enough is left raises
        `BudgetExceededError` in place of being sent. `obskit.instrument` must have been called for calls to be seen.
        """
        add_hook(self._follower)

    def unfollow_calls(self) -> None:
        """Leave calls alone again."""
        remove_hook(self._follower)

    # ------------------------------------------------------------------ for holds

    def reserving(self, hold: Hold) -> Steps[tuple[int, int] | None]:
        """Set aside what the hold asks for; see `Books`."""
        caller = hold.caller
        if not caller.accounts:
            return None
        try:
            outcome, windows = yield from self._agreeing(
                Request(
                    verb="reserve",
                    accounts=caller.accounts,
                    windows=self._present(),
                    id=hold.id,
                    reserved=hold.reserved,
                    ttl_ms=self._ttl_ms,
                )
            )
        except StoreDownError as error:
            self._telling.store_failed("let_through" if self._is_open else "refused")
            if self._is_open:
                return None
            raise unavailable(error) from error
        each = list(standings(caller, outcome, windows, self._zone))
        self._telling.stand(each, outcome)
        for number, slot, standing in each:
            if outcome.refused == (number, slot):
                self._telling.refused(standing)
                raise exceeded(standing, slot, caller, hold.reserved, outcome.now_ms)
        return outcome.granted

    def settling(self, hold: Hold, used: Amount) -> Steps[None]:
        """Count what was used; see `Books`."""
        self._telling.settled(hold.caller.tier, used)
        yield from self._closing(hold, Request(verb="settle", used=used, accounts=(), windows=self._present()))

    def releasing(self, hold: Hold) -> Steps[None]:
        """Give the reservation back; see `Books`."""
        if hold.is_reserved:
            yield from self._closing(hold, Request(verb="release", accounts=(), windows=self._present()))

    def _closing(self, hold: Hold, request: Request) -> Steps[None]:
        if not hold.caller.accounts:
            return
        try:
            outcome, windows = yield from self._agreeing(_of(hold, request))
        except StoreDownError:
            if request.verb == "settle":
                self._telling.store_failed("unsettled")
            return
        self._telling.stand(list(standings(hold.caller, outcome, windows, self._zone)), outcome)

    def _reading(self, caller: Caller) -> Steps[tuple[Standing, ...]]:
        if not caller.accounts:
            return ()
        try:
            outcome, windows = yield from self._agreeing(
                Request(verb="read", accounts=caller.accounts, windows=self._present())
            )
        except StoreDownError as error:
            raise unavailable(error) from error
        return tuple(standing for _, _, standing in standings(caller, outcome, windows, self._zone))

    # ------------------------------------------------------------------ asking

    def drive(self, steps: Steps[T]) -> T:
        """Ask the store, and wait; see `Books`."""
        try:
            request = next(steps)
            while True:
                try:
                    outcome = self._asking.ask(request, self._late(request))
                except StoreDownError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(outcome)
        except StopIteration as done:
            result: T = done.value
            return result

    async def drive_async(self, steps: Steps[T]) -> T:
        """Ask the store, and let others run meanwhile; see `Books`."""
        try:
            request = next(steps)
            while True:
                try:
                    outcome = await self._asking.ask_async(request, self._late(request))
                except StoreDownError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(outcome)
        except StopIteration as done:
            result: T = done.value
            return result

    def drive_soon(self, steps: Steps[None]) -> None:
        """Have the store asked, and do not wait; see `Books`."""
        if self._store.is_local:
            self.drive(steps)
            return

        def then(answer: Outcome | StoreDownError) -> Request | None:
            try:
                return steps.throw(answer) if isinstance(answer, StoreDownError) else steps.send(answer)
            except StopIteration:
                return None

        first = next(steps, None)
        if first is not None:
            self._asking.ask_soon(first, then)

    def _agreeing(self, request: Request) -> Steps[tuple[Outcome, Windows]]:
        """Ask until the store and this process agree on the day: the store's clock decides, this one may be wrong."""
        for _ in range(_MOST_TRIES):
            outcome = yield request
            self._ahead_ms = outcome.now_ms - _now_ms()
            if outcome.status != "stale":
                return outcome, request.windows
            self._windows = windows_at(outcome.now_ms, self._zone)
            request = replace(request, windows=self._windows)
        raise StoreDownError("its clock and this one's do not come together")

    def _present(self) -> Windows:
        """Return the day and month that the store is in, as far as is known here."""
        now_ms = _now_ms() + self._ahead_ms
        if self._windows is None or not self._windows.holds(now_ms):
            self._windows = windows_at(now_ms, self._zone)
        return self._windows

    def _late(self, request: Request) -> Late:
        """Return what gives a reservation back that was granted when its caller had gone on without it."""

        def late(outcome: Outcome) -> None:
            if request.verb == "reserve" and outcome.status == "ok":
                back = replace(request, verb="release", granted=outcome.granted)
                try:
                    self._store.apply(back, timeout_s=self._timeout_s)
                except Exception:  # noqa: BLE001 - a store that is down; the reservation expires by itself
                    self._telling.store_failed("unsettled")

        return late

    def _caller(self, user: str | None, session: str | None, tier: str | None) -> Caller:
        who = bound()
        user = known_id(user, who.get("user_id"))
        session = known_id(session, who.get("session_id"))
        wanted = known_id(tier, who.get("user_tier"))
        tier = wanted if wanted in self._tiers else self._default_tier
        by_user: tuple[Scope, str | None] = ("user", user)
        by_session: tuple[Scope, str | None] = ("session", session)
        order = (by_user, by_session) if self._per == "user" else (by_session, by_user)
        own: Scope = next((scope for scope, known in order if known is not None), "anonymous")
        limited: dict[Scope, Limits] = {own: self._users.get(user or "", self._tiers[tier])}
        if tier in self._totals:
            limited["tier"] = self._totals[tier]
        if EVERYBODY in self._totals:
            limited["all"] = self._totals[EVERYBODY]
        return Caller(tier=tier, user=user, session=session).with_budgets(limited)


def _of(hold: Hold, request: Request) -> Request:
    return replace(request, accounts=hold.caller.accounts, id=hold.id, reserved=hold.reserved, granted=hold.granted)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
