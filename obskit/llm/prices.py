"""What a call cost in US dollars, by the configured prices or by the list of `genai-prices`.

That list takes a third of a second to load, so it is loaded beside the first call, on a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache, partial
from time import monotonic, time
from typing import Any, Final

from obskit.llm.rates import Rates, read
from obskit.llm.usage import Usage

__all__ = [
    "Prices",
    "exact_price",
    "is_loading",
    "load",
    "model_name",
    "plain_rates",
    "price",
    "provider_id",
    "wait_until_loaded",
    "warm_up",
]

Prices = Mapping[str, Mapping[str, float]]
"""By model, USD per million tokens by kind and USD per unit; as in the setting `prices`. ``*`` is every other model."""

_log = logging.getLogger("obskit")

_MILLION: Final = 1_000_000
_PER_MILLION: Final = frozenset({"cache_token_hours"})
_RATES_S: Final = 900.0
_UNKNOWN: Final = (-1.0, None)
_MOST_RATES: Final = 1_000
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
        calculator = _calculator if is_tried else load()
        return None if calculator is None else calculator.price(provider_id(provider), models, usage)
    names = list(dict.fromkeys(name for name in models if name))
    row = next((prices[name] for name in names if name in prices), prices.get("*", {}))
    factor = 1 - _exact(row.get("discount", 0))
    if any(column not in _ADJUSTMENTS for column in row):
        cost = _by_table(row, usage)
    else:
        calculator = load()
        cost = None if calculator is None else calculator.price(provider_id(provider), names, usage)
    return None if cost is None else cost * factor


def plain_rates(provider: str, model: str, processing: str) -> Rates | None:
    """Return the list's rates of plain tokens; None where `exact_price` must be asked.

    Args:
        provider: OpenTelemetry's `gen_ai.provider.name`.
        model: bare name of the model.
        processing: as in `Usage`.
    """
    calculator = _calculator
    if calculator is None:
        return None
    provider = _PROVIDERS.get(provider, provider)
    quarter, rates = calculator.known.get((provider, model, processing), _UNKNOWN)
    if quarter == time() // _RATES_S:
        return rates
    try:
        return calculator.rates(provider, model, processing)
    except Exception:  # noqa: BLE001 - asked for the price itself, it says what is wrong
        return None


def provider_id(provider: str) -> str:
    """Return the price list's name of a provider that OpenTelemetry names otherwise."""
    return _PROVIDERS.get(provider, provider)


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


# --------------------------------------------------------------------------- the list


class _Calculator:
    """The price list of `genai-prices`, loaded."""

    def __init__(self) -> None:
        from genai_prices import Usage as TheirUsage  # noqa: PLC0415 - loading it is the point
        from genai_prices import calc_price, data_snapshot  # noqa: PLC0415

        self._calc_price, self._usage = calc_price, TheirUsage
        self.known: dict[tuple[str, str, str], tuple[float, Rates | None]] = {}
        data_snapshot.get_snapshot()

    def price(self, provider: str, models: Iterable[str], usage: Usage) -> Decimal | None:
        if usage.units and set(usage.units) - {"searches"}:
            return None  # the list knows tokens and searches
        for model in models:
            if not model:
                continue
            try:
                return self._calculate(provider, model, usage)
            except LookupError:
                continue
            except Exception as error:  # noqa: BLE001 - the list may contradict a usage; the call goes on, unpriced
                _log.warning("genai-prices cannot price a call of %s: %s: %s", model, type(error).__name__, error)
        return None

    def _calculate(self, provider: str, model: str, usage: Usage) -> Decimal:
        if usage.modalities or usage.cache_write or usage.units:
            return self._ask(provider, model, usage)
        rates = self.rates(provider, model, usage.processing)
        return self._ask(provider, model, usage) if rates is None else rates.cost(usage)

    def rates(self, provider: str, model: str, processing: str) -> Rates | None:
        """Return the rates of plain tokens, None where the list must be asked; looked up anew each quarter of an hour.

        A price may hold from a day or for some hours of the day only, which begin and end at such a quarter.

        Raises:
            LookupError: the list does not know the model.
        """
        key, now = (provider, model, processing), time() // _RATES_S
        quarter, rates = self.known.get(key, _UNKNOWN)
        if now != quarter:
            rates = read(partial(self._found, provider, model), processing)
            if len(self.known) >= _MOST_RATES:
                self.known.clear()
            self.known[key] = (now, rates)
        return rates

    def _ask(self, provider: str, model: str, usage: Usage) -> Decimal:
        total: Decimal = self._found(provider, model, usage).total_price
        return total

    def _found(self, provider: str, model: str, usage: Usage) -> Any:
        counts: dict[str, Any] = {
            "input_tokens": usage.billed_input,
            "output_tokens": usage.billed_output,
            "cache_read_tokens": usage.cached,
        }
        if usage.cache_write:
            counts["cache_write_tokens"] = usage.cache_write
        if usage.units.get("searches"):
            counts["web_searches"] = usage.units["searches"]
        context = _CONTEXTS.get(usage.processing)
        try:
            return self._calc_price(
                self._usage(**counts, **usage.modalities), model, provider_id=provider, price_context=context
            )
        except ValueError:
            # Cached tokens of a modality with its own price, without a word on how many: the details contradict
            # each other. The plain counts give the model's text price.
            return self._calc_price(self._usage(**counts), model, provider_id=provider, price_context=context)


