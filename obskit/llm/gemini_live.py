"""google-genai's Live sessions: each turn of the model is a call, from its first message to its last."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any, Final

from obskit.llm.gemini_call import Reply, fail, finish, provider_of
from obskit.llm.gemini_late import Replace, Tell
from obskit.llm.hooks import hooks
from obskit.llm.prices import model_name
from obskit.llm.record import Call, is_suppressed

__all__ = ["patch"]

_log = logging.getLogger("obskit")
_TURNS: Final = "_obskit_turns"


class _Turns:
    """The turns of one session; at most one is open."""

    def __init__(self, live: Any, model: str) -> None:
        self._provider, self._model = provider_of(live), model_name(model)
        self._open: tuple[Call, Reply] | None = None

    def observe(self, message: Any) -> None:
        """Take in a message of the server."""
        content = getattr(message, "server_content", None)
        is_last = bool(getattr(content, "turn_complete", False))
        is_of_turn = content is not None or message.tool_call is not None or message.usage_metadata is not None
        if not is_of_turn:
            return
        if self._open is None:
            self._open = (self._begun(), Reply())
        call, reply = self._open
        call.first_chunk()
        reply.observe(message)
        if is_last:
            self._open = None
            finish(call, reply)

    def _begun(self) -> Call:
        """Return the record of a turn; the request is on its way already, so that hooks hear of its end alone."""
        call = Call(operation="live", provider=self._provider, model=self._model)
        hooks.reported(call)
        return call

    def failed(self, error: BaseException) -> None:
        """End the open turn with an error."""
        found, self._open = self._open, None
        if found is not None:
            finish(*found, error=error)
        elif isinstance(error, Exception):
            fail(self._begun(), error)

    def left(self) -> None:
        """End the open turn, because the app leaves the session."""
        found, self._open = self._open, None
        if found is not None:
            finish(*found, is_abandoned=True)


def patch(genai: ModuleType, replace: Replace, tell: Tell) -> None:
    """Record the turns of the sessions that are opened from now on."""
    module = getattr(genai, "live", None)
    live, session = getattr(module, "AsyncLive", None), getattr(module, "AsyncSession", None)
    if not hasattr(live, "connect") or not hasattr(session, "_receive"):
        tell("AsyncLive.connect or AsyncSession._receive is not there, so Live sessions are not recorded")
        return
    replace(live, "connect", _connect(live.connect))  # type: ignore[union-attr]
    replace(session, "_receive", _receive(session._receive))  # type: ignore[union-attr]  # noqa: SLF001


def _connect(original: Callable[..., Any]) -> Callable[..., Any]:
    @asynccontextmanager
    async def connect(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async with original(self, *args, **kwargs) as session:
            turns = None if is_suppressed() else _Turns(self, str(kwargs.get("model") or ""))
            setattr(session, _TURNS, turns)
            try:
                yield session
            finally:
                if turns is not None:
                    turns.left()

    return connect


def _receive(original: Callable[..., Any]) -> Callable[..., Any]:
    async def receive(self: Any) -> Any:
        turns: _Turns | None = getattr(self, _TURNS, None)
        try:
            message = await original(self)
        except Exception as error:
            # A session that the server closes as agreed (1000) has not failed.
            if turns is not None and getattr(error, "code", None) != 1000:
                turns.failed(error)
            raise
        if turns is not None:
            try:
                turns.observe(message)
            except Exception as problem:  # noqa: BLE001 - the app's message must go through
                _log.warning("obskit could not read a Live message: %s: %s", type(problem).__name__, problem)
        return message

    return receive
