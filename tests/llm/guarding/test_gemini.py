"""The real google-genai, guarded without a change to its calls, against the fake Gemini."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

import obskit
from obskit.demo.faults import Faults
from obskit.llm.guard import CircuitOpenError, DeadlineError, Guard, guard_gemini, unguard_gemini, using
from obskit.testing import capture

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

MODEL = "gemini-3.8-flash"


def ask(client: Any, *, model: str = MODEL) -> Any:
    return client.models.generate_content(model=model, contents="hello there")


def stream(client: Any) -> list[Any]:
    return list(client.models.generate_content_stream(model=MODEL, contents="hello there"))


def embed(client: Any) -> Any:
    return client.models.embed_content(model="gemini-embedding-001", contents=["one"])


def ask_async(client: Any) -> Any:
    async def main() -> Any:
        try:
            return await client.aio.models.generate_content(model=MODEL, contents="hello there")
        finally:
            await client.aio.aclose()

    return asyncio.run(main())


def stream_async(client: Any) -> list[Any]:
    async def main() -> list[Any]:
        try:
            chunks = await client.aio.models.generate_content_stream(model=MODEL, contents="hello there")
            return [chunk async for chunk in chunks]
        finally:
            await client.aio.aclose()

    return asyncio.run(main())


CALLS = [ask, stream, embed, ask_async, stream_async]


@pytest.mark.parametrize("call", CALLS)
def test_each_kind_of_call_gets_through_a_refusal(call, client, gemini):
    """A 429 with RetryInfo and a 503 are tried again, and the app sees neither."""
    guard_gemini(Guard(deadline="20s"))
    gemini.switch.set(Faults(status=429, count=1, retry_after_s=0.05))
    assert call(client)
    gemini.switch.set(Faults(status=503, count=1))
    client = genai.Client(api_key="none", http_options={"base_url": gemini.url})
    assert call(client)


@pytest.mark.parametrize("call", CALLS)
def test_another_model_takes_the_place_of_one_without_quota(call, client, gemini):
    """After a daily quota the fallback answers, recorded on the span around the call."""
    guard_gemini(Guard(deadline="20s", fallback="gemini-3.8-flash-lite"))
    gemini.switch.set(Faults(status=429, count=1, quota="day"))
    with capture() as seen, obskit.span("around"):
        assert call(client)
    (span,) = [span for span in seen.spans if span.name == "around"]
    assert span.attributes["obskit.gen_ai.fallback.to"] == "gemini-3.8-flash-lite"
    assert span.attributes["obskit.gen_ai.fallback.reason"] == "429"


def test_the_circuit_opens_and_a_function_answers(client, gemini):
    """When the API is down, calls end at once, at a function where there is one."""
    guard_gemini(Guard(attempts=1, circuit_failures=3))
    gemini.switch.set(Faults(status=503))
    for _ in range(3):
        with pytest.raises(errors.ServerError):
            ask(client)
    with pytest.raises(CircuitOpenError):
        ask(client)
    later = types.GenerateContentResponse(
        candidates=[{"content": {"role": "model", "parts": [{"text": "come back later"}]}}]
    )
    with using(fallback=lambda *, model, contents, config: later):
        assert ask(client).text == "come back later"


def test_a_plain_call_ends_at_its_deadline(client, gemini):
    """A provider that hangs is left by the HTTP client's own timeout."""
    guard_gemini(Guard(deadline=0.3, attempts=1))
    gemini.switch.set(Faults(latency_s=30))
    with pytest.raises(Exception) as caught:
        ask(client)
    assert "timeout" in f"{type(caught.value).__name__} {caught.value}".lower() or isinstance(
        caught.value, DeadlineError
    )


def test_a_refusal_longer_than_the_deadline_is_told_at_once(client, gemini):
    """RetryInfo of 34 s, 5 s to go: no wait."""
    guard_gemini(Guard(deadline=5))
    gemini.switch.set(Faults(status=429))
    with pytest.raises(DeadlineError) as caught:
        ask(client)
    assert isinstance(caught.value.__cause__, errors.ClientError)
    assert caught.value.retry_after_s > 30


def test_every_round_of_function_calling_passes_the_guard(client, gemini):
    """Two rounds, two places, and the tokens that the replies told."""

    def get_price(product: str) -> dict[str, float]:
        """Look up a price."""
        return {"price": float(len(product))}

    guard = Guard()
    guard_gemini(guard)
    client.models.generate_content(model=MODEL, contents="price of espresso", config={"tools": [get_price]})
    assert guard.usual_tokens(MODEL) > 0
    guard_gemini(guard)
    ask(client)


def test_taking_the_guard_away_leaves_the_sdk_as_it_was():
    """Guarding twice and unguarding once restores every method."""
    from google.genai import models

    before = {name: getattr(models.Models, name) for name in dir(models.Models)}
    guard_gemini(Guard())
    guard_gemini(Guard())
    assert models.Models._generate_content is not before["_generate_content"]
    unguard_gemini()
    assert {name: getattr(models.Models, name) for name in dir(models.Models)} == before
