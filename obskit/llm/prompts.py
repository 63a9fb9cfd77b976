"""Prompts and replies as span attributes: only where `capture_prompts` is on, redacted and bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from obskit.llm.settings import redact

__all__ = ["dump", "of_reply", "of_request"]

_MOST_CHARACTERS: Final = 16_384


def of_request(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes of what was asked."""
    attributes = {"gen_ai.input.messages": dump(_messages(arguments.get("contents", arguments.get("content"))))}
    config = arguments.get("config")
    system = _get(config, "system_instruction")
    if system is not None:
        attributes["gen_ai.system_instructions"] = dump(
            [part for message in _messages(system) for part in message["parts"]]
        )
    return attributes


def of_reply(contents: Sequence[Any]) -> dict[str, str]:
    """Return the attribute of what was answered, the chunks of a stream put together."""
    parts: list[dict[str, Any]] = []
    for part in (part for content in contents for part in _message(content)["parts"]):
        if parts and part["type"] == parts[-1]["type"] == "text":
            parts[-1]["content"] += part["content"]
        else:
            parts.append(part)
    return {"gen_ai.output.messages": dump([{"role": "assistant", "parts": parts}])}


def dump(messages: Any) -> str:
    """Return messages as JSON, cut where they are too long for a span."""
    return json.dumps(messages, ensure_ascii=False, default=str)[:_MOST_CHARACTERS]


def _messages(contents: Any) -> list[dict[str, Any]]:
    if contents is None:
        return []
    if isinstance(contents, Sequence) and not isinstance(contents, str):
        return [_message(content) for content in contents]
    return [_message(contents)]


def _message(content: Any) -> dict[str, Any]:
    role = "assistant" if _get(content, "role") == "model" else "user"
    parts = _get(content, "parts")
    return {"role": role, "parts": [_part(part) for part in ([content] if parts is None else parts)]}


def _part(part: Any) -> dict[str, Any]:
    text = part if isinstance(part, str) else _get(part, "text")
    if text is not None:
        return {"type": "text", "content": redact(str(text))}
    call, response = _get(part, "function_call"), _get(part, "function_response")
    if call is not None:
        arguments = json.dumps(_get(call, "args"), default=str)
        return {"type": "tool_call", "name": _get(call, "name"), "arguments": redact(arguments)}
    if response is not None:
        answer = json.dumps(_get(response, "response"), default=str)
        return {"type": "tool_call_response", "name": _get(response, "name"), "response": redact(answer)}
    data = _get(part, "inline_data") or _get(part, "file_data")
    return {"type": "blob", "mime_type": _get(data, "mime_type")}


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
