"""The price list as rows to show: the configured prices first, then those of `genai-prices`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from obskit.llm.prices import Prices, provider_id

__all__ = ["PriceRow", "pages", "rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """Prices of one model.

    Attributes:
        model: its name.
        origin: ``configured`` or ``list``.
        text: the prices in words.
        variants: prices of batches, of other service tiers, and from later days, in words.
    """

    model: str
    origin: str
    text: str
    variants: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        return {
            "model": self.model,
            "origin": self.origin,
            "prices": self.text,
            "variants": self.variants,
        }


def rows(provider: str, model: str = "", prices: Prices | None = None) -> list[PriceRow]:
    """Return the prices of one model, or of all of a provider.

    Args:
        provider: as OpenTelemetry or genai-prices spells it.
        model: a bare name; empty for all.
        prices: the configured ones.
    """
    found = [
        PriceRow(model=name, origin="configured", text=", ".join(f"{kind} {rate:g}" for kind, rate in row.items()))
        for name, row in (prices or {}).items()
        if model in {"", name} or name == "*"
    ]
    return [*found, *_listed(provider_id(provider), model)]


def pages(provider: str) -> list[str]:
    """Return the addresses of the pages from which the list has a provider's prices."""
    from genai_prices import data_snapshot  # noqa: PLC0415

    found = (each for each in data_snapshot.get_snapshot().providers if each.id == provider_id(provider))
    return [page for each in found for page in each.pricing_urls or ()]


def _listed(provider: str, model: str) -> Iterator[PriceRow]:
    from genai_prices import data_snapshot  # noqa: PLC0415 - a third of a second that only this command pays

    for each in data_snapshot.get_snapshot().providers:
        if each.id != provider:
            continue
        for info in each.models:
            if not model or info.is_match(model):
                yield _row(info)


def _row(info: Any) -> PriceRow:
    variants: dict[str, str] = {}
    ladder = info.prices if isinstance(info.prices, list) else []
    for step in ladder:
        day = getattr(step.constraint, "start_date", None)
        variants["always" if day is None else f"from {day}"] = str(step.prices)
    for variant in info.price_variants or ():
        variants[", ".join(f"{name} {value}" for name, value in variant.when.items())] = str(variant.prices)
    text = str(info.get_prices(datetime.now(tz=UTC)))
    return PriceRow(model=info.id, origin="list", text=text, variants=variants)
