"""Hooks: budgets and guards come before a call and hear of its end, whatever makes the call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials

import obskit
from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.faults import Faults
from obskit.llm.hooks import CallHook, add_hook, remove_hook
from obskit.llm.record import Call
from obskit.testing import Captured

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

MODEL = "gemini-3.8-flash"
STEAM = types.GenerateVideosSource(prompt="steam")


class Diary(CallHook):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []
        self.refusal: Exception | None = None

    def before(self, call: Call) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.entries.append(("before", call.operation, call.model, call.arguments.get("contents")))

    def after(self, call: Call) -> None:
        self.entries.append(("after", call.usage.total if call.usage else None, call.is_incomplete))

    def failed(self, call: Call, error: BaseException | str) -> None:
        self.entries.append(("failed", getattr(error, "code", error)))


@pytest.fixture
def diary() -> Iterator[Diary]:
    hook = Diary()
    add_hook(hook)
    yield hook
    remove_hook(hook)


def test_a_call_is_told_before_and_after(client: Any, gemini: FakeGemini, seen: Captured, diary: Diary) -> None:
    """Before: what is asked; after: what it used."""
    client.models.generate_content(model=MODEL, contents="hello")
    total = gemini.ledger.total()
    assert diary.entries == [
        ("before", "generate_content", MODEL, "hello"),
        ("after", total.billed_input + total.billed_output, False),
    ]


def test_a_stream_that_is_left_is_incomplete(client: Any, seen: Captured, diary: Diary) -> None:
    """A stream begins with its first chunk, and its end says that it was left."""
    chunks = client.models.generate_content_stream(model=MODEL, contents="hello there, tell me a lot")
    assert diary.entries == []
    next(chunks)
    chunks.close()
    assert [entry[0] for entry in diary.entries] == ["before", "after"]
    assert diary.entries[1][2] is True


def test_a_failure_is_told(client: Any, gemini: FakeGemini, seen: Captured, diary: Diary) -> None:
    """A hook gets the error that the app gets."""
    gemini.switch.set(Faults(status=503))
    with pytest.raises(errors.ServerError):
        client.models.generate_content(model=MODEL, contents="hello")
    assert diary.entries[1:] == [("failed", 503)]


def test_a_refusal_reaches_the_app(client: Any, gemini: FakeGemini, seen: Captured, diary: Diary) -> None:
    """What a hook raises ends the call unsent, and the hooks before it hear of it."""
    second = Diary()
    second.refusal = PermissionError("enough")
    add_hook(second)
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(remove_hook, second)
        with pytest.raises(PermissionError, match="enough"):
            client.models.generate_content(model=MODEL, contents="hello")
        with pytest.raises(PermissionError, match="enough"):
            next(client.models.generate_content_stream(model=MODEL, contents="hello"))
    assert gemini.ledger.calls() == 0
    assert [entry[0] for entry in diary.entries] == ["before", "failed"] * 2
    assert second.entries == []
    assert seen.total("gen_ai.client.operation.duration", **{"error.type": "PermissionError"}) == 2


def test_coroutines_may_wait(gemini: FakeGemini, seen: Captured) -> None:
    """`before_async` is awaited before calls and streams of coroutines."""

    class Patient(CallHook):
        waited = 0

        async def before_async(self, call: Call) -> None:
            await asyncio.sleep(0)
            self.waited += 1

    async def ask() -> None:
        client = genai.Client(api_key="none", http_options={"base_url": gemini.url})
        await client.aio.models.generate_content(model=MODEL, contents="hello")
        async for _ in await client.aio.models.generate_content_stream(model=MODEL, contents="hello"):
            pass
        await client.aio.aclose()

    hook = Patient()
    add_hook(hook)
    try:
        asyncio.run(ask())
    finally:
        remove_hook(hook)
    assert hook.waited == 2


def test_reported_usage_is_told(seen: Captured, diary: Diary) -> None:
    """A call that the app reports has been made already: only its end is told."""
    obskit.record_usage("openai", "gpt-4o", input_tokens=10, output_tokens=5)
    obskit.record_usage("openai", "gpt-4o", error=429)
    assert diary.entries == [("after", 15, False), ("failed", "429")]


def test_videos_are_asked_for_first(gemini: FakeGemini, seen: Captured, diary: Diary) -> None:
    """A video may be refused before it is begun; its seconds are told when it is done, as usage that was made already."""
    options = {"base_url": gemini.url}
    who = Credentials(token="none")
    client = genai.Client(vertexai=True, project="p", location="us-central1", credentials=who, http_options=options)
    operation = client.models.generate_videos(model="veo-3.1-generate-001", source=STEAM)
    client.operations.get(operation)
    assert [entry[0] for entry in diary.entries] == ["before", "after", "after"]
    diary.refusal = PermissionError("enough")
    with pytest.raises(PermissionError, match="enough"):
        client.models.generate_videos(model="veo-3.1-generate-001", source=STEAM)
    assert gemini.ledger.units()["veo-3.1-generate-001", "seconds"] == 8
    assert seen.total("gen_ai.client.operation.duration", **{"error.type": "PermissionError"}) == 1


def test_videos_of_coroutines_are_asked_for_first(gemini: FakeGemini, seen: Captured, diary: Diary) -> None:
    """The same holds for coroutines."""
    diary.refusal = PermissionError("enough")

    async def ask() -> None:
        client = genai.Client(api_key="none", http_options={"base_url": gemini.url})
        with pytest.raises(PermissionError, match="enough"):
            await client.aio.models.generate_videos(model="veo-3.1-generate-001", source=STEAM)
        await client.aio.aclose()

    asyncio.run(ask())
    assert gemini.ledger.units() == {}
