"""The guard: lanes by model, and calls that are tried again, replaced or given up in time."""

from __future__ import annotations

import inspect
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from typing import Any, Final, TypeVar, cast

from obskit.errors import ConfigError, Problem
from obskit.llm.guarding.breakers import Breaker, Circuit
from obskit.llm.guarding.clocks import Clock, SystemClock
from obskit.llm.guarding.lanes import Lane
from obskit.llm.guarding.limits import Limits, MemoryStore, Store
from obskit.llm.guarding.plans import Fallback, Options, Plan, at_least_one, options_in_force, seconds
from obskit.llm.guarding.resets import PACIFIC
from obskit.llm.guarding.runs import Call, Run
from obskit.llm.guarding.slots import Slot
from obskit.llm.guarding.waiters import Waiter
from obskit.signals.context import bound

__all__ = ["Guard"]

F = TypeVar("F", bound=Callable[..., Any])
Tokens = int | Callable[..., int] | None

_guards: Final[weakref.WeakSet[Guard]] = weakref.WeakSet()


class Guard:
    """Keeps AI calls within the provider's limits, and gets them through or gives them up in time.

    Args:
        requests_per_minute: of each model, at least 1. Source: 500 for Gemini.
        tokens_per_minute: of each model, input and output, at least 1. Source: 2,000,000 for Gemini.
        limits: other limits by model, for those that differ.
        store: counts what was taken; in this process's memory by default, see `RedisStore` for several processes.
        deadline: how long a call may take in all, waits and retries included: seconds, or ``"30s"``.
        attempts: how often a call is made at most, at least 1.
        fallback: models or functions that take a call's place when it fails, in turn.
        priority: ``interactive`` or ``background``.
        circuit_failures: how many of the last 20 calls must have failed (5xx), and half of all, to open the circuit.
        circuit_open: how long it stays open before the first probe; doubles with each failed probe up to 2 min.
        daily_reset_zone: whose midnight renews the provider's daily quota.
        clock: tells the time and waits; the machine's by default.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float = 500,
        tokens_per_minute: float = 2_000_000,
        limits: Mapping[str, Limits] | None = None,
        store: Store | None = None,
        deadline: str | float | timedelta = 60.0,
        attempts: int = 4,
        fallback: Fallback | tuple[Fallback, ...] | list[Fallback] = (),
        priority: str = "interactive",
        circuit_failures: int = 5,
        circuit_open: str | float | timedelta = 10.0,
        daily_reset_zone: str = PACIFIC,
        clock: Clock | None = None,
    ) -> None:
        try:
            self._options = Options().but(priority=priority, deadline=deadline, attempts=attempts, fallback=fallback)
            self._open_s = seconds(circuit_open)
            for least_one in (requests_per_minute, tokens_per_minute, circuit_failures):
                at_least_one(least_one)
        except ValueError as error:
            raise ConfigError(Problem(place="Guard(…)", problem=str(error), way_out="See docs/guard.md")) from error
        self._limits = Limits(requests=requests_per_minute, tokens=tokens_per_minute)
        self._own_limits = dict(limits or {})
        self._store: Store = MemoryStore() if store is None else store
        self._clock: Clock = SystemClock() if clock is None else clock
        self._failures, self._zone = circuit_failures, daily_reset_zone
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()
        _guards.add(self)

    # ------------------------------------------------------------------ in use

    def slot(
        self,
        model: str,
        *,
        tokens: int | None = None,
        priority: str | None = None,
        client: str | None = None,
        deadline: str | float | timedelta | None = None,
    ) -> Slot:
        """Return a place for one call, for `with` or `async with`: entering waits, leaving says how it went.

        Args:
            model: the model that is called in the block.
            tokens: how many it will use, input and output; by default as many as calls of it did of late.
            priority: ``interactive`` or ``background``.
            client: whose call it is; clients take turns. By default the user or session that is bound.
            deadline: how long it may take; entering raises where the limits do not allow it in time.
        """
        options = options_in_force(self._options)
        if priority is not None or client is not None or deadline is not None:
            options = options.but(priority=priority, client=client, deadline=deadline)
        lane = self._lanes.get(model) or self._lane(model)
        waiter = Waiter(
            client=options.client or _client(),
            priority=options.priority,
            tokens=lane.usual_tokens() if tokens is None else tokens,
            deadline=self._clock.now() + options.deadline_s,
        )
        return Slot(lane, waiter, self._clock, self._store)

    def protect(
        self,
        model: str,
        *,
        tokens: Tokens = None,
        priority: str | None = None,
        client: str | None = None,
        deadline: str | float | timedelta | None = None,
        attempts: int | None = None,
        fallback: Fallback | tuple[Fallback, ...] | list[Fallback] | None = None,
    ) -> Callable[[F], F]:
        """Return a decorator for functions that call a model: plain, async, and generators of either kind.

        A function with a parameter `model` is given the model, which is another one after a fallback; one with a
        parameter `slot` the `Slot`, whose `remaining_s` is a timeout for its client. An async function is stopped at
        its deadline; a plain one cannot be, so give its client that timeout.

        Args:
            model: the model that it calls first.
            tokens: how many tokens a call will use, or a function of its arguments that says so.
            priority: ``interactive`` or ``background``.
            client: whose calls these are.
            deadline: how long a call may take in all.
            attempts: how often it is made at most. A generator is only begun anew before its first item.
            fallback: models or functions that take its place when it fails, in turn.

        Raises:
            ConfigError: a value is out of range, or a fallback is a model and the function has no such parameter.
        """
        try:
            own = self._options.but(
                priority=priority, client=client, deadline=deadline, attempts=attempts, fallback=fallback
            )
        except ValueError as error:
            raise ConfigError(Problem(place="protect(…)", problem=str(error), way_out="See docs/guard.md")) from error

        def decorate(function: F) -> F:
            parameters = inspect.signature(function).parameters
            given = {name for name in ("model", "slot") if name in parameters}
            if "model" not in given and any(isinstance(each, str) for each in own.fallbacks):
                raise ConfigError(
                    Problem(
                        place=f"protect(…) on {function.__qualname__}",
                        problem="a fallback is a model, and the function has no parameter `model` to be told of it",
                        way_out="Add the parameter `model`, or use a function as the fallback",
                    )
                )

            def call(slot: Slot, args: Any, kwargs: Any) -> Any:
                told = {name: slot.model if name == "model" else slot for name in given}
                return function(*args, **{**kwargs, **told})

            return cast("F", wraps(function)(self.around(function, call, lambda _args, _kwargs: model, own, tokens)))

        return decorate

    def around(
        self,
        function: Callable[..., Any],
        call: Call,
        model_of: Callable[[Any, Any], str],
        options: Options | None = None,
        tokens: Tokens = None,
        *,
        without_self: bool = False,
    ) -> Callable[..., Any]:
        """Return a guarded function of the same kind (plain, async, generator) as another.

        Args:
            function: whose kind it is.
            call: makes the call: (slot, args, kwargs) → what `function` returns.
            model_of: which model is asked for: (args, kwargs) → its name.
            options: how its calls are treated; the guard's own by default.
            tokens: see `protect`.
            without_self: whether fallbacks that are functions are called without the first positional argument.
        """

        def begin(args: Any, kwargs: Any) -> Run:
            plan = Plan(
                model_of(args, kwargs),
                options_in_force(self._options if options is None else options),
                self._clock.now(),
            )
            return Run(self, plan, tokens, args, kwargs, without_self=without_self)

        if inspect.isasyncgenfunction(function):
            return lambda *args, **kwargs: begin(args, kwargs).stream_async(call)
        if inspect.isgeneratorfunction(function):
            return lambda *args, **kwargs: begin(args, kwargs).stream(call)
        if inspect.iscoroutinefunction(function):

            async def guarded(*args: Any, **kwargs: Any) -> Any:
                return await begin(args, kwargs).call_async(call)

            return guarded
        return lambda *args, **kwargs: begin(args, kwargs).call(call)

    # ------------------------------------------------------------------ to look at

    def circuit(self, model: str) -> Circuit:
        """Return the state of a model's circuit breaker."""
        return self._lane(model).circuit

    def waiting(self, model: str) -> int:
        """Return how many calls of a model wait in this process."""
        return self._lane(model).waiting

    def usual_tokens(self, model: str) -> int:
        """Return how many tokens a call of a model has used on the average of late."""
        return self._lane(model).usual_tokens()

    # ------------------------------------------------------------------ within

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self._clock

    def slot_of(self, plan: Plan, waiter: Waiter | None, tokens: int | None) -> tuple[Slot, Waiter]:
        """Return a place for a plan's next attempt."""
        lane = self._lanes.get(plan.model) or self._lane(plan.model)
        if waiter is None:
            options = plan.options
            waiter = Waiter(
                client=options.client or _client(),
                priority=options.priority,
                tokens=lane.usual_tokens() if tokens is None else tokens,
                deadline=plan.deadline,
            )
        return Slot(lane, waiter, self._clock, self._store), waiter

    def _lane(self, model: str) -> Lane:
        with self._lock:
            lane = self._lanes.get(model)
            if lane is None:
                lane = self._lanes[model] = Lane(
                    model,
                    limits=self._own_limits.get(model, self._limits),
                    store=self._store,
                    clock=self._clock,
                    breaker=Breaker(failures=self._failures, open_s=self._open_s),
                    reset_zone=self._zone,
                )
            return lane

    def renew_locks(self) -> None:
        """Begin with nobody waiting, as a forked child does."""
        self._lock = threading.Lock()
        for lane in self._lanes.values():
            lane.renew_lock()
        if isinstance(self._store, MemoryStore):
            self._store.renew_lock()


def _client() -> str:
    fields = bound()
    if not fields:
        return ""
    return str(fields.get("user_id") or fields.get("session_id") or "")


def _renew_locks() -> None:
    for guard in tuple(_guards):
        guard.renew_locks()


if hasattr(os, "register_at_fork"):  # a thread of the parent may have held a lock
    os.register_at_fork(after_in_child=_renew_locks)
