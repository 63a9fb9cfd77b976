"""LiteLLM: each call of its functions is one call, whichever SDK or HTTP client it uses below, and counts once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from inspect import isasyncgen, isgenerator
from types import ModuleType
from typing import Any, Final

from obskit.llm.bodies import get, request_attributes
from obskit.llm.openai_calls import OpenAIReply
from obskit.llm.patches import Patches
from obskit.llm.price_list import wait_until_loaded
from obskit.llm.prices import model_name
from obskit.llm.record import Call, is_covered, is_suppressed
from obskit.llm.replies import fail, finish
from obskit.llm.streams import AsyncStream, SyncStream
from obskit.llm.usage import Usage

__all__ = ["follow_calls", "patches"]

_log = logging.getLogger("obskit")

patches: Final = Patches("litellm")

_FOLLOWER: Final = "_obskit_follower"
_OPERATIONS: Final = {
    "completion": "chat",
    "text_completion": "text_completion",
    "responses": "chat",
    "embedding": "embeddings",
    "image_generation": "generate_images",
    "image_edit": "edit_image",
    "speech": "text_to_speech",
    "transcription": "speech_to_text",
}
_POSITIONS: Final = {
    "completion": ("model", "messages"),
    "responses": ("input", "model"),
    "embedding": ("model", "input"),
}
# LiteLLM's name of a provider → OpenTelemetry's. Names that are the same in both are not here.
_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}


def follow_calls(litellm: ModuleType) -> None:
    """Record the calls through LiteLLM from now on."""
    patches.found(getattr(litellm, "__version__", None) or getattr(litellm, "version", None))
    for name in _OPERATIONS:
        for given, wrap in ((name, _sync), (f"a{name}", _async)):
            if callable(getattr(litellm, given, None)):
                patches.replace(litellm, given, wrap(getattr(litellm, given), litellm, name))
            elif name in {"completion", "embedding"}:
                patches.tell(f"{given} is not there, so its calls are not recorded")


def _begin(
    litellm: ModuleType, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Call, _Reply] | None:
    if is_suppressed() or is_covered():
        return None
    try:
        body = {**dict(zip(_POSITIONS.get(name, ("model",)), args, strict=False)), **kwargs}
        if body.get("mock_response") is not None:  # LiteLLM makes the reply up, and asks nobody
            return None
        model, provider = _model_and_provider(litellm, body)
        operation = _OPERATIONS[name]
        call = Call(
            operation=operation,
            provider=provider,
            model=model,
            attributes=request_attributes(body.get("api_base") or body.get("base_url"), body),
            arguments=body,
        )
        return call, _Reply(body, operation)
    except Exception as error:  # noqa: BLE001 - the app's call must go through
        _log.warning("obskit could not record a call of litellm: %s: %s", type(error).__name__, error)
        return None


def _model_and_provider(litellm: ModuleType, body: Mapping[str, Any]) -> tuple[str, str]:
    asked = str(body.get("model") or "")
    try:
        model, provider, *_ = litellm.get_llm_provider(
            model=asked, custom_llm_provider=body.get("custom_llm_provider"), api_base=body.get("api_base")
        )
    except Exception:  # noqa: BLE001 - LiteLLM will tell the app itself that it does not know the model
        provider, _, model = asked.rpartition("/")
        provider = provider.partition("/")[0]
    return model_name(str(model)), _PROVIDERS.get(str(provider), str(provider) or "litellm")


def _sync(original: Callable[..., Any], litellm: ModuleType, name: str) -> Callable[..., Any]:
    def call_model(*args: Any, **kwargs: Any) -> Any:
        begun = _begin(litellm, name, args, kwargs)
        if begun is None:
            return original(*args, **kwargs)
        call, reply = begun
        call.start()
        try:
            with call.active(is_covering=True):
                result = original(*args, **kwargs)
        except BaseException as error:
            fail(call, reply, error)
            raise
        return _follow(call, reply, result)

    return call_model


def _async(original: Callable[..., Any], litellm: ModuleType, name: str) -> Callable[..., Any]:
    async def call_model(*args: Any, **kwargs: Any) -> Any:
        begun = _begin(litellm, name, args, kwargs)
        if begun is None:
            return await original(*args, **kwargs)
        call, reply = begun
        await call.start_async()
        try:
            with call.active(is_covering=True):
                result = await original(*args, **kwargs)
        except BaseException as error:
            fail(call, reply, error)
            raise
        try:
            await wait_until_loaded()
        finally:
            result = _follow(call, reply, result)
        return result

    return call_model


class _Reply(OpenAIReply):
    """Gathers what LiteLLM says of a reply, which it puts into OpenAI's terms whatever the provider.

    A stream keeps the usage from the app, in the chunks that it has put aside.
    """

    def __init__(self, body: Mapping[str, Any], operation: str) -> None:
        super().__init__(body, operation)
        self.aside: list[Any] = []
        self._is_from_cache = False

    def _observe(self, response: Any) -> None:
        super()._observe(response)
        self.is_complete = False  # LiteLLM has more to do at a stream's end
        hidden = getattr(response, "_hidden_params", None)
        self._is_from_cache = self._is_from_cache or bool(isinstance(hidden, Mapping) and hidden.get("cache_hit"))

    def _usage(self) -> Usage | None:
        if self._is_from_cache:  # LiteLLM's own cache: nobody has been asked, nothing is billed
            return Usage()
        told = [found for chunk in self.aside if (found := get(chunk, "usage")) is not None]
        if told:
            self._found = _merged(told)
        return super()._usage()


def _merged(told: Sequence[Any]) -> dict[str, Any]:
    """Return the last word on each field: some providers tell the input first and the output last."""
    merged: dict[str, Any] = {}
    for usage in told:
        fields = usage if isinstance(usage, Mapping) else dict(usage)
        merged.update({name: value for name, value in fields.items() if value})
    return merged


# --------------------------------------------------------------------------- streams


def _follow(call: Call, reply: _Reply, result: Any) -> Any:
    """End the call with its reply, or have it end with its stream."""
    try:
        if isgenerator(result):
            return SyncStream.begun(call, result, reply)
        if isasyncgen(result):
            return AsyncStream(call, result, reply)
        if hasattr(result, "__next__") or hasattr(result, "__anext__"):
            _follow_stream(call, reply, result)
        else:
            reply.observe(result)
            finish(call, reply)
    except Exception as error:  # noqa: BLE001 - the app's call must go through
        _log.warning("obskit could not follow an answer of litellm: %s: %s", type(error).__name__, error)
        finish(call, reply)
    return result


class _Follower:
    """What a stream of LiteLLM's own class is followed with; it is dropped with the stream."""

    def __init__(self, call: Call, reply: _Reply) -> None:
        self.call, self.reply = call, reply

    def saw(self, chunk: Any) -> None:
        self.call.first_chunk()
        self.reply.observe(chunk)

    def ended(self, error: BaseException | None = None) -> None:
        finish(self.call, self.reply, error=error)

    def leave(self) -> None:
        finish(self.call, self.reply, is_abandoned=True)

    def __del__(self) -> None:
        self.leave()


