"""What callers of web apps are answered."""

from __future__ import annotations

import asyncio
import contextvars
import runpy
from pathlib import Path
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import obskit
from obskit.budgets import Budgets, Limits, MemoryStore, RedisStore, install_answers
from obskit.demo.fake_gemini import FakeGemini
from obskit.errors import ConfigError
from obskit.llm.guard import unguard_gemini
from obskit.testing import FixedClock

LIMITS = {"free": Limits(daily_tokens=10)}


def at_noon() -> MemoryStore:
    return MemoryStore(clock=FixedClock(1_767_225_600.0 + 43_200.5).time)


def fastapi_app(budgets: Budgets) -> Any:
    app = FastAPI()
    install_answers(app)

    @app.get("/")
    async def ask() -> dict[str, str]:
        async with budgets.hold(user="a", tokens=6) as hold:
            await asyncio.sleep(0)
            await hold.settle_async(tokens=5)
        return {}

    return TestClient(app, raise_server_exceptions=False).get


def flask_app(budgets: Budgets) -> Any:
    app = flask.Flask(__name__)
    install_answers(app)

    @app.get("/")
    def ask() -> dict[str, str]:
        obskit.bind(user_id="a")
        with budgets.hold(tokens=6) as hold:
            hold.settle(tokens=5)
        return {}

    client = app.test_client()
    return lambda path: contextvars.copy_context().run(client.get, path)  # nothing bound stays behind


def body(response: Any) -> Any:
    return response.json() if callable(response.json) else response.json


@pytest.mark.parametrize("make", [fastapi_app, flask_app])
def test_a_budget_that_has_run_out_is_a_429(make: Any) -> None:
    """With the seconds until midnight, and a body that a front end can show."""
    get = make(Budgets(LIMITS, store=at_noon()))
    assert get("/").status_code == 200
    response = get("/")
    assert response.status_code == 429
    assert response.headers["retry-after"] == "43200"
    assert body(response) == {
        "detail": "The budget of this day is used up.",
        "budget": {
            "tier": "free",
            "period": "day",
            "unit": "tokens",
            "limit": 10,
            "used": 5,
            "remaining": 5,
            "resets_at": "2026-01-02T00:00:00+00:00",
        },
    }


@pytest.mark.parametrize("make", [fastapi_app, flask_app])
def test_budgets_that_cannot_be_checked_are_a_503(make: Any) -> None:
    """Failing closed, with a moment to wait, and nothing about the store in the answer."""
    get = make(Budgets(LIMITS, store=RedisStore("redis://127.0.0.1:1/0"), when_down="closed"))
    response = get("/")
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert "redis" not in response.text.lower() if isinstance(response.text, str) else True


def test_calls_in_flight_ask_for_little_patience() -> None:
    """Where only a call that has not ended stands in the way, the next attempt is worth it soon."""
    budgets = Budgets(LIMITS, store=at_noon())
    get = fastapi_app(budgets)
    hold = budgets.reserve(user="a", tokens=9)
    assert get("/").headers["retry-after"] == "5"
    hold.release()
    assert get("/").status_code == 200


@pytest.mark.needs("redis")
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
def test_the_example_answers_429_when_a_guest_has_used_it_up(
    gemini: FakeGemini, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its ways to ask, the stream too, by what another process has used. A premium user is still served."""
    monkeypatch.setenv("GEMINI_API_KEY", "none")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", gemini.url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    path = Path(__file__).resolve().parents[3] / "examples" / "fastapi_app" / "main.py"
    names = runpy.run_path(str(path))
    try:
        with TestClient(names["app"]) as client:
            guest, premium = ({"x-user-id": tier, "x-user-tier": tier} for tier in ("guest", "premium"))
            assert client.post("/chat", json={"text": "hello"}, headers=guest).status_code == 200
            Budgets(store=RedisStore(redis_url), timeout="20s").reserve(user="guest", tokens=1).settle(tokens=10_000)
            for way in ("/chat", "/chat/sync", "/chat/stream", "/recommend"):
                assert client.post(way, json={"text": "hello"}, headers=guest).status_code == 429, way
            assert client.post("/chat/stream", json={"text": "hello"}, headers=premium).status_code == 200
    finally:
        unguard_gemini()
        names["budgets"].unfollow_calls()
        names["health"].stop()


def test_another_kind_of_app_is_refused() -> None:
    """With what to do instead."""
    with pytest.raises(ConfigError, match="answer_of"):
        install_answers(object())
