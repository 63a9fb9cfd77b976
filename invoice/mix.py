"""A seeded random mix of every kind of call through the real SDK; nothing of obskit, so that peers are driven alike."""

from __future__ import annotations

import asyncio
import random
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import google.genai as genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials

__all__ = ["MODELS", "Mix", "Weights"]

MODELS: Final = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-3.8-flash", "gemini-9-unheard-of")
CACHED_MODEL: Final = "gemini-2.5-flash-lite"
LIVE_MODEL: Final = "gemini-live-2.5-flash"
WORDS: Final = "espresso flat white ristretto filter cold brew oat milk sugar two cups please thanks tomorrow".split()
REFUSED: Final = (errors.APIError, OSError)
"""What the SDK raises once its retries are used up."""

Weights = tuple[tuple[str, int], ...]
"""Kinds of calls, and how often each is drawn."""


def get_price(product: str) -> dict[str, float]:
    """Look up a product's price.

    Args:
        product: its name.
    """
    return {"price": float(len(product))}


class Mix:
    """The calls, drawn one by one.

    Args:
        url: address of the fake Gemini.
        seed: of the dice; the same seed makes the same calls.
        is_forgiving: whether calls that fail otherwise than the SDK's do are counted in `broken`; without it they
            are raised.

    Attributes:
        kinds: how often each kind was drawn.
        broken: how often a call raised what the bare SDK would not, by what it was.
    """

    def __init__(self, url: str, seed: int, *, is_forgiving: bool = False) -> None:
        warnings.simplefilter("ignore")  # parts of the SDK call themselves experimental
        self.dice = random.Random(seed)
        self.is_forgiving = is_forgiving
        retry = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002, jitter=0.001)
        options = types.HttpOptions(base_url=url, retry_options=retry)
        self.developer = genai.Client(api_key="none", http_options=options)
        self.vertex = genai.Client(
            vertexai=True, project="p", location="us-central1", credentials=Credentials("none"), http_options=options
        )
        sockets = url.replace("http", "ws") + "/live"
        self.live = genai.Client(vertexai=True, http_options={"base_url": sockets})
        self.live._api_client._websocket_ssl_ctx = {}  # the SDK insists on TLS, which loopback has not
        self.kinds: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()

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

    def ask_and_stop(self, how: str) -> tuple[Any, dict[str, Any]]:
        """Return a question whose stream stops after two chunks: waits for the app to `leave`, or is to `break`."""
        client, arguments = self.ask()
        return client, {**arguments, "config": None, "contents": f"{arguments['contents']} [{how} after 2]"}

    # ------------------------------------------------------------------ kinds of calls

    def generate(self) -> None:
        client, arguments = self.ask()
        client.models.generate_content(**arguments)

    def stream(self) -> None:
        client, arguments = self.ask()
        list(client.models.generate_content_stream(**arguments))

    def left(self) -> None:
        client, arguments = self.ask_and_stop("leave")
        chunks = client.models.generate_content_stream(**arguments)
        for _ in range(2):
            next(chunks)
        chunks.close()

    def torn(self) -> None:
        client, arguments = self.ask_and_stop("break")
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
            begun = self._until(partial(self.vertex.operations.get, begun))

    def batch(self) -> None:
        requests = [{"contents": [{"parts": [{"text": self.text()}]}]} for _ in range(self.dice.randint(1, 5))]
        job = self.developer.batches.create(model="gemini-2.5-flash", src=requests)
        for _ in range(2):
            job = self._until(partial(self.developer.batches.get, name=job.name))

    def cache(self) -> None:
        hours = self.dice.randint(1, 5)
        config = types.CreateCachedContentConfig(contents=self.text(), ttl=f"{hours * 3600}s")
        made = self.developer.caches.create(model=CACHED_MODEL, config=config)
        if self.dice.random() < 0.5:
            longer = types.UpdateCachedContentConfig(ttl="3600s")
            self._until(partial(self.developer.caches.update, name=made.name, config=longer))

    def interact(self) -> None:
        is_stream = self.dice.random() < 0.5
        answer = self.developer.interactions.create(
            model=self.dice.choice(MODELS[:3]), input=self.text(), stream=is_stream
        )
        if is_stream:
            for _ in answer:
                pass

    def _until(self, ask: Callable[[], Any]) -> Any:
        """Ask until it is answered: what was begun has been billed, so that somebody must hear of its end."""
        for _ in range(9):
            with suppress(*REFUSED):
                return ask()
        return ask()

    async def a_generate(self) -> None:
        client, arguments = self.ask()
        await client.aio.models.generate_content(**arguments)

    async def a_stream(self) -> None:
        client, arguments = self.ask()
        async for _ in await client.aio.models.generate_content_stream(**arguments):
            pass

    async def a_left(self) -> None:
        client, arguments = self.ask_and_stop("leave")
        chunks = await client.aio.models.generate_content_stream(**arguments)
        for _ in range(2):
            await anext(chunks)
        await chunks.aclose()

    async def a_cancelled(self) -> None:
        client, arguments = self.ask_and_stop("leave")
        has_two = asyncio.Event()

        async def read() -> None:
            seen = 0
            async for _ in await client.aio.models.generate_content_stream(**arguments):
                seen += 1
                if seen == 2:
                    has_two.set()

        task = asyncio.create_task(read())
        waiting = asyncio.create_task(has_two.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def a_chat(self) -> None:
        client, arguments = self.ask()
        conversation = client.aio.chats.create(model=arguments["model"], config=arguments["config"])
        await conversation.send_message(self.text())
        async for _ in await conversation.send_message_stream(self.text()):
            pass

    async def a_embed(self) -> None:
        await self.developer.aio.models.embed_content(model="gemini-embedding-001", contents=[self.text()])

    async def a_live(self) -> None:
        async with self.live.aio.live.connect(model=LIVE_MODEL) as session:
            for _ in range(2):
                turn = {"role": "user", "parts": [{"text": self.text()}]}
                await session.send_client_content(turns=turn, turn_complete=True)
                async for _ in session.receive():
                    pass

    WEIGHTS: Final[Weights] = (
        ("generate", 30), ("stream", 15), ("left", 3), ("torn", 2), ("chat", 5), ("embed", 8), ("count", 3),
        ("images", 3), ("videos", 2), ("batch", 2), ("cache", 2), ("interact", 3),
        ("a_generate", 12), ("a_stream", 8), ("a_left", 2), ("a_cancelled", 1), ("a_chat", 3), ("a_embed", 2),
        ("a_live", 1),
    )  # fmt: skip

    async def one(self, name: str) -> None:
        """Make one call; a refusal that outlasts the retries is a failed call."""
        self.kinds[name] += 1
        method: Callable[[], Awaitable[None] | None] = getattr(self, name)
        try:
            waiting = method()
            if waiting is not None:
                await waiting
        except REFUSED:
            self.kinds["failed"] += 1
        except Exception as error:
            if not self.is_forgiving:
                raise
            self.broken[f"{name}: {type(error).__name__}: {error}"[:200]] += 1

    async def run(self, calls: int) -> None:
        """Make so many calls."""
        names, weights = zip(*self.WEIGHTS, strict=True)
        for name in self.dice.choices(names, weights, k=calls):
            await self.one(name)
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.developer.aio.aclose()
        await self.vertex.aio.aclose()