def _follow_stream(call: Call, reply: _Reply, stream: Any) -> None:
    """Follow a stream in its own class, because apps read more of it than its chunks."""
    inner = getattr(stream, "completion_stream", None)
    for each in (stream, inner):
        chunks = getattr(each, "chunks", None)
        if isinstance(chunks, list):
            reply.aside = chunks
            break
    setattr(stream, _FOLLOWER, _Follower(call, reply))
    for name, wrap in (("__next__", _next), ("__anext__", _anext), ("aclose", _aclose)):
        owner = next((cls for cls in type(stream).__mro__ if name in vars(cls)), None)
        if owner is not None:
            patches.replace(owner, name, wrap(getattr(owner, name)))


def _next(original: Callable[..., Any]) -> Callable[..., Any]:
    def next_chunk(self: Any) -> Any:
        follower: _Follower | None = self.__dict__.get(_FOLLOWER)
        if follower is None or follower.call.is_ended:
            return original(self)
        try:
            with follower.call.active(is_covering=True):
                chunk = original(self)
        except StopIteration:
            follower.ended()
            raise
        except GeneratorExit:
            follower.leave()
            raise
        except BaseException as error:
            follower.ended(error)
            raise
        follower.saw(chunk)
        return chunk

    return next_chunk


def _anext(original: Callable[..., Any]) -> Callable[..., Any]:
    async def next_chunk(self: Any) -> Any:
        follower: _Follower | None = self.__dict__.get(_FOLLOWER)
        if follower is None or follower.call.is_ended:
            return await original(self)
        try:
            with follower.call.active(is_covering=True):
                chunk = await original(self)
        except StopAsyncIteration:
            follower.ended()
            raise
        except Exception as error:
            follower.ended(error)
            raise
        except BaseException:  # cancelled: the app's own client has left
            follower.leave()
            raise
        follower.saw(chunk)
        return chunk

    return next_chunk


def _aclose(original: Callable[..., Any]) -> Callable[..., Any]:
    async def aclose(self: Any) -> None:
        try:
            await original(self)
        finally:
            follower: _Follower | None = self.__dict__.get(_FOLLOWER)
            if follower is not None:
                follower.leave()

    return aclose
