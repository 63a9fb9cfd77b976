"""How a guarded call goes on after a failure: again, with something else, or not at all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from opentelemetry import trace

from obskit import catalog
from obskit.config.values import parse_duration
from obskit.errors import Problem
from obskit.llm.guarding.errors import DeadlineError, GuardError
from obskit.llm.guarding.queues import Priority
from obskit.llm.guarding.verdicts import Failure, Verdict
from obskit.signals.metrics import record

__all__ = ["Options", "Plan", "options_in_force", "using"]

Fallback = str | Callable[..., Any]
"""A model's name, or a function that is called with the same arguments."""

_FIRST_BACKOFF_S: Final = 0.5
_LONGEST_BACKOFF_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one call, or a block of calls, is treated.

    Attributes:
        priority: ``interactive`` or ``background``.
        client: whose calls these are; clients take turns. By default the user or session that is bound.
        deadline_s: seconds that a call may take in all, its waits and retries included.
        attempts: how often it is made at most, at least 1.
        fallbacks: what takes its place when it fails, in turn.
    """

    priority: Priority = Priority.INTERACTIVE
    client: str | None = None
    deadline_s: float = 60.0
    attempts: int = 4
    fallbacks: tuple[Fallback, ...] = ()

    def but(
        self,
        *,
        priority: str | None = None,
        client: str | None = None,
        deadline: str | float | timedelta | None = None,
        attempts: int | None = None,
        fallback: Fallback | tuple[Fallback, ...] | list[Fallback] | None = None,
    ) -> Options:
        """Return these with some changed; None leaves one as it is.

        Raises:
            ValueError: a value is out of range.
        """
        changed: dict[str, Any] = {}
        if priority is not None:
            changed["priority"] = Priority(priority)
        if client is not None:
            changed["client"] = client
        if deadline is not None:
            changed["deadline_s"] = seconds(deadline)
        if attempts is not None:
            if attempts < 1:
                raise ValueError(f"attempts: {attempts} is not at least 1")
            changed["attempts"] = attempts
        if fallback is not None:
            changed["fallbacks"] = tuple(fallback) if isinstance(fallback, tuple | list) else (fallback,)
        return replace(self, **changed) if changed else self


def seconds(duration: str | float | timedelta) -> float:
    """Return a duration in seconds: a number of them, ``"30s"``, or a timedelta.

    Raises:
        ValueError: it is none, or not above 0.
    """
    if isinstance(duration, int | float):
        found = float(duration)
    else:
        parsed: timedelta = parse_duration(duration)
        found = parsed.total_seconds()
    if not found > 0:
        raise ValueError(f"a duration of {duration!r} is not above 0")
    return found


def at_least_one(number: float) -> None:
    """Check a limit.

    Raises:
        ValueError: it is below 1.
    """
    if not number >= 1:
        raise ValueError(f"a limit of {number!r} is not at least 1")


_changes: Final[ContextVar[Mapping[str, Any] | None]] = ContextVar("obskit_guard_options", default=None)


@contextmanager
def using(
    *,
    priority: str | None = None,
    client: str | None = None,
    deadline: str | float | timedelta | None = None,
    attempts: int | None = None,
    fallback: Fallback | tuple[Fallback, ...] | list[Fallback] | None = None,
) -> Iterator[None]:
    """Change how the guarded calls of a block are treated; see `Options`. None leaves an option as it is.

    Raises:
        ValueError: a value is out of range.
    """
    given = {
        "priority": priority,
        "client": client,
        "deadline": deadline,
        "attempts": attempts,
        "fallback": fallback,
    }
    changes = {**(_changes.get() or {}), **{name: value for name, value in given.items() if value is not None}}
    Options().but(**changes)
    token = _changes.set(changes)
    try:
        yield
    finally:
        _changes.reset(token)


def options_in_force(own: Options) -> Options:
    """Return a guard's or a function's options with the changes of the block that runs."""
    changes = _changes.get()
    return own if changes is None else own.but(**changes)


class Plan:
    """One guarded call over all its attempts and fallbacks.

    Args:
        model: what it asks for first.
        options: how it is treated.
        begun: when it began, by the guard's clock.
    """

    __slots__ = ("_attempt", "_fallbacks", "deadline", "model", "options")

    def __init__(self, model: str, options: Options, begun: float) -> None:
        self.model, self.options = model, options
        self.deadline = begun + options.deadline_s
        self._fallbacks = list(options.fallbacks)
        self._attempt = 1

    def pause_s(self, error: Exception, verdict: Verdict | None, now: float) -> float | None:
        """Return after which pause the same is tried again, None where it is not.

        Args:
            error: what the attempt failed with.
            verdict: what it says; None where the call was not made.
            now: by the guard's clock.
        """
        if isinstance(error, GuardError) or verdict is None or self._attempt >= self.options.attempts:
            return None
        if verdict.failure not in {Failure.MINUTE_QUOTA, Failure.BROKEN}:
            return None
        pause_s = 0.0  # after a 429 the whole lane pauses, and this call comes first then
        if verdict.failure is Failure.BROKEN:
            most = min(_FIRST_BACKOFF_S * 2 ** (self._attempt - 1), _LONGEST_BACKOFF_S)
            pause_s = max(verdict.pause_s or 0.0, random.uniform(most / 2, most))  # noqa: S311 - no secret
        if now + pause_s >= self.deadline:
            return None
        self._attempt += 1
        record(catalog.AI_GUARD_RETRIES, 1, {"gen_ai.request.model": self.model, "error.type": _kind(error, verdict)})
        return pause_s

    def fallback(self, error: Exception, verdict: Verdict | None, now: float) -> Fallback | None:
        """Return what takes the call's place, None where there is nothing (left), or where it would fail alike."""
        if verdict is not None and verdict.failure is Failure.OTHER and not isinstance(error, GuardError):
            return None
        while self._fallbacks:
            found = self._fallbacks.pop(0)
            if isinstance(found, str) and (now >= self.deadline or found == self.model):
                continue
            self._tell(found, error, verdict)
            if isinstance(found, str):
                self.model, self._attempt = found, 1
            return found
        return None

    def _tell(self, fallback: Fallback, error: Exception, verdict: Verdict | None) -> None:
        name = fallback if isinstance(fallback, str) else getattr(fallback, "__name__", type(fallback).__name__)
        reason = error.reason if isinstance(error, GuardError) else _kind(error, verdict)
        labels = {"gen_ai.request.model": self.model, "obskit.fallback": name, "obskit.reason": reason}
        record(catalog.AI_FALLBACKS, 1, labels)
        span = trace.get_current_span()
        attributes = {
            "obskit.gen_ai.fallback.from": self.model,
            "obskit.gen_ai.fallback.to": name,
            "obskit.gen_ai.fallback.reason": reason,
        }
        span.set_attributes(attributes)
        span.add_event("gen_ai fallback", attributes)

    def timed_out(self) -> DeadlineError:
        """Return the error of a call that was stopped at its deadline."""
        error = DeadlineError(
            Problem(
                place=f'guard, model "{self.model}"',
                problem=f"the call had not ended after {self.options.deadline_s:g} s, its deadline, and was stopped",
                way_out="Allow it more time, ask for less, or name a fallback",
            )
        )
        record(catalog.AI_GUARD_REFUSED, 1, {"gen_ai.request.model": self.model, "obskit.reason": error.reason})
        return error


def _kind(error: Exception, verdict: Verdict | None) -> str:
    return str(verdict.status) if verdict is not None and verdict.status else type(error).__qualname__
