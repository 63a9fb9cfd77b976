"""google-genai, guarded without a change to the app: every call that its clients make, each round for itself."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import wraps
from importlib import import_module
from typing import Any, Final

from obskit.errors import ConfigError, Problem
from obskit.llm.guarding.guards import Guard
from obskit.llm.guarding.slots import Slot
from obskit.llm.prices import model_name

__all__ = ["guard_gemini", "unguard_gemini"]

_METHODS: Final = ("generate_content", "generate_content_stream", "embed_content", "generate_images", "generate_videos")
_replaced: Final[list[tuple[Any, str, Any, Any]]] = []


def guard_gemini(guard: Guard) -> None:
    """Have every call of google-genai in this process go through a guard; a second guard takes the first one's place.

    Priority, client, deadline and fallbacks are the guard's, and those of `using` in a block. A call's model is the
    one that is asked for; a fallback may be another one, or a function that takes the SDK's keywords (`model`,
    `contents`, `config`) and returns the SDK's own kind of reply. Plain calls get what remains until the deadline as
    their HTTP timeout.

    Raises:
        ConfigError: google-genai is not installed, or has none of the methods that are known.
    """
    unguard_gemini()
    place = "guard_gemini(…)"
    try:
        models = import_module("google.genai.models")
    except ImportError as error:
        way_out = "Install obskit[gemini]"
        raise ConfigError(Problem(place=place, problem="google-genai is not installed", way_out=way_out)) from error
    for owner in (getattr(models, name, None) for name in ("Models", "AsyncModels")):
        for method in _METHODS:
            name = next((name for name in (f"_{method}", method) if hasattr(owner, name)), None)
            if owner is not None and name is not None:
                _replace(owner, name, _guarded(guard, getattr(owner, name), is_stream=method.endswith("stream")))
    if not _replaced:
        problem = "this version of google-genai has none of the methods that obskit knows"
        raise ConfigError(Problem(place=place, problem=problem, way_out="Update obskit, or use guard.protect"))


def unguard_gemini() -> None:
    """Take the guard away again."""
    while _replaced:
        owner, name, original, replacement = _replaced.pop()
        if getattr(owner, name, None) is replacement:
            setattr(owner, name, original)


def _replace(owner: Any, name: str, replacement: Any) -> None:
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    _replaced.append((owner, name, original, replacement))


def _guarded(guard: Guard, original: Callable[..., Any], *, is_stream: bool) -> Callable[..., Any]:
    is_async = inspect.iscoroutinefunction(original)

    def call(slot: Slot, args: Any, kwargs: Any) -> Any:
        asked = dict(kwargs)
        if model_name(str(asked.get("model") or "")) != slot.model:
            asked["model"] = slot.model
        if not is_async:
            asked["config"] = _in_time(asked.get("config"), slot.remaining_s)
        return original(*args, **asked)

    def model_of(_args: Any, kwargs: Any) -> str:
        return model_name(str(kwargs.get("model") or ""))

    kind = _KINDS[is_async, is_stream]
    guarded = guard.around(kind, call, model_of, without_self=True)
    if not (is_async and is_stream):
        return wraps(original)(guarded)

    async def stream(*args: Any, **kwargs: Any) -> Any:  # the SDK's own is a coroutine that returns an iterator
        return guarded(*args, **kwargs)

    return wraps(original)(stream)


def _in_time(config: Any, remaining_s: float) -> Any:
    """Return a call's configuration with an HTTP timeout that does not go beyond the deadline."""
    most_ms = max(1, int(remaining_s * 1000))
    if config is None:
        return {"http_options": {"timeout": most_ms}}
    is_mapping = isinstance(config, Mapping)
    options = config.get("http_options") if is_mapping else getattr(config, "http_options", None)
    own_ms = options.get("timeout") if isinstance(options, Mapping) else getattr(options, "timeout", None)
    timeout = {"timeout": min(own_ms or most_ms, most_ms)}
    if options is None:
        options = timeout if is_mapping else import_module("google.genai.types").HttpOptions(**timeout)
    elif isinstance(options, Mapping):
        options = {**options, **timeout}
    else:
        options = options.model_copy(update=timeout)
    if is_mapping:
        return {**config, "http_options": options}
    return config.model_copy(update={"http_options": options})


def _plain() -> None: ...
async def _coroutine() -> None: ...
def _iterator() -> Iterator[None]:
    yield


async def _async_iterator() -> AsyncIterator[None]:
    yield


_KINDS: Final[dict[tuple[bool, bool], Callable[..., Any]]] = {
    (False, False): _plain,
    (True, False): _coroutine,
    (False, True): _iterator,
    (True, True): _async_iterator,
}
"""A function of each kind, by whether it is asynchronous and whether it streams."""
