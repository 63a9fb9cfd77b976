"""A server that speaks as OpenAI and as Anthropic do, and keeps what it has billed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from obskit.demo.loopback import LoopbackServer


class Server:
    """Speaks as OpenAI and as Anthropic do, and keeps each body that tells of usage, by scenario.

    A request names its scenario in `x-scenario`; `x-fail: 429,503` refuses its first attempts so.
    """

    def __init__(self) -> None:
        self.ledger: dict[str, list[dict[str, Any]]] = {}
        self._refused: dict[str, int] = {}
        self._server = LoopbackServer(
            Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST"])]), port=0
        )

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return self._server.url

    async def answer(self, request: Request) -> Response:
        scenario = request.headers.get("x-scenario", "")
        planned = [int(status) for status in request.headers.get("x-fail", "").split(",") if status]
        if (made := self._refused.get(scenario, 0)) < len(planned):
            self._refused[scenario] = made + 1
            headers = {"retry-after-ms": "1", "retry-after": "0.001"}
            error = {"error": {"message": "no", "type": "refused", "code": "rate_limit_exceeded"}, "type": "error"}
            return JSONResponse(error, status_code=planned[made], headers=headers)
        body = await _body(request)
        path = request.url.path
        if path.endswith("/count_tokens"):
            return JSONResponse({"input_tokens": _size(body)})
        if path.startswith("/v1/messages/batches"):
            return self._message_batch(scenario, path)
        if path.startswith("/v1/messages"):
            return self._message(scenario, body)
        if "/batches/" in path:
            return JSONResponse(self._batch(scenario, path.rpartition("/")[2]))
        for end, make in _OPENAI.items():
            if path.endswith(end) and request.method == "POST":
                return make(self, scenario, body, end)
        if "/responses/" in path:
            return JSONResponse(self.ledger[scenario][0]["body"])
        return JSONResponse({"object": "list", "data": []})

    def bill(self, scenario: str, flavor: str, body: dict[str, Any]) -> dict[str, Any]:
        self.ledger.setdefault(scenario, []).append({"flavor": flavor, "body": body})
        return body

    # ------------------------------------------------------------------ OpenAI

    def _chat(self, scenario: str, body: dict[str, Any], _: str) -> Response:
        whole = self.bill(scenario, "chat", _chat(body))
        if not body.get("stream"):
            return JSONResponse(whole)
        chunks = _chunks(whole, tells=(body.get("stream_options") or {}).get("include_usage") is True)
        return _events((None, chunk) for chunk in chunks)

    def _responses(self, scenario: str, body: dict[str, Any], _: str) -> Response:
        whole = self.bill(scenario, "responses", _response(body, "completed"))
        if body.get("background"):
            return JSONResponse(_response(body, "queued"))
        if not body.get("stream"):
            return JSONResponse(whole)
        events = [
            {
                "type": "response.created",
                "sequence_number": 0,
                "response": {**whole, "usage": None, "output": [], "status": "in_progress"},
            },
            {
                "type": "response.output_item.added",
                "sequence_number": 0,
                "output_index": 0,
                "item": {**whole["output"][0], "content": []},
            },
            {
                "type": "response.content_part.added",
                "sequence_number": 0,
                "item_id": "m",
                "output_index": 0,
                "content_index": 0,
                "part": {"type": "output_text", "text": "", "annotations": []},
            },
            *(
                {
                    "type": "response.output_text.delta",
                    "sequence_number": n,
                    "item_id": "m",
                    "output_index": 0,
                    "content_index": 0,
                    "delta": "word ",
                    "logprobs": [],
                }
                for n in (1, 2)
            ),
            {"type": "response.completed", "sequence_number": 3, "response": whole},
        ]
        return _events((event["type"], event) for event in events)

    def _embeddings(self, scenario: str, body: dict[str, Any], _: str) -> Response:
        used = _size(body)
        data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
        usage = {"prompt_tokens": used, "total_tokens": used}
        return JSONResponse(
            self.bill(scenario, "embeddings", {"object": "list", "data": data, "model": body["model"], "usage": usage})
        )

    def _images(self, scenario: str, body: dict[str, Any], _: str) -> Response:
        answer: dict[str, Any] = {"created": 1, "data": [{"b64_json": "AA=="}] * int(body.get("n") or 1)}
        if str(body.get("model")).startswith("gpt-image"):
            answer["usage"] = {
                "input_tokens": 50, "output_tokens": 1000, "total_tokens": 1050,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
            }  # fmt: skip
        return JSONResponse(self.bill(scenario, "images", answer))

    def _transcription(self, scenario: str, body: dict[str, Any], _: str) -> Response:
        usage: dict[str, Any] = {"type": "duration", "seconds": 90}
        if "4o" in str(body.get("model")):
            details = {"audio_tokens": 120, "text_tokens": 5}
            usage = {
                "type": "tokens",
                "input_tokens": 125,
                "output_tokens": 30,
                "total_tokens": 155,
                "input_token_details": details,
            }
        return JSONResponse(self.bill(scenario, "audio", {"text": "espresso", "usage": usage}))

    def _speech(self, scenario: str, body: dict[str, Any], _: str) -> Response:
        self.bill(scenario, "speech", {"characters": len(body["input"])})
        return Response(b"RIFF" * 1000, media_type="audio/wav")

    def _batch(self, scenario: str, name: str) -> dict[str, Any]:
        batch: dict[str, Any] = {
            "id": name, "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "f", "created_at": 1,
            "completion_window": "24h", "status": "in_progress", "model": "gpt-4o",
            "usage": {
                "input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0,
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0,
            },
        }  # fmt: skip
        if name == "batch_running":
            return batch
        usage = {
            "input_tokens": 900_007, "input_tokens_details": {"cached_tokens": 2_048}, "output_tokens": 4_001,
            "output_tokens_details": {"reasoning_tokens": 500}, "total_tokens": 904_008,
        }  # fmt: skip
        counts = {"total": 101, "completed": 100, "failed": 1}
        model = "gpt-5.4" if name == "batch_long" else "gpt-4o"
        done = {**batch, "status": "completed", "model": model, "usage": usage, "request_counts": counts}
        return self.bill(scenario, "batch", done)

    # ------------------------------------------------------------------ Anthropic

    def _message_batch(self, scenario: str, path: str) -> Response:
        if not path.endswith("/results"):
            return JSONResponse({
                "id": path.rpartition("/")[2], "type": "message_batch", "processing_status": "ended", "created_at": "2026-01-01T00:00:00Z",
                "expires_at": "2026-01-02T00:00:00Z", "results_url": f"{self.url}{path}/results",
                "request_counts": {"processing": 0, "succeeded": 3, "errored": 1, "canceled": 0, "expired": 0},
            })  # fmt: skip
        lines: list[dict[str, Any]] = []
        self.ledger.pop(scenario, None)  # read again, it is the same batch
        for number in range(3):
            whole = _message({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "x" * number}]})
            whole["usage"]["service_tier"] = "batch"
            lines.append({"type": "succeeded", "message": self.bill(scenario, "batch", whole)})
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
        lines.insert(1, {"type": "errored", "error": error})
        text = "".join(json.dumps({"custom_id": str(at), "result": line}) + "\n" for at, line in enumerate(lines))
        return Response(text, media_type="application/x-jsonl")

    def _message(self, scenario: str, body: dict[str, Any]) -> Response:
        whole = self.bill(scenario, "default", _message(body))
        if not body.get("stream"):
            return JSONResponse(whole)
        text = str(body["messages"])
        usage = whole["usage"]
        begun = {
            **whole,
            "content": [],
            "stop_reason": None,
            "usage": {**usage, "output_tokens": 1, "output_tokens_details": None},
        }
        events: list[tuple[str, dict[str, Any]]] = [
            ("message_start", {"message": begun}),
            ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
            *[("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "word "}})] * 3,
            ("content_block_stop", {"index": 0}),
            (
                "message_delta",
                {
                    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                    "usage": {
                        "output_tokens": usage["output_tokens"],
                        "output_tokens_details": usage["output_tokens_details"],
                    },
                },
            ),
            ("message_stop", {}),
        ]
        if "[break]" in text:
            events = [*events[:4], ("break", {})]
        if "[error]" in text:
            events = [*events[:4], ("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}})]
        return _events((name, {"type": name, **data}) for name, data in events)


_OPENAI: dict[str, Callable[[Server, str, dict[str, Any], str], Response]] = {
    "/chat/completions": Server._chat,
    "/responses": Server._responses,
    "/embeddings": Server._embeddings,
    "/images/generations": Server._images,
    "/audio/transcriptions": Server._transcription,
    "/audio/speech": Server._speech,
}


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if "multipart" in request.headers.get("content-type", ""):
        return {"model": "gpt-4o-transcribe" if b"gpt-4o-transcribe" in raw else "whisper-1"}
    return dict(json.loads(raw)) if raw else {}


def _size(body: dict[str, Any]) -> int:
    return 2000 + len(json.dumps(body.get("messages") or body.get("input") or body.get("prompt")))


def _chat(body: dict[str, Any]) -> dict[str, Any]:
    made = 40
    message: dict[str, Any] = {"role": "assistant", "content": "words " * made}
    if body.get("tools") and "tool_call_id" not in json.dumps(body["messages"]):
        call = {
            "id": "call_1",
            "type": "function",
            "function": {"name": "get_price", "arguments": '{"product": "decaf"}'},
        }
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    elif body.get("response_format"):
        message["content"] = '{"price": 2.5}'
    usage = {
        "prompt_tokens": _size(body), "completion_tokens": made, "total_tokens": _size(body) + made,
        "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 12, "audio_tokens": 0},
    }  # fmt: skip
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    tier = body.get("service_tier") or "default"
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [choice],
        "usage": usage,
        "service_tier": tier,
    }


def _chunks(whole: dict[str, Any], *, tells: bool) -> Iterator[dict[str, Any]]:
    chunk = {**whole, "object": "chat.completion.chunk", "usage": None}
    for _ in range(3):
        yield {
            **chunk,
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": "word "}, "finish_reason": None}],
        }
    yield {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if tells:
        yield {**chunk, "choices": [], "usage": whole["usage"]}


def _response(body: dict[str, Any], status: str) -> dict[str, Any]:
    usage = {
        "input_tokens": _size(body), "output_tokens": 70, "total_tokens": _size(body) + 70,
        "input_tokens_details": {"cached_tokens": 512, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 30},
    }  # fmt: skip
    content = [{"type": "output_text", "text": "words", "annotations": []}]
    message = {"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": content}
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": body["model"],
        "output": [message] if status == "completed" else [], "parallel_tool_calls": True, "tool_choice": "auto",
        "tools": [], "usage": usage if status == "completed" else None,
    }  # fmt: skip


def _message(body: dict[str, Any]) -> dict[str, Any]:
    usage = {
        "input_tokens": _size(body), "cache_read_input_tokens": 3000, "cache_creation_input_tokens": 700,
        "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 90, "output_tokens_details": {"thinking_tokens": 25}, "service_tier": "standard",
    }  # fmt: skip
    content: list[dict[str, Any]] = [{"type": "text", "text": "words"}]
    reason = "end_turn"
    if body.get("tools") and "tool_result" not in json.dumps(body["messages"]):
        content = [{"type": "tool_use", "id": "t1", "name": "get_price", "input": {"product": "decaf"}}]
        reason = "tool_use"
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _events(events: Any) -> Response:
    async def stream() -> AsyncIterator[bytes]:
        is_named = False
        for name, data in events:
            if name == "break":
                raise ClientDisconnect  # the connection is cut, and the server says nothing of it
            is_named = is_named or name is not None
            yield (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(data).encode() + b"\n\n"
        if not is_named:
            yield b"data: [DONE]\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")
