"""google-genai's interactions: each request of one is a call, also where the SDK continues it by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any, Final

from obskit.llm.gemini_call import Reply, fail, finish
from obskit.llm.gemini_late import Replace, Tell
from obskit.llm.prices import model_name
from obskit.llm.record import Call, is_suppressed

__all__ = ["MODULES", "patch"]

MODULES: Final[Mapping[str, tuple[str, str]]] = {
    "google.genai._gaos.interactions": ("Interactions", "AsyncInteractions"),
    "google.genai._interactions.resources.interactions": ("InteractionsResource", "AsyncInteractionsResource"),  # 1.x
}
"""The SDK imports one of them when an app asks for the first interaction; the classes to stand in."""

_ITERATORS: Final = ("generator", "_iterator")
"""Where a stream keeps what it iterates over, in each of the two."""

_FIELDS: Final = {
    "total_input_tokens": "prompt_token_count",
    "total_cached_tokens": "cached_content_token_count",
    "total_tool_use_tokens": "tool_use_prompt_token_count",
    "total_output_tokens": "candidates_token_count",
    "total_thought_tokens": "thoughts_token_count",
}
_DETAILS: Final = {
    "input_tokens_by_modality": "prompt_tokens_details",
    "cached_tokens_by_modality": "cache_tokens_details",
    "output_tokens_by_modality": "candidates_tokens_details",
}


def patch(module: ModuleType, *, replace: Replace, tell: Tell) -> None:
    """Record interactions from now on."""
    for owner, wrap in zip(MODULES[module.__name__], (_sync, _async), strict=True):
        found = getattr(module, owner, None)
        if hasattr(found, "create"):
            replace(found, "create", wrap(found.create))  # type: ignore[union-attr]
        else:
            tell(f"{owner}.create is not there, so interactions are not recorded")


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _begin(arguments: Mapping[str, Any]) -> Call | None:
    if is_suppressed():
        return None
    body = _get(arguments.get("request"), "body") or arguments
    model = _get(body, "model") or _get(body, "agent") or ""
    return Call(
        operation="interaction",
        provider="gcp.gemini",
        model=model_name(str(getattr(model, "value", model))),
        arguments=arguments,
    )


def _sync(original: Callable[..., Any]) -> Callable[..., Any]:
    def create(self: Any, **kwargs: Any) -> Any:
        call = _begin(kwargs)
        if call is None:
            return original(self, **kwargs)
        call.start()
        try:
            with call.active():
                result = original(self, **kwargs)
        except BaseException as error:
            fail(call, error)
            raise
        if not _follow(call, result, _Events):
            _finish(call, result)
        return result

    return create


def _async(original: Callable[..., Any]) -> Callable[..., Any]:
    async def create(self: Any, **kwargs: Any) -> Any:
        call = _begin(kwargs)
        if call is None:
            return await original(self, **kwargs)
        await call.start_async()
        try:
            with call.active():
                result = await original(self, **kwargs)
        except BaseException as error:
            fail(call, error)
            raise
        if not _follow(call, result, _AsyncEvents):
            _finish(call, result)
        return result

    return create


def _follow(call: Call, result: Any, events: Callable[[Call, Any], Any]) -> bool:
    """Follow the events of a stream; returns False where the result is none."""
    for name in _ITERATORS:
        if hasattr(result, name):
            setattr(result, name, events(call, getattr(result, name)))
            return True
    return False


class _Events:
    """The events of a streamed interaction; its usage is on the last one."""

    def __init__(self, call: Call, events: Any) -> None:
        self._call, self._events, self._reply = call, events, Reply()

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        try:
            with self._call.active():
                event = next(self._events)
        except StopIteration:
            finish(self._call, self._reply)
            raise
        except BaseException as error:
            finish(self._call, self._reply, error=error)
            raise
        _observe(self._call, self._reply, event)
        return event

    def close(self) -> None:
        """Leave the stream; what was used so far is recorded."""
        self._events.close()
        finish(self._call, self._reply, is_abandoned=True)

    def __del__(self) -> None:
        finish(self._call, self._reply, is_abandoned=True)


class _AsyncEvents:
    """The same for coroutines."""

    def __init__(self, call: Call, events: Any) -> None:
        self._call, self._events, self._reply = call, events, Reply()

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        try:
            with self._call.active():
                event = await anext(self._events)
        except StopAsyncIteration:
            finish(self._call, self._reply)
            raise
        except BaseException as error:
            finish(self._call, self._reply, error=error, is_abandoned=not isinstance(error, Exception))
            raise
        _observe(self._call, self._reply, event)
        return event

    async def aclose(self) -> None:
        """Leave the stream; what was used so far is recorded."""
        await self._events.aclose()
        finish(self._call, self._reply, is_abandoned=True)

    def __del__(self) -> None:
        finish(self._call, self._reply, is_abandoned=True)


def _observe(call: Call, reply: Reply, event: Any) -> None:
    call.first_chunk()
    interaction = getattr(event, "interaction", None)
    if interaction is not None:
        reply.observe(_as_response(interaction))
    if getattr(event, "event_type", None) == "interaction.completed":
        finish(call, reply)


def _finish(call: Call, interaction: Any) -> None:
    reply = Reply()
    reply.observe(_as_response(interaction))
    finish(call, reply)


def _as_response(interaction: Any) -> Any:
    """Return an interaction in the terms of `generate_content`."""
    usage = getattr(interaction, "usage", None)
    metadata = None
    if usage is not None:
        counts = {name: getattr(usage, field, None) for field, name in _FIELDS.items()}
        details = {
            name: [
                SimpleNamespace(
                    modality=str(getattr(each.modality, "value", each.modality)).upper(), token_count=each.tokens
                )
                for each in getattr(usage, field, None) or ()
            ]
            for field, name in _DETAILS.items()
        }
        tier = getattr(interaction, "service_tier", None)
        metadata = SimpleNamespace(**counts, **details, service_tier=tier)
    return SimpleNamespace(
        usage_metadata=metadata,
        model_version=getattr(interaction, "model", None),
        response_id=getattr(interaction, "id", None),
    )
