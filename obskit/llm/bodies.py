"""What HTTP bodies of AI services have in common, whether an SDK gives them as objects or as they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from obskit.llm import chats
from obskit.llm.prices import model_name
from obskit.llm.record import Call
from obskit.llm.replies import http_explanation
from obskit.llm.servers import server_attributes
from obskit.llm.settings import settings
from obskit.llm.usage import Usage

__all__ = ["Asked", "BodyReply", "get", "number", "request_attributes"]

_log = logging.getLogger("obskit")

_MOST: Final = 2**63  # what an attribute of a span can hold
_PARAMETERS: Final = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "n": "gen_ai.request.choice.count",
    "seed": "gen_ai.request.seed",
    "dimensions": "gen_ai.embeddings.dimension.count",
}


def get(holder: Any, *names: str) -> Any:
    """Return the first of the fields that is there and not None, of an object or of a mapping."""
    for name in names:
        value = holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
        if value is not None:
            return value
    return None


def number(holder: Any, *names: str) -> int:
    """Return the first of the counts that is there, 0 where none is; -1, which no usage can have, for what is none."""
    value = get(holder, *names)
    if value is None:
        return 0
    is_count = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < inf
    return int(value) if is_count else -1


def request_attributes(base_url: object, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the span's attributes that are known before the call."""
    attributes = server_attributes(str(base_url or "")).copy()
    for name, attribute in _PARAMETERS.items():
        value = body.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            attributes[attribute] = value if value.__class__ is float or -_MOST <= value < _MOST else str(value)
    if body.get("stream") is True:
        attributes["gen_ai.request.stream"] = True
    if settings().capture_prompts:
        attributes.update(chats.of_request(body))
    return attributes


class BodyReply:
    """Gathers what one reply says; each provider has its own `_observe` and `_usage`."""

    def __init__(self) -> None:
        self._model, self._id = "", ""
        self._finish_reasons: list[str] = []
        self._answer: chats.Answer | None = chats.Answer() if settings().capture_prompts else None
        self.is_complete = False

    def observe(self, response: Any) -> None:
        """Take in a response or a chunk. Never raises."""
        try:
            self._observe(response)
        except Exception as problem:  # noqa: BLE001 - the app's call must go through
            _log.warning("obskit could not read a reply: %s: %s", type(problem).__name__, problem)

    def _observe(self, response: Any) -> None:
        raise NotImplementedError

    def _usage(self) -> Usage | None:
        raise NotImplementedError

    def tell(self, call: Call) -> Usage | None:
        """Put what was gathered on the call's span, and return the usage, None when nothing has told it."""
        call.answered(self._model, self._id, self._finish_reasons)
        call.response_model = model_name(self._model)
        if self._answer is not None:
            call.set(self._answer.attributes())
        return self._usage()

    def explain(self, error: BaseException) -> dict[str, Any]:
        """Return when the call may come back."""
        return http_explanation(error)

    def is_hidden(self, chunk: Any) -> bool:  # noqa: ARG002 - for providers that need it
        """Return whether the app must not see a chunk, because it is there only for what obskit has asked for."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks for.

    Attributes:
        operation: `gen_ai.operation.name`.
        provider: `gen_ai.provider.name`.
        model: the model's bare name.
        reply: makes what gathers the answer.
        attributes: for the span.
        arguments: the request's body, for hooks.
        body: what is sent in the place of the body; None leaves it as it is.
    """

    operation: str
    provider: str
    model: str
    reply: Callable[[], BodyReply]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
