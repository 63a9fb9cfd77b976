"""The fake Gemini: what it answers, what it bills, and what it can be told to do wrong."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.faults import Faults, FaultSwitch
from obskit.demo.ledger import Bill
from obskit.demo.replies import Exchange, Prompt, tokens_in

MODEL = "gemini-3.8-flash"
TOOL = {
    "functionDeclarations": [
        {
            "name": "find_products",
            "parameters": {
                "type": "OBJECT",
                "properties": {"query": {"type": "STRING"}, "limit": {"type": "INTEGER"}, "kind": {"enum": ["bean"]}},
                "required": ["query", "limit", "kind"],
            },
        }
    ]
}


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as server:
        yield server


def post(server: FakeGemini, path: str, body: dict[str, Any], method: str = "POST") -> tuple[int, str]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request(method, path, body=json.dumps(body), headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def says(text: str, **more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1beta1/projects/p/locations/l/publishers/google"])
def test_every_version_of_the_path(gemini: FakeGemini, version: str) -> None:
    """The Gemini API's versions and Vertex AI's longer paths reach the same model."""
    status, body = post(gemini, f"/{version}/models/{MODEL}:generateContent", says("hello"))
    assert status == 200
    assert json.loads(body)["modelVersion"] == MODEL


def test_usage_is_what_the_ledger_has(gemini: FakeGemini) -> None:
    """The reply's usageMetadata, added up over calls, is the ledger's total."""
    totals = []
    for text in ("hello", "a longer question about coffee"):
        _, body = post(gemini, f"/v1beta/models/{MODEL}:generateContent", says(text))
        totals.append(json.loads(body)["usageMetadata"]["totalTokenCount"])
    total = gemini.ledger.total(MODEL)
    assert sum(totals) == total.billed_input + total.billed_output
    assert gemini.ledger.calls("generateContent") == 2


@pytest.mark.parametrize(("model", "told"), [("", 503), (MODEL, 200)])
def test_a_model_is_described_unless_all_is_down(gemini: FakeGemini, model: str, told: int) -> None:
    """As health checks ask; calls of the model that fails are refused in both cases, those of another in one."""
    gemini.switch.set(Faults(status=503, model=model))
    assert post(gemini, f"/v1beta/models/{MODEL}", {}, "GET")[0] == told
    assert post(gemini, f"/v1beta/models/{MODEL}:generateContent", says("hello"))[0] == 503
    assert post(gemini, "/v1beta/models/gemini-other:generateContent", says("hello"))[0] == told
    assert gemini.ledger.failures(503) == (1 if model else 2)


def test_streams_carry_cumulative_usage(gemini: FakeGemini) -> None:
    """Each chunk's count includes the earlier ones; the last one is the bill and carries the finish reason."""
    _, body = post(gemini, f"/v1/models/{MODEL}:streamGenerateContent?alt=sse", says("hello"))
    chunks = [json.loads(line.removeprefix("data: ")) for line in body.split("\r\n") if line.startswith("data: ")]
    counts = [chunk["usageMetadata"].get("candidatesTokenCount", 0) for chunk in chunks]
    assert len(chunks) > 2
    assert counts == sorted(counts)
    assert counts[-1] == gemini.ledger.total().candidates
    assert ["finishReason" in chunk["candidates"][0] for chunk in chunks].count(True) == 1


