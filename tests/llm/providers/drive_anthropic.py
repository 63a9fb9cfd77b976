"""Scenarios of the anthropic SDK: python drive_anthropic.py URL."""

from __future__ import annotations

import contextlib
import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scenarios import main, scenario

import obskit

MODEL = "claude-sonnet-4-5"
HELLO = [{"role": "user", "content": "hello there"}]
TOOLS = [{"name": "get_price", "description": "Prices.", "input_schema": {"type": "object", "properties": {}}}]
ASK: dict[str, Any] = {"model": MODEL, "max_tokens": 99, "messages": HELLO}


def saying(text: str) -> dict[str, Any]:
    return {**ASK, "messages": [{"role": "user", "content": text}]}


def client(url: str, name: str, **more: Any) -> Any:
    import anthropic

    headers = {"x-scenario": name, **more.pop("headers", {})}
    return anthropic.Anthropic(api_key="none", base_url=url, default_headers=headers, **more)


def aclient(url: str, name: str, **more: Any) -> Any:
    import anthropic

    headers = {"x-scenario": name, **more.pop("headers", {})}
    return anthropic.AsyncAnthropic(api_key="none", base_url=url, default_headers=headers, **more)


@scenario()
def message(url: str, name: str) -> Any:
    with obskit.span("work"):
        return client(url, name).messages.create(**ASK, system="Be brief.").content[0].text


@scenario()
async def amessage(url: str, name: str) -> None:
    async with aclient(url, name) as sdk:
        await sdk.messages.create(**ASK)


@scenario()
def stream(url: str, name: str) -> int:
    return len(list(client(url, name).messages.create(**ASK, stream=True)))


@scenario()
async def astream(url: str, name: str) -> int:
    async with aclient(url, name) as sdk:
        return len([event async for event in await sdk.messages.create(**ASK, stream=True)])


@scenario()
def stream_helper(url: str, name: str) -> str:
    with client(url, name).messages.stream(**ASK) as events:
        return "".join(events.text_stream)


@scenario()
async def astream_helper(url: str, name: str) -> int:
    async with aclient(url, name) as sdk, sdk.messages.stream(**ASK) as events:
        return (await events.get_final_message()).usage.output_tokens


@scenario()
def left_stream(url: str, name: str) -> None:
    events = client(url, name).messages.create(**ASK, stream=True)
    next(events)
    events.close()


@scenario()
def left_helper(url: str, name: str) -> None:
    with client(url, name).messages.stream(**ASK) as events:
        next(iter(events))


@scenario()
async def aleft_stream(url: str, name: str) -> None:
    async with aclient(url, name) as sdk:
        async for _ in await sdk.messages.create(**ASK, stream=True):
            break


@scenario()
def broken_stream(url: str, name: str) -> str:
    try:
        list(client(url, name).messages.create(**saying("[break]"), stream=True))
    except Exception as error:
        return type(error).__name__
    return ""


@scenario()
def failing_stream(url: str, name: str) -> str:
    import anthropic

    try:
        list(client(url, name).messages.create(**saying("[error]"), stream=True))
    except anthropic.APIStatusError as error:
        return type(error).__name__
    return ""


@scenario()
def tools(url: str, name: str) -> Any:
    sdk = client(url, name)
    first = sdk.messages.create(**ASK, tools=TOOLS)
    called = first.content[0]
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": called.id, "content": "2.50"}]}
    messages = [*HELLO, {"role": "assistant", "content": [called.model_dump(exclude_none=True)]}, result]
    sdk.messages.create(**{**ASK, "messages": messages}, tools=TOOLS)
    return called.name


@scenario()
def beta(url: str, name: str) -> None:
    client(url, name).beta.messages.create(**ASK)


@scenario()
def raw(url: str, name: str) -> Any:
    return client(url, name).messages.with_raw_response.create(**ASK).parse().id


@scenario()
def streamed_raw(url: str, name: str) -> Any:
    with client(url, name).messages.with_streaming_response.create(**ASK) as answer:
        return answer.parse().id


@scenario()
def counted(url: str, name: str) -> None:
    client(url, name).messages.count_tokens(model=MODEL, messages=HELLO)


@scenario()
def retried(url: str, name: str) -> None:
    client(url, name, headers={"x-fail": "529,429"}, max_retries=3).messages.create(**ASK)


@scenario()
async def aretried(url: str, name: str) -> None:
    async with aclient(url, name, headers={"x-fail": "500"}) as sdk:
        await sdk.messages.create(**ASK)


@scenario()
def refused(url: str, name: str) -> str:
    import anthropic

    with contextlib.suppress(anthropic.RateLimitError):
        client(url, name, headers={"x-fail": "429"}, max_retries=0).messages.create(**ASK)
        return "not refused"
    return "refused"


@scenario()
def batch(url: str, name: str) -> list[int]:
    batches = client(url, name).messages.batches
    left = 0
    for _ in batches.results("msgbatch_1"):
        left += 1
        if left == 2:
            break
    return [left, *(len(list(batches.results("msgbatch_1"))) for _ in range(2))]


@scenario()
async def abatch(url: str, name: str) -> int:
    async with aclient(url, name) as sdk:
        return len([line async for line in await sdk.messages.batches.results("msgbatch_2")])


@scenario(capture_prompts=True)
def prompts(url: str, name: str) -> None:
    sdk = client(url, name)
    sdk.messages.create(**ASK, tools=TOOLS, system="Be brief.")
    list(sdk.messages.create(**ASK, stream=True))


@scenario()
def problems(url: str, name: str) -> list[str]:
    from obskit import llm

    return [str(each) for each in llm.problems()]


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the SDK calls models deprecated
    main()
