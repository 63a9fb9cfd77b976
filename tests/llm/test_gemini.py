"""google-genai: what is recorded equals what the server billed, whichever way it is called."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from opentelemetry.trace import StatusCode

import obskit
from obskit import llm as hooks
from obskit.config import Config
from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.faults import Faults
from obskit.llm import record, streams
from obskit.signals import context
from obskit.testing import Captured

# The SDK subclasses aiohttp's session, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

MODEL = "gemini-3.8-flash"
EMBEDDER = "gemini-embedding-001"


def get_price(product: str) -> dict[str, float]:
    """Look up a product's price.

    Args:
        product: its name.
    """
    return {"price": float(len(product))}


TOOLS = types.GenerateContentConfig(tools=[get_price], system_instruction="You are a barista of few words.")
SEARCH = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])


def once(client: Any) -> None:
    client.models.generate_content(model=MODEL, contents="hello there")


def with_search(client: Any) -> None:
    client.models.generate_content(model=MODEL, contents="what is new", config=SEARCH)


def stream(client: Any) -> None:
    list(client.models.generate_content_stream(model=MODEL, contents="hello there"))


def embed(client: Any) -> None:
    client.models.embed_content(model=EMBEDDER, contents=["one", "and another"])


def function_calling(client: Any) -> None:
    client.models.generate_content(model=MODEL, contents="price of espresso", config=TOOLS)


def function_calling_stream(client: Any) -> None:
    list(client.models.generate_content_stream(model=MODEL, contents="price of espresso", config=TOOLS))


def chat(client: Any) -> None:
    conversation = client.chats.create(model=MODEL, config=TOOLS)
    conversation.send_message("price of espresso")
    list(conversation.send_message_stream("and of decaf"))


SYNC = (once, with_search, stream, embed, function_calling, function_calling_stream, chat)


async def a_once(client: Any) -> None:
    await client.aio.models.generate_content(model=MODEL, contents="hello there")


async def a_stream(client: Any) -> None:
    async for _ in await client.aio.models.generate_content_stream(model=MODEL, contents="hello there"):
        pass


async def a_embed(client: Any) -> None:
    await client.aio.models.embed_content(model=EMBEDDER, contents=["one", "and another"])


async def a_function_calling(client: Any) -> None:
    await client.aio.models.generate_content(model=MODEL, contents="price of espresso", config=TOOLS)


async def a_function_calling_stream(client: Any) -> None:
    chunks = await client.aio.models.generate_content_stream(model=MODEL, contents="price of espresso", config=TOOLS)
    async for _ in chunks:
        pass


async def a_chat(client: Any) -> None:
    conversation = client.aio.chats.create(model=MODEL, config=TOOLS)
    await conversation.send_message("price of espresso")
    async for _ in await conversation.send_message_stream("and of decaf"):
        pass


ASYNC = (a_once, a_stream, a_embed, a_function_calling, a_function_calling_stream, a_chat)


def options(gemini: FakeGemini, transport: str) -> Any:
    if transport == "aiohttp":
        return {"base_url": gemini.url}
    import httpx2

    # A transport of the app's own is the SDK's condition for leaving aiohttp aside.
    return {"base_url": gemini.url, "async_client_args": {"transport": httpx2.AsyncHTTPTransport()}}


def run(gemini: FakeGemini, transport: str, *calls: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        client = genai.Client(api_key="none", http_options=options(gemini, transport))
        for call in calls:
            await call(client)
        await client.aio.aclose()

    asyncio.run(main())


def assert_equal_to_ledger(seen: Captured, gemini: FakeGemini) -> None:
    billed = gemini.ledger.total()
    kinds = {
        kind: seen.total("obskit.gen_ai.tokens", **{"obskit.token.kind": kind})
        for kind in ("input", "cached", "tool_use", "output", "thinking")
    }
    assert kinds == {
        "input": billed.prompt - billed.cached,
        "cached": billed.cached,
        "tool_use": billed.tool_use,
        "output": billed.candidates,
        "thinking": billed.thoughts,
    }
    spans = [span for span in seen.spans if "gen_ai.provider.name" in (span.attributes or {})]
    assert len(spans) == gemini.ledger.calls() == seen.total("gen_ai.client.operation.duration")
    assert sum(span.attributes["gen_ai.usage.input_tokens"] for span in spans) == billed.billed_input
    assert sum(span.attributes["gen_ai.usage.output_tokens"] for span in spans) == billed.billed_output
    assert seen.total("obskit.gen_ai.unpriced_calls") == 0
    assert seen.total("obskit.gen_ai.cost") == pytest.approx(
        sum(span.attributes["obskit.gen_ai.cost_usd"] for span in spans)
    )


@pytest.mark.parametrize("call", SYNC, ids=lambda call: call.__name__)
def test_sync_calls_equal_the_bill(
    call: Callable[[Any], None], client: Any, gemini: FakeGemini, seen: Captured
) -> None:
    """Tokens, calls and spans of every kind of sync call are those in the server's ledger, each round counted."""
    call(client)
    assert gemini.ledger.calls() > 0
    assert_equal_to_ledger(seen, gemini)


