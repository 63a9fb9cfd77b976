"""Scenarios of LiteLLM: python drive_litellm.py URL."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no network

from scenarios import main, scenario

import obskit
from obskit.llm.hooks import CallHook, add_hook, remove_hook

HELLO = [{"role": "user", "content": "hello there"}]


def openai(url: str, name: str, **more: Any) -> dict[str, Any]:
    headers = {"x-scenario": name, **more.pop("headers", {})}
    return {"model": "openai/gpt-4o", "api_base": f"{url}/v1", "api_key": "none", "extra_headers": headers, **more}


def claude(url: str, name: str, **more: Any) -> dict[str, Any]:
    headers = {"x-scenario": name}
    return {
        "model": "anthropic/claude-sonnet-4-5",
        "api_base": url,
        "api_key": "none",
        "extra_headers": headers,
        **more,
    }


@scenario()
def completion(url: str, name: str) -> Any:
    import litellm

    with obskit.span("work"):
        return litellm.completion(messages=HELLO, **openai(url, name)).choices[0].message.content[:5]


@scenario()
async def acompletion(url: str, name: str) -> None:
    import litellm

    await litellm.acompletion(messages=HELLO, **openai(url, name))


@scenario()
def stream(url: str, name: str) -> int:
    import litellm

    return len(
        list(
            litellm.completion(messages=HELLO, stream=True, stream_options={"include_usage": True}, **openai(url, name))
        )
    )


@scenario(ai_stream_usage="always")
def plain_stream(url: str, name: str) -> int:
    import litellm

    return len(list(litellm.completion(messages=HELLO, stream=True, **openai(url, name))))


@scenario()
async def astream(url: str, name: str) -> int:
    import litellm

    chunks = await litellm.acompletion(
        messages=HELLO, stream=True, stream_options={"include_usage": True}, **openai(url, name)
    )
    return len([chunk async for chunk in chunks])


@scenario()
def left_stream(url: str, name: str) -> bool:
    import litellm

    ended = threading.Event()

    class End(CallHook):
        def after(self, call: Any) -> None:
            ended.set()

    hook = End()
    add_hook(hook)
    for _ in litellm.completion(
        messages=HELLO, stream=True, stream_options={"include_usage": True}, **openai(url, name)
    ):
        break
    deadline = time.monotonic() + 30
    while not ended.wait(0.05) and time.monotonic() < deadline:  # LiteLLM's own logging keeps the stream for a while
        gc.collect()
    is_seen = ended.is_set()
    remove_hook(hook)
    return is_seen


@scenario()
def of_anthropic(url: str, name: str) -> Any:
    import litellm

    return litellm.completion(messages=HELLO, max_tokens=99, **claude(url, name)).usage.prompt_tokens


@scenario()
def stream_of_anthropic(url: str, name: str) -> int:
    import litellm

    return len(list(litellm.completion(messages=HELLO, max_tokens=99, stream=True, **claude(url, name))))


@scenario()
async def astream_of_anthropic(url: str, name: str) -> int:
    import litellm

    chunks = await litellm.acompletion(messages=HELLO, max_tokens=99, stream=True, **claude(url, name))
    return len([chunk async for chunk in chunks])


@scenario()
def embedding(url: str, name: str) -> None:
    import litellm

    litellm.embedding(input=["one", "two"], **openai(url, name, model="openai/text-embedding-3-small"))


@scenario()
async def aembedding(url: str, name: str) -> None:
    import litellm

    await litellm.aembedding(input=["one", "two"], **openai(url, name, model="openai/text-embedding-3-small"))


@scenario(prices={"dall-e-3": {"images": 0.04}})
def images(url: str, name: str) -> None:
    import litellm

    litellm.image_generation(prompt="a cup", n=2, **openai(url, name, model="openai/dall-e-3"))


@scenario()
def retried(url: str, name: str) -> None:
    import litellm

    litellm.completion(messages=HELLO, max_retries=2, **openai(url, name, headers={"x-fail": "503"}))


@scenario()
def refused(url: str, name: str) -> str:
    import litellm

    with contextlib.suppress(litellm.RateLimitError):
        litellm.completion(messages=HELLO, max_retries=0, **openai(url, name, headers={"x-fail": "429"}))
        return "not refused"
    return "refused"


@scenario()
def cached(url: str, name: str) -> None:
    import litellm
    from litellm.caching.caching import Cache

    litellm.cache = Cache()
    try:
        for _ in range(2):
            litellm.completion(messages=HELLO, caching=True, **openai(url, name))
    finally:
        litellm.cache = None


@scenario()
async def router(url: str, name: str) -> None:
    import litellm

    models = [{"model_name": "house", "litellm_params": openai(url, name)}]
    await litellm.Router(model_list=models).acompletion(model="house", messages=HELLO)


@scenario()
def beside(url: str, name: str) -> None:
    import openai as sdk

    sdk.OpenAI(api_key="none", base_url=f"{url}/v1", default_headers={"x-scenario": name}).chat.completions.create(
        model="gpt-4o", messages=HELLO
    )


@scenario()
def problems(url: str, name: str) -> list[str]:
    from obskit import llm

    return [str(each) for each in llm.problems()]


if __name__ == "__main__":
    main()