# How the list names what is cheaper or dearer than the standard.
_CONTEXTS: Final = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}

_PATIENCE_S: Final = 5.0
"""How long calls wait for a list that is being loaded, all together: it takes a third of a second of processor time."""

_lock = threading.RLock()  # re-entrant: a finalizer may end a call in the middle of loading
_calculator: _Calculator | None = None
is_tried = False
"""Whether it has been tried to load the list; not to be changed."""
_begun_s = 0.0
"""When the list began to be loaded, monotonic; 0 while it is not."""
_thread: threading.Thread | None = None


def load() -> _Calculator | None:
    """Load the price list unless that has been done.

    Returns:
        None where it cannot be loaded, which is said once, and where another thread has been at it for five seconds: a
        call must not wait for a price.
    """
    if is_tried:
        return _calculator
    waits_s = _PATIENCE_S - (monotonic() - _begun_s) if _begun_s else _PATIENCE_S
    if not _lock.acquire(timeout=max(0.0, waits_s)):
        return None
    try:
        _load()
    finally:
        _lock.release()
    return _calculator


def _load() -> None:
    global _begun_s, _calculator, is_tried
    if is_tried or _begun_s:  # by another thread, or further up in this one
        return
    _begun_s = monotonic()
    try:
        _calculator = _Calculator()
    except Exception as error:  # noqa: BLE001 - a broken dependency must not break the app's call
        _log.warning(
            "AI calls are recorded without their cost: genai-prices cannot be loaded (%s: %s). "
            "Reinstall it, or give prices in the setting `prices`.",
            type(error).__name__,
            error,
        )
    finally:
        _begun_s = 0.0
    is_tried = True


def is_loading() -> bool:
    """Return whether the price list is being loaded right now."""
    return bool(_begun_s)


def warm_up(model: str, prices: Prices | None) -> None:
    """Begin to load the price list on a thread, so that it is there when the first reply comes.

    Args:
        model: that is asked for.
        prices: those that win over the list, and may make it needless.
    """
    global _thread
    if not is_tried and _thread is None and (prices is None or model not in prices):
        _thread = threading.Thread(target=load, name="obskit-prices", daemon=True)
        _thread.start()


async def wait_until_loaded() -> None:
    """Wait for the price list without holding up the event loop."""
    if is_tried:
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # another kind of event loop
        load()
    else:
        await asyncio.to_thread(load)


_forking: Final[set[int]] = set()


def _before_fork() -> None:
    if _lock.acquire(timeout=_PATIENCE_S):
        _forking.add(threading.get_ident())


def _after_fork() -> None:
    me = threading.get_ident()
    if me in _forking:
        _forking.discard(me)
        _lock.release()


def _after_fork_in_child() -> None:
    global _lock, _thread, _begun_s
    _thread, _begun_s, _lock = None, 0.0, threading.RLock()
    _forking.clear()


if hasattr(os, "register_at_fork"):
    # Held over the fork: a child would wait for ever on the import lock of a thread that it has not.
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
