"""A seeded random mix of every kind of call through the real SDK, and what obskit counted: one JSON line.

python invoice/drive.py URL CALLS SEED        (in an environment with obskit and one major version of google-genai)
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import google.genai as genai  # noqa: E402
from google.genai import errors, types  # noqa: E402
from google.oauth2.credentials import Credentials  # noqa: E402
from rules import settings  # noqa: E402
from starlette.applications import Starlette  # noqa: E402

import obskit  # noqa: E402
from obskit.llm.hooks import CallHook, add_hook  # noqa: E402
from obskit.testing import capture  # noqa: E402

MODELS = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-3.8-flash", "gemini-9-unheard-of")
WORDS = "espresso flat white ristretto filter cold brew oat milk sugar two cups please thanks tomorrow morning".split()
BROKEN = (errors.APIError, OSError)


def get_price(product: str) -> dict[str, float]:
    """Look up a product's price.

    Args:
        product: its name.
    """
    return {"price": float(len(product))}


class Totals(CallHook):
    """Adds up what obskit says of each call, to the last digit."""

    def __init__(self) -> None:
        self.usd: dict[str, Decimal] = {}
        self.incomplete = 0

    def after(self, call: Any) -> None:
        self.usd[call.model] = self.usd.get(call.model, Decimal(0)) + (call.cost or 0)
        self.incomplete += call.is_incomplete

    def failed(self, call: Any, error: Any) -> None:
        self.after(call)


class Mix:
    """The calls, drawn one by one."""

    def __init__(self, url: str, seed: int) -> None:
        self.dice = random.Random(seed)
        retry = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002, jitter=0.001)
        options = types.HttpOptions(base_url=url, retry_options=retry)
        self.developer = genai.Client(api_key="none", http_options=options)
        self.vertex = genai.Client(
            vertexai=True, project="p", location="us-central1", credentials=Credentials("none"), http_options=options
        )
        self.kinds: Counter[str] = Counter()

    def text(self, *, is_long: bool = False) -> str:
        words = " ".join(self.dice.choices(WORDS, k=self.dice.randint(1, 60)))
        return words * (3000 if is_long else 1)

    def ask(self) -> tuple[Any, dict[str, Any]]:
        client = self.dice.choice((self.developer, self.vertex))
        model = self.dice.choice(MODELS)
        config: dict[str, Any] = {}
        if self.dice.random() < 0.3:
            config["tools"] = [get_price]
        elif self.dice.random() < 0.2:
            config["tools"] = [types.Tool(google_search=types.GoogleSearch())]
        if self.dice.random() < 0.4:
            config["system_instruction"] = self.dice.choice(("Be brief.", "You are a barista of few words. " * 9))
        if self.dice.random() < 0.3:
            config["thinking_config"] = types.ThinkingConfig(thinking_budget=0)
        is_long = model == "gemini-2.5-pro" and self.dice.random() < 0.05
        arguments = {"model": model, "contents": self.text(is_long=is_long)}
        return client, {**arguments, "config": types.GenerateContentConfig(**config) if config else None}

    # ------------------------------------------------------------------ kinds of calls

    def generate(self) -> None:
        client, arguments = self.ask()
        client.models.generate_content(**arguments)

    def stream(self) -> None:
        client, arguments = self.ask()
        list(client.models.generate_content_stream(**arguments))

    def left(self) -> None:
        client, arguments = self.ask()
        arguments["config"] = None
        arguments["contents"] += " [leave after 2]"
        chunks = client.models.generate_content_stream(**arguments)
        for _ in range(2):
            next(chunks)
        chunks.close()

    def broken(self) -> None:
        client, arguments = self.ask()
        arguments["config"] = None
        arguments["contents"] += " [break after 2]"
        try:
            list(client.models.generate_content_stream(**arguments))
        except Exception:  # each version of the SDK has an error of its own for it
            return
        raise AssertionError("the stream was to break off")

    def chat(self) -> None:
        client, arguments = self.ask()
        conversation = client.chats.create(model=arguments["model"], config=arguments["config"])
        conversation.send_message(self.text())
        list(conversation.send_message_stream(self.text()))

    def embed(self) -> None:
        client = self.dice.choice((self.developer, self.vertex))
        client.models.embed_content(model="gemini-embedding-001", contents=[self.text(), self.text()])

    def count(self) -> None:
        client, arguments = self.ask()
        client.models.count_tokens(model=arguments["model"], contents=self.text())

    def images(self) -> None:
        number = types.GenerateImagesConfig(number_of_images=self.dice.randint(1, 4))
        self.vertex.models.generate_images(model="imagen-4.0-generate-001", prompt=self.text(), config=number)

    def videos(self) -> None:
        config = types.GenerateVideosConfig(number_of_videos=1, duration_seconds=self.dice.choice((4, 6, 8)))
        begun = self.vertex.models.generate_videos(model="veo-3.0-generate-001", prompt=self.text(), config=config)
        for _ in range(2):
            begun = self.vertex.operations.get(begun)

    def batch(self) -> None:
        requests = [{"contents": [{"parts": [{"text": self.text()}]}]} for _ in range(self.dice.randint(1, 5))]
        job = self.developer.batches.create(model="gemini-2.5-flash", src=requests)
        for _ in range(2):
            job = self.developer.batches.get(name=job.name)

    async def a_generate(self) -> None:
        client, arguments = self.ask()
        await client.aio.models.generate_content(**arguments)

    async def a_stream(self) -> None:
        client, arguments = self.ask()
        async for _ in await client.aio.models.generate_content_stream(**arguments):
            pass

    async def a_left(self) -> None:
        client, arguments = self.ask()
        arguments["config"] = None
        arguments["contents"] += " [leave after 2]"
        chunks = await client.aio.models.generate_content_stream(**arguments)
        for _ in range(2):
            await anext(chunks)
        await chunks.aclose()

    async def a_chat(self) -> None:
        client, arguments = self.ask()
        conversation = client.aio.chats.create(model=arguments["model"], config=arguments["config"])
        await conversation.send_message(self.text())
        async for _ in await conversation.send_message_stream(self.text()):
            pass

    async def a_embed(self) -> None:
        await self.developer.aio.models.embed_content(model="gemini-embedding-001", contents=[self.text()])

    SYNC: tuple[tuple[str, int], ...] = (
        ("generate", 30), ("stream", 15), ("left", 3), ("broken", 2), ("chat", 5),
        ("embed", 8), ("count", 3), ("images", 3), ("videos", 2), ("batch", 2),
    )  # fmt: skip
    ASYNC: tuple[tuple[str, int], ...] = (
        ("a_generate", 12), ("a_stream", 8), ("a_left", 2), ("a_chat", 3), ("a_embed", 2),
    )  # fmt: skip

    async def run(self, calls: int) -> None:
        """Make so many calls; a refusal that outlasts the retries is a failed call."""
        names, weights = zip(*self.SYNC, *self.ASYNC, strict=True)
        for name in self.dice.choices(names, weights, k=calls):
            self.kinds[name] += 1
            method: Callable[[], Awaitable[None] | None] = getattr(self, name)
            try:
                waiting = method()
                if waiting is not None:
                    await waiting
            except BROKEN:
                self.kinds["failed"] += 1
        await self.developer.aio.aclose()
        await self.vertex.aio.aclose()


def main() -> None:
    url, calls, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    logging.disable(logging.WARNING)
    obskit.instrument(Starlette(), exporters="memory", prices=settings(), log_level="error")
    totals = Totals()
    add_hook(totals)
    mix = Mix(url, seed)
    with capture() as seen:
        asyncio.run(mix.run(calls))
        tokens: Counter[str] = Counter()
        units: Counter[str] = Counter()
        for point in seen.metrics:
            model = point.attributes.get("gen_ai.request.model")
            if point.metric == "obskit.gen_ai.tokens":
                tokens[f"{model} {point.attributes['obskit.token.kind']}"] += int(point.value)
            elif point.metric == "obskit.gen_ai.units":
                units[f"{model} {point.attributes['obskit.unit']}"] += point.value
        retries, unpriced = seen.total("obskit.gen_ai.retries"), seen.total("obskit.gen_ai.unpriced_calls")
        metric_usd = seen.total("obskit.gen_ai.cost")
    print(
        json.dumps(
            {
                "sdk": genai.__version__,
                "kinds": dict(mix.kinds),
                "tokens": dict(tokens),
                "units": dict(units),
                "usd": {model: str(cost) for model, cost in totals.usd.items()},
                "metric_usd": metric_usd,
                "incomplete": totals.incomplete,
                "retries": retries,
                "unpriced_calls": unpriced,
            }
        )
    )


if __name__ == "__main__":
    main()
