"""The rates of plain tokens out of `genai-prices`, whose own reckoning takes longer than a request's span."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

from obskit.llm.usage import Usage

__all__ = ["Rates", "exact", "read"]

_MILLION_DIGITS: Final = 6
_Price = tuple[int, tuple[tuple[int, int], ...]]
"""USD per token in units of the last digit, and what it is above so many tokens of input, highest threshold first."""
_Given = tuple[Decimal, tuple[tuple[int, Decimal], ...]]
"""The same in USD per million tokens."""


class Rates:
    """What a model's tokens cost. In whole numbers, because they are exact, and a tenth of a `Decimal`'s work.

    Args:
        input, cached, output: USD per million tokens, each with its tiers; a kind without a price costs nothing.

    Attributes:
        digits: how many decimal places an `amount` has.
        scale: ten to that power.
    """

    __slots__ = ("_plain", "_tiered", "digits", "scale")

    def __init__(self, *, input: _Given, cached: _Given, output: _Given) -> None:  # noqa: A002 - the kind's name
        given = (input, cached, output)
        found = [rate for base, tiers in given for rate in (base, *(dearer for _, dearer in tiers))]
        places = max(0, *(-int(rate.as_tuple().exponent) for rate in found))
        self.digits = places + _MILLION_DIGITS
        self.scale: int = 10**self.digits
        whole = tuple(_whole(each, places) for each in given)
        self._plain = tuple(base for base, _ in whole)
        self._tiered = whole if any(tiers for _, tiers in whole) else None

    def amount(self, usage: Usage) -> int:
        """Return the USD of a usage that has tokens of text alone, times `scale`."""
        size, cached = usage.billed_input, usage.cached
        given, kept, made = self._plain
        if self._tiered is not None:
            given, kept, made = (_at(each, size) for each in self._tiered)
        return given * (size - cached) + kept * cached + made * usage.billed_output

    def cost(self, usage: Usage) -> Decimal:
        """Return the USD of a usage that has tokens of text alone."""
        return exact(self.amount(usage), self.digits)


def exact(amount: int, digits: int) -> Decimal:
    """Return an amount with its decimal places as USD."""
    return Decimal(amount).scaleb(-digits)


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
        made = _price(found.output_mtok)
        rates = Rates(input=given, cached=cached, output=made)
        starts = {start for price in (given, cached, made) for start, _ in price[1]}
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


def _whole(given: _Given, places: int) -> _Price:
    base, tiers = given
    return int(base.scaleb(places)), tuple((start, int(dearer.scaleb(places))) for start, dearer in tiers)


def _at(price: _Price, size: int) -> int:
    for start, dearer in price[1]:
        if size > start:
            return dearer
    return price[0]


def _price(value: Any) -> _Given:
    if value is None:
        return Decimal(0), ()
    if isinstance(value, Decimal):
        return value, ()
    return value.base, tuple(sorted(((tier.start, tier.price) for tier in value.tiers), reverse=True))
