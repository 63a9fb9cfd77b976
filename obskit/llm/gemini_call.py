"""What a call of google-genai says about itself: attributes of the request, attributes and usage of the reply."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final

from obskit.llm import prompts, replies
from obskit.llm.record import Call
from obskit.llm.replies import finish
from obskit.llm.settings import settings
from obskit.llm.usage import GeminiUsage, Usage, fields_of, usage_of

__all__ = [
    "Begin",
    "Reply",
    "error_attributes",
    "fail",
    "finish",
    "finish_with",
    "keep_body",
    "place_of",
    "provider_of",
    "request_attributes",
]

_log = logging.getLogger("obskit")

Begin = Callable[[Any, dict[str, Any]], Call | None]
"""Begins the record of one call: (the SDK's `Models`, the call's keywords) → the call, or None to leave it alone."""

_MOST: Final = 2**63  # what an attribute of a span can hold
_BODY: Final = "the answer's body"
_BY_PROMPT: Final = ("gemini-1", "gemini-2")
_PARAMETERS: Final = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "candidate_count": "gen_ai.request.choice.count",
    "seed": "gen_ai.request.seed",
    "output_dimensionality": "gen_ai.embeddings.dimension.count",
}


def provider_of(part: Any) -> str:
    """Return `gen_ai.provider.name` of a part of the SDK's client (`client.models`, `client.caches`, …)."""
    return place_of(part)[0]


def place_of(part: Any) -> tuple[str, str]:
    """Return `gen_ai.provider.name` of a part of the SDK's client, and where it sends its calls, empty if unknown."""
    client = getattr(part, "_api_client", None)
    options = getattr(client, "_http_options", None)
    base_url = options.get("base_url") if isinstance(options, dict) else getattr(options, "base_url", None)
    if base_url.__class__ is not str:
        base_url = str(base_url or "")
    return ("gcp.vertex_ai" if getattr(client, "vertexai", False) else "gcp.gemini"), base_url


