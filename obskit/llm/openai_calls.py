"""openai: what its requests ask for, and what its replies say; also of services that speak as OpenAI does."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import ModuleType
from typing import Any, Final

from obskit.llm import stainless
from obskit.llm.bodies import Asked, BodyReply, get, number, request_attributes
from obskit.llm.kept import Kept
from obskit.llm.patches import Patches
from obskit.llm.prices import exact_price, model_name
from obskit.llm.record import Call
from obskit.llm.settings import settings
from obskit.llm.usage import Usage

__all__ = ["OpenAIReply", "follow_calls", "patches", "usage_of"]

patches: Final = Patches("openai")

_OPERATIONS: Final = {
    "/chat/completions": "chat",
    "/responses": "chat",
    "/completions": "text_completion",
    "/embeddings": "embeddings",
    "/images/generations": "generate_images",
    "/images/edits": "edit_image",
    "/images/variations": "edit_image",
    "/audio/speech": "text_to_speech",
    "/audio/transcriptions": "speech_to_text",
    "/audio/translations": "speech_to_text",
}
# Services that speak OpenAI's protocol, by the end of their host's name → OpenTelemetry's name of the provider.
_HOSTS: Final = {
    "openai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "x.ai": "x_ai",
    "mistral.ai": "mistral_ai",
    "perplexity.ai": "perplexity",
    "openrouter.ai": "openrouter",
    "together.xyz": "together",
    "fireworks.ai": "fireworks",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
}
_TELLS_USAGE: Final = ("api.openai.com", "openai.azure.com")
"""Hosts whose streams tell their usage when asked; others may refuse what they do not know."""

_PROCESSING: Final = {"flex": "flex", "priority": "priority", "batch": "batch"}
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_WAITING: Final = frozenset({"queued", "in_progress"})
_DONE: Final = frozenset({"completed", "expired", "cancelled"})  # what was made until then is billed


def follow_calls(sdk: ModuleType) -> None:
    """Record the calls through the SDK from now on."""
    for name in ("_loaded_httpx2", "_loaded_legacy_httpx"):  # of 2.x and of 3.x
        patches.keep_whole(getattr(sdk, "_httpx2", None), name)
    stainless.patch(sdk, _Dialect(), patches)


def provider_of(client: Any) -> str:
    """Return `gen_ai.provider.name` of a client."""
    if "Azure" in type(client).__name__:
        return "azure.ai.openai"
    host = _host(client)
    return next((name for end, name in _HOSTS.items() if host == end or host.endswith(f".{end}")), "openai")


def _host(client: Any) -> str:
    return str(getattr(getattr(client, "base_url", None), "host", "") or "")


class _Dialect:
    """OpenAI's requests."""

    def __init__(self) -> None:
        self._waiting, self._batches = Kept(), Kept()

    def describe(self, client: Any, options: Any) -> Asked | None:
        path = "/" + str(options.url).partition("?")[0].strip("/")
        operation = _OPERATIONS.get(path)
        if operation is None or str(options.method).lower() != "post":
            return None
        body = options.json_data if isinstance(options.json_data, Mapping) else {}
        is_ours = path.endswith("/completions") and _must_ask(client, body)
        return Asked(
            operation=operation,
            provider=provider_of(client),
            model=model_name(str(body.get("model") or "")),
            attributes=request_attributes(getattr(client, "base_url", ""), body),
            arguments=body,
            reply=lambda: OpenAIReply(body, operation, is_usage_ours=is_ours, waiting=self._waiting.put),
            body={**body, "stream_options": {**(body.get("stream_options") or {}), "include_usage": True}}
            if is_ours
            else None,
        )

    def seen(self, client: Any, options: Any, result: Any) -> None:
        """Count what was made in the background or in a batch, once, when it is seen to be done."""
        if get(result, "usage") is None:
            return
        url = str(options.url)
        if get(result, "object") == "batch":
            is_done = get(result, "status") in _DONE and number(get(result, "usage"), "total_tokens")
            if is_done and self._batches.put(str(get(result, "id")), None):
                _account_batch(client, result)
            return
        stem, _, reply_id = url.partition("?")[0].strip("/").rpartition("/")
        model = self._waiting.take(reply_id) if stem == "responses" else None
        if model is None:
            return
        reply = OpenAIReply({}, "chat")
        reply.observe(result)
        call = Call(operation="chat", provider=provider_of(client), model=model, is_late=True)
        call.end(usage=reply.tell(call))


def _account_batch(client: Any, batch: Any) -> None:
    """Count what a batch has used: it tells the sum of its requests."""
    endpoint = "/" + str(get(batch, "endpoint") or "").partition("/v1/")[2]
    provider, model = provider_of(client), model_name(str(get(batch, "model") or ""))
    usage = usage_of(get(batch, "usage"), processing="batch")
    cost = _cost_of(provider, model, usage, requests=number(get(batch, "request_counts"), "completed"))
    call = Call(operation=_OPERATIONS.get(endpoint, "chat"), provider=provider, model=model, is_late=True)
    call.end(usage=usage, cost_usd=None if cost is None else float(cost))


