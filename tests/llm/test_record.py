"""record_usage: AI calls that obskit does not see by itself."""

from __future__ import annotations

import pytest
from opentelemetry.trace import StatusCode

import obskit
from obskit.config import Config
from obskit.llm import record
from obskit.testing import Captured


def test_a_call_of_another_provider(seen: Captured) -> None:
    """Tokens by kind, duration, cost and span of a call that the app reports."""
    obskit.record_usage(
        "openai",
        "gpt-4o",
        input_tokens=1000,
        cached_tokens=400,
        output_tokens=300,
        thinking_tokens=100,
        duration_s=1.5,
    )
    kinds = {
        kind: seen.total("obskit.gen_ai.tokens", **{"obskit.token.kind": kind})
        for kind in ("input", "cached", "output", "thinking")
    }
    assert kinds == {"input": 600, "cached": 400, "output": 200, "thinking": 100}
    span = seen.span("chat gpt-4o")
    assert span.end_time - span.start_time == pytest.approx(1.5e9, rel=0.1)
    assert span.attributes["gen_ai.provider.name"] == "openai"
    assert seen.total("obskit.gen_ai.cost", **{"gen_ai.provider.name": "openai"}) == pytest.approx(
        span.attributes["obskit.gen_ai.cost_usd"]
    )


def test_a_cost_that_the_app_knows(seen: Captured) -> None:
    """A cost that is given wins, also for a model that no list knows and without tokens, such as a video."""
    obskit.record_usage("replicate", "some/video", cost_usd=0.35, operation="generate_video")
    assert seen.total("obskit.gen_ai.cost", **{"gen_ai.operation.name": "generate_video"}) == pytest.approx(0.35)
    assert seen.total("obskit.gen_ai.unpriced_calls") == 0


def test_an_unknown_model_is_unpriced(seen: Captured) -> None:
    """Tokens of an unknown model are counted; its cost is unknown, not zero."""
    obskit.record_usage("nobody", "unheard-of", input_tokens=10)
    assert seen.total("obskit.gen_ai.tokens") == 10
    assert seen.total("obskit.gen_ai.unpriced_calls") == 1
    assert seen.total("obskit.gen_ai.cost") == 0


@pytest.mark.parametrize("error", [429, "429", type("Refused", (Exception,), {"code": 429})("no")])
def test_a_failed_call(seen: Captured, error: object) -> None:
    """A status, a word or an exception becomes error.type; a failure without tokens is not unpriced."""
    obskit.record_usage("openai", "gpt-4o", error=error)
    assert seen.total("gen_ai.client.operation.duration", **{"error.type": "429"}) == 1
    assert seen.span("chat gpt-4o").status.status_code is StatusCode.ERROR
    assert seen.total("obskit.gen_ai.unpriced_calls") == 0
    assert seen.errors == ()


def test_nonsense_never_raises(seen: Captured) -> None:
    """Wrong types and negative numbers are the app's mistake, and still no reason to break it."""
    obskit.record_usage("openai", "gpt-4o", input_tokens=-5, output_tokens=-1, duration_s=-3)
    obskit.record_usage(None, None, input_tokens="many")  # type: ignore[arg-type]
    assert seen.total("obskit.gen_ai.tokens") == 0


@pytest.mark.parametrize(
    ("provider", "model", "units", "cost_usd"),
    [
        ("replicate", "black-forest-labs/flux-1.1-pro", {"images": 3}, 0.12),
        ("pollo", "kling-2.1", {"seconds": 8}, 0.8),
        ("piapi", "udio", {"minutes": 2.5}, 0.05),
        ("a2e", "voice", {"characters": 1200}, 0.0036),
    ],
)
def test_units_that_are_not_tokens(
    seen: Captured, provider: str, model: str, units: dict[str, float], cost_usd: float
) -> None:
    """Images, seconds, minutes and characters are counted and priced by the configured price of a unit."""
    rows = {"flux-1.1-pro": {"images": 0.04}, "kling-2.1": {"seconds": 0.1}, "udio": {"minutes": 0.02}}
    record.configure(Config(prices={**rows, "voice": {"characters": 0.000003}}))
    obskit.record_usage(provider, model, units=units, operation="generate")
    ((unit, amount),) = units.items()
    assert seen.total("obskit.gen_ai.units", **{"obskit.unit": unit}) == amount
    assert seen.total("obskit.gen_ai.cost", **{"gen_ai.provider.name": provider}) == pytest.approx(cost_usd)
    assert seen.total("obskit.gen_ai.unpriced_calls") == 0


def test_units_without_a_price(seen: Captured) -> None:
    """A unit that no row prices is counted, and the call is unpriced."""
    obskit.record_usage("replicate", "some/video", units={"seconds": 4})
    assert seen.total("obskit.gen_ai.units", **{"obskit.unit": "seconds"}) == 4
    assert seen.total("obskit.gen_ai.unpriced_calls") == 1