def request_attributes(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the span says from the beginning of what is asked for."""
    attributes: dict[str, Any] = {}
    config = arguments.get("config")
    if config is not None:
        get = config.get if isinstance(config, Mapping) else fields_of(config)
        for name, attribute in _PARAMETERS.items():
            value = get(name)
            if isinstance(value, int | float):
                attributes[attribute] = value if value.__class__ is float or -_MOST <= value < _MOST else str(value)
    if settings().capture_prompts:
        attributes.update(prompts.of_request(arguments))
    return attributes


def error_attributes(error: BaseException) -> dict[str, Any]:
    """Return what Google's error says beside its status: which quota is used up, and when to come back.

    The quota's id tells a limit per minute, which passes, from one per day, which stays.
    """
    details = getattr(error, "details", None)
    envelope = details.get("error", details) if isinstance(details, Mapping) else {}
    entries = envelope.get("details") if isinstance(envelope, Mapping) else None
    attributes: dict[str, Any] = {}
    for entry in entries if isinstance(entries, list) else ():
        kind = str(entry.get("@type", "")).rpartition(".")[2]
        if kind == "QuotaFailure":
            quotas = [str(violation.get("quotaId", "")) for violation in entry.get("violations", ())]
            attributes["obskit.gen_ai.quota_ids"] = [quota for quota in quotas if quota]
        elif kind == "RetryInfo":
            attributes["obskit.gen_ai.retry_after_s"] = float(str(entry.get("retryDelay", "0s")).removesuffix("s"))
    return attributes


class Reply:
    """Gathers what a reply says, from one response or from the chunks of a stream.

    Args:
        processing: ``batch`` where the reply belongs to one.
    """

    __slots__ = (
        "_finish_reasons",
        "_id",
        "_images",
        "_messages",
        "_model",
        "_processing",
        "_queries",
        "_statistics",
        "_usage",
    )

    def __init__(self, processing: str = "") -> None:
        self._usage, self._processing = GeminiUsage(), processing
        self._model, self._id = "", ""
        self._finish_reasons: list[str] = []
        self._images: int | None = None
        self._statistics: int | None = None
        self._queries: set[str] = set()
        self._messages: list[Any] | None = [] if settings().capture_prompts else None

    @property
    def is_complete(self) -> bool:
        """Never: any chunk may be followed by another that says more."""
        return False

    def explain(self, error: BaseException) -> dict[str, Any]:
        """Return which quota is used up, and when to come back."""
        return error_attributes(error)

    def observe(self, response: Any) -> None:
        """Take in a response or a chunk. Never raises."""
        try:
            self._observe(response)
        except Exception as problem:  # noqa: BLE001 - the app's call must go through
            _log.warning("obskit could not read a reply of google-genai: %s: %s", type(problem).__name__, problem)

    def _observe(self, response: Any) -> None:
        get = fields_of(response)
        self._usage.observe(get("usage_metadata"))
        self._model = get("model_version") or self._model
        self._id = get("response_id") or self._id
        pictures = get("generated_images")
        if pictures is not None:  # an image that was filtered out has none, and is not billed
            self._images = sum(getattr(picture, "image", None) is not None for picture in pictures)
        for embedding in get("embeddings") or ():
            count = getattr(getattr(embedding, "statistics", None), "token_count", None)
            if count is not None:
                self._statistics = (self._statistics or 0) + int(count)
        for candidate in get("candidates") or ():
            its = fields_of(candidate)
            grounding = its("grounding_metadata")
            if grounding is not None:
                self._queries.update(getattr(grounding, "web_search_queries", None) or ())
            reason = its("finish_reason")
            if reason is not None:
                self._finish_reasons.append(_reason(reason))
            if self._messages is not None:
                self._messages.append(its("content"))

    def tell(self, call: Call) -> Usage | None:
        """Put what was gathered on the call's span, and return the usage, None when no response has told it."""
        call.answered(self._model, self._id, self._finish_reasons)
        if self._messages:
            call.set(prompts.of_reply(self._messages))
        return self.usage(self._model or call.model)

    def usage(self, model: str) -> Usage | None:
        """Return what was used so far, None when no response has told it.

        Args:
            model: bare name of the model, because its generation decides how searches are billed.
        """
        usage = self._usage.usage()
        if usage is None and self._statistics is not None:  # Vertex AI tells an embedding's tokens one by one
            usage = Usage(input=self._statistics)
        units: dict[str, float] = {}
        if self._images is not None:
            units["images"] = self._images
        if self._queries:
            # Source: Gemini's price list, "Grounding with Google Search": by query from Gemini 3 on, by prompt before.
            units["searches"] = 1 if model.startswith(_BY_PROMPT) else len(self._queries)
        if units:
            usage = (usage or Usage()).with_units(units)
        return usage.processed(self._processing) if usage and self._processing else usage


def _reason(reason: Any) -> str:
    return str(getattr(reason, "_value_", reason)).lower()  # an enum's `value` is a property in Python


def keep_body(call: Call, answer: Any) -> None:
    """Keep the HTTP answer where its body says more than the SDK's reply: embeddings' usage, which 1.x and 2.x drop."""
    call.kept[_BODY] = answer


def _usage_in_body(call: Call) -> Any:
    answer = call.kept.pop(_BODY, None)
    if answer is None:
        return None
    body = answer.response_stream
    found = json.loads(body[0] if isinstance(body, list) and body else "{}").get("usageMetadata")
    return found and SimpleNamespace(prompt_token_count=found.get("promptTokenCount"))


def fail(call: Call, error: BaseException) -> None:
    """End a call that failed before any reply. Never raises."""
    replies.fail(call, Reply(), error)


def finish_with(call: Call, response: Any) -> None:
    """End a call with its whole response. Never raises."""
    try:
        is_read, usage = _read(call, response)
    except Exception:  # noqa: BLE001 - what reads any response says what is wrong with it
        is_read = False
    if is_read:
        call.end(usage=usage)
        return
    reply = Reply()
    reply.observe(response)
    try:
        if call.operation == "embeddings" and getattr(response, "usage_metadata", None) is None:
            reply.observe(SimpleNamespace(usage_metadata=_usage_in_body(call)))
    except Exception as problem:  # noqa: BLE001 - the app's call must go through
        _log.warning("obskit could not read a reply of google-genai: %s: %s", type(problem).__name__, problem)
    finish(call, reply)


def _read(call: Call, response: Any) -> tuple[bool, Usage | None]:
    """Read a response of the usual kind: one candidate, with nothing in it that is billed otherwise than by token.

    Returns:
        Whether it is such a response, and what was used.
    """
    fields = response.__dict__
    candidates = fields.get("candidates")
    if not candidates or len(candidates) != 1 or settings().capture_prompts:
        return False, None
    candidate, metadata = candidates[0].__dict__, fields["usage_metadata"]
    if metadata is None or metadata.__pydantic_extra__ or candidate["grounding_metadata"] is not None:
        return False, None
    usage = usage_of(metadata.__dict__)
    reason = candidate["finish_reason"]
    call.answered(
        fields["model_version"] or "", fields["response_id"] or "", () if reason is None else (_reason(reason),)
    )
    return True, usage
