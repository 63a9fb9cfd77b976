"""google-genai's hidden rounds: what the SDK asks for again by itself is counted, each time for itself."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from google import genai
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.loopback import LoopbackServer
from obskit.testing import Captured

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

MODEL = "gemini-3.8-flash"
ROUNDS = 3
EMBEDDER = "gemini-embedding-001"


class Continuing:
    """A Gemini that stops twice in the middle of its answer and asks to be called again."""

    def __init__(self) -> None:
        self.billed: list[tuple[int, int]] = []

    def _answer(self) -> dict[str, Any]:
        made = len(self.billed) + 1
        is_last = made % ROUNDS == 0
        self.billed.append((100 * made, 7 * made))
        candidate: dict[str, Any] = {
            "content": {"role": "model", "parts": [{"text": f"part {made} "}]},
            "finishReason": "STOP" if is_last else "CONTINUATION",
        }
        if not is_last:
            candidate["continuationToken"] = base64.b64encode(f"after {made}".encode()).decode()
        usage = {"promptTokenCount": 100 * made, "candidatesTokenCount": 7 * made, "totalTokenCount": 107 * made}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL}

    async def answer(self, request: Request) -> Response:
        answer = self._answer()
        if ":stream" not in request.url.path:
            return JSONResponse(answer)

        async def events() -> AsyncIterator[bytes]:
            yield b"data: " + json.dumps(answer).encode() + b"\r\n\r\n"

        return StreamingResponse(events(), media_type="text/event-stream")


@pytest.fixture
def continuing() -> Iterator[tuple[Continuing, str]]:
    gemini = Continuing()
    server = LoopbackServer(Starlette(routes=[Route("/{path:path}", gemini.answer, methods=["POST"])]))
    server.start()
    yield gemini, server.url
    server.stop()


def assert_counted(seen: Captured, gemini: Continuing) -> None:
    assert len(gemini.billed) == ROUNDS
    assert seen.total("gen_ai.client.operation.duration", **{"gen_ai.request.model": MODEL}) == ROUNDS
    assert seen.total("obskit.gen_ai.tokens", **{"obskit.token.kind": "input"}) == sum(a for a, _ in gemini.billed)
    assert seen.total("obskit.gen_ai.tokens", **{"obskit.token.kind": "output"}) == sum(b for _, b in gemini.billed)


@pytest.mark.parametrize("is_stream", [False, True])
def test_continuations_are_counted(continuing: tuple[Continuing, str], is_stream: bool, seen: Captured) -> None:
    """The SDK continues an answer by itself and hands on one; each of the requests has been billed, and counts."""
    gemini, url = continuing
    client = genai.Client(api_key="none", http_options={"base_url": url})
    if is_stream:
        list(client.models.generate_content_stream(model=MODEL, contents="a long story"))
    else:
        client.models.generate_content(model=MODEL, contents="a long story")
    assert_counted(seen, gemini)


@pytest.mark.parametrize("is_stream", [False, True])
def test_continuations_of_coroutines_are_counted(
    continuing: tuple[Continuing, str], is_stream: bool, seen: Captured
) -> None:
    """The same holds for coroutines."""
    gemini, url = continuing

    async def ask() -> None:
        client = genai.Client(api_key="none", http_options={"base_url": url})
        if is_stream:
            async for _ in await client.aio.models.generate_content_stream(model=MODEL, contents="a long story"):
                pass
        else:
            await client.aio.models.generate_content(model=MODEL, contents="a long story")
        await client.aio.aclose()

    asyncio.run(ask())
    assert_counted(seen, gemini)


@pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")
def test_embedding_batches_are_counted(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """A finished batch of embeddings counts its tokens once, however often the app asks, and is no call."""
    source = {"inlined_requests": {"contents": ["one", "and another one"]}}

    async def ask(aio: Any) -> None:
        job = await aio.batches.create_embeddings(model=EMBEDDER, src=source)
        for _ in range(2):
            job = await aio.batches.get(name=job.name)
        await aio.aclose()

    job = client.batches.create_embeddings(model=EMBEDDER, src=source)
    for _ in range(2):
        job = client.batches.get(name=job.name)
    asyncio.run(ask(client.aio))
    assert gemini.ledger.total().billed_input > 0
    assert seen.total("obskit.gen_ai.tokens", **{"obskit.token.kind": "input"}) == gemini.ledger.total().billed_input
    assert seen.total("gen_ai.client.operation.duration") == 0
