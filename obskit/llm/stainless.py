"""SDKs that Stainless generates, as openai and anthropic are: one request function, its attempts, and its streams.

`request` of the client's base class runs once per call, whatever method of the SDK the app has used; `_build_request`
runs once per attempt. What a request asks for and what a reply says is each provider's own: its dialect.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any, Final, Protocol

from obskit.llm.bodies import Asked, BodyReply
from obskit.llm.patches import Patches
from obskit.llm.price_list import wait_until_loaded
from obskit.llm.record import Call, current_call, is_covered, is_suppressed, settings
from obskit.llm.replies import fail, finish
from obskit.llm.streams import AsyncStream, SyncStream

__all__ = ["Dialect", "patch"]

_log = logging.getLogger("obskit")

_FOLLOWER: Final = "_obskit_follower"
_PENDING: Final = "_obskit_pending"


class Dialect(Protocol):
    """What one provider's requests and replies mean."""

    def describe(self, client: Any, options: Any) -> Asked | None:
        """Return what a request asks for, None where it is no call of a model."""

    def seen(self, client: Any, options: Any, result: Any) -> None:
        """Look at the result of a request that is no call of a model: it may tell what an earlier one has used."""


def patch(sdk: ModuleType, dialect: Dialect, patches: Patches) -> None:
    """Record the calls that go through an SDK from now on."""
    patches.found(getattr(sdk, "__version__", None))
    clients = getattr(sdk, "_base_client", None)
    for owner, wrap in (("SyncAPIClient", _sync), ("AsyncAPIClient", _async)):
        found = getattr(clients, owner, None)
        if not hasattr(found, "request"):
            patches.tell(f"{owner}.request is not there, so its calls are not recorded")
            continue
        patches.replace(found, "request", wrap(found.request, dialect))  # type: ignore[union-attr]
        if hasattr(found, "_sleep_for_retry"):
            patches.replace(found, "_sleep_for_retry", _sleep(found._sleep_for_retry))  # type: ignore[union-attr]  # noqa: SLF001
        else:
            patches.tell(f"{owner}._sleep_for_retry is gone: why the SDK tries again is not seen")
    base = getattr(clients, "BaseClient", None)
    if hasattr(base, "_build_request"):
        patches.replace(base, "_build_request", _attempt(base._build_request))  # type: ignore[union-attr]  # noqa: SLF001
    else:
        patches.tell("BaseClient._build_request is gone: attempts that the SDK makes again are not seen")
    _patch_answers(sdk, patches)


def _patch_answers(sdk: ModuleType, patches: Patches) -> None:
    for module, owner, name, wrap in (
        ("_streaming", "Stream", "close", _close),
        ("_streaming", "AsyncStream", "close", _async_close),
        ("_response", "BaseAPIResponse", "_parse", _parse),
        ("_legacy_response", "LegacyAPIResponse", "_parse", _parse),
        ("_response", "APIResponse", "close", _close_raw),
        ("_response", "AsyncAPIResponse", "close", _async_close_raw),
    ):
        found = getattr(getattr(sdk, module, None), owner, None)
        if hasattr(found, name):
            patches.replace(found, name, wrap(getattr(found, name)))
        elif owner != "LegacyAPIResponse":  # it is not in every version
            patches.tell(
                f"{owner}.{name} is not there, so streams and raw answers that are left may not be seen to end"
            )


# --------------------------------------------------------------------------- calls


def _begin(dialect: Dialect, client: Any, options: Any) -> tuple[Call, BodyReply] | None:
    if is_suppressed():
        return None
    try:
        asked = dialect.describe(client, options)
        if asked is None:
            return None
        if asked.body is not None:
            options.json_data = asked.body
        if getattr(options, "span_name", None):  # anthropic makes a span of its own by default, which would be a second
            options.span_name = None
        if is_covered():
            return None
        call = Call(
            operation=asked.operation,
            provider=asked.provider,
            model=asked.model,
            attributes=asked.attributes,
            arguments=asked.arguments,
            is_clean=not settings().capture_prompts,
        )
        return call, asked.reply()
    except Exception as error:  # noqa: BLE001 - the app's call must go through
        _log.warning("obskit could not record a call: %s: %s", type(error).__name__, error)
        return None


def _look(dialect: Dialect, client: Any, options: Any, result: Any) -> None:
    if is_suppressed() or is_covered():
        return
    try:
        dialect.seen(client, options, result)
    except Exception as error:  # noqa: BLE001 - the app's call must go through
        _log.warning("obskit could not read a result: %s: %s", type(error).__name__, error)


