"""A model without a model: replies, function calls and token counts that follow from the request alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from obskit.demo.ledger import Bill

__all__ = ["Exchange", "Prompt", "embedding", "tokens_in"]

_CHARACTERS_PER_TOKEN: Final = 4  # Source: "about 4 characters" in Gemini's guide on tokens
_THINKING_SHARE: Final = 2  # a thinking model thinks half as long as it talks
_SEARCH_TOKENS: Final = 96
_SCHEMA_KEYS: Final = ("parameters", "parametersJsonSchema", "parameters_json_schema")  # the SDK sends the last one
_EMBEDDING_SIZE: Final = 8
_PIECE: Final = re.compile(r"\S+\s*\S*\s*\S*\s*")

_SENTENCES: Final = (
    "Happy to help.",
    "A flat white is an espresso with steamed milk, about five and a half ounces in all.",
    "For a quiet afternoon a pour-over brings out more of the fruit.",
    "If you prefer it stronger, ask for a ristretto.",
    "Our roaster suggests grinding right before brewing.",
    "Tell me what you usually drink and I will find something close to it.",
)


def tokens_in(text: str) -> int:
    """Return the tokens of a text, at least 1 unless it is empty."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


class Prompt:
    """What one request asks for.

    Args:
        body: the JSON body of generateContent.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self._contents = [content for content in body.get("contents", ()) if isinstance(content, Mapping)]

    @property
    def system(self) -> str:
        """The system instruction, empty without one."""
        instruction = self._body.get("systemInstruction") or self._body.get("system_instruction") or {}
        return _text_of(instruction.get("parts", ()))

    @property
    def text(self) -> str:
        """Everything that is said in the contents, function calls and their answers included."""
        return "\n".join(_text_of(content.get("parts", ())) for content in self._contents)

    @property
    def declarations(self) -> list[Mapping[str, Any]]:
        """The functions that the caller offers."""
        mode = self._body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode", "AUTO")
        if mode == "NONE":
            return []
        return [
            declaration
            for tool in self._body.get("tools", ())
            for declaration in tool.get("functionDeclarations", tool.get("function_declarations", ()))
        ]

    @property
    def has_search(self) -> bool:
        """Whether a tool that runs on the server is switched on."""
        return any("googleSearch" in tool or "google_search" in tool for tool in self._body.get("tools", ()))

    @property
    def has_function_response(self) -> bool:
        """Whether a function has been called and answered already."""
        parts = (part for content in self._contents for part in content.get("parts", ()))
        return any("functionResponse" in part or "function_response" in part for part in parts)

    @property
    def is_thinking(self) -> bool:
        """Whether thinking has not been switched off."""
        config = self._body.get("generationConfig", {}).get("thinkingConfig", {})
        return bool(config.get("thinkingBudget", -1) != 0)


class Exchange:
    """One request with the reply to it and its bill.

    Args:
        prompt: the request.
        is_cached: whether the system instruction was seen before, so that its tokens come from the cache.
        multiplier: every count is multiplied by it, for a spike in tokens.
    """

    def __init__(self, prompt: Prompt, *, is_cached: bool, multiplier: int = 1) -> None:
        self.asked = prompt.text
        self.function_call: dict[str, Any] | None = None
        if prompt.declarations and not prompt.has_function_response:
            self.function_call = _call(prompt.declarations[0], prompt.text)
        self.text = "" if self.function_call else _reply(prompt.text)
        candidates = tokens_in(json.dumps(self.function_call)) if self.function_call else tokens_in(self.text)
        system = tokens_in(prompt.system)
        self.bill = Bill(
            prompt=system + tokens_in(prompt.text),
            cached=system if is_cached else 0,
            tool_use=_SEARCH_TOKENS if prompt.has_search else 0,
            candidates=candidates,
            thoughts=candidates // _THINKING_SHARE if prompt.is_thinking else 0,
        ).times(multiplier)

    def response(self, model: str, response_id: str) -> dict[str, Any]:
        """Return the body of generateContent's answer."""
        part = {"functionCall": self.function_call} if self.function_call else {"text": self.text}
        return _envelope(model, response_id, [part], self.bill.usage_metadata(), is_last=True)

    def bill_of_chunks(self, count: int) -> Bill:
        """Return what has been used after so many chunks."""
        if self.function_call:
            return self.bill
        pieces = len(_PIECE.findall(self.text))
        return replace(self.bill, candidates=self.bill.candidates * min(count, pieces) // pieces)

    def chunks(self, model: str, response_id: str) -> Iterator[dict[str, Any]]:
        """Yield the answer in pieces; usage is cumulative, on every piece."""
        if self.function_call:
            yield self.response(model, response_id)
            return
        pieces = _PIECE.findall(self.text)
        for index, piece in enumerate(pieces, start=1):
            so_far = self.bill.candidates * index // len(pieces)
            usage = self.bill.usage_metadata(candidates=so_far)
            yield _envelope(model, response_id, [{"text": piece}], usage, is_last=index == len(pieces))


def embedding(text: str) -> list[float]:
    """Return a small vector that depends on the text alone."""
    sums = [0] * _EMBEDDING_SIZE
    for index, character in enumerate(text):
        sums[index % _EMBEDDING_SIZE] += ord(character)
    return [round(value % 997 / 997, 6) for value in sums]


def _text_of(parts: Any) -> str:
    words = []
    for part in parts if isinstance(parts, list) else [parts]:
        if "text" in part:
            words.append(str(part["text"]))
        elif part:
            words.append(json.dumps(part, sort_keys=True))
    return " ".join(words)


def _reply(text: str) -> str:
    count = 2 + len(text) % (len(_SENTENCES) - 1)
    first = len(text) % len(_SENTENCES)
    return " ".join((_SENTENCES * 2)[first : first + count])


def _call(declaration: Mapping[str, Any], text: str) -> dict[str, Any]:
    schema: Mapping[str, Any] = next((declaration[key] for key in _SCHEMA_KEYS if declaration.get(key)), {})
    words = re.findall(r"\w+", text) or ["coffee"]
    arguments = {
        name: _argument(details, words[-1].lower())
        for name, details in schema.get("properties", {}).items()
        if name in schema.get("required", schema.get("properties", {}))
    }
    return {"name": declaration["name"], "args": arguments}


def _argument(details: Mapping[str, Any], word: str) -> Any:
    if details.get("enum"):
        return details["enum"][0]
    samples: dict[str, Any] = {"integer": 3, "number": 3.5, "boolean": True, "array": [], "object": {}}
    return samples.get(str(details.get("type", "string")).lower(), word)


def _envelope(
    model: str, response_id: str, parts: list[dict[str, Any]], usage: dict[str, int], *, is_last: bool
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if is_last:
        candidate["finishReason"] = "STOP"
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": response_id}