def test_a_function_is_called_once() -> None:
    """A declared function is called, with arguments that fit its schema, until its answer is there."""
    asked = says("which beans", tools=[TOOL])
    call = Exchange(Prompt(asked), is_cached=False).function_call
    assert call == {"name": "find_products", "args": {"query": "beans", "limit": 3, "kind": "bean"}}
    answered = {**asked, "contents": [*asked["contents"], {"parts": [{"functionResponse": {"name": "x"}}]}]}
    assert Exchange(Prompt(answered), is_cached=False).function_call is None
    forbidden = {**asked, "toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}
    assert Exchange(Prompt(forbidden), is_cached=False).function_call is None


def test_kinds_of_tokens(gemini: FakeGemini) -> None:
    """A system instruction is cached from its second use; thinking can be switched off; search costs tool tokens."""
    system = {"systemInstruction": {"parts": [{"text": "You are a barista."}]}}
    for _ in range(2):
        post(gemini, f"/v1beta/models/{MODEL}:generateContent", says("hello", **system))
    assert gemini.ledger.total().cached == tokens_in("You are a barista.")
    quiet = says("hello", generationConfig={"thinkingConfig": {"thinkingBudget": 0}})
    assert Exchange(Prompt(quiet), is_cached=False).bill.thoughts == 0
    assert Exchange(Prompt(says("hello", tools=[{"googleSearch": {}}])), is_cached=False).bill.tool_use > 0


def test_embeddings_and_counting(gemini: FakeGemini) -> None:
    """Embeddings are billed by their input; counting tokens is free."""
    content = {"content": {"parts": [{"text": "abcdefgh"}]}}
    _, batch = post(gemini, "/v1beta/models/e:batchEmbedContents", {"requests": [content, content]})
    _, single = post(gemini, "/v1beta/models/e:embedContent", content)
    assert len(json.loads(batch)["embeddings"]) == 2
    assert json.loads(batch)["embeddings"][0] == json.loads(single)["embedding"]
    assert gemini.ledger.total() == Bill(prompt=6)
    _, counted = post(gemini, f"/v1beta/models/{MODEL}:countTokens", says("abcdefgh"))
    assert json.loads(counted) == {"totalTokens": 2}
    assert gemini.ledger.calls() == 2


def test_refusals_are_not_billed(gemini: FakeGemini) -> None:
    """A 429 has Google's envelope with QuotaFailure and RetryInfo, and costs nothing."""
    assert post(gemini, "/control/faults", {"status": 429, "count": 1, "quota": "day"})[0] == 200
    status, body = post(gemini, f"/v1beta/models/{MODEL}:generateContent", says("hello"))
    details = {detail["@type"].rpartition(".")[2]: detail for detail in json.loads(body)["error"]["details"]}
    assert status == 429
    assert details["RetryInfo"]["retryDelay"] == "34.07s"
    assert "PerDay" in details["QuotaFailure"]["violations"][0]["quotaId"]
    assert gemini.ledger.calls() == 0
    assert gemini.ledger.failures(429) == 1
    assert post(gemini, f"/v1beta/models/{MODEL}:generateContent", says("hello"))[0] == 200


def test_token_multiplier(gemini: FakeGemini) -> None:
    """Every count is multiplied, in the reply and in the ledger alike."""
    plain = Exchange(Prompt(says("hello")), is_cached=False).bill
    gemini.switch.set(Faults(token_multiplier=400))
    post(gemini, f"/v1beta/models/{MODEL}:generateContent", says("hello"))
    assert gemini.ledger.total() == plain.times(400)


def test_a_share_of_refusals_is_spread_evenly() -> None:
    """Of ten calls with a share of 0.3, three are refused, and never two in a row."""
    switch = FaultSwitch()
    switch.set(Faults(status=503, share=0.3))
    refused = [bool(switch.refuse()) for _ in range(20)]
    assert refused.count(True) == 6
    assert not any(first and second for first, second in itertools.pairwise(refused))


@pytest.mark.parametrize("bad", [{"nonsense": 1}, {"share": 2}, {"token_multiplier": 0}])
def test_bad_control_requests(gemini: FakeGemini, bad: dict[str, Any]) -> None:
    """A control request that makes no sense is refused and changes nothing."""
    assert post(gemini, "/control/faults", bad)[0] == 400
    assert gemini.switch.faults == Faults()


def test_what_is_not_there(gemini: FakeGemini) -> None:
    """Unknown methods and paths are 404, as at Google."""
    assert post(gemini, f"/v1beta/models/{MODEL}:conjure", {})[0] == 404
    assert post(gemini, "/v1beta/files", {})[0] == 404


def test_the_ledger_over_http(gemini: FakeGemini) -> None:
    """The control endpoint shows the ledger and empties it."""
    post(gemini, f"/v1beta/models/{MODEL}:generateContent", says("hello"))
    shown = json.loads(post(gemini, "/control/ledger", {}, "GET")[1])
    assert shown["models"][MODEL]["calls"] == 1
    assert shown["methods"] == {"generateContent": 1}
    post(gemini, "/control/ledger", {}, "DELETE")
    assert gemini.ledger.calls() == 0
