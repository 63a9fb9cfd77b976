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

MODEL, FALLBACK = "gemini-3.8-flash", "gemini-3.8-flash-lite"
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
    of_call = [each for each in seen.spans if each.name != "GET"]  # which is the health check's, in the background
    assert {each.context.trace_id for each in of_call} == {span.context.trace_id}


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


WAYS = ["/chat", "/chat/sync", "/chat/stream", "/recommend"]


def test_a_storm_of_429s_reaches_no_client(chatbot: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Every other call is refused with a RetryInfo: each request waits a little and is answered all the same."""
    gemini.switch.set(Faults(status=429, share=0.5, retry_after_s=0.05))
    answers = [chatbot.post(path, json={"text": "hello"}, headers=WHO) for path in WAYS]
    assert [answer.status_code for answer in answers] == [200] * 4
    refused = gemini.ledger.failures(429)
    assert seen.total("obskit.gen_ai.guard.throttled") == seen.total("obskit.gen_ai.guard.retries") == refused >= 4
    assert seen.errors == ()


@pytest.mark.parametrize("path", WAYS)
def test_the_other_model_answers_for_one_that_fails(
    path: str, chatbot: Any, gemini: FakeGemini, seen: Captured
) -> None:
    """The day's quota of one model is gone: the other one answers, which the request's span says."""
    gemini.switch.set(Faults(status=429, quota="day", model=MODEL))
    assert chatbot.post(path, json={"text": "Which beans?"}, headers=WHO).status_code == 200
    answered = gemini.ledger.calls()
    assert answered == (2 if path == "/recommend" else 1)
    assert {model for model, *_ in gemini.ledger.bills()} == {FALLBACK}
    assert seen.total("obskit.gen_ai.fallbacks", **{"obskit.fallback": FALLBACK}) == answered
    assert seen.span(f"POST {path}").attributes["obskit.gen_ai.fallback.to"] == FALLBACK


def test_the_chatbot_hides_an_outage(chatbot: Any, gemini: FakeGemini, seen: Captured) -> None:
    """Where nothing answers, neither do calls wait for it: 503 with a Retry-After, no crash, soon no call either."""
    gemini.switch.set(Faults(status=503))
    for path in (*WAYS, "/chat"):
        response = chatbot.post(path, json={"text": "hello"}, headers=WHO)
        assert response.status_code == 503, path
        assert response.json() == {"detail": "The barista is away."}
        assert int(response.headers["retry-after"]) >= 1
    assert seen.total("obskit.gen_ai.guard.refused", **{"obskit.reason": "circuit_open"}) > 0
    assert seen.errors == ()


def test_a_guest_who_has_used_up_the_day_gets_429(chatbot: Any, gemini: FakeGemini, seen: Captured) -> None:
    """In each way to ask, a stream too, with a Retry-After and what is left; a premium user is still served."""
    gemini.switch.set(Faults(token_multiplier=1000))
    guest = {**WHO, "x-user-tier": "guest"}
    assert chatbot.post("/chat", json={"text": "hello"}, headers=guest).status_code == 200
    used = gemini.ledger.total()
    gemini.switch.set(Faults())
    for path in WAYS:
        response = chatbot.post(path, json={"text": "hello"}, headers=guest)
        assert response.status_code == 429, path
        assert 0 < int(response.headers["retry-after"]) <= 86_400
        budget = response.json()["budget"]
        assert (budget["tier"], budget["limit"], budget["used"]) == (
            "guest",
            10_000,
            used.billed_input + used.billed_output,
        )
    assert seen.total("obskit.budget.rejections", **{"user.tier": "guest"}) == 4
    premium = {"x-user-id": "u2", "x-user-tier": "premium"}
    assert chatbot.post("/chat", json={"text": "hello"}, headers=premium).status_code == 200
    assert seen.errors == ()


def test_both_are_healthy(chatbot: Any, shop: ModuleType) -> None:
    """The health checks say ok."""
    assert chatbot.get("/health").json() == {"status": "ok"}
    assert shop.app.test_client().get("/health").json == {"status": "ok"}


def test_the_health_check_sees_gemini_down(gemini: FakeGemini, request: pytest.FixtureRequest, seen: Captured) -> None:
    """The service is there, its provider is not: degraded, still ready, and provider_status is 0."""
    gemini.switch.set(Faults(status=503))
    chatbot = request.getfixturevalue("chatbot")
    response = chatbot.get("/health/ready")
    assert (response.status_code, response.json()) == (200, {"status": "degraded"})
    assert seen.total("provider_status", provider="gemini") == 0
    assert chatbot.get("/health/live").json() == {"status": "ok"}


def test_the_shops_nightly_job_is_recorded(shop: ModuleType, seen: Captured) -> None:
    """The scheduler's request is a run of the job: a span, a duration, and its last success."""
    answer = shop.app.test_client().post("/restock")
    assert (answer.status_code, answer.json["filter"]) == (200, 40)
    assert seen.span("restock").attributes["obskit.job.name"] == "restock"
    assert seen.total("obskit.job.duration", **{"obskit.job.name": "restock"}) == 1


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
    """Beside names that a developer wants (bind, get_logger, span, job), an example calls `instrument` once."""
    tree = ast.parse((EXAMPLES / path).read_text())
    used = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_obskit(node.value)]
    assert used.count("instrument") == 1
    assert set(used) <= {"instrument", "bind", "get_logger", "span", "job"}


def _is_obskit(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "obskit"
