"""Says once of each model that its calls are counted without a cost, and what to do about it."""

from __future__ import annotations

import logging
from typing import Final

from obskit.llm.price_list import is_loading
from obskit.llm.usage import Usage

__all__ = ["forget", "tell"]

_log = logging.getLogger("obskit")

_MOST_SAID: Final = 200
_said: Final[set[tuple[str, str, object]]] = set()


def tell(provider: str, model: str, usage: Usage | None) -> None:
    """Log that a call has no cost, once for each model in a process.

    Args:
        provider: `gen_ai.provider.name`.
        model: the model that was asked for.
        usage: what it used; None where the provider has not told it.
    """
    is_early = usage is not None and is_loading()
    key = ("", "", "") if is_early else (provider, model, usage is None)
    if key in _said or len(_said) >= _MOST_SAID:
        return
    _said.add(key)
    if is_early:
        _log.warning("The price list is still being loaded: AI calls that end before are counted as unpriced")
        return
    if usage is None:
        _log.warning("A call of %s (%s) has not told its usage: such calls are counted as unpriced", model, provider)
        return
    units = ", ".join(sorted(unit for unit, amount in usage.units.items() if amount))
    _log.warning(
        "No price is known of the model %s (%s)%s: its calls are counted as unpriced. "
        "Give it a row in the setting `prices`; `obskit prices` shows what is known",
        model,
        provider,
        f" for {units}" if units else "",
    )


def disbelieve(provider: str, model: str, said: str) -> None:
    """Log that what a reply tells of its usage cannot be, once for each model in a process.

    Args:
        provider: `gen_ai.provider.name`.
        model: the model that was asked for.
        said: what it tells.
    """
    key = (provider, model, "")
    if key in _said or len(_said) >= _MOST_SAID:
        return
    _said.add(key)
    _log.warning(
        "A call of %s (%s) tells %s, which no reply can have: it is taken for unknown, "
        "and such calls are counted as unpriced",
        model,
        provider,
        said,
    )


def forget() -> None:
    """Say everything again."""
    _said.clear()
