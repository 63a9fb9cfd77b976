"""google-genai: what is known only after the call: videos, batches, and caches with their storage.

A video or a batch is billed when it is done, and the SDK sees that when the app asks; each is counted once a process.
A cache is billed for the tokens that it is made of, and for each hour that they are kept: obskit counts the hours that
were asked for, at its creation and when its life is made longer, so one that is deleted early cost a little less.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any, Final

from obskit.llm.gemini_call import Reply, fail, place_of, provider_of, request_attributes
from obskit.llm.hooks import hooks
from obskit.llm.kept import Kept
from obskit.llm.prices import model_name
from obskit.llm.record import Call, is_suppressed
from obskit.llm.usage import Usage

__all__ = ["Replace", "Tell", "patch"]

Replace = Callable[[Any, str, Any], None]
"""Puts a replacement in the place of an attribute: (owner, name, replacement)."""

Tell = Callable[[str], None]
"""Tells of something that cannot be recorded."""

_log = logging.getLogger("obskit")

_VIDEO_S: Final = 8.0  # Source: Veo's guide, `durationSeconds`: 8 unless another length is asked for

Seen = Callable[[Any, dict[str, Any], Any], None]
"""Looks at a method's result: (the part of the client, the keywords, the result)."""


_videos: Final = Kept()
_done: Final = Kept()
_caches: Final = Kept()


def patch(genai: ModuleType, replace: Replace, tell: Tell) -> None:
    """Look at the results of these methods from now on."""
    for module, owner, name, seen in _METHODS:
        kinds = (_video_sync, _video_async) if seen is _video_begun else (_sync, _async)
        for cls, wrap in zip((owner, f"Async{owner}"), kinds, strict=True):
            found = getattr(getattr(genai, module, None), cls, None)
            if hasattr(found, name):
                replace(found, name, wrap(getattr(found, name), seen))
            else:
                tell(f"{cls}.{name} is not there, so its usage is not recorded")


def _sync(original: Callable[..., Any], seen: Seen) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        _look(seen, self, kwargs, result)
        return result

    return method


def _async(original: Callable[..., Any], seen: Seen) -> Callable[..., Any]:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = await original(self, *args, **kwargs)
        _look(seen, self, kwargs, result)
        return result

    return method


def _begin_video(part: Any, arguments: dict[str, Any]) -> Call | None:
    if is_suppressed():
        return None
    try:
        provider, base_url = place_of(part)
        return Call(
            operation="generate_videos",
            provider=provider,
            model=model_name(str(arguments.get("model") or "")),
            attributes=request_attributes(arguments),
            base_url=base_url,
            arguments=arguments,
        )
    except Exception as error:  # noqa: BLE001 - the app's call must go through
        _log.warning("obskit could not record a call of google-genai: %s: %s", type(error).__name__, error)
        return None


def _video_sync(original: Callable[..., Any], seen: Seen) -> Callable[..., Any]:
    def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _begin_video(self, kwargs)
        if call is None:
            return original(self, *args, **kwargs)
        call.start()
        try:
            with call.active():
                operation = original(self, *args, **kwargs)
        except BaseException as error:
            fail(call, error)
            raise
        call.end(usage=Usage())  # what it uses is billed, and counted, when it is done
        _look(seen, self, kwargs, operation)
        return operation

    return generate


def _video_async(original: Callable[..., Any], seen: Seen) -> Callable[..., Any]:
    async def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _begin_video(self, kwargs)
        if call is None:
            return await original(self, *args, **kwargs)
        await call.start_async()
        try:
            with call.active():
                operation = await original(self, *args, **kwargs)
        except BaseException as error:
            fail(call, error)
            raise
        call.end(usage=Usage())
        _look(seen, self, kwargs, operation)
        return operation

    return generate


def _look(seen: Seen, part: Any, arguments: dict[str, Any], result: Any) -> None:
    if is_suppressed():
        return
    try:
        seen(part, arguments, result)
    except Exception as error:  # noqa: BLE001 - the app's call must go through
        _log.warning("obskit could not read a result of google-genai: %s: %s", type(error).__name__, error)


