"""google-genai: every call is recorded, each round of automatic function calling for itself.

The SDK's own layers decide where to stand. `_generate_content` runs once per round and per continuation, while the
public method returns the usage of the last round only; `_request_once` runs once per attempt. All are private, so each
is looked for, and the public method takes its place where it is gone. google-genai is never imported from here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Final

from obskit.errors import Problem
from obskit.llm import gemini_interactions, gemini_late, gemini_live, streams
from obskit.llm.gemini_call import (
    Begin,
    Reply,
    fail,
    finish_with,
    keep_body,
    place_of,
    request_attributes,
)
from obskit.llm.hooks import hooks
from obskit.llm.inside import around, enter
from obskit.llm.patches import Patches
from obskit.llm.price_list import wait_until_loaded
from obskit.llm.prices import model_name
from obskit.llm.record import Call, begun, current_call, is_suppressed, settings
from obskit.llm.tools import follow, follow_async
from obskit.signals.context import leave
from obskit.signals.imports import forget, when_imported

__all__ = ["follow_calls", "problems", "uninstall"]

_log = logging.getLogger("obskit")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """One place in the SDK to stand.

    Attributes:
        owner: class in `google.genai.models`.
        private: runs once per round.
        public: the method to take where the private one is gone.
        operation: OpenTelemetry's name of what it does.
        wrap: makes the replacement.
    """

    owner: str
    private: str
    public: str
    operation: str
    wrap: Callable[[Callable[..., Any], Begin], Callable[..., Any]]


_patches: Final = Patches("google-genai")


def follow_calls(genai: ModuleType, *, is_recording: bool = True) -> None:
    """Record calls from now on.

    Args:
        genai: the SDK.
        is_recording: off leaves the calls alone, and only keeps obskit's own imports from disturbing them.
    """
    _patches.found(getattr(genai, "__version__", None))
    _patches.keep_whole(getattr(genai, "_common", None), "loaded_requests")
    if is_recording:
        _patch(genai)
        for module in gemini_interactions.MODULES:
            when_imported(module, partial(gemini_interactions.patch, replace=_patches.replace, tell=_patches.tell))


def uninstall() -> None:
    """Put everything back that nobody else has replaced since."""
    for module in gemini_interactions.MODULES:
        forget(module)
    _patches.undo()


def problems() -> tuple[Problem, ...]:
    """Return what of the SDK cannot be recorded, or only in part."""
    return _patches.problems


# --------------------------------------------------------------------------- what stands where


def _sync(original: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def call_model(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = begin(self, kwargs)
        if call is None:
            return original(self, *args, **kwargs)
        if hooks.all:
            call.start()
        token = enter(call)
        try:
            response = original(self, *args, **kwargs)
        except BaseException as error:
            leave(token)
            fail(call, error)
            raise
        leave(token)
        finish_with(call, response)
        return response

    return call_model


def _async(original: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def call_model(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = begin(self, kwargs)
        if call is None:
            return await original(self, *args, **kwargs)
        await call.start_async()
        try:
            with call.active():
                response = await original(self, *args, **kwargs)
        except BaseException as error:
            fail(call, error)
            raise
        try:
            await wait_until_loaded()
        finally:
            finish_with(call, response)
        return response

    return call_model


def _sync_stream(original: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def stream_model(self: Any, *args: Any, **kwargs: Any) -> Any:
        return streams.SyncStream(lambda: begin(self, kwargs), lambda: original(self, *args, **kwargs), Reply())

    return stream_model


def _async_stream(original: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def stream_model(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = begin(self, kwargs)
        if call is None:
            return await original(self, *args, **kwargs)
        await call.start_async()
        try:
            with call.active():
                chunks = await original(self, *args, **kwargs)
        except BaseException as error:
            fail(call, error)
            raise
        return streams.AsyncStream(call, chunks, Reply())

    return stream_model


_POINTS: Final = (
    _Point(
        owner="Models",
        private="_generate_content",
        public="generate_content",
        operation="generate_content",
        wrap=_sync,
    ),
    _Point(
        owner="Models",
        private="_generate_content_stream",
        public="generate_content_stream",
        operation="generate_content",
        wrap=_sync_stream,
    ),
    _Point(owner="Models", private="_embed_content", public="embed_content", operation="embeddings", wrap=_sync),
    _Point(
        owner="AsyncModels",
        private="_generate_content",
        public="generate_content",
        operation="generate_content",
        wrap=_async,
    ),
    _Point(
        owner="AsyncModels",
        private="_generate_content_stream",
        public="generate_content_stream",
        operation="generate_content",
        wrap=_async_stream,
    ),
    _Point(owner="AsyncModels", private="_embed_content", public="embed_content", operation="embeddings", wrap=_async),
    *(
        _Point(owner=owner, private=f"_{name}", public=name, operation=name, wrap=wrap)
        for owner, wrap in (("Models", _sync), ("AsyncModels", _async))
        for name in ("generate_images", "edit_image", "upscale_image")
    ),
)


def _begin(operation: str) -> Begin:
    def begin(models: Any, arguments: dict[str, Any]) -> Call | None:
        if around() and is_suppressed():
            return None
        try:
            is_clean = not settings().capture_prompts
            is_plain = is_clean and arguments.get("config") is None
            attributes = None if is_plain else request_attributes(arguments)
            model = model_name(str(arguments.get("model") or ""))
            provider, base_url = place_of(models)
            return begun(operation, provider, model, base_url, arguments, attributes, is_clean)
        except Exception as error:  # noqa: BLE001 - the app's call must go through
            _log.warning("obskit could not record a call of google-genai: %s: %s", type(error).__name__, error)
            return None

    return begin


# --------------------------------------------------------------------------- attempts


def _attempt(original: Callable[..., Any]) -> Callable[..., Any]:
    def request_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = current_call()
        if call is None:
            return original(self, *args, **kwargs)
        call.attempt()
        try:
            answer = original(self, *args, **kwargs)
        except Exception as error:
            call.attempt_failed(error)
            raise
        if call.operation == "embeddings":
            keep_body(call, answer)
        return answer

    return request_once


def _async_attempt(original: Callable[..., Any]) -> Callable[..., Any]:
    async def request_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = current_call()
        if call is None:
            return await original(self, *args, **kwargs)
        call.attempt()
        try:
            answer = await original(self, *args, **kwargs)
        except Exception as error:
            call.attempt_failed(error)
            raise
        if call.operation == "embeddings":
            keep_body(call, answer)
        return answer

    return request_once


# --------------------------------------------------------------------------- patching


def _patch(genai: ModuleType) -> None:
    gemini_late.patch(genai, _patches.replace, _patches.tell)
    gemini_live.patch(genai, _patches.replace, _patches.tell)
    models = getattr(genai, "models", None)
    for point in _POINTS:
        owner = getattr(models, point.owner, None)
        name = next((name for name in (point.private, point.public) if hasattr(owner, name)), None)
        if owner is None or name is None:
            _patches.tell(f"{point.owner}.{point.public} is not there, so its calls are not recorded")
            continue
        if name == point.public:
            _patches.tell(f"{point.owner}.{point.private} is gone: of several rounds only the last one's usage is seen")
        _patches.replace(owner, name, point.wrap(getattr(owner, name), _begin(point.operation)))
    client = getattr(getattr(genai, "_api_client", None), "BaseApiClient", None)
    for name, wrap in (("_request_once", _attempt), ("_async_request_once", _async_attempt)):
        if not hasattr(client, name):
            _patches.tell(f"BaseApiClient.{name} is gone: attempts that the SDK makes again are not seen")
            continue
        _patches.replace(client, name, wrap(getattr(client, name)))
    functions = getattr(genai, "_extra_utils", None)
    for name, wrap in (
        ("invoke_function_from_dict_args", follow),
        ("invoke_function_from_dict_args_async", follow_async),
    ):
        if not hasattr(functions, name):
            _patches.tell(f"{name} is gone: functions that the model calls have no span of their own")
            continue
        _patches.replace(functions, name, wrap(getattr(functions, name)))
