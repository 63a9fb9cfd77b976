"""A Gemini API on loopback: the same paths, bodies, streams and errors, and a ledger of what it billed.

python -m obskit.demo.fake_gemini --port 0
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from obskit.demo import fake_resources
from obskit.demo.faults import Faults, FaultSwitch, error_body
from obskit.demo.ledger import Bill, Ledger
from obskit.demo.loopback import LoopbackServer
from obskit.demo.replies import Exchange, Prompt, embedding, tokens_in

__all__ = ["FakeGemini", "create_app"]

_CALL: Final = re.compile(r"models/(?P<model>[^/:]+):(?P<method>\w+)$")
_STOP: Final = re.compile(r"\[(?P<how>leave|break) after (?P<chunks>\d+)\]")
"""In a prompt: the stream goes no further, and waits for the client to leave, or breaks off."""
_PATIENCE_S: Final = 30.0


class FakeGemini:
    """The server, its ledger and its fault switch. Use it as a context manager, or `start` and `stop` it.

    Args:
        port: 0 takes a free one.
    """

    def __init__(self, port: int = 0) -> None:
        self.ledger = Ledger()
        self.switch = FaultSwitch()
        self._seen: set[tuple[str, str]] = set()
        self._seen_lock = threading.Lock()
        self._ids = itertools.count(1)
        self.jobs: dict[str, dict[str, Any]] = {}
        self._server = LoopbackServer(create_app(self), port=port)

    @property
    def url(self) -> str:
        """The address to give to the SDK as `base_url`."""
        return self._server.url

    def start(self) -> Self:
        """Serve in a thread; returns when connections are accepted."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ------------------------------------------------------------------ the API

    async def call(self, request: Request) -> Response:
        """Answer one call of a model."""
        found = _CALL.search(request.url.path)
        if found is None or found["method"] not in _METHODS:
            return JSONResponse(error_body(404, "", Faults()), status_code=404)
        model, method = found["model"], found["method"]
        faults = self.switch.faults
        if faults.latency_s:
            await asyncio.sleep(faults.latency_s)
        status = self.switch.refuse(model)
        if status:
            self.ledger.fail(model, method, status)
            return JSONResponse(error_body(status, model, faults), status_code=status)
        return _METHODS[method](self, model, json.loads(await request.body()), faults)

    async def describe(self, request: Request) -> Response:
        """Answer what a model is, as health checks ask: free of charge, and no call of a model."""
        model, faults = request.path_params["model"], self.switch.faults
        if self.switch.is_down:
            return JSONResponse(error_body(faults.status, model, faults), status_code=faults.status)
        return JSONResponse({"name": f"models/{model}", "displayName": model})

    def next_id(self) -> int:
        """Return the number of the next thing that is made."""
        return next(self._ids)

    def _exchange(self, model: str, body: dict[str, Any], faults: Faults) -> Exchange:
        prompt = Prompt(body)
        with self._seen_lock:
            is_cached = bool(prompt.system) and (model, prompt.system) in self._seen
            self._seen.add((model, prompt.system))
        return Exchange(prompt, is_cached=is_cached, multiplier=faults.token_multiplier)

    def _generate(self, model: str, body: dict[str, Any], faults: Faults) -> Response:
        exchange = self._exchange(model, body, faults)
        is_function_call = exchange.function_call is not None
        self.ledger.bill(model, "generateContent", exchange.bill, is_function_call=is_function_call)
        return JSONResponse(exchange.response(model, f"response-{next(self._ids)}"))

    def _stream(self, model: str, body: dict[str, Any], faults: Faults) -> Response:
        exchange = self._exchange(model, body, faults)
        response_id = f"response-{next(self._ids)}"

        wanted = _STOP.search(exchange.asked)
        most = int(wanted["chunks"]) if wanted else None

        async def events() -> AsyncIterator[bytes]:
            is_function_call = exchange.function_call is not None
            bill = exchange.bill if most is None else exchange.bill_of_chunks(most)
            self.ledger.bill(model, "streamGenerateContent", bill, is_function_call=is_function_call)
            for chunk in itertools.islice(exchange.chunks(model, response_id), most):
                yield b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n"
                await asyncio.sleep(faults.chunk_latency_s)
            if wanted and wanted["how"] == "break":
                raise ConnectionAbortedError("the prompt asked for a stream that breaks off")
            if wanted:
                await asyncio.sleep(_PATIENCE_S)  # until the client leaves

        return StreamingResponse(events(), media_type="text/event-stream")

    def _embed_batch(self, model: str, body: dict[str, Any], faults: Faults) -> Response:
        texts = [Prompt({"contents": [item.get("content", {})]}).text for item in body.get("requests", ())]
        bill = Bill(prompt=sum(map(tokens_in, texts))).times(faults.token_multiplier)
        self.ledger.bill(model, "batchEmbedContents", bill)
        return JSONResponse(
            {"embeddings": [{"values": embedding(text)} for text in texts], "usageMetadata": bill.usage_metadata()}
        )

    def _embed(self, model: str, body: dict[str, Any], faults: Faults) -> Response:
        text = Prompt({"contents": [body.get("content", {})]}).text
        bill = Bill(prompt=tokens_in(text)).times(faults.token_multiplier)
        self.ledger.bill(model, "embedContent", bill)
        return JSONResponse({"embedding": {"values": embedding(text)}, "usageMetadata": bill.usage_metadata()})

    def _count(self, _model: str, body: dict[str, Any], _faults: Faults) -> Response:
        inner = body.get("generateContentRequest", body)
        prompt = Prompt(inner)
        return JSONResponse({"totalTokens": tokens_in(prompt.system) + tokens_in(prompt.text)})

    # ------------------------------------------------------------------ control

    async def control_faults(self, request: Request) -> Response:
        """Put faults in force; an empty object ends them all."""
        try:
            self.switch.set(Faults.from_dict(json.loads(await request.body() or b"{}")))
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({})

    async def control_ledger(self, request: Request) -> Response:
        """Show the ledger, or empty it with DELETE."""
        if request.method == "DELETE":
            self.ledger.reset()
        return JSONResponse(self.ledger.to_dict())


_METHODS: Final[dict[str, Callable[[FakeGemini, str, dict[str, Any], Faults], Response]]] = {
    "generateContent": FakeGemini._generate,  # noqa: SLF001 - the class's own table
    "streamGenerateContent": FakeGemini._stream,  # noqa: SLF001
    "batchEmbedContents": FakeGemini._embed_batch,  # noqa: SLF001
    "embedContent": FakeGemini._embed,  # noqa: SLF001
    "countTokens": FakeGemini._count,  # noqa: SLF001
}


def create_app(gemini: FakeGemini) -> Starlette:
    """Return the ASGI app of one fake Gemini."""
    return Starlette(
        routes=[
            Route("/control/faults", gemini.control_faults, methods=["POST"]),
            Route("/control/ledger", gemini.control_ledger, methods=["GET", "DELETE"]),
            *fake_resources.routes(gemini),
            Route("/{version}/{parent:path}models/{model}", gemini.describe, methods=["GET"]),
            Route("/{version}/{rest:path}", gemini.call, methods=["POST"]),
        ]
    )


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 takes a free one")
    gemini = FakeGemini(parser.parse_args().port)
    with gemini:
        print(gemini.url, flush=True)  # noqa: T201
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(json.dumps(gemini.ledger.to_dict()))  # noqa: T201


if __name__ == "__main__":
    main()
