"""The examples of docs/ai-usage.md do what the page says of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from obskit.config import Config, values
from obskit.llm import record
from obskit.testing import Captured

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "ai-usage.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def prices() -> dict[str, Any]:
    (document,) = (tomllib.loads(block) for block in blocks("toml") if "tool.obskit.prices" in block)
    return dict(values.prices(document["tool"]["obskit"]["prices"]))


def report() -> None:
    (code,) = (block for block in blocks("python") if "record_usage(" in block)
    exec(compile(code, "docs/ai-usage.md", "exec"), {})


@pytest.mark.parametrize(
    ("provider", "model", "operation", "unit", "amount", "cost_usd"),
    [
        ("replicate", "flux-1.1-pro", "generate_images", "images", 3, 0.12),
        ("pollo", "kling-2.1", "generate_videos", "seconds", 8, 0.80),
        ("piapi", "udio", "generate_music", "minutes", 2.5, 0.05),
        ("a2e", "voice", "text_to_speech", "characters", 1200, 0.0036),
    ],
)
def test_reported_usage_is_recorded_and_priced(
    provider: str, model: str, operation: str, unit: str, amount: float, cost_usd: float, seen: Captured
) -> None:
    """The calls of the page, with the prices of the page: a span, the units and the cost, for each provider."""
    record.configure(Config(prices=prices()))
    report()
    labels = {"gen_ai.provider.name": provider, "gen_ai.request.model": model}
    assert seen.total("obskit.gen_ai.units", **labels, **{"obskit.unit": unit}) == amount
    assert seen.total("obskit.gen_ai.cost", **labels) == pytest.approx(cost_usd)
    assert seen.total("obskit.gen_ai.unpriced_calls") == 0
    attributes = dict(seen.span(f"{operation} {model}").attributes)
    assert attributes[f"obskit.gen_ai.usage.{unit}"] == amount
    assert attributes["obskit.gen_ai.cost_usd"] == pytest.approx(cost_usd)


def test_without_prices_the_calls_are_unpriced(seen: Captured) -> None:
    """Without the table each of the four is counted, and none has a cost."""
    record.configure(Config())
    report()
    assert seen.total("obskit.gen_ai.unpriced_calls") == 4
    assert seen.total("obskit.gen_ai.cost") == 0


def test_the_duration_is_the_reported_one(seen: Captured) -> None:
    """A call of 41 seconds has a span of that length."""
    record.configure(Config(prices=prices()))
    report()
    span = seen.span("generate_videos kling-2.1")
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(41.0, abs=1.0)
