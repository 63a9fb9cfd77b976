"""Rates taken out of the price list give the list's own answers, to the last digit."""

from __future__ import annotations

import random

import pytest

from obskit.llm import prices
from obskit.llm.usage import Usage

MODELS = (
    ("google", "gemini-2.5-pro"),
    ("google", "gemini-2.5-flash"),
    ("google", "gemini-embedding-001"),
    ("anthropic", "claude-sonnet-4-5"),
    ("openai", "gpt-5"),
    ("deepseek", "deepseek-chat"),
)


@pytest.mark.parametrize(("provider", "model"), MODELS, ids=[model for _, model in MODELS])
@pytest.mark.parametrize("processing", ["", "batch", "priority"])
def test_rates_give_the_lists_answer(provider: str, model: str, processing: str) -> None:
    """Below, at and above the thresholds of long contexts, with and without cached tokens."""
    calculator = prices.load()
    assert calculator is not None
    dice = random.Random(model + processing)
    for size in (0, 1, 200_000, 200_001, dice.randint(0, 10_000), dice.randint(200_000, 2_000_000)):
        cached = dice.choice((0, dice.randint(0, size)))
        usage = Usage(
            input=size - cached, cached=cached, output=dice.randint(0, 9_000), thinking=7, processing=processing
        )
        assert calculator._calculate(provider, model, usage) == calculator._ask(provider, model, usage)


def test_plain_tokens_do_not_ask_the_list() -> None:
    """Once the rates are known, the list is not asked for a minute; for what it alone knows it is."""
    calculator = prices.load()
    assert calculator is not None
    calculator.price("google", ["gemini-2.5-flash"], Usage(input=10, output=5))
    found = calculator.known["google", "gemini-2.5-flash", ""][1]
    assert found is not None
    assert found.cost(Usage(input=1_000_000)) == calculator.price("google", ["gemini-2.5-flash"], Usage(input=10**6))
    audio = Usage(input=1_000, modalities={"input_audio_tokens": 1_000})
    assert calculator.price("google", ["gemini-2.5-flash"], audio) > found.cost(audio)
