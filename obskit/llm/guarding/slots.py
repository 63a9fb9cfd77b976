"""One attempt at a call: from the way in to what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from obskit.llm.guarding.clocks import Clock
from obskit.llm.guarding.lanes import Lane
from obskit.llm.guarding.limits import Store
from obskit.llm.guarding.verdicts import Verdict, verdict_on
from obskit.llm.guarding.waiters import Waiter

__all__ = ["Slot", "tokens_of"]


class Slot:
    """A place for one call within the limits; a context manager, with `with` or `async with`.

    Leaving it normally says that the call has succeeded, an exception is read for what the provider says.

    Attributes:
        model: the model that the call goes to.
        verdict: what the failure says, None where there was none.
    """

    __slots__ = ("_clock", "_is_remote", "_lane", "_used", "_waiter", "model", "verdict")

    def __init__(self, lane: Lane, waiter: Waiter, clock: Clock, store: Store) -> None:
        self._lane, self._waiter, self._clock, self._is_remote = lane, waiter, clock, store.is_remote
        self._used: int | None = None
        self.model = lane.name
        self.verdict: Verdict | None = None

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline, at least 0: a timeout for the client that makes the call."""
        return max(0.0, self._waiter.deadline - self._clock.now())

    def used(self, tokens: int) -> None:
        """Tell how many tokens the call has used, input and output, so that the limits are met exactly."""
        self._used = max(0, tokens)

    def read(self, reply: Any) -> None:
        """Take the number of tokens from an SDK's reply, where it has one."""
        tokens = tokens_of(reply)
        if tokens is not None:
            self._used = tokens

    def __enter__(self) -> Self:
        self._lane.enter(self._waiter)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)

    async def __aenter__(self) -> Self:
        await self._lane.enter_async(self._waiter)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_remote and (error is not None or self._used is not None):
            await asyncio.to_thread(self._end, error)
        else:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if error is None:
            self._lane.used(self._waiter, self._used)
        elif isinstance(error, Exception):
            self.verdict = verdict_on(error)
            self._lane.failed(self._waiter, self.verdict)
        else:  # cancelled, or the process ends
            self._lane.abandoned(self._waiter)


def tokens_of(reply: Any) -> int | None:
    """Return all tokens of a reply of google-genai, OpenAI or Anthropic, None where it says nothing of them."""
    if reply is None or isinstance(reply, str):
        return None
    try:
        return _count(_get(reply, "usage_metadata") or _get(reply, "usage"))
    except Exception:  # noqa: BLE001 - a reply may be any object of the app, properties that raise included
        return None


def _count(usage: Any) -> int | None:
    if usage is None:
        return None
    for name in ("total_token_count", "total_tokens"):
        total = _get(usage, name)
        if isinstance(total, int):
            return max(0, total)
    counts = [_get(usage, name) for name in ("input_tokens", "output_tokens")]
    known = [count for count in counts if isinstance(count, int)]
    return max(0, sum(known)) if known else None


def _get(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, Mapping) else getattr(owner, name, None)
