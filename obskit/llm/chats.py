"""Prompts and replies of chats as span attributes: only where `capture_prompts` is on, redacted and bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from obskit.llm.prompts import dump
from obskit.llm.settings import redact

__all__ = ["Answer", "of_request"]

_ASKED: Final = ("messages", "input", "prompt")
_TEXTS: Final = frozenset({"text", "input_text", "output_text"})


def of_request(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes of what was asked: of a chat, a response, an embedding, an image or a speech."""
    asked = next((body[name] for name in _ASKED if body.get(name) is not None), None)
    attributes = {"gen_ai.input.messages": dump(_messages(asked))} if asked is not None else {}
    system = body.get("system", body.get("instructions"))
    if isinstance(system, str | list):
        attributes["gen_ai.system_instructions"] = dump(_parts(system))
    return attributes


class Answer:
    """What was answered, the chunks of a stream put together."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[dict[str, Any]] = []

    def add_text(self, text: Any) -> None:
        """Add a piece of text."""
        if not isinstance(text, str) or not text:
            return
        if self._parts and self._parts[-1]["type"] == "text":
            self._parts[-1]["content"] += text
        else:
            self._parts.append({"type": "text", "content": text})

    def add_tool_call(self, name: Any, arguments: Any) -> None:
        """Add a call of a tool; a piece without a name continues the call before."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, default=str)
        if name:
            self._parts.append({"type": "tool_call", "name": str(name), "arguments": text})
        elif self._parts and self._parts[-1]["type"] == "tool_call":
            self._parts[-1]["arguments"] += text

    def attributes(self) -> dict[str, str]:
        """Return the attribute of what was answered."""
        parts = [
            {key: redact(value) if key in {"content", "arguments"} else value for key, value in part.items()}
            for part in self._parts
        ]
        return {"gen_ai.output.messages": dump([{"role": "assistant", "parts": parts}])} if parts else {}


def _messages(asked: Any) -> list[dict[str, Any]]:
    messages = asked if isinstance(asked, list) else [asked]
    return [_message(each) for each in messages]


def _message(message: Any) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        return {"role": "user", "parts": _parts(message)}
    role, kind = message.get("role"), message.get("type")
    parts = _parts(message.get("content")) if message.get("content") is not None else []
    parts += [_tool_call(each.get("function", each)) for each in message.get("tool_calls") or ()]
    if kind == "function_call":
        parts.append(_tool_call(message))
    elif role == "tool" or kind == "function_call_output":
        answer = message.get("output", message.get("content"))
        parts = [{"type": "tool_call_response", "response": redact(str(answer))}]
        role = "tool"
    return {"role": str(role or "user"), "parts": parts}


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "tool_call", "name": call.get("name"), "arguments": redact(str(call.get("arguments")))}


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, list):
        return [_part(each) for each in content]
    return [_part(content)]


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, Mapping):
        return {"type": "text", "content": redact(str(part))}
    kind = str(part.get("type"))
    if kind in _TEXTS:
        return {"type": "text", "content": redact(str(part.get("text")))}
    if kind == "tool_use":
        arguments = json.dumps(part.get("input"), default=str)
        return {"type": "tool_call", "name": part.get("name"), "arguments": redact(arguments)}
    if kind == "tool_result":
        return {"type": "tool_call_response", "response": redact(str(part.get("content")))}
    return {"type": "blob", "kind": kind}
