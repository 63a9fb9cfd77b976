"""The rates of plain tokens out of `genai-prices`, whose own reckoning takes longer than a request's span."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from obskit.llm.usage import Usage

__all__ = ["Rates", "read"]

_MILLION: Final = 1_000_000
_Price = tuple[Decimal, tuple[tuple[int, Decimal], ...]]
"""USD per million tokens, and what it is above so many tokens of input, the highest threshold first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a model's tokens cost.

    Attributes:
        input, cached, output: USD per million tokens, each with its tiers; a kind without a price costs nothing.
    """

    input: _Price
    cached: _Price
    output: _Price

    def cost(self, usage: Usage) -> Decimal:
        """Return the USD of a usage that has tokens of text alone."""
        size, cached = usage.billed_input, usage.cached
        total = _at(self.input, size) * (size - cached) + _at(self.output, size) * usage.billed_output
        return (total + _at(self.cached, size) * cached if cached else total) / _MILLION


def read(ask: Callable[[Usage], Any], processing: str) -> Rates | None:
    """Return the rates by which the list reckons, None where it reckons otherwise than by input, cache and output.

    They are tried against the list's own answers, within each tier.

    Args:
        ask: the list's `calc_price` of a usage of the model.
        processing: as in `Usage`.

    Raises:
        LookupError: the list does not know the model.
    """
    found = ask(_probe(1, processing)).model_price
    try:
        given = _price(found.input_mtok)
        cached = given if found.cache_read_mtok is None else _price(found.cache_read_mtok)
        rates = Rates(input=given, cached=cached, output=_price(found.output_mtok))
        starts = {start for price in (rates.input, rates.cached, rates.output) for start, _ in price[1]}
        probes = [_probe(size, processing) for size in (7_000, *starts, *(start + 7_000 for start in starts))]
    except (AttributeError, TypeError, ValueError):  # a list of another make
        return None
    return rates if _agree(ask, rates, probes) else None


def _agree(ask: Callable[[Usage], Any], rates: Rates, probes: Iterable[Usage]) -> bool:
    return all(ask(probe).total_price == rates.cost(probe) for probe in probes)


def _probe(size: int, processing: str) -> Usage:
    """Return a usage of so many tokens of input, some of them cached."""
    cached = size // 3
    return Usage(input=size - cached, cached=cached, output=1_100, thinking=13, processing=processing)


def _at(price: _Price, size: int) -> Decimal:
    for start, dearer in price[1]:
        if size > start:
            return dearer
    return price[0]


def _price(value: Any) -> _Price:
    if value is None:
        return Decimal(0), ()
    if isinstance(value, Decimal):
        return value, ()
    return value.base, tuple(sorted(((tier.start, tier.price) for tier in value.tiers), reverse=True))
