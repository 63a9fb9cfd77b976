"""Prices: the configured ones, then the list; what is unknown is not free."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price

from obskit.llm.prices import exact_price, model_name, price
from obskit.llm.usage import Usage


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("gemini-3.8-flash", "gemini-3.8-flash"),
        ("models/gemini-3.8-flash", "gemini-3.8-flash"),
        ("google/gemini-3.8-flash", "gemini-3.8-flash"),
        ("publishers/google/models/gemini-3.8-flash", "gemini-3.8-flash"),
        ("projects/p/locations/l/publishers/google/models/gemini-3.8-flash", "gemini-3.8-flash"),
        ("tunedModels/123", "tunedModels/123"),
        ("projects/p/locations/l/endpoints/456", "endpoints/456"),
    ],
)
def test_names(given: str, name: str) -> None:
    """Every spelling of a model is one name; tuned models and endpoints keep the word that says so."""
    assert model_name(given) == name


def test_the_list_prices_cached_and_thinking_tokens() -> None:
    """The cost is what genai-prices computes from billed input, billed output and the cached part."""
    usage = Usage(input=900, cached=100, tool_use=50, output=200, thinking=100)
    expected = calc_price(
        TheirUsage(input_tokens=1050, output_tokens=300, cache_read_tokens=100),
        "gemini-2.5-flash",
        provider_id="google",
    ).total_price
    assert price("gcp.gemini", ["gemini-2.5-flash"], usage) == pytest.approx(float(expected))
    assert price("gcp.vertex_ai", ["gemini-2.5-flash"], usage) == pytest.approx(float(expected))


def test_the_model_that_answered_comes_first() -> None:
    """An alias that the list does not know is priced by the model that answered."""
    usage = Usage(input=1000)
    assert price("gcp.gemini", ["gemini-2.5-flash", "my-alias"], usage) == pytest.approx(0.0003)
    assert price("gcp.gemini", ["", "gemini-2.5-flash"], usage) == pytest.approx(0.0003)


def test_an_unknown_model_has_no_price() -> None:
    """No price is known for a model that nobody lists, and that is None, not 0."""
    assert price("gcp.gemini", ["made-up"], Usage(input=1000)) is None
    assert price("made-up-provider", ["gemini-2.5-flash"], Usage(input=1000)) is None


def test_configured_prices_win() -> None:
    """A configured row decides alone; cached, tool use and thinking fall back to input and output."""
    prices = {"gemini-2.5-flash": {"input": 1.0, "output": 10.0, "cached": 0.5}}
    usage = Usage(input=1_000_000, cached=1_000_000, tool_use=1_000_000, output=1_000_000, thinking=1_000_000)
    assert price("gcp.gemini", ["gemini-2.5-flash"], usage, prices) == pytest.approx(22.5)


def test_a_configured_row_without_the_kind_is_no_price() -> None:
    """A row that says nothing on output cannot price a call that has output."""
    prices = {"m": {"input": 1.0}}
    assert price("x", ["m"], Usage(input=1_000_000), prices) == pytest.approx(1.0)
    assert price("x", ["m"], Usage(input=1, output=1), prices) is None


def test_audio_with_cached_tokens_of_unknown_modality_has_a_price() -> None:
    """Details that contradict each other give the text price instead of an error."""
    usage = Usage(input=600, cached=400, modalities={"input_audio_tokens": 800})
    cost = price("gcp.gemini", ["gemini-2.5-flash"], usage)
    assert cost is not None
    assert cost > 0


def test_the_list_is_loaded_on_demand() -> None:
    """Importing the recorder and asking for configured prices loads no price list."""
    code = (
        "import sys, obskit.llm.record\n"
        "from obskit.llm.prices import price\nfrom obskit.llm.usage import Usage\n"
        "assert price('x', ['m'], Usage(input=1), {'m': {'input': 1.0}}) is not None\n"
        "assert 'genai_prices' not in sys.modules and 'google.genai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_discount_is_off_the_list() -> None:
    """A row with a discount alone keeps the list's price; ``*`` holds for every model without a row."""
    usage = Usage(input=1_000_000)
    assert exact_price("gcp.gemini", ["gemini-2.5-flash"], usage, {"*": {"discount": 0.2}}) == Decimal("0.24")
    assert exact_price("gcp.gemini", ["gemini-2.5-flash"], usage, {"gemini-2.5-flash": {"discount": 1}}) == 0


def test_batch_and_long_context_on_the_list() -> None:
    """A batch has the list's own prices, and above 200,000 tokens the dearer tier holds for the whole request."""
    assert exact_price("gcp.gemini", ["gemini-2.5-flash"], Usage(input=1_000_000, processing="batch")) == Decimal(
        "0.15"
    )
    assert exact_price("gcp.gemini", ["gemini-2.5-pro"], Usage(input=200_001)) == Decimal("2.5") * 200_001 / 1_000_000


def test_searches_are_priced() -> None:
    """Grounding is billed by search, beside the tokens."""
    usage = Usage(input=1_000_000, units={"searches": 2})
    assert exact_price("gcp.gemini", ["gemini-2.5-flash"], usage) == Decimal("0.37")


def test_a_row_may_have_a_long_context_and_factors() -> None:
    """Dearer columns hold from the row's limit on; the factor of the processing multiplies all tokens."""
    prices = {"m": {"input": 1.0, "output": 2.0, "long_context": 1000, "long_input": 3.0, "batch": 0.5}}
    assert exact_price("x", ["m"], Usage(input=1000, output=1000), prices) == Decimal("0.003")
    assert exact_price("x", ["m"], Usage(input=2000, output=1000), prices) == Decimal("0.008")
    assert exact_price("x", ["m"], Usage(input=2000, output=1000, processing="batch"), prices) == Decimal("0.004")
