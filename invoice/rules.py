"""What Google bills: its published prices, written down here by hand, so that nothing of obskit prices the ledger.

Source: https://ai.google.dev/gemini-api/docs/pricing, 2026-11: USD per million tokens; thinking is billed as output,
tokens of tools as input; a prompt above 200,000 tokens is billed at the dearer prices as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

__all__ = ["BATCH", "HOURS", "PRICES", "UNIT_PRICES", "Row", "cost_of", "settings", "units_of"]

_MILLION: Final = Decimal(1_000_000)
_LONG: Final = 200_000
BATCH: Final = "batch:"
HOURS: Final = "cache_token_hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Prices of one model in USD per million tokens; `long_` ones hold above 200,000 tokens of input."""

    input: str
    output: str = "0"
    cached: str = "0"
    long_input: str = ""
    long_output: str = ""
    long_cached: str = ""


PRICES: Final[Mapping[str, Row]] = {
    "gemini-2.5-flash": Row(input="0.30", output="2.50", cached="0.03"),
    "gemini-2.5-pro": Row(
        input="1.25", output="10", cached="0.125", long_input="2.50", long_output="15", long_cached="0.25"
    ),
    "gemini-3.8-flash": Row(input="0.75", output="3.75", cached="0.075"),
    "gemini-2.5-flash-lite": Row(input="0.10", output="0.40", cached="0.01"),
    "gemini-live-2.5-flash": Row(input="0.50", output="2.00"),
    "gemini-embedding-001": Row(input="0.15"),
    "batch:gemini-2.5-flash": Row(input="0.15", output="1.25"),
}
UNIT_PRICES: Final[Mapping[tuple[str, str], str]] = {
    ("imagen-4.0-generate-001", "images"): "0.04",
    ("veo-3.0-generate-001", "seconds"): "0.40",
    ("gemini-2.5-flash-lite", "cache_token_hours"): "0.000001",
}


def settings() -> dict[str, dict[str, float]]:
    """Return what the app configures: the prices that the list of genai-prices has not.

    A row in the settings takes the place of the list's, so that a model of tokens and of units has both in it.
    """
    rows: dict[str, dict[str, float]] = {}
    for (model, unit), price in UNIT_PRICES.items():
        row = rows.setdefault(model, {})
        if tokens := PRICES.get(model):
            row |= {kind: float(getattr(tokens, kind)) for kind in ("input", "output", "cached")}
        row[unit] = float(price) * (1_000_000 if unit == HOURS else 1)  # configured for a million tokens
    return rows


def units_of(amounts: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], Decimal]:
    """Return the ledger's units as they are priced: a cache is kept in the ledger by the second, priced by the hour."""
    return {
        (model, HOURS if unit == "cache_token_seconds" else unit): Decimal(amount)
        / (3600 if unit == "cache_token_seconds" else 1)
        for (model, unit), amount in amounts.items()
    }


def cost_of(model: str, bill: Any, count: int) -> Decimal | None:
    """Return what `count` calls of that bill cost, None for a model without a published price."""
    row = PRICES.get(model)
    if row is None:
        return None
    is_long = bool(row.long_input) and bill.billed_input > _LONG
    rates = (row.long_input, row.long_cached, row.long_output) if is_long else (row.input, row.cached, row.output)
    amounts = (bill.billed_input - bill.cached, bill.cached, bill.billed_output)
    return (
        sum((Decimal(rate) * amount * count for rate, amount in zip(rates, amounts, strict=True)), Decimal(0))
        / _MILLION
    )
