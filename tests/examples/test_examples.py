"""The examples do what their readers expect, and one line makes them observable."""

from __future__ import annotations

import ast
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.faults import Faults
from obskit.testing import Captured

# The SDK subclasses aiohttp's session, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WHO = {"x-user-id": "u1", "x-session-id": "s1", "x-user-tier": "premium"}


@pytest.mark.parametrize("path", ["/chat", "/chat/sync", "/chat/stream"])
def test_the_chatbot_answers(path: str, chatbot: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Each way to ask gives an answer, one server span, and the tokens that Gemini billed."""
    gemini.ledger.reset()
    response = chatbot.post(path, json={"text": "Which beans for espresso?"}, headers=WHO)
    assert response.status_code == 200
    assert response.text
    span = seen.span(f"POST {path}")
    assert span.attributes["user.id"] == "u1"
    billed = gemini.ledger.total()
    assert seen.total("obskit.gen_ai.tokens", **{"user.tier": "premium"}) == billed.billed_input + billed.billed_output
    assert {each.context.trace_id for each in seen.spans} == {span.context.trace_id}


def test_a_recommendation_crosses_both_services(chatbot: Any, gemini: FakeGemini, seen: Captured) -> None:
    """One trace has the chatbot's request, two rounds of the model, and the shop's request below the tool's call."""
    gemini.ledger.reset()
    response = chatbot.post("/recommend", json={"text": "Which beans for espresso?"}, headers=WHO)
    assert response.status_code == 200
    assert gemini.ledger.function_calls == 1
    deadline = time.monotonic() + 10.0  # the shop's span ends a moment after its answer has been read
    while not any(span.name == "GET /products" for span in seen.spans) and time.monotonic() < deadline:
        time.sleep(0.01)
    chat, shop = seen.span("POST /recommend"), seen.span("GET /products")
    assert chat.context.trace_id == shop.context.trace_id
    rounds = [span for span in seen.spans if span.name.startswith("generate_content")]
    assert len(rounds) == gemini.ledger.calls() == 2


def test_the_chatbot_passes_a_429_on(chatbot: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Gemini's 429 becomes the chatbot's own; a stream, which has begun, says it in an event. None is a crash."""
    gemini.switch.set(Faults(status=429))
    try:
        answers = [chatbot.post(path, json={"text": "hello"}) for path in ("/chat", "/chat/sync", "/chat/stream")]
    finally:
        gemini.switch.set(Faults())
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[2].text == "event: error\ndata: 429\n\n"
    assert answers[0].headers["retry-after"] == "30"
    assert seen.total("gen_ai.client.operation.duration", **{"error.type": "429"}) == 3
    assert seen.errors == ()


def test_the_chatbot_hides_an_outage(chatbot: Any, gemini: FakeGemini) -> None:
    """Gemini's 503 is answered by a 503 of the chatbot's own words."""
    gemini.switch.set(Faults(status=503))
    try:
        response = chatbot.post("/chat", json={"text": "hello"})
    finally:
        gemini.switch.set(Faults())
    assert response.status_code == 503
    assert response.json() == {"detail": "The barista is away."}


def test_both_are_healthy(chatbot: Any, shop: ModuleType) -> None:
    """The health checks say ok."""
    assert chatbot.get("/health").json() == {"status": "ok"}
    assert shop.app.test_client().get("/health").json == {"status": "ok"}


def test_the_shop_finds_products(shop: ModuleType) -> None:
    """Search, one product, and one that is not there."""
    client = shop.app.test_client()
    assert [found["id"] for found in client.get("/products?q=berries").json] == ["filter"]
    assert client.get("/products/decaf").json["name"] == "Decaf"
    assert client.get("/products/teapot").status_code == 404


def test_the_shop_sells(shop: ModuleType, seen: Captured) -> None:
    """A basket with a coupon has its price, and the pricing has a span of its own."""
    order = {"items": ["espresso", "filter"], "coupon": "WELCOME"}
    response = shop.app.test_client().post("/checkout", json=order)
    assert (response.status_code, response.json) == (201, {"total_usd": "27.45"})
    assert seen.span("price the basket").attributes["basket.size"] == 2


def test_the_shop_crashes_on_a_coupon_it_does_not_know(shop: ModuleType, seen: Captured) -> None:
    """The mistake is reported once, with its type, its user and its request."""
    order = {"items": ["grinder"], "coupon": "AUTUMN26"}
    assert shop.app.test_client().post("/checkout", json=order, headers=WHO).status_code == 500
    error = seen.error(KeyError)
    assert "AUTUMN26" in error.message
    assert error.user == "u1"
    assert error.http["url"].endswith("/checkout")


@pytest.mark.parametrize("path", ["fastapi_app/main.py", "flask_app/main.py"])
def test_one_line_makes_it_observable(path: str) -> None:
    """Beside names that a developer wants (bind, get_logger, span), an example calls `instrument` once."""
    tree = ast.parse((EXAMPLES / path).read_text())
    used = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_obskit(node.value)]
    assert used.count("instrument") == 1
    assert set(used) <= {"instrument", "bind", "get_logger", "span"}


def _is_obskit(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "obskit"