def _sync(original: Callable[..., Any], dialect: Dialect) -> Callable[..., Any]:
    def request(self: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        begun = _begin(dialect, self, options)
        if begun is None:
            result = original(self, cast_to, options, *args, **kwargs)
            _look(dialect, self, options, result)
            return result
        call, reply = begun
        call.start()
        try:
            with call.active():
                result = original(self, cast_to, options, *args, **kwargs)
        except BaseException as error:
            fail(call, reply, error)
            raise
        return _follow(call, reply, result)

    return request


def _async(original: Callable[..., Any], dialect: Dialect) -> Callable[..., Any]:
    async def request(self: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        begun = _begin(dialect, self, options)
        if begun is None:
            result = await original(self, cast_to, options, *args, **kwargs)
            _look(dialect, self, options, result)
            return result
        call, reply = begun
        await call.start_async()
        try:
            with call.active():
                result = await original(self, cast_to, options, *args, **kwargs)
        except BaseException as error:
            fail(call, reply, error)
            raise
        try:
            await wait_until_loaded()
        finally:
            result = _follow(call, reply, result)
        return result

    return request


def _attempt(original: Callable[..., Any]) -> Callable[..., Any]:
    def build_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = current_call()
        if call is not None:
            call.attempt()
        return original(self, *args, **kwargs)

    return build_request


def _sleep(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what waits before the next attempt, and knows why; of the asynchronous one it returns the coroutine."""

    def sleep_for_retry(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = current_call()
        if call is not None:
            status = getattr(kwargs.get("response"), "status_code", None)
            reason = status if isinstance(status, int) else sys.exc_info()[1]
            call.attempt_failed("unknown" if reason is None else reason)
        return original(self, *args, **kwargs)

    return sleep_for_retry


# --------------------------------------------------------------------------- answers


def _follow(call: Call, reply: BodyReply, result: Any) -> Any:
    """End the call with its answer, or have it end with its stream."""
    try:
        if hasattr(result, "__stream__"):
            _follow_stream(call, reply, result)
        elif hasattr(result, "http_response"):
            _follow_raw(call, reply, result)
        else:
            reply.observe(result)
            finish(call, reply)
    except Exception as error:  # noqa: BLE001 - the app's call must go through
        _log.warning("obskit could not follow an answer: %s: %s", type(error).__name__, error)
        finish(call, reply)
    return result


def _follow_stream(call: Call, reply: BodyReply, stream: Any) -> None:
    chunks = stream._iterator  # noqa: SLF001 - what the stream's own iteration goes through
    follower: SyncStream | AsyncStream
    if hasattr(chunks, "__anext__"):
        follower = AsyncStream(call, chunks, reply)
        stream._iterator = _shown_async(follower, reply)  # noqa: SLF001
    else:
        follower = SyncStream.begun(call, chunks, reply)
        stream._iterator = _shown(follower, reply)  # noqa: SLF001
    setattr(stream, _FOLLOWER, follower)


def _shown(chunks: SyncStream, reply: BodyReply) -> Iterator[Any]:
    for chunk in chunks:
        if not reply.is_hidden(chunk):
            yield chunk


async def _shown_async(chunks: AsyncStream, reply: BodyReply) -> AsyncIterator[Any]:
    async for chunk in chunks:
        if not reply.is_hidden(chunk):
            yield chunk


class _Pending:
    """A call whose raw answer the app has not read yet."""

    def __init__(self, call: Call, reply: BodyReply) -> None:
        self.call, self.reply = call, reply
        self.is_taken = False

    def __del__(self) -> None:
        if not self.is_taken:
            finish(self.call, self.reply, is_abandoned=True)


def _follow_raw(call: Call, reply: BodyReply, raw: Any) -> None:
    answer = raw.http_response
    if hasattr(answer, "_content") and not getattr(raw, "_is_sse_stream", False):
        _finish_with_body(call, reply, answer)
    else:
        setattr(raw, _PENDING, _Pending(call, reply))


def _finish_with_body(call: Call, reply: BodyReply, answer: Any) -> None:
    if "json" in str(answer.headers.get("content-type", "")):
        reply.observe(answer.json())
    finish(call, reply)


def _parse(original: Callable[..., Any]) -> Callable[..., Any]:
    def parse(self: Any, *args: Any, **kwargs: Any) -> Any:
        parsed = original(self, *args, **kwargs)
        pending: _Pending | None = self.__dict__.get(_PENDING)
        if pending is not None and not pending.is_taken:
            pending.is_taken = True
            _follow(pending.call, pending.reply, parsed)
        return parsed

    return parse


def _end_raw(raw: Any) -> None:
    pending: _Pending | None = raw.__dict__.get(_PENDING)
    if pending is None or pending.is_taken:
        return
    pending.is_taken = True
    answer = raw.http_response
    try:
        if hasattr(answer, "_content"):
            _finish_with_body(pending.call, pending.reply, answer)
    finally:
        is_left = not getattr(answer, "is_stream_consumed", False)
        finish(pending.call, pending.reply, is_abandoned=is_left)


def _close_raw(original: Callable[..., Any]) -> Callable[..., Any]:
    def close(self: Any) -> None:
        try:
            original(self)
        finally:
            _end_raw(self)

    return close


def _async_close_raw(original: Callable[..., Any]) -> Callable[..., Any]:
    async def close(self: Any) -> None:
        try:
            await original(self)
        finally:
            _end_raw(self)

    return close


def _close(original: Callable[..., Any]) -> Callable[..., Any]:
    def close(self: Any) -> None:
        try:
            original(self)
        finally:
            _leave(self)

    return close


def _async_close(original: Callable[..., Any]) -> Callable[..., Any]:
    async def close(self: Any) -> None:
        try:
            await original(self)
        finally:
            _leave(self)

    return close


def _leave(stream: Any) -> None:
    follower = stream.__dict__.get(_FOLLOWER)
    if follower is not None:
        follower.leave()