def _cost_of(provider: str, model: str, usage: Usage, *, requests: int) -> Decimal | None:
    """Return the cost of so many requests; where long ones cost more by the token, all are taken to be alike."""
    if requests < 2:
        return exact_price(provider, (model,), usage, settings().prices)
    counts = {kind: getattr(usage, kind) for kind in ("input", "cached", "cache_write", "output", "thinking")}
    one = {kind: count // requests for kind, count in counts.items()}
    last = {kind: count - (requests - 1) * one[kind] for kind, count in counts.items()}
    costs = [
        exact_price(provider, (model,), Usage(**each, processing=usage.processing), settings().prices)
        for each in (one, last)
    ]
    return None if costs[0] is None or costs[1] is None else (requests - 1) * costs[0] + costs[1]


def _must_ask(client: Any, body: Mapping[str, Any]) -> bool:
    """Return whether a stream is silent on its usage unless obskit asks for it, and is known to answer."""
    if body.get("stream") is not True or (body.get("stream_options") or {}).get("include_usage") is not None:
        return False
    how = settings().ai_stream_usage
    return how == "always" or (how == "auto" and _host(client).endswith(_TELLS_USAGE))


class OpenAIReply(BodyReply):
    """Gathers what a reply of OpenAI says, from one response or from the chunks of a stream.

    Args:
        body: what was asked.
        operation: of the call.
        is_usage_ours: whether the chunk with the usage is there because obskit has asked for it.
        waiting: is told of a response that is made in the background: (id, model).
    """

    def __init__(
        self, body: Mapping[str, Any], operation: str, *, is_usage_ours: bool = False, waiting: Any = None
    ) -> None:
        super().__init__()
        self._body, self._operation, self._is_usage_ours, self._waiting = body, operation, is_usage_ours, waiting
        self._found: Any = None
        self._tier, self._status = "", ""
        self._images: int | None = None
        self._searches = 0

    def is_hidden(self, chunk: Any) -> bool:
        """Return whether the chunk only tells the usage that obskit has asked for."""
        return self._is_usage_ours and get(chunk, "usage") is not None and not get(chunk, "choices")

    def _observe(self, response: Any) -> None:
        kind = str(get(response, "type") or "")
        if self._answer is not None and kind == "response.output_text.delta":
            self._answer.add_text(get(response, "delta"))
        self.is_complete = self.is_complete or kind in _ENDS
        whole = get(response, "response") if kind.startswith("response.") else response
        if whole is None or isinstance(whole, str):
            return
        self._model = str(get(whole, "model") or self._model)
        self._id = str(get(whole, "id") or self._id)
        self._tier = str(get(whole, "service_tier") or self._tier)
        self._found = get(whole, "usage") or self._found
        if isinstance(get(whole, "data"), list) and self._operation in {"generate_images", "edit_image"}:
            self._images = len(get(whole, "data"))
        for choice in get(whole, "choices") or ():
            self._observe_choice(choice)
        if get(whole, "object") == "response":
            self._observe_response(whole, is_answer=not kind)
        # The chunk with the usage is the last; it alone has no choices.
        if self._found is not None and get(whole, "object") == "chat.completion.chunk" and not get(whole, "choices"):
            self.is_complete = True

    def _observe_choice(self, choice: Any) -> None:
        reason = get(choice, "finish_reason")
        if reason is not None:
            self._finish_reasons.append(str(reason))
        if self._answer is None:
            return
        message = get(choice, "message", "delta")
        self._answer.add_text(get(message, "content") if message is not None else get(choice, "text"))
        for each in get(message, "tool_calls") or ():
            function = get(each, "function")
            self._answer.add_tool_call(get(function, "name"), get(function, "arguments"))

    def _observe_response(self, response: Any, *, is_answer: bool) -> None:
        self._status = str(get(response, "status") or "")
        if self._status not in _WAITING and self._status:
            reason = get(get(response, "incomplete_details"), "reason")
            self._finish_reasons = [str(reason or self._status)]
        output = get(response, "output") or ()
        self._searches = sum(get(item, "type") == "web_search_call" for item in output)
        if self._answer is None:
            return
        for item in output:
            if get(item, "type") == "function_call":
                self._answer.add_tool_call(get(item, "name"), get(item, "arguments"))
            elif is_answer:
                for part in get(item, "content") or ():
                    self._answer.add_text(get(part, "text"))

    def _usage(self) -> Usage | None:
        usage = None
        if self._found is not None:
            usage = usage_of(self._found, processing=_PROCESSING.get(self._tier, ""), searches=self._searches)
        if self._images is not None and (usage is None or usage.is_empty):  # a model that is paid by the image
            return Usage(units={"images": self._images})
        if usage is not None:
            return usage
        if self._operation == "text_to_speech":
            return Usage(units={"characters": len(str(self._body.get("input") or ""))})
        if self._status in _WAITING and self._waiting is not None and self._body.get("background"):
            self._waiting(self._id, model_name(str(self._body.get("model") or "")))
            return Usage()
        return None


def usage_of(found: Any, *, processing: str = "", searches: int = 0) -> Usage:
    """Return what a `usage` in OpenAI's terms says: cached tokens are a part of its input, reasoning of its output."""
    if get(found, "type") == "duration":
        return Usage(units={"minutes": float(get(found, "seconds") or 0) / 60})
    total, made = number(found, "prompt_tokens", "input_tokens"), number(found, "completion_tokens", "output_tokens")
    of_input = get(found, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    of_output = get(found, "completion_tokens_details", "output_tokens_details")
    cached = min(number(of_input, "cached_tokens") or number(found, "prompt_cache_hit_tokens"), total)
    written = min(number(of_input, "cache_write_tokens", "cache_creation_tokens"), total - cached)
    thinking = min(number(of_output, "reasoning_tokens"), made)
    modalities = {
        f"{side}_{modality}_tokens": number(details, f"{modality}_tokens")
        for side, details in (("input", of_input), ("output", of_output))
        for modality in ("audio", "image")
    }
    return Usage(
        input=total - cached - written,
        cached=cached,
        cache_write=written,
        output=made - thinking,
        thinking=thinking,
        modalities={name: count for name, count in modalities.items() if count},
        units={"searches": searches} if searches else {},
        processing=processing,
    )
