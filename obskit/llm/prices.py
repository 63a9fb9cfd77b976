"""What a call cost in US dollars, by the configured prices or by the list of `genai-prices`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from time import time
from typing import Final

from obskit.llm import price_list
from obskit.llm.price_list import QUARTER_S, UNKNOWN, PriceList, load
from obskit.llm.rates import Rates
from obskit.llm.usage import Usage

__all__ = ["Prices", "exact_price", "model_name", "needs_list", "plain_rates", "price", "provider_id", "reckoned"]

Prices = Mapping[str, Mapping[str, float]]
"""By model, USD per million tokens by kind and USD per unit; as in the setting `prices`. ``*`` is every other model."""

_MILLION: Final = 1_000_000
_PER_MILLION: Final = frozenset({"cache_token_hours"})
_ADJUSTMENTS: Final = frozenset({"discount"})
_FALLBACKS: Final = {"cached": "input", "cache_write": "input", "tool_use": "input", "thinking": "output"}
# OpenTelemetry's `gen_ai.provider.name` → the id in genai-prices. Names that are the same in both are not here.
_PROVIDERS: Final = {
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "aws.bedrock": "aws",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
}


@lru_cache(maxsize=1024)
def model_name(model: str) -> str:
    """Return a model's bare name: ``models/X``, ``publishers/google/models/X`` and ``google/X`` are all X.

    Tuned models and endpoints keep the word that says so, because their number alone says nothing.
    """
    if "/" not in model:
        return model
    stem, _, name = model.rpartition("/")
    parent = stem.rpartition("/")[2]
    return f"{parent}/{name}" if parent in {"tunedModels", "endpoints"} else name


def price(provider: str, models: Iterable[str], usage: Usage, prices: Prices | None = None) -> float | None:
    """Return the cost in USD, or None where no price is known (which is not $0); as `exact_price` does."""
    cost = exact_price(provider, models, usage, prices)
    return None if cost is None else float(cost)


def exact_price(provider: str, models: Iterable[str], usage: Usage, prices: Prices | None = None) -> Decimal | None:
    """Return the cost in USD to the last digit, or None where no price is known.

    Blocks while the price list is loaded, once per process, unless `load` has been called.

    Args:
        provider: OpenTelemetry's `gen_ai.provider.name`.
        models: bare names of the model, the most exact first (the one that answered, then the one asked for).
        usage: the tokens and other units.
        prices: prices that win over the list.
    """
    if not prices:
        return _by_list(provider, models, usage)
    names = list(dict.fromkeys(name for name in models if name))
    row = _row(prices, names)
    factor = 1 - _exact(row.get("discount", 0))
    cost = _by_table(row, usage) if _has_prices(row) else _by_list(provider, names, usage)
    return None if cost is None else cost * factor


def reckoned(
    provider: str, answered: str, asked: str, usage: Usage, prices: Prices | None
) -> tuple[Decimal | tuple[int, int] | None, float | None]:
    """Return what a call cost in USD, to the last digit or as `rates.exact` takes it, and as the nearest float.

    Args:
        provider: OpenTelemetry's `gen_ai.provider.name`.
        answered: bare name of the model that answered, may be empty.
        asked: bare name of the model that was asked for.
        usage: the tokens and other units.
        prices: prices that win over the list.

    Returns:
        None twice where no price is known.
    """
    if not prices and usage.is_plain:
        rates = plain_rates(provider, answered or asked, usage.processing)
        if rates is not None:
            amount = rates.amount(usage)
            return (amount, rates.digits), amount / rates.scale  # two whole numbers: the nearest float to the exact
    if usage.is_empty:
        return Decimal(0), 0.0
    cost = exact_price(provider, (answered, asked), usage, prices)
    return cost, None if cost is None else float(cost)


def plain_rates(provider: str, model: str, processing: str) -> Rates | None:
    """Return the list's rates of plain tokens; None where `exact_price` must be asked.

    Args:
        provider: OpenTelemetry's `gen_ai.provider.name`.
        model: bare name of the model.
        processing: as in `Usage`.
    """
    loaded = price_list.loaded
    if loaded is None:
        return None
    provider = _PROVIDERS.get(provider, provider)
    quarter, rates = loaded.known.get((provider, model, processing), UNKNOWN)
    if quarter == time() // QUARTER_S:
        return rates
    try:
        return loaded.rates(provider, model, processing)
    except Exception:  # noqa: BLE001 - asked for the price itself, it says what is wrong
        return None


def needs_list(model: str, prices: Prices | None) -> bool:
    """Return whether a call of the model is priced by the list, at least in part."""
    return not prices or not _has_prices(_row(prices, (model,)))


def provider_id(provider: str) -> str:
    """Return the price list's name of a provider that OpenTelemetry names otherwise."""
    return _PROVIDERS.get(provider, provider)


def _row(prices: Prices, models: Iterable[str]) -> Mapping[str, float]:
    return next((prices[name] for name in models if name in prices), prices.get("*", {}))


def _has_prices(row: Mapping[str, float]) -> bool:
    return any(column not in _ADJUSTMENTS for column in row)


def _by_list(provider: str, models: Iterable[str], usage: Usage) -> Decimal | None:
    loaded: PriceList | None = price_list.loaded if price_list.is_tried else load()
    return None if loaded is None else loaded.price(provider_id(provider), models, usage)


def _by_table(row: Mapping[str, float], usage: Usage) -> Decimal | None:
    cost = Decimal(0)
    is_long = 0 < row.get("long_context", 0) < usage.billed_input
    for kind, count in usage.kinds().items():
        names = (kind, _FALLBACKS.get(kind, ""))
        rate = next(
            (row[name] for name in (*(f"long_{name}" for name in names if is_long), *names) if name in row), None
        )
        if rate is None:
            return None
        cost += _exact(rate) * count / _MILLION
    cost *= _exact(row.get(usage.processing, 1))
    for unit, amount in usage.units.items():
        if unit in row:
            cost += _exact(row[unit]) * _exact(amount) / (_MILLION if unit in _PER_MILLION else 1)
        elif amount:
            return None
    return cost


def _exact(value: float) -> Decimal:
    """Return the number that was written, not the binary one that is nearest to it."""
    return Decimal(str(value))
