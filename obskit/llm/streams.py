"""Streams of an SDK, followed to their end, to their failure, or to where the app leaves them."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

from obskit.llm.gemini_call import Reply, finish
from obskit.llm.prices import wait_until_loaded
from obskit.llm.record import Call

__all__ = ["AsyncStream", "SyncStream"]


class SyncStream:
    """An iterator over chunks whose call begins with the first one that is asked for.

    Args:
        begin: begins the record, or returns None to leave the call alone.
        make: makes the SDK's own iterator.
    """

    def __init__(self, begin: Callable[[], Call | None], make: Callable[[], Iterator[Any]]) -> None:
        self._begin, self._make = begin, make
        self._chunks: Iterator[Any] | None = None
        self._call: Call | None = None
        self._reply = Reply()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self._chunks is None:
            self._call, self._chunks = self._begin(), self._make()
        call = self._call
        if call is None:
            return next(self._chunks)
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
        call.first_chunk()
        self._reply.observe(chunk)
        return chunk

    def close(self) -> None:
        """Leave the stream; the tokens seen so far are recorded."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
        if self._call is not None:
            finish(self._call, self._reply, is_abandoned=True)

    def __del__(self) -> None:
        if self._call is not None:
            finish(self._call, self._reply, is_abandoned=True)


class AsyncStream:
    """An asynchronous iterator over chunks of a call that has begun.

    Args:
        call: the call.
        chunks: the SDK's own iterator.
    """

    def __init__(self, call: Call, chunks: AsyncIterator[Any]) -> None:
        self._call, self._chunks = call, chunks
        self._reply = Reply()

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
        return chunk

    async def aclose(self) -> None:
        """Leave the stream; the tokens seen so far are recorded."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
        finish(self._call, self._reply, is_abandoned=True)

    def __del__(self) -> None:
        finish(self._call, self._reply, is_abandoned=True)
