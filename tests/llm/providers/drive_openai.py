"""Scenarios of the openai SDK: python drive_openai.py URL."""

from __future__ import annotations

import contextlib
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scenarios import main, scenario

import obskit
from obskit.llm.hooks import CallHook, add_hook, remove_hook

HELLO = [{"role": "system", "content": "You are a barista."}, {"role": "user", "content": "hello there"}]
TOOLS = [{"type": "function", "function": {"name": "get_price", "parameters": {"type": "object", "properties": {}}}}]
MODEL = "gpt-4o"
USAGE = {"include_usage": True}


def client(url: str, name: str, **more: Any) -> Any:
    import openai

    headers = {"x-scenario": name, **more.pop("headers", {})}
    return openai.OpenAI(api_key="none", base_url=f"{url}/v1", default_headers=headers, **more)


def aclient(url: str, name: str, **more: Any) -> Any:
    import openai

    headers = {"x-scenario": name, **more.pop("headers", {})}
    return openai.AsyncOpenAI(api_key="none", base_url=f"{url}/v1", default_headers=headers, **more)


@scenario()
def chat(url: str, name: str) -> Any:
    with obskit.span("work"):
        return (
            client(url, name)
            .chat.completions.create(model=MODEL, messages=HELLO, temperature=0.5)
            .choices[0]
            .message.content
        )


@scenario()
async def achat(url: str, name: str) -> None:
    async with aclient(url, name) as sdk:
        await sdk.chat.completions.create(model=MODEL, messages=HELLO)


@scenario()
def priority(url: str, name: str) -> None:
    client(url, name).chat.completions.create(model=MODEL, messages=HELLO, service_tier="priority")


@scenario()
def stream(url: str, name: str) -> int:
    return len(
        list(client(url, name).chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options=USAGE))
    )


@scenario()
async def astream(url: str, name: str) -> int:
    async with aclient(url, name) as sdk:
        chunks = await sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options=USAGE)
        return len([chunk async for chunk in chunks])


@scenario(ai_stream_usage="always")
def silent_stream(url: str, name: str) -> list[int]:
    chunks = client(url, name).chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    return [len(chunk.choices) for chunk in chunks]


@scenario(ai_stream_usage="always")
async def asilent_stream(url: str, name: str) -> list[int]:
    async with aclient(url, name) as sdk:
        chunks = await sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        return [len(chunk.choices) async for chunk in chunks]


@scenario()
def untold_stream(url: str, name: str) -> int:
    return len(list(client(url, name).chat.completions.create(model=MODEL, messages=HELLO, stream=True)))


@scenario()
def left_stream(url: str, name: str) -> None:
    chunks = client(url, name).chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options=USAGE)
    next(chunks)
    chunks.close()


@scenario()
def dropped_stream(url: str, name: str) -> None:
    for _ in client(url, name).chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options=USAGE):
        break


@scenario()
async def aleft_stream(url: str, name: str) -> None:
    async with aclient(url, name) as sdk:
        chunks = await sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        await anext(aiter(chunks))
        await chunks.close()


@scenario()
def stream_helper(url: str, name: str) -> Any:
    sdk = client(url, name)
    chats = sdk.chat.completions if hasattr(sdk.chat.completions, "stream") else sdk.beta.chat.completions
    with chats.stream(model=MODEL, messages=HELLO, stream_options=USAGE) as events:
        return len(list(events))


@scenario()
def parsed(url: str, name: str) -> Any:
    from pydantic import BaseModel

    class Price(BaseModel):
        price: float

    sdk = client(url, name)
    chats = sdk.chat.completions if hasattr(sdk.chat.completions, "parse") else sdk.beta.chat.completions
    return chats.parse(model=MODEL, messages=HELLO, response_format=Price).choices[0].message.parsed.price


@scenario()
def tools(url: str, name: str) -> int:
    sdk = client(url, name)
    first = sdk.chat.completions.create(model=MODEL, messages=HELLO, tools=TOOLS).choices[0].message
    answer = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "2.50"}
    sdk.chat.completions.create(
        model=MODEL, messages=[*HELLO, first.model_dump(exclude_none=True), answer], tools=TOOLS
    )
    return len(first.tool_calls)


@scenario()
def responses(url: str, name: str) -> Any:
    return client(url, name).responses.create(model=MODEL, input="hello there", max_output_tokens=99).output_text


@scenario()
async def aresponses_stream(url: str, name: str) -> int:
    async with aclient(url, name) as sdk:
        return len([event async for event in await sdk.responses.create(model=MODEL, input="hello", stream=True)])


@scenario()
def responses_helper(url: str, name: str) -> Any:
    with client(url, name).responses.stream(model=MODEL, input="hello") as events:
        return events.get_final_response().usage.output_tokens


@scenario()
def background(url: str, name: str) -> Any:
    sdk = client(url, name)
    begun = sdk.responses.create(model=MODEL, input="hello", background=True)
    return [sdk.responses.retrieve(begun.id).status for _ in range(2)]


@scenario()
def batch(url: str, name: str) -> list[str]:
    batches = client(url, name).batches
    return [batches.retrieve(each).status for each in ("batch_running", "batch_1", "batch_1", "batch_running")]


@scenario()
async def abatch(url: str, name: str) -> str:
    async with aclient(url, name) as sdk:
        return str((await sdk.batches.retrieve("batch_long")).status)


@scenario()
def embeddings(url: str, name: str) -> None:
    client(url, name).embeddings.create(model="text-embedding-3-small", input=["one", "two"])


@scenario()
def images(url: str, name: str) -> None:
    client(url, name).images.generate(model="gpt-image-1", prompt="a cup")


