"""Usage that no reply can have: a broken or hostile server cannot spoil counters, costs and budgets for good."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google import genai

import obskit
from obskit.llm import unpriced
from obskit.llm.bodies import number
from obskit.llm.openai_calls import usage_of as openai_usage_of
from obskit.llm.record import Call
from obskit.llm.usage import MOST_TOKENS, GeminiUsage, Usage
from obskit.signals import context
from obskit.testing import Captured

MODEL = "gemini-2.5-flash"
PLAIN = {"promptTokenCount": 812, "candidatesTokenCount": 96, "totalTokenCount": 908}
WRONG = {
    "huge": {"candidatesTokenCount": 2**70},
    "negative": {"promptTokenCount": -5},
    "of a cache": {"cachedContentTokenCount": -(2**40)},
    "of thinking": {"thoughtsTokenCount": 2**62},
    "in details": {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 2**70}]},
}


class Liar(ThreadingHTTPServer):
    """Answers each call with the usage that it is given, streams too."""

    usage: dict[str, Any] = PLAIN


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        candidate = {"content": {"role": "model", "parts": [{"text": "Hi."}]}, "finishReason": "STOP"}
        reply = {"candidates": [candidate], "usageMetadata": self.server.usage, "modelVersion": MODEL}  # type: ignore[attr-defined]
        is_stream = "stream" in self.path
        body = (f"data: {json.dumps(reply)}\r\n\r\n" if is_stream else json.dumps(reply)).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if is_stream else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def liar() -> Iterator[Liar]:
    server = Liar(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(liar: Liar) -> Any:
    unpriced.forget()
    return genai.Client(api_key="none", http_options={"base_url": f"http://127.0.0.1:{liar.server_port}"})


@pytest.mark.parametrize("way", ["generate_content", "generate_content_stream"])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_count_that_cannot_be_is_not_believed(
    client: Any, liar: Liar, seen: Captured, wrong: dict[str, Any], way: str
) -> None:
    """The call counts as one whose usage is unknown; tokens, cost and the request's totals are those of the others."""
    state = context.RequestState()
    token = context.enter(state)
    try:
        for usage in ({**PLAIN, **wrong}, PLAIN):
            liar.usage = usage
            found = getattr(client.models, way)(model=MODEL, contents="hello")
            text = "".join(chunk.text for chunk in found) if way.endswith("stream") else found.text
            assert text == "Hi."
    finally:
        context.leave(token)
    bad, good = (span for span in seen.spans if span.name == f"generate_content {MODEL}")
    assert bad.attributes["obskit.gen_ai.usage.is_implausible"] is True
    assert "gen_ai.usage.output_tokens" not in bad.attributes
    assert "obskit.gen_ai.cost_usd" not in bad.attributes
    assert "obskit.gen_ai.usage.is_implausible" not in good.attributes
    assert seen.total("obskit.gen_ai.tokens") == 812 + 96
    cost_usd = good.attributes["obskit.gen_ai.cost_usd"]
    assert seen.total("obskit.gen_ai.cost") == pytest.approx(cost_usd)
    assert seen.total("obskit.gen_ai.unpriced_calls") == 1
    assert (state.ai_calls, state.ai_unpriced_calls) == (2, 1)
    assert (state.ai_input_tokens, state.ai_output_tokens) == (812, 96)


def test_it_is_said_once(client: Any, liar: Liar, seen: Captured, caplog: pytest.LogCaptureFixture) -> None:
    """One warning for a model, however often its replies cannot be believed."""
    liar.usage = {**PLAIN, "candidatesTokenCount": 2**70}
    with caplog.at_level(logging.WARNING, "obskit"):
        for _ in range(3):
            client.models.generate_content(model=MODEL, contents="hello")
    said = [entry.getMessage() for entry in caplog.records if entry.name == "obskit"]
    assert len(said) == 1, said
    assert f"{2**70} output" in said[0]


@pytest.mark.parametrize("count", ["lots", float("nan"), [7], 1.5], ids=["text", "nan", "list", "fraction"])
def test_what_is_no_count_at_all_is_none(count: object) -> None:
    """Whatever an SDK lets through."""
    reader = GeminiUsage()
    reader.observe(type("Metadata", (), {"prompt_token_count": 5, "candidates_token_count": count})())
    found = reader.usage()
    assert found is not None
    assert not found.is_plausible


@pytest.mark.parametrize("count", ["lots", float("nan"), float("inf"), -3, True, 2**70], ids=repr)
def test_counts_of_other_sdks_too(count: object) -> None:
    """A usage in OpenAI's terms is not plausible where one of its counts is none."""
    assert not openai_usage_of({"prompt_tokens": 5, "completion_tokens": count}).is_plausible
    assert openai_usage_of({"prompt_tokens": 5, "completion_tokens": 3.0}) == Usage(input=5, output=3)
    assert number({"n": None}, "n") == 0


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input=True),
        Usage(output=MOST_TOKENS + 1),
        Usage(units={"seconds": float("nan")}),
        Usage(units={"images": -1}),
        Usage(units={"characters": float("inf")}),
        Usage(modalities={"input_audio_tokens": -1}),
    ],
    ids=["flag", "huge", "nan", "negative", "infinite", "modality"],
)
def test_reported_usage_too(usage: Usage, seen: Captured) -> None:
    """No way to a call's end lets it in."""
    call = Call(operation="chat", provider="openai", model="gpt-4o")
    call.end(usage=usage)
    assert call.usage is None
    assert call.cost_usd is None
    assert seen.span("chat gpt-4o").attributes["obskit.gen_ai.usage.is_implausible"] is True


@pytest.mark.parametrize("cost_usd", [float("nan"), float("inf"), -1.0, 1e12], ids=repr)
def test_a_cost_that_cannot_be_is_unknown(cost_usd: float, seen: Captured) -> None:
    """The call's usage counts, and its cost follows from the prices."""
    obskit.record_usage("openai", "gpt-4o", input_tokens=1000, cost_usd=cost_usd)
    span = seen.span("chat gpt-4o")
    assert span.attributes["obskit.gen_ai.cost_usd"] == pytest.approx(0.0025)
    assert span.attributes["obskit.gen_ai.usage.is_implausible"] is True
