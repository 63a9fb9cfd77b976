"""What an AI call costs is counted for the route that made it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.testclient import TestClient

import obskit
from obskit.testing import capture


def test_tokens_and_cost_belong_to_the_requests_route():
    """Two requests of a route, each with a call: its template has both; a call outside of requests has no route."""
    app = FastAPI()

    @app.get("/chat/{session}")
    def chat(session: str) -> str:
        obskit.record_usage("openai", "own", input_tokens=100, output_tokens=20, cost_usd=0.25)
        return session

    obskit.instrument(app, exporters="memory")
    with capture() as seen, TestClient(app) as client:
        client.get("/chat/1")
        client.get("/chat/2")
        obskit.record_usage("openai", "own", input_tokens=7, cost_usd=1.0)
        route = {"http.route": "/chat/{session}"}
        assert seen.total("obskit.gen_ai.route_cost", **route) == 0.5
        assert seen.total("obskit.gen_ai.route_tokens", **route) == 240
        assert [p.value for p in seen.metrics if p.metric == "obskit.gen_ai.route_cost" and not p.attributes] == [1.0]
        assert seen.total("obskit.gen_ai.cost") == seen.total("obskit.gen_ai.route_cost") == 1.5
