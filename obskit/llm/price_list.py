"""The price list of `genai-prices`.

It takes a third of a second to load, so that is done beside the first call, on a thread of its own. Who may wait for it
does so, but not for ever; who may not has its work put off until the list is there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from time import monotonic, time
from typing import Any, Final

from obskit.llm.rates import Rates, read
from obskit.llm.usage import Usage
from obskit.signals import chores
from obskit.signals.endings import before_the_end

__all__ = [
    "QUARTER_S",
    "UNKNOWN",
    "PriceList",
    "is_coming",
    "is_loading",
    "load",
    "once_there",
    "wait_until_loaded",
    "warm_up",
]

_log = logging.getLogger("obskit")

QUARTER_S: Final = 900.0
"""How long a rate holds, counted from the epoch."""
UNKNOWN: Final = (-1.0, None)
"""What stands for no rate in `PriceList.known`."""

_MOST_RATES: Final = 1_000
_LOOK_S: Final = 0.01


class PriceList:
    """The list, loaded.

    Attributes:
        known: the rates that were looked up, by the list's id of the provider, model and processing, with the quarter
            of an hour that they hold in; None where the list itself must be asked.
    """

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
        key, now = (provider, model, processing), time() // QUARTER_S
        quarter, rates = self.known.get(key, UNKNOWN)
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
_LAST_PATIENCE_S: Final = 1.0
"""The same at the end of the process."""

_lock = threading.RLock()  # re-entrant: a finalizer of the app's may end a call in the middle of loading
loaded: PriceList | None = None
is_tried = False
"""Whether it has been tried to load the list; not to be changed."""
_is_loading = False
_wanted_s: float | None = None
"""Since when the list is wanted that is not there yet, monotonic; None where nobody loads it."""
_thread: threading.Thread | None = None


def load(most_s: float = _PATIENCE_S) -> PriceList | None:
    """Load the price list unless that has been done.

    Args:
        most_s: the longest that this waits for another thread that loads it, in seconds.

    Returns:
        None where it cannot be loaded, which is said once, and where another thread has been at it for five seconds: a
        call must not wait for a price.
    """
    if is_tried:
        return loaded
    waits_s = _PATIENCE_S - (monotonic() - _wanted_s) if _wanted_s is not None else _PATIENCE_S
    if not _lock.acquire(timeout=max(0.0, min(waits_s, most_s))):
        return None
    try:
        has_loaded = _load()
    finally:
        _lock.release()
    if has_loaded:
        chores.run()
    return loaded


def _load() -> bool:
    """Load the list, and return whether it was not tried before."""
    global loaded, _is_loading, _wanted_s, is_tried
    if is_tried or _is_loading:  # by another thread, or further up in this one
        return False
    _is_loading, _wanted_s = True, monotonic() if _wanted_s is None else _wanted_s
    try:
        loaded = PriceList()
    except Exception as error:  # noqa: BLE001 - a broken dependency must not break the app's call
        _log.warning(
            "AI calls are recorded without their cost: genai-prices cannot be loaded (%s: %s). "
            "Reinstall it, or give prices in the setting `prices`.",
            type(error).__name__,
            error,
        )
    finally:
        _is_loading, _wanted_s = False, None
    is_tried = True
    return True


def is_loading() -> bool:
    """Return whether the price list is being loaded right now."""
    return _is_loading


def is_coming() -> bool:
    """Return whether the price list is being loaded, and has not taken so long that nobody waits for it any more."""
    return not is_tried and _wanted_s is not None and monotonic() - _wanted_s < _PATIENCE_S


def once_there(act: Callable[[], object]) -> None:
    """Do something now, or on another thread as soon as the price list that is being loaded is there or late."""
    if not is_coming():
        act()
        return
    before_the_end(_wait_no_longer)
    chores.later(partial(once_there, act))


def _wait_no_longer() -> None:
    global _wanted_s
    if load(_LAST_PATIENCE_S) is None and _wanted_s is not None:
        _wanted_s = float("-inf")  # long enough


def warm_up() -> None:
    """Begin to load the price list on a thread, so that it is there when the first reply comes."""
    global _thread, _wanted_s
    if is_tried or _thread is not None:
        return
    _thread = threading.Thread(target=load, name="obskit-prices", daemon=True)
    _wanted_s = monotonic()
    try:
        _thread.start()
    except RuntimeError:  # the interpreter ends, or may have no more threads: whoever needs the list loads it
        _wanted_s = None


async def wait_until_loaded() -> None:
    """Wait for the price list, if it is being loaded, without holding up the event loop."""
    try:
        while is_coming():  # noqa: ASYNC110 - the thread that loads it must not wait for this loop, which may end
            await asyncio.sleep(_LOOK_S)
    except RuntimeError:  # another kind of event loop
        load()


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
    global _is_loading, _lock, _thread, _wanted_s
    _thread, _is_loading, _wanted_s, _lock = None, False, None, threading.RLock()
    _forking.clear()


if hasattr(os, "register_at_fork"):
    # Held over the fork: a child would wait for ever on the import lock of a thread that it has not.
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
