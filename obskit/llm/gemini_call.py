"""What a call of google-genai says about itself: attributes of the request, attributes and usage of the reply."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from obskit.llm import prompts
from obskit.llm.record import Call
from obskit.llm.settings import settings
from obskit.llm.usage import GeminiUsage, Usage

__all__ = ["Begin", "Reply", "error_attributes", "fail", "finish", "finish_with", "request_attributes"]

_log = logging.getLogger("obskit")

Begin = Callable[[Any, dict[str, Any]], Call | None]
"""Begins the record of one call: (the SDK's `Models`, the call's keywords) → the call, or None to leave it alone."""

_PARAMETERS: Final = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "candidate_count": "gen_ai.request.choice.count",
    "seed": "gen_ai.request.seed",
    "output_dimensionality": "gen_ai.embeddings.dimension.count",
}


def request_attributes(models: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the span's attributes that are known before the call."""
    attributes: dict[str, Any] = {}
    options = getattr(getattr(models, "_api_client", None), "_http_options", None)
    base_url = options.get("base_url") if isinstance(options, Mapping) else getattr(options, "base_url", None)
    parts = urlsplit(str(base_url or ""))
    if parts.hostname:
        attributes["server.address"] = parts.hostname
        attributes["server.port"] = parts.port or (80 if parts.scheme == "http" else 443)
    config = arguments.get("config")
    for name, attribute in _PARAMETERS.items():
        value = config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
        if isinstance(value, int | float):
            attributes[attribute] = value
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
    """Gathers what a reply says, from one response or from the chunks of a stream."""

    __slots__ = ("_finish_reasons", "_id", "_messages", "_model", "_usage")

    def __init__(self) -> None:
        self._usage = GeminiUsage()
        self._model, self._id = "", ""
        self._finish_reasons: list[str] = []
        self._messages: list[Any] | None = [] if settings().capture_prompts else None

    def observe(self, response: Any) -> None:
        """Take in a response or a chunk. Never raises."""
        try:
            self._observe(response)
        except Exception as problem:  # noqa: BLE001 - the app's call must go through
            _log.warning("obskit could not read a reply of google-genai: %s: %s", type(problem).__name__, problem)

    def _observe(self, response: Any) -> None:
        self._usage.observe(getattr(response, "usage_metadata", None))
        self._model = getattr(response, "model_version", None) or self._model
        self._id = getattr(response, "response_id", None) or self._id
        for candidate in getattr(response, "candidates", None) or ():
            reason = getattr(candidate, "finish_reason", None)
            if reason is not None:
                self._finish_reasons.append(str(getattr(reason, "value", reason)).lower())
            if self._messages is not None:
                self._messages.append(getattr(candidate, "content", None))

    def tell(self, call: Call) -> Usage | None:
        """Put what was gathered on the call's span, and return the usage, None when no response has told it."""
        call.response_model = self._model
        attributes: dict[str, Any] = {
            "gen_ai.response.model": self._model,
            "gen_ai.response.id": self._id,
            "gen_ai.response.finish_reasons": self._finish_reasons,
        }
        if self._messages:
            attributes.update(prompts.of_reply(self._messages))
        call.set({name: value for name, value in attributes.items() if value})
        return self._usage.usage()


def finish(
    call: Call,
    reply: Reply,
    *,
    error: BaseException | None = None,
    is_abandoned: bool = False,
    ended_s_ago: float = 0.0,
) -> None:
    """End a call with what its reply has told so far. Never raises."""
    if call.is_ended:
        return
    usage = None
    try:
        usage = reply.tell(call)
        if error is not None:
            call.set(error_attributes(error))
    except Exception as problem:  # noqa: BLE001 - the app's call must go through
        _log.warning("obskit could not read a reply of google-genai: %s: %s", type(problem).__name__, problem)
    call.end(usage=usage, error=error, is_abandoned=is_abandoned, ended_s_ago=ended_s_ago)


def fail(call: Call, error: BaseException) -> None:
    """End a call that failed before any reply. Never raises."""
    finish(call, Reply(), error=error)


def finish_with(call: Call, response: Any) -> None:
    """End a call with its whole response. Never raises."""
    reply = Reply()
    reply.observe(response)
    finish(call, reply)