def _account(part: Any, operation: str, model: str, usage: Usage | None, *, is_late: bool = True) -> None:
    call = Call(operation=operation, provider=provider_of(part), model=model_name(model), is_late=is_late)
    hooks.reported(call)
    call.end(usage=usage)


# --------------------------------------------------------------------------- videos


def _video_begun(part: Any, arguments: dict[str, Any], operation: Any) -> None:
    config = arguments.get("config")
    seconds = config.get("duration_seconds") if isinstance(config, dict) else getattr(config, "duration_seconds", None)
    model = str(arguments.get("model") or "")
    _videos.put(str(operation.name), (model, float(seconds or _VIDEO_S)))
    _video_seen(part, {}, operation)


def _video_seen(part: Any, _arguments: dict[str, Any], operation: Any) -> None:
    response = getattr(operation, "response", None) or getattr(operation, "result", None)
    if not getattr(operation, "done", False) or response is None:
        return
    name = str(operation.name)
    # Veo's operations are named after the model, also in a process that has not begun them.
    stem = name.partition("/operations/")[0]
    model, seconds = _videos.get(name) or (stem, _VIDEO_S)
    count = len(getattr(response, "generated_videos", None) or ())
    if count and _done.put(name, None):
        _account(part, "generate_videos", model, Usage(units={"seconds": seconds * count}))


# --------------------------------------------------------------------------- batches


def _batch_seen(part: Any, _arguments: dict[str, Any], job: Any) -> None:
    destination = getattr(job, "dest", None)
    replies = getattr(destination, "inlined_responses", None) or ()
    embeddings = getattr(destination, "inlined_embed_content_responses", None) or ()
    if not (replies or embeddings) or not _done.put(str(job.name), None):
        return
    model = str(job.model or "")
    for each in replies:
        if each.response is not None:
            _reply_of_batch(part, model, each.response)
    tokens = [each.response.token_count or 0 for each in embeddings if each.response is not None]
    if tokens:
        _account(part, "embeddings", model, Usage(input=sum(tokens), processing="batch"))


def _reply_of_batch(part: Any, model: str, response: Any) -> None:
    reply = Reply(processing="batch")
    reply.observe(response)
    call = Call(operation="generate_content", provider=provider_of(part), model=model_name(model), is_late=True)
    call.end(usage=reply.tell(call))


# --------------------------------------------------------------------------- caches


def _cache_made(part: Any, arguments: dict[str, Any], cache: Any) -> None:
    tokens = getattr(cache.usage_metadata, "total_token_count", None)
    model = str(cache.model or arguments.get("model") or "")
    if tokens is None:
        _account(part, "create_cache", model, None, is_late=False)
        return
    _caches.put(str(cache.name), cache.expire_time)
    hours = _hours(cache.create_time, cache.expire_time)
    usage = Usage(input=tokens, units={"cache_token_hours": tokens * hours} if hours else {})
    _account(part, "create_cache", model, usage, is_late=False)


def _cache_changed(part: Any, _arguments: dict[str, Any], cache: Any) -> None:
    before = _caches.get(str(cache.name))
    tokens = getattr(cache.usage_metadata, "total_token_count", None)
    if before is None or tokens is None:  # made by another process, which has counted the life that it asked for
        return
    hours = _hours(before, cache.expire_time)
    _caches.put(str(cache.name), max(before, cache.expire_time))
    if hours:
        _account(part, "create_cache", str(cache.model or ""), Usage(units={"cache_token_hours": tokens * hours}))


def _hours(since: datetime | None, until: datetime | None) -> float:
    if since is None or until is None:
        return 0.0
    return max((until - since) / timedelta(hours=1), 0.0)


_METHODS: Final[tuple[tuple[str, str, str, Seen], ...]] = (
    ("models", "Models", "_generate_videos", _video_begun),
    ("operations", "Operations", "get", _video_seen),
    ("batches", "Batches", "get", _batch_seen),
    ("caches", "Caches", "create", _cache_made),
    ("caches", "Caches", "update", _cache_changed),
)
