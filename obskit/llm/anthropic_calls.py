"""anthropic: what its requests ask for, and what its replies say."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from obskit.llm import stainless
from obskit.llm.bodies import Asked, BodyReply, get, number, request_attributes
from obskit.llm.kept import Kept
from obskit.llm.patches import Patches
from obskit.llm.prices import model_name
from obskit.llm.record import Call, is_suppressed
from obskit.llm.usage import Usage

__all__ = ["AnthropicReply", "follow_calls", "patches", "usage_of"]

patches: Final = Patches("anthropic")

_log = logging.getLogger("obskit")

_OPERATIONS: Final = {"/v1/messages": "chat", "/v1/complete": "text_completion"}
_RESULTS: Final = re.compile(r"/messages/batches/([^/?]+)/results")
_PROVIDERS: Final = {"Bedrock": "aws.bedrock", "Vertex": "gcp.vertex_ai"}


def follow_calls(sdk: ModuleType) -> None:
    """Record the calls through the SDK from now on."""
    stainless.patch(sdk, _Dialect(), patches)


class _Dialect:
    """Anthropic's requests."""

    def __init__(self) -> None:
        self._batches = Kept()

    def describe(self, client: Any, options: Any) -> Asked | None:
        operation = _OPERATIONS.get("/" + str(options.url).partition("?")[0].strip("/"))
        if operation is None or str(options.method).lower() != "post":
            return None
        body = options.json_data if isinstance(options.json_data, Mapping) else {}
        return Asked(
            operation=operation,
            provider=provider_of(client),
            model=model_name(str(body.get("model") or "")),
            attributes=request_attributes(getattr(client, "base_url", ""), body),
            arguments=body,
            reply=AnthropicReply,
        )

    def seen(self, client: Any, options: Any, result: Any) -> None:
        """Count the results of a batch as the app reads them, each once."""
        found = _RESULTS.search(str(options.url))
        lines = getattr(result, "_iterator", None) if found else None
        if found is None or lines is None:
            return
        counter = self._batches.get(found[1]) or _Counter(provider_of(client))
        self._batches.put(found[1], counter)
        result._iterator = (  # noqa: SLF001 - what its own iteration goes through
            _counted_async(lines, counter) if hasattr(lines, "__anext__") else _counted(lines, counter)
        )


class _Counter:
    """Counts the results of one batch: their order is that of a file, and is the same each time.

    Args:
        provider: of the batch.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        self._count = 0

    def take(self, place: int, line: Any) -> None:
        """Account for a result, unless it has been read before. Never raises."""
        with self._lock:
            if place < self._count:
                return
            self._count = place + 1
        try:
            message = get(get(line, "result"), "message")
            if message is not None and not is_suppressed():
                self._account(message)
        except Exception as error:  # noqa: BLE001 - the app must get its result
            _log.warning("obskit could not read a result of a batch: %s: %s", type(error).__name__, error)

    def _account(self, message: Any) -> None:
        reply = AnthropicReply()
        reply.observe(message)
        model = model_name(str(get(message, "model") or ""))
        call = Call(operation="chat", provider=self._provider, model=model, is_late=True)
        usage = reply.tell(call)
        call.end(usage=usage and usage.processed("batch"))


def _counted(lines: Iterator[Any], counter: _Counter) -> Iterator[Any]:
    for place, line in enumerate(lines):
        counter.take(place, line)
        yield line


async def _counted_async(lines: AsyncIterator[Any], counter: _Counter) -> AsyncIterator[Any]:
    place = 0
    async for line in lines:
        counter.take(place, line)
        place += 1
        yield line


def provider_of(client: Any) -> str:
    """Return `gen_ai.provider.name` of a client."""
    kind = type(client).__name__
    return next((name for part, name in _PROVIDERS.items() if part in kind), "anthropic")


class AnthropicReply(BodyReply):
    """Gathers what a reply of Anthropic says, from one message or from the events of a stream.

    The usage of a stream is cumulative, so the last value of each field counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, Any] = {}

    def _observe(self, response: Any) -> None:
        kind = get(response, "type")
        if kind == "message_stop":
            self.is_complete = True
        elif kind == "message_delta":
            self._take(get(response, "usage"))
            self._finish(get(get(response, "delta"), "stop_reason"))
        elif kind == "content_block_start":
            self._answered(get(response, "content_block"), is_stream=True)
        elif kind == "content_block_delta" and self._answer is not None:
            delta = get(response, "delta")
            self._answer.add_text(get(delta, "text"))
            self._answer.add_tool_call(None, get(delta, "partial_json") or "")
        else:
            self._observe_message(get(response, "message") if kind == "message_start" else response)

    def _observe_message(self, message: Any) -> None:
        self._model = str(get(message, "model") or self._model)
        self._id = str(get(message, "id") or self._id)
        self._take(get(message, "usage"))
        self._finish(get(message, "stop_reason"))
        content = get(message, "content")
        for block in content if isinstance(content, list) else ():
            self._answered(block)

    def _finish(self, reason: Any) -> None:
        if reason is not None:
            self._finish_reasons = [str(reason)]

    def _answered(self, block: Any, *, is_stream: bool = False) -> None:
        if self._answer is None:
            return
        self._answer.add_text(get(block, "text"))
        if get(block, "type") == "tool_use":
            self._answer.add_tool_call(get(block, "name"), "" if is_stream else get(block, "input"))

    def _take(self, usage: Any) -> None:
        for name in _FIELDS:
            value = get(usage, name)
            if value is not None:
                self._counts[name] = value

    def _usage(self) -> Usage | None:
        return usage_of(self._counts) if self._counts else None


_FIELDS: Final = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "output_tokens",
    "output_tokens_details",
    "server_tool_use",
    "service_tier",
)


def usage_of(found: Any) -> Usage:
    """Return what a `usage` in Anthropic's terms says: its input is without the cache, its output with thinking."""
    made = number(found, "output_tokens")
    thinking = min(number(get(found, "output_tokens_details"), "thinking_tokens"), made)
    written = number(found, "cache_creation_input_tokens")
    for_an_hour = min(number(get(found, "cache_creation"), "ephemeral_1h_input_tokens"), written)
    searches = number(get(found, "server_tool_use"), "web_search_requests")
    return Usage(
        input=number(found, "input_tokens"),
        cached=number(found, "cache_read_input_tokens"),
        cache_write=written,
        output=made - thinking,
        thinking=thinking,
        modalities={"cache_write_1h_tokens": for_an_hour} if for_an_hour else {},
        units={"searches": searches} if searches else {},
        processing="batch" if get(found, "service_tier") == "batch" else "",
    )
