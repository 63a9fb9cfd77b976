"""The rest of the fake Gemini: images, videos, batches, context caches, interactions, Live sessions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from obskit.demo.faults import error_body
from obskit.demo.ledger import Bill
from obskit.demo.replies import Exchange, Prompt, embedding, tokens_in

if TYPE_CHECKING:
    from obskit.demo.fake_gemini import FakeGemini

__all__ = ["routes"]

_Answer = Callable[["FakeGemini", str, dict[str, Any]], Response]
_VIDEO_S = 8
_BATCH = "batch:"


def routes(gemini: FakeGemini) -> list[BaseRoute]:
    """Return the routes that come before those of `generateContent`."""

    def refusable(path: str, method: str, answer: _Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            model = str(request.path_params.get("model", ""))
            status = gemini.switch.refuse(model)
            if status:
                gemini.ledger.fail(model, method, status)
                return JSONResponse(error_body(status, model, gemini.switch.faults), status_code=status)
            body = await request.body()
            arguments = {**(json.loads(body) if body else {}), **request.path_params, "_path": request.url.path}
            return answer(gemini, model, arguments)

        verb = {"get": "GET", "patch": "PATCH"}.get(method.partition(":")[0], "POST")
        return Route(path, endpoint, methods=[verb])

    models = "/{version}/{parent:path}models/{model}"
    return [
        refusable(models + ":predict", "predict", _predict),
        refusable(models + ":predictLongRunning", "predictLongRunning", _begin_video),
        refusable(models + ":fetchPredictOperation", "fetchPredictOperation", _vertex_video),
        refusable(models + "/operations/{job}", "get:operation", _developer_video),
        refusable(models + ":batchGenerateContent", "batchGenerateContent", _begin_batch),
        refusable(models + ":asyncBatchEmbedContent", "asyncBatchEmbedContent", _begin_embedding_batch),
        refusable("/{version}/batches/{job}", "get:batch", _batch),
        refusable("/{version}/cachedContents", "createCache", _make_cache),
        refusable("/{version}/cachedContents/{job}", "patch:cache", _change_cache),
        refusable("/{version}/interactions", "createInteraction", _interact),
        WebSocketRoute("/{path:path}", _live_endpoint(gemini)),
    ]


# --------------------------------------------------------------------------- images, embeddings, videos


def _predict(gemini: FakeGemini, model: str, body: dict[str, Any]) -> Response:
    if "embedding" in model:
        texts = [str(instance.get("content", "")) for instance in body["instances"]]
        gemini.ledger.bill(model, "predict", Bill(prompt=sum(map(tokens_in, texts))))
        rows = [
            {"values": embedding(text), "statistics": {"token_count": tokens_in(text), "truncated": False}}
            for text in texts
        ]
        return JSONResponse({"predictions": [{"embeddings": row} for row in rows]})
    count = int(body.get("parameters", {}).get("sampleCount", 1))
    gemini.ledger.bill(model, "predict", Bill())
    gemini.ledger.bill_units(model, "images", count)
    picture = {"mimeType": "image/png", "bytesBase64Encoded": "aW1hZ2U="}
    return JSONResponse({"predictions": [picture] * count})


def _begin_video(gemini: FakeGemini, model: str, body: dict[str, Any]) -> Response:
    parameters = body.get("parameters", {})
    seconds, count = int(parameters.get("durationSeconds", _VIDEO_S)), int(parameters.get("sampleCount", 1))
    name = f"{body['parent']}models/{model}/operations/{gemini.next_id()}"
    gemini.jobs[name] = {"count": count}
    gemini.ledger.bill(model, "predictLongRunning", Bill())
    gemini.ledger.bill_units(model, "seconds", seconds * count)
    return JSONResponse({"name": name})


def _vertex_video(gemini: FakeGemini, _model: str, body: dict[str, Any]) -> Response:
    name = body["operationName"]
    videos = [{"gcsUri": f"gs://fake/{name}/{index}.mp4"} for index in range(gemini.jobs[name]["count"])]
    return JSONResponse({"name": name, "done": True, "response": {"videos": videos}})


def _developer_video(gemini: FakeGemini, model: str, body: dict[str, Any]) -> Response:
    name = f"{body['parent']}models/{model}/operations/{body['job']}"
    samples = [{"video": {"uri": f"http://fake/{name}/{index}"}} for index in range(gemini.jobs[name]["count"])]
    response = {"generateVideoResponse": {"generatedSamples": samples}}
    return JSONResponse({"name": name, "done": True, "response": response})


# --------------------------------------------------------------------------- batches


def _begin_batch(gemini: FakeGemini, model: str, body: dict[str, Any]) -> Response:
    replies = []
    for each in body["batch"]["inputConfig"]["requests"]["requests"]:
        exchange = Exchange(Prompt(each["request"]), is_cached=False)
        gemini.ledger.bill(_BATCH + model, "batchGenerateContent", exchange.bill)
        replies.append({"response": exchange.response(model, f"response-{gemini.next_id()}")})
    return _job(gemini, model, {"inlinedResponses": {"inlinedResponses": replies}})


def _begin_embedding_batch(gemini: FakeGemini, model: str, body: dict[str, Any]) -> Response:
    replies = []
    for each in body["batch"]["inputConfig"]["requests"]["requests"]:
        text = Prompt({"contents": [each["request"].get("content", {})]}).text
        gemini.ledger.bill(_BATCH + model, "asyncBatchEmbedContent", Bill(prompt=tokens_in(text)))
        replies.append({"response": {"embedding": {"values": embedding(text)}, "tokenCount": tokens_in(text)}})
    return _job(gemini, model, {"inlinedEmbedContentResponses": {"inlinedResponses": replies}})


def _job(gemini: FakeGemini, model: str, output: dict[str, Any]) -> Response:
    name = f"batches/{gemini.next_id()}"
    metadata = {"model": f"models/{model}", "displayName": name, "state": "BATCH_STATE_SUCCEEDED", "output": output}
    gemini.jobs[name] = {"name": name, "done": True, "metadata": metadata, "response": output}
    return JSONResponse({"name": name, "metadata": {**metadata, "state": "BATCH_STATE_PENDING", "output": {}}})


def _batch(gemini: FakeGemini, _model: str, body: dict[str, Any]) -> Response:
    return JSONResponse(gemini.jobs[f"batches/{body['job']}"])


# --------------------------------------------------------------------------- caches


def _make_cache(gemini: FakeGemini, _model: str, body: dict[str, Any]) -> Response:
    model = str(body["model"]).rpartition("/")[2]
    prompt = Prompt(body)
    tokens, ttl_s = tokens_in(prompt.system) + tokens_in(prompt.text), _seconds(body.get("ttl", "3600s"))
    made = datetime(2026, 1, 1, tzinfo=UTC)
    cache: dict[str, Any] = {
        "name": f"cachedContents/{gemini.next_id()}",
        "model": f"models/{model}",
        "createTime": made.isoformat(),
        "expireTime": (made + timedelta(seconds=ttl_s)).isoformat(),
        "usageMetadata": {"totalTokenCount": tokens},
    }
    gemini.jobs[cache["name"]] = cache
    gemini.ledger.bill(model, "createCache", Bill(prompt=tokens))
    gemini.ledger.bill_units(model, "cache_token_seconds", tokens * ttl_s)
    return JSONResponse(cache)


def _change_cache(gemini: FakeGemini, _model: str, body: dict[str, Any]) -> Response:
    cache = gemini.jobs[f"cachedContents/{body['job']}"]
    before = datetime.fromisoformat(cache["expireTime"])
    ttl_s = _seconds(body["ttl"])
    tokens = cache["usageMetadata"]["totalTokenCount"]
    cache["expireTime"] = (before + timedelta(seconds=ttl_s)).isoformat()
    gemini.ledger.bill_units(cache["model"].rpartition("/")[2], "cache_token_seconds", tokens * ttl_s)
    return JSONResponse(cache)


def _seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


# --------------------------------------------------------------------------- interactions and Live sessions


def _interact(gemini: FakeGemini, _model: str, body: dict[str, Any]) -> Response:
    model = str(body["model"])
    exchange = Exchange(Prompt({"contents": [{"parts": [{"text": str(body["input"])}]}]}), is_cached=False)
    bill = exchange.bill
    usage = {
        "total_input_tokens": bill.prompt,
        "total_cached_tokens": bill.cached,
        "total_tool_use_tokens": bill.tool_use,
        "total_output_tokens": bill.candidates,
        "total_thought_tokens": bill.thoughts,
        "total_tokens": bill.billed_input + bill.billed_output,
    }
    now = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    interaction = {
        "id": f"interaction-{gemini.next_id()}",
        "object": "interaction",
        "model": model,
        "status": "completed",
        "created": now,
        "updated": now,
        "steps": [{"type": "model_output", "content": [{"type": "text", "text": exchange.text}]}],
        "usage": usage,
    }
    gemini.ledger.bill(model, "createInteraction", bill)
    if not body.get("stream"):
        return JSONResponse(interaction)

    async def events() -> AsyncIterator[bytes]:
        begun = {**interaction, "status": "in_progress", "steps": [], "usage": None}
        for kind, value in (("interaction.created", begun), ("interaction.completed", interaction)):
            event = {"event_type": kind, "interaction": {key: item for key, item in value.items() if item is not None}}
            yield b"event: " + kind.encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


def _live_endpoint(gemini: FakeGemini) -> Callable[[WebSocket], Awaitable[None]]:
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        setup = json.loads((await socket.receive())["text"])
        model = str(setup["setup"]["model"]).rpartition("/")[2]
        await socket.send_bytes(json.dumps({"setupComplete": {}}).encode())
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            content = json.loads(message.get("text") or message["bytes"])["client_content"]
            exchange = Exchange(Prompt({"contents": content["turns"]}), is_cached=False)
            gemini.ledger.bill(model, "live", exchange.bill)
            metadata = exchange.bill.usage_metadata()
            metadata["responseTokenCount"] = metadata.get("candidatesTokenCount", 0)  # Vertex AI has the other name
            words = {"modelTurn": {"role": "model", "parts": [{"text": exchange.text}]}}
            await socket.send_bytes(json.dumps({"serverContent": words}).encode())
            last = {"serverContent": {"turnComplete": True}, "usageMetadata": metadata}
            await socket.send_bytes(json.dumps(last).encode())

    return live