@pytest.mark.parametrize("transport", ["aiohttp", "httpx2"])
@pytest.mark.parametrize("call", ASYNC, ids=lambda call: call.__name__)
def test_async_calls_equal_the_bill(
    call: Callable[[Any], Awaitable[None]], transport: str, gemini: FakeGemini, seen: Captured
) -> None:
    """Tokens, calls and spans of every kind of async call are those in the ledger, over both transports."""
    run(gemini, transport, call)
    assert gemini.ledger.calls() > 0
    assert_equal_to_ledger(seen, gemini)


def test_function_calling_counts_every_round(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """A call with one function has two rounds: two spans, and the sum of both bills."""
    function_calling(client)
    assert gemini.ledger.function_calls == 1
    assert seen.total("gen_ai.client.operation.duration", **{"gen_ai.request.model": MODEL}) == 2
    assert_equal_to_ledger(seen, gemini)


def test_a_function_has_a_span(client: Any, seen: Captured) -> None:
    """The app's function, which the SDK calls for the model, has a span of its own between the two rounds."""
    function_calling(client)
    span = seen.span("execute_tool get_price")
    assert span.attributes["gen_ai.tool.name"] == "get_price"
    assert span.status.status_code is StatusCode.UNSET


def test_a_function_that_fails_is_seen(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """The SDK tells the model of the failure and goes on; the span shows the function's own error."""

    def broken(product: str) -> str:
        """Fail for every product."""
        raise LookupError(f"no {len(product)}")

    client.models.generate_content(model=MODEL, contents="price", config=types.GenerateContentConfig(tools=[broken]))
    span = seen.span("execute_tool broken")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "LookupError"
    assert gemini.ledger.calls() == 2
    assert seen.errors == ()


@pytest.mark.parametrize("is_async", [False, True])
def test_an_async_conversation_calls_functions(is_async: bool, gemini: FakeGemini, seen: Captured) -> None:
    """Coroutine functions and plain ones have spans in an async conversation too, below the span around it."""

    async def ask(client: Any) -> None:
        async def lookup(product: str) -> str:
            """Look a product up."""
            await asyncio.sleep(0)
            return product

        config = types.GenerateContentConfig(tools=[lookup if is_async else get_price])
        with obskit.span("work"):
            await client.aio.chats.create(model=MODEL, config=config).send_message("price of decaf")

    run(gemini, "aiohttp", ask)
    span = seen.span("execute_tool lookup" if is_async else "execute_tool get_price")
    assert span.parent.span_id == seen.span("work").context.span_id


def test_a_cached_prefix_is_counted_as_cached(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Tokens from the cache are a kind of their own, on the metric and on the span."""
    for _ in range(2):
        client.models.generate_content(model=MODEL, contents="hello", config=TOOLS.model_copy(update={"tools": None}))
    assert gemini.ledger.total().cached > 0
    assert_equal_to_ledger(seen, gemini)
    last = [span for span in seen.spans if span.name == f"generate_content {MODEL}"][-1]
    assert last.attributes["gen_ai.usage.cache_read.input_tokens"] == gemini.ledger.total().cached


def test_attributes_follow_the_conventions(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """The span's name, kind and attributes are those of the GenAI conventions, and hold no prompt."""
    config = types.GenerateContentConfig(temperature=0.5, max_output_tokens=99)
    client.models.generate_content(model=f"models/{MODEL}", contents="my secret question", config=config)
    span = seen.span(f"generate_content {MODEL}")
    attributes = dict(span.attributes)
    assert (
        attributes.items()
        >= {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": "gcp.gemini",
            "gen_ai.request.model": MODEL,
            "gen_ai.response.model": MODEL,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.max_tokens": 99,
            "gen_ai.response.finish_reasons": ("stop",),
            "server.address": "127.0.0.1",
            "server.port": int(gemini.url.rpartition(":")[2]),
        }.items()
    )
    assert "secret" not in span.to_json()


def test_time_to_first_chunk(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """A stream has a time to its first chunk, which is shorter than the whole; a plain call has none."""
    gemini.switch.set(Faults(chunk_latency_s=0.01))
    stream(client)
    once(client)
    points = {point.metric: point for point in seen.metrics if point.attributes.get("gen_ai.request.model") == MODEL}
    first = points["gen_ai.client.operation.time_to_first_chunk"]
    assert first.count == 1
    assert 0 < first.value < points["gen_ai.client.operation.duration"].value


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_refusals_by_status(status: int, client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """A refused call has its status as error.type, an error span, no tokens, and is no crash report."""
    gemini.switch.set(Faults(status=status))
    with pytest.raises(errors.APIError):
        once(client)
    with pytest.raises(errors.APIError):
        stream(client)
    labels = {"error.type": str(status), "gen_ai.request.model": MODEL}
    assert seen.total("gen_ai.client.operation.duration", **labels) == gemini.ledger.failures(status) == 2
    spans = [span for span in seen.spans if span.name == f"generate_content {MODEL}"]
    assert [span.status.status_code for span in spans] == [StatusCode.ERROR] * 2
    assert {span.attributes["error.type"] for span in spans} == {str(status)}
    assert seen.total("obskit.gen_ai.tokens") == 0
    assert seen.total("obskit.gen_ai.unpriced_calls") == 0
    assert seen.errors == ()


@pytest.mark.parametrize("call", [once, stream], ids=["once", "stream"])
def test_a_429_says_which_quota_and_when_to_come_back(
    call: Callable[[Any], None], client: Any, gemini: FakeGemini, seen: Captured
) -> None:
    """The span of a refused call has the ids of the quotas and the delay that Google asks for."""
    gemini.switch.set(Faults(status=429, quota="day", retry_after_s=34.07))
    with pytest.raises(errors.ClientError):
        call(client)
    attributes = seen.span(f"generate_content {MODEL}").attributes
    assert attributes["obskit.gen_ai.quota_ids"] == ("GenerateRequestsPerDayPerProjectPerModel-PaidTier",)
    assert attributes["obskit.gen_ai.retry_after_s"] == 34.07


@pytest.mark.parametrize("transport", ["aiohttp", "httpx2"])
def test_async_refusals_by_status(transport: str, gemini: FakeGemini, seen: Captured) -> None:
    """Async calls, plain and streamed, report the status too."""
    gemini.switch.set(Faults(status=429))

    async def refused(client: Any) -> None:
        for call in (a_once, a_stream):
            with pytest.raises(errors.ClientError):
                await call(client)

    run(gemini, transport, refused)
    labels = {"error.type": "429", "gen_ai.request.model": MODEL}
    assert seen.total("gen_ai.client.operation.duration", **labels) == 2


def test_an_unreachable_server(seen: Captured) -> None:
    """A call that reaches nobody has the exception's class as error.type."""
    client = genai.Client(api_key="none", http_options={"base_url": "http://127.0.0.1:1"})
    with pytest.raises(Exception, match=r".") as raised:
        once(client)
    span = seen.span(f"generate_content {MODEL}")
    assert span.attributes["error.type"] == type(raised.value).__qualname__


RETRY = types.HttpRetryOptions(attempts=4, initial_delay=0.001, max_delay=0.01, jitter=0.001)
RETRYING = types.GenerateContentConfig(http_options=types.HttpOptions(retry_options=RETRY))


def test_retries_inside_the_sdk_are_seen(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Two refusals before a success: one call without an error, two retries counted by status, both on the span."""
    gemini.switch.set(Faults(status=503, count=2))
    client.models.generate_content(model=MODEL, contents="hello", config=RETRYING)
    span = seen.span(f"generate_content {MODEL}")
    assert span.attributes["obskit.gen_ai.attempts"] == 3
    assert [event.attributes["error.type"] for event in span.events if event.name == "retry"] == ["503", "503"]
    assert span.status.status_code is StatusCode.UNSET
    assert seen.total("obskit.gen_ai.retries", **{"error.type": "503"}) == 2
    assert_equal_to_ledger(seen, gemini)


def test_async_retries_inside_the_sdk_are_seen(gemini: FakeGemini, seen: Captured) -> None:
    """The same holds for async calls, also for the opening of a stream."""
    gemini.switch.set(Faults(status=503, count=1))

    async def twice(client: Any) -> None:
        await client.aio.models.generate_content(model=MODEL, contents="hello", config=RETRYING)
        gemini.switch.set(Faults(status=503, count=1))
        async for _ in await client.aio.models.generate_content_stream(model=MODEL, contents="hello", config=RETRYING):
            pass

    run(gemini, "aiohttp", twice)
    assert seen.total("obskit.gen_ai.retries", **{"error.type": "503"}) == 2
    assert_equal_to_ledger(seen, gemini)


def test_an_abandoned_stream_ends_with_the_tokens_seen(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """A stream that the app leaves has ended, is marked, and counts what its chunks had told."""
    chunks = client.models.generate_content_stream(model=MODEL, contents="hello there")
    told = next(chunks).usage_metadata
    del chunks
    gc.collect()
    span = seen.span(f"generate_content {MODEL}")
    assert span.attributes["obskit.gen_ai.is_abandoned"] is True
    assert span.attributes["gen_ai.usage.input_tokens"] == told.prompt_token_count
    assert seen.total("obskit.gen_ai.tokens", **{"obskit.token.kind": "output"}) == told.candidates_token_count
    assert span.status.status_code is StatusCode.UNSET


def test_an_abandoned_async_stream_ends_with_the_tokens_seen(gemini: FakeGemini, seen: Captured) -> None:
    """The same holds for an async stream that is left by `break`."""
    told: list[Any] = []

    async def leave(client: Any) -> None:
        async for chunk in await client.aio.models.generate_content_stream(model=MODEL, contents="hello there"):
            told.append(chunk.usage_metadata)
            break

    run(gemini, "aiohttp", leave)
    gc.collect()
    span = seen.span(f"generate_content {MODEL}")
    assert span.attributes["obskit.gen_ai.is_abandoned"] is True
    assert seen.total("obskit.gen_ai.tokens", **{"obskit.token.kind": "output"}) == told[0].candidates_token_count


def test_a_stream_that_stands_still_after_its_client_left(
    client: Any, gemini: FakeGemini, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that nobody has asked for more since its request's client left ends, marked, with the tokens seen."""
    monkeypatch.setattr(streams, "_GRACE_S", 0.05)
    request = context.RequestState()
    token = context.enter(request)
    chunks = client.models.generate_content_stream(model=MODEL, contents="hello there")
    told = next(chunks).usage_metadata
    context.leave(token)
    for tell in request.on_leaving or ():
        tell()
    deadline = time.monotonic() + 10.0
    while not any(span.name == f"generate_content {MODEL}" for span in seen.spans) and time.monotonic() < deadline:
        time.sleep(0.01)
    span = seen.span(f"generate_content {MODEL}")
    assert span.attributes["obskit.gen_ai.is_abandoned"] is True
    assert seen.total("obskit.gen_ai.tokens", **{"obskit.token.kind": "output"}) == told.candidates_token_count
    del chunks


def test_a_stream_that_goes_on_without_its_client(
    client: Any, gemini: FakeGemini, seen: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that the app reads on though its request's client has left is no abandoned one, and counts in full."""
    monkeypatch.setattr(streams, "_GRACE_S", 0.2)
    request = context.RequestState()
    token = context.enter(request)
    gemini.switch.set(Faults(chunk_latency_s=0.1))
    chunks = client.models.generate_content_stream(model=MODEL, contents="hello there")
    next(chunks)
    for tell in request.on_leaving or ():
        tell()
    assert list(chunks)
    context.leave(token)
    span = seen.span(f"generate_content {MODEL}")
    assert "obskit.gen_ai.is_abandoned" not in span.attributes
    assert_equal_to_ledger(seen, gemini)


def test_a_cancelled_call_has_ended(gemini: FakeGemini, seen: Captured) -> None:
    """A task that is cancelled during a call leaves a span that says so."""
    gemini.switch.set(Faults(latency_s=5.0))

    async def cancel(client: Any) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(a_once(client), 0.2)

    run(gemini, "aiohttp", cancel)
    assert seen.span(f"generate_content {MODEL}").attributes["error.type"] == "CancelledError"


def test_http_requests_are_children_of_the_call(client: Any, seen: Captured) -> None:
    """The SDK's own HTTP request, where it is traced, stands below the AI call's span."""
    with obskit.span("work"):
        once(client)
    call = seen.span(f"generate_content {MODEL}")
    assert call.parent.span_id == seen.span("work").context.span_id
    request = [span for span in seen.spans if span.name == "POST"]
    assert [span.parent.span_id for span in request] == [call.context.span_id]


def test_who_asked_is_on_the_span_and_only_the_tier_on_metrics(client: Any, seen: Captured) -> None:
    """User and session are attributes of the span; metrics carry the tier and never the other two."""
    with obskit.span("work"):
        obskit.bind(user_id="u1", session_id="s1", user_tier="premium")
        once(client)
        obskit.bind(user_id=None, session_id=None, user_tier=None)
    span = seen.span(f"generate_content {MODEL}")
    assert (span.attributes["user.id"], span.attributes["session.id"]) == ("u1", "s1")
    points = [
        each
        for each in seen.metrics
        if each.metric.startswith(("gen_ai", "obskit.gen_ai"))
        and "route" not in each.metric
        and "guard" not in each.metric
    ]
    assert {point.attributes["user.tier"] for point in points} == {"premium"}
    assert not any({"user.id", "session.id"} & set(point.attributes) for point in points)


def test_an_unknown_model_is_unpriced(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Tokens are counted, the call is counted as unpriced, and no cost appears, least of all $0."""
    client.models.generate_content(model="made-up-model", contents="hello")
    assert seen.total("obskit.gen_ai.unpriced_calls", **{"gen_ai.request.model": "made-up-model"}) == 1
    assert seen.total("obskit.gen_ai.tokens") == sum(
        (gemini.ledger.total().billed_input, gemini.ledger.total().billed_output)
    )
    assert "obskit.gen_ai.cost" not in {point.metric for point in seen.metrics if point.value}
    assert "obskit.gen_ai.cost_usd" not in seen.span("generate_content made-up-model").attributes


def test_configured_prices_are_used(client: Any, gemini: FakeGemini, seen: Captured) -> None:
    """A model with a configured price costs exactly that."""
    client.models.generate_content(model="house-model", contents="hello")
    bill = gemini.ledger.total()
    expected = (2.0 * bill.billed_input + 10.0 * bill.billed_output) / 1e6
    assert seen.total("obskit.gen_ai.cost") == pytest.approx(expected)


def test_prompts_are_captured_only_when_asked_for(client: Any, seen: Captured) -> None:
    """With capture_prompts, the question and the answer are on the span; the stream's answer in one piece."""
    before = record.settings()
    record.configure(Config(capture_prompts=True))
    try:
        list(client.models.generate_content_stream(model=MODEL, contents="what about decaf", config=TOOLS))
    finally:
        record.configure(before)
    first, last = [span.attributes for span in seen.spans if span.name == f"generate_content {MODEL}"]
    assert "what about decaf" in first["gen_ai.input.messages"]
    assert "barista of few words" in first["gen_ai.system_instructions"]
    assert '"tool_call"' in first["gen_ai.output.messages"]
    assert '"tool_call_response"' in last["gen_ai.input.messages"]
    assert last["gen_ai.output.messages"].count('"text"') == 1


def test_nothing_is_imported_for_it() -> None:
    """Installing the hooks does not import google-genai, and an import after it is hooked."""
    code = (
        "import sys\nfrom obskit import llm\nfrom obskit.config import Config\n"
        "llm.install(Config())\n"
        "assert 'google.genai' not in sys.modules\n"
        "from google.genai import models\n"
        "assert hasattr(models.Models._generate_content, '_obskit_original')\n"
        "assert llm.problems() == ()\n"
        "llm.uninstall()\n"
        "assert not hasattr(models.Models._generate_content, '_obskit_original')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_module_that_is_being_imported_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """While another thread is in the middle of importing `requests`, the SDK takes it for not imported."""
    import requests
    from google.genai import _common

    assert _common.loaded_requests() is requests
    monkeypatch.setattr(requests.__spec__, "_initializing", True)
    assert _common.loaded_requests() is None


def test_private_functions_gone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, client: Any, gemini: FakeGemini, seen: Captured
) -> None:
    """An SDK without the private functions is recorded at its public methods, and obskit says what it misses."""
    from google.genai import models

    hooks.uninstall()
    try:
        original = models.Models._generate_content
        monkeypatch.delattr(models.Models, "_generate_content")
        monkeypatch.setattr(models.Models, "_renamed", original, raising=False)
        monkeypatch.setattr(models.Models, "_generate_content_with_continuation", original)
        with caplog.at_level(logging.WARNING, logger="obskit"):
            hooks.install(Config())
        assert any("_generate_content is gone" in str(problem) for problem in hooks.problems())
        assert any("_generate_content is gone" in message for message in caplog.messages)
        once(client)
        assert_equal_to_ledger(seen, gemini)
    finally:
        hooks.uninstall()
        monkeypatch.undo()
        hooks.install(Config())
    assert hooks.problems() == ()
