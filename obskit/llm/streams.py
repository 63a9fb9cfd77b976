"""Streams of an SDK, followed to their end, to their failure, or to where the app leaves them."""

from __future__ import annotations

import os
import threading
import weakref
from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from time import perf_counter
from typing import Any, Final, Self

from obskit.llm.price_list import wait_until_loaded
from obskit.llm.record import Call
from obskit.llm.replies import Reply, finish
from obskit.signals.endings import before_the_end

__all__ = ["AsyncStream", "SyncStream"]

_GRACE_S: Final = 1.0
"""How long a stream whose client has gone may stand still before it counts as left."""

_forsaken: Final[dict[SyncStream, int]] = {}
"""The streams whose clients have gone and that may yet go on, by the id of their process."""


class SyncStream:
    """An iterator over chunks whose call begins with the first one that is asked for.

    Args:
        begin: begins the record, or returns None to leave the call alone.
        make: makes the SDK's own iterator.
        reply: gathers what the chunks say.
    """

    def __init__(self, begin: Callable[[], Call | None], make: Callable[[], Iterator[Any]], reply: Reply) -> None:
        self._begin, self._make = begin, make
        self._chunks: Iterator[Any] | None = None
        self._call: Call | None = None
        self._reply = reply
        self._seen_at = 0.0
        self._is_waiting = False

    @classmethod
    def begun(cls, call: Call, chunks: Iterator[Any], reply: Reply) -> Self:
        """Return the stream of a call that has begun already."""
        stream = cls(lambda: call, lambda: chunks, reply)
        stream._call, stream._chunks, stream._seen_at = call, chunks, perf_counter()
        call.when_client_leaves(_watcher(stream))
        return stream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self._chunks is None:
            self._call = self._begin()
            if self._call is not None:
                self._call.start()
            self._chunks = self._make()
            if self._call is not None:
                self._call.when_client_leaves(_watcher(self))
        call = self._call
        if call is None:
            return next(self._chunks)
        self._is_waiting = True
        try:
            with call.active():
                chunk = next(self._chunks)
        except StopIteration:
            finish(call, self._reply)
            raise
        except GeneratorExit:  # greenlets are ended with it
            finish(call, self._reply, is_abandoned=True)
            raise
        except BaseException as error:
            finish(call, self._reply, error=error)
            raise
        finally:
            self._seen_at, self._is_waiting = perf_counter(), False
        call.first_chunk()
        self._reply.observe(chunk)
        if self._reply.is_complete:
            finish(call, self._reply)
        return chunk

    def leave(self) -> None:
        """End the record, because the app reads no further; what was told so far counts."""
        if self._call is not None:
            finish(self._call, self._reply, is_abandoned=True)

    def close(self) -> None:
        """Leave the stream; the tokens seen so far are recorded."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
        self.leave()

    def watch(self) -> None:
        """End the record soon, unless the app goes on with the stream although its client has gone.

        Starlette drops an abandoned body's generator in a cycle that only the garbage collector ends, at some time.
        """
        _forsaken[self] = os.getpid()
        before_the_end(_end_forsaken)
        self._look_later()

    def _look_later(self) -> None:
        timer = threading.Timer(_GRACE_S, self._end_if_still, (self._seen_at,))
        timer.daemon = True
        with suppress(RuntimeError):  # no more threads at the interpreter's end, which ends the stream anyway
            timer.start()

    def _end_if_still(self, since: float) -> None:
        if self._seen_at == since and not self._is_waiting:
            self._leave()
        if self._call is None or self._call.is_ended:
            _forsaken.pop(self, None)
        else:
            self._look_later()

    def _leave(self) -> None:
        if self._call is not None:
            finish(self._call, self._reply, is_abandoned=True, ended_s_ago=perf_counter() - self._seen_at)

    def __del__(self) -> None:
        self._leave()


def _end_forsaken() -> None:
    """End the records of the streams that this process will not go on with."""
    for stream, process in tuple(_forsaken.items()):
        if process == os.getpid():
            stream._leave()  # noqa: SLF001 - the same module


def _watcher(stream: SyncStream) -> Callable[[], None]:
    kept = weakref.ref(stream)

    def watch() -> None:
        found = kept()
        if found is not None:
            found.watch()

    return watch


class AsyncStream:
    """An asynchronous iterator over chunks of a call that has begun.

    Args:
        call: the call.
        chunks: the SDK's own iterator.
        reply: gathers what the chunks say.
    """

    def __init__(self, call: Call, chunks: AsyncIterator[Any], reply: Reply) -> None:
        self._call, self._chunks = call, chunks
        self._reply = reply

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        call = self._call
        try:
            with call.active():
                chunk = await anext(self._chunks)
        except StopAsyncIteration:
            try:
                await wait_until_loaded()
            finally:
                finish(call, self._reply)
            raise
        except (CancelledError, GeneratorExit):  # the app's own client has left, or the app has lost interest
            finish(call, self._reply, is_abandoned=True)
            raise
        except BaseException as error:
            finish(call, self._reply, error=error)
            raise
        call.first_chunk()
        self._reply.observe(chunk)
        if self._reply.is_complete and not call.is_ended:
            try:
                await wait_until_loaded()
            finally:
                finish(call, self._reply)
        return chunk

    def leave(self) -> None:
        """End the record, because the app reads no further; what was told so far counts."""
        finish(self._call, self._reply, is_abandoned=True)

    async def aclose(self) -> None:
        """Leave the stream; the tokens seen so far are recorded."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
        self.leave()

    def __del__(self) -> None:
        self.leave()
