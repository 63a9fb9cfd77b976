"""google-genai beyond generate_content: images, videos, batches, caches, interactions, Live sessions, Vertex AI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from obskit.config import Config
from obskit.demo.fake_gemini import FakeGemini
from obskit.llm import record
from obskit.testing import Captured

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning",
    "ignore::google.genai.errors.ExperimentalWarning",
    "ignore:.*:UserWarning",
    "ignore:.*:DeprecationWarning",
)

MODEL = "gemini-2.5-flash"


@pytest.fixture
def vertex(gemini: FakeGemini) -> Any:
    return genai.Client(
        vertexai=True,
        project="p",
        location="us-central1",
        credentials=Credentials(token="none"),
        http_options={"base_url": gemini.url},
    )


def run(client: Any, use: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        await use(client.aio)
        await client.aio.aclose()

    asyncio.run(main())


def tokens(seen: Captured, kind: str, **labels: Any) -> float:
    return seen.total("obskit.gen_ai.tokens", **{"obskit.token.kind": kind}, **labels)


def units(seen: Captured, unit: str) -> float:
    return seen.total("obskit.gen_ai.units", **{"obskit.unit": unit})


def assert_tokens_equal(seen: Captured, gemini: FakeGemini) -> None:
    bill = gemini.ledger.total()
    assert bill.billed_input > 0
    assert sum(tokens(seen, kind) for kind in ("input", "cached", "tool_use")) == bill.billed_input
    assert sum(tokens(seen, kind) for kind in ("output", "thinking")) == bill.billed_output


def test_images_are_counted(vertex: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Each image is a unit, priced by the configured price, for both kinds of caller."""
    record.configure(Config(prices={"imagen-4.0-generate-001": {"images": 0.04}}))
    config = types.GenerateImagesConfig(number_of_images=3)
    vertex.models.generate_images(model="imagen-4.0-generate-001", prompt="a cup", config=config)

    async def use(client: Any) -> None:
        await client.models.generate_images(model="imagen-4.0-generate-001", prompt="a cup")

    run(vertex, use)
    assert units(seen, "images") == sum(gemini.ledger.units().values()) == 4
    assert seen.total("obskit.gen_ai.cost") == pytest.approx(0.16)
    assert seen.total("gen_ai.client.operation.duration", **{"gen_ai.provider.name": "gcp.vertex_ai"}) == 2


def test_videos_are_counted_when_done(vertex: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Seconds of video count once, when the operation is seen to be done, however often it is asked for."""
    config = types.GenerateVideosConfig(number_of_videos=2, duration_seconds=6)
    operation = vertex.models.generate_videos(model="veo-3.0-generate-001", prompt="steam", config=config)
    assert units(seen, "seconds") == 0
    for _ in range(3):
        operation = vertex.operations.get(operation)
    assert operation.done
    assert units(seen, "seconds") == gemini.ledger.units()["veo-3.0-generate-001", "seconds"] == 12
    assert seen.total("gen_ai.client.operation.duration", **{"gen_ai.operation.name": "generate_videos"}) == 1


def test_batches_are_counted_when_done(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Every reply of a batch counts once, at the price of a batch."""
    job = client.batches.create(
        model=MODEL, src=[{"contents": [{"parts": [{"text": text}]}]} for text in ("one", "two")]
    )
    for _ in range(2):
        job = client.batches.get(name=job.name)
    assert len(job.dest.inlined_responses) == 2
    assert_tokens_equal(seen, gemini)
    bill = gemini.ledger.total()
    assert seen.total("obskit.gen_ai.cost") == pytest.approx(
        (bill.billed_input * 0.15 + bill.billed_output * 1.25) / 1_000_000
    )
    assert seen.total("gen_ai.client.operation.duration") == 0


def test_caches_are_counted(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """A cache costs the tokens that it is made of, and the hours that they are kept."""
    config = types.CreateCachedContentConfig(contents="the whole menu " * 50, ttl="7200s")
    cache = client.caches.create(model=MODEL, config=config)
    client.caches.update(name=cache.name, config=types.UpdateCachedContentConfig(ttl="3600s"))
    assert_tokens_equal(seen, gemini)
    assert units(seen, "cache_token_hours") == pytest.approx(gemini.ledger.units()[MODEL, "cache_token_seconds"] / 3600)


def test_counting_tokens_is_no_usage(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """countTokens is free and is no call."""
    client.models.count_tokens(model=MODEL, contents="how many")
    assert seen.total("gen_ai.client.operation.duration") == 0
    assert seen.total("obskit.gen_ai.tokens") == 0


def test_vertex_calls_are_counted(vertex: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Content, streams and embeddings through Vertex AI, whose embeddings tell their tokens one by one."""
    vertex.models.generate_content(model=MODEL, contents="hello")
    list(vertex.models.generate_content_stream(model=MODEL, contents="hello again"))
    vertex.models.embed_content(model="gemini-embedding-001", contents=["one", "and another one"])
    assert_tokens_equal(seen, gemini)
    assert seen.total("gen_ai.client.operation.duration", **{"gen_ai.provider.name": "gcp.vertex_ai"}) == 3


@pytest.mark.parametrize("is_stream", [False, True])
def test_interactions_are_counted(is_stream: bool, client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """An interaction counts what its reply or its last event says, for both kinds of caller."""
    result = client.interactions.create(model=MODEL, input="hello there", stream=is_stream)
    if is_stream:
        list(result)

    async def use(aio: Any) -> None:
        answer = await aio.interactions.create(model=MODEL, input="and again", stream=is_stream)
        if is_stream:
            async for _ in answer:
                pass

    run(client, use)
    assert_tokens_equal(seen, gemini)
    assert seen.total("gen_ai.client.operation.duration", **{"gen_ai.operation.name": "interaction"}) == 2


def test_live_sessions_are_counted(gemini: FakeGemini, seen: Captured) -> None:
    """Each turn of a Live session is a call with what it used."""
    client = genai.Client(vertexai=True, http_options={"base_url": gemini.url.replace("http", "ws") + "/live"})
    client._api_client._websocket_ssl_ctx = {}  # the SDK insists on TLS, which loopback has not

    async def use(aio: Any) -> None:
        async with aio.live.connect(model="gemini-live-2.5-flash") as session:
            for text in ("hello", "and what do you drink"):
                await session.send_client_content(turns={"role": "user", "parts": [{"text": text}]}, turn_complete=True)
                async for _ in session.receive():
                    pass

    run(client, use)
    assert_tokens_equal(seen, gemini)
    assert seen.total("gen_ai.client.operation.duration", **{"gen_ai.operation.name": "live"}) == 2
