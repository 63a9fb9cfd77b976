"""What a provider's reply says, gathered while it comes: the same for every SDK."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter
from typing import Any, Protocol

from obskit.llm.record import Call
from obskit.llm.usage import Usage
from obskit.signals import chores
from obskit.signals.chores import is_collecting, later

__all__ = ["Reply", "fail", "finish", "http_explanation"]

_log = logging.getLogger("obskit")

chores.watch()


class Reply(Protocol):
    """Gathers what one reply says."""

    @property
    def is_complete(self) -> bool:
        """Whether the last thing that counts has come, so that what is left of a stream need not be read."""

    def observe(self, response: Any) -> None:
        """Take in a response or a chunk. Never raises."""

    def tell(self, call: Call) -> Usage | None:
        """Put what was gathered on the call's span, and return the usage, None when nothing has told it."""

    def explain(self, error: BaseException) -> Mapping[str, Any]:
        """Return what an error says beside its status, as attributes of the span."""


def finish(
    call: Call,
    reply: Reply,
    *,
    error: BaseException | None = None,
    is_abandoned: bool = False,
    ended_s_ago: float = 0.0,
) -> None:
    """End a call with what its reply has told so far. Never raises."""
    if call.is_ended:
        return
    if is_collecting():  # hooks and the price list have locks, and others may hold them who wait for this thread
        ended_at = perf_counter() - ended_s_ago
        later(
            lambda: finish(call, reply, error=error, is_abandoned=is_abandoned, ended_s_ago=perf_counter() - ended_at)
        )
        return
    usage = None
    try:
        usage = reply.tell(call)
        if error is not None:
            call.set(reply.explain(error))
    except Exception as problem:  # noqa: BLE001 - the app's call must go through
        _log.warning("obskit could not read a reply of %s: %s: %s", call.provider, type(problem).__name__, problem)
    call.end(usage=usage, error=error, is_abandoned=is_abandoned, ended_s_ago=ended_s_ago)


def fail(call: Call, reply: Reply, error: BaseException) -> None:
    """End a call that failed before any reply. Never raises."""
    finish(call, reply, error=error)


def http_explanation(error: BaseException) -> dict[str, Any]:
    """Return when a refused call may come back, as the headers of its HTTP answer say it."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return {"obskit.gen_ai.retry_after_s": float(headers[name]) * factor}
        except (KeyError, ValueError, TypeError):  # not given, or a date
            continue
    return {}