@scenario(prices={"dall-e-3": {"images": 0.04}})
def counted_images(url: str, name: str) -> None:
    client(url, name).images.generate(model="dall-e-3", prompt="a cup", n=3)


@scenario()
def transcription(url: str, name: str) -> Any:
    return client(url, name).audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"RIFF")).text


@scenario(prices={"whisper-1": {"minutes": 0.006}})
def timed_transcription(url: str, name: str) -> None:
    client(url, name).audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"))


@scenario(prices={"tts-1": {"characters": 0.000015}})
def speech(url: str, name: str) -> int:
    return len(client(url, name).audio.speech.create(model="tts-1", voice="alloy", input="good morning").content)


@scenario(prices={"tts-1": {"characters": 0.000015}})
def streamed_speech(url: str, name: str) -> int:
    sdk = client(url, name).audio.speech.with_streaming_response
    with sdk.create(model="tts-1", voice="alloy", input="good morning") as answer:
        return sum(len(part) for part in answer.iter_bytes())


@scenario()
def raw(url: str, name: str) -> Any:
    return client(url, name).chat.completions.with_raw_response.create(model=MODEL, messages=HELLO).parse().id


@scenario()
def raw_stream(url: str, name: str) -> int:
    raw = client(url, name).chat.completions.with_raw_response
    return len(list(raw.create(model=MODEL, messages=HELLO, stream=True, stream_options=USAGE).parse()))


@scenario()
def streamed_raw(url: str, name: str) -> Any:
    with client(url, name).chat.completions.with_streaming_response.create(model=MODEL, messages=HELLO) as answer:
        return answer.parse().id


@scenario()
async def astreamed_body(url: str, name: str) -> Any:
    async with aclient(url, name) as sdk:
        raw = sdk.chat.completions.with_streaming_response
        async with raw.create(model=MODEL, messages=HELLO) as answer:
            return (await answer.json())["id"]


@scenario()
def retried(url: str, name: str) -> None:
    client(url, name, headers={"x-fail": "429,503"}, max_retries=3).chat.completions.create(model=MODEL, messages=HELLO)


@scenario()
async def aretried(url: str, name: str) -> None:
    async with aclient(url, name, headers={"x-fail": "500"}) as sdk:
        await sdk.chat.completions.create(model=MODEL, messages=HELLO)


@scenario()
def refused(url: str, name: str) -> str:
    import openai

    with contextlib.suppress(openai.RateLimitError):
        client(url, name, headers={"x-fail": "429"}, max_retries=0).chat.completions.create(model=MODEL, messages=HELLO)
        return "not refused"
    return "refused"


@scenario()
def unreachable(url: str, name: str) -> None:
    import openai

    with contextlib.suppress(openai.APIConnectionError):
        client("http://127.0.0.1:1", name, max_retries=0).chat.completions.create(model=MODEL, messages=HELLO)


@scenario()
def unknown_model(url: str, name: str) -> None:
    for _ in range(2):
        client(url, name).chat.completions.create(model="house-of-nobody", messages=HELLO)


@scenario()
def half_imported(url: str, name: str) -> None:
    """Call while a thread is in the middle of importing the HTTP library that the SDK only looks for."""
    other = "httpx" if hasattr(_httpx(), "_loaded_legacy_httpx") else "httpx2"
    half, before = ModuleType(other), sys.modules.get(other)
    half.__spec__ = ModuleSpec(other, None)
    half.__spec__._initializing = True
    sys.modules[other] = half
    try:
        client(url, name).chat.completions.create(model=MODEL, messages=HELLO)
    finally:
        sys.modules.pop(other)
        if before is not None:
            sys.modules[other] = before


def _httpx() -> Any:
    import openai

    return getattr(openai, "_httpx2", None)


@scenario()
def no_call(url: str, name: str) -> None:
    client(url, name).models.list()


@scenario(capture_prompts=True)
def prompts(url: str, name: str) -> None:
    sdk = client(url, name)
    sdk.chat.completions.create(model=MODEL, messages=HELLO, tools=TOOLS)
    list(sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options=USAGE))
    sdk.responses.create(model=MODEL, input="hello there", instructions="Be brief.")


@scenario()
def azure(url: str, name: str) -> None:
    import openai

    sdk = openai.AzureOpenAI(
        api_key="none", azure_endpoint=url, api_version="2024-10-21", default_headers={"x-scenario": name}
    )
    sdk.chat.completions.create(model=MODEL, messages=HELLO)


@scenario()
def hooked(url: str, name: str) -> list[Any]:
    told: list[Any] = []

    class Diary(CallHook):
        def before(self, call: Any) -> None:
            told.append(["before", call.model, call.arguments["messages"][1]["content"]])
            if len(told) > 2:
                raise PermissionError("enough")

        def after(self, call: Any) -> None:
            told.append(["after", call.usage.total])

    hook = Diary()
    add_hook(hook)
    try:
        sdk = client(url, name)
        sdk.chat.completions.create(model=MODEL, messages=HELLO)
        with contextlib.suppress(PermissionError):
            sdk.chat.completions.create(model=MODEL, messages=HELLO)
    finally:
        remove_hook(hook)
    return told


@scenario()
def who(url: str, name: str) -> None:
    with obskit.span("work"):
        obskit.bind(user_id="u1", session_id="s1", user_tier="premium")
        client(url, name).chat.completions.create(model=MODEL, messages=HELLO)
        obskit.bind(user_id=None, session_id=None, user_tier=None)


@scenario()
def problems(url: str, name: str) -> list[str]:
    from obskit import llm

    return [str(each) for each in llm.problems()]


if __name__ == "__main__":
    main()
