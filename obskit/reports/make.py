"""Makes a report's figures: reads the counters, counts, prices the cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from obskit import catalog
from obskit.catalog import Route
from obskit.llm import prices
from obskit.llm.usage import Usage
from obskit.reports.counting import HOUR_S, count
from obskit.reports.figures import Counts, Figures, Saving, make_figures
from obskit.reports.sources import Monitoring

__all__ = ["Request", "make"]

_PROBE = 1000
"""Tokens that are priced to learn a rate; few, so that no price for long contexts is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a report is to show.

    Attributes:
        since_s: length of the period, whole hours in seconds.
        until_s: its end, in seconds since the epoch.
        by: of `figures.DIMENSIONS`.
        service: only this service; all when empty.
        route: how the metrics came to the backend.
        budget_usd: of a calendar month; None shows no budget.
        own_prices: those of the settings, which win over the list.
    """

    since_s: int
    until_s: float
    by: Sequence[str]
    service: str = ""
    route: Route = Route.GCP
    budget_usd: float | None = None
    own_prices: prices.Prices | None = None


def make(monitoring: Monitoring, request: Request) -> Figures:
    """Return the figures.

    Raises:
        BackendError: the metrics cannot be read.
    """
    end_s = math.ceil(request.until_s / HOUR_S) * HOUR_S
    start_s = end_s - request.since_s
    now = datetime.fromtimestamp(request.until_s, UTC)
    month_s = int(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp())
    first_s = min(month_s, start_s - request.since_s, end_s - 15 * 24 * HOUR_S)
    counted = {
        metric: count(monitoring, metric, start_s=first_s, end_s=end_s, route=request.route, service=request.service)
        for metric in (
            catalog.AI_COST,
            catalog.AI_TOKENS,
            catalog.AI_UNPRICED_CALLS,
            catalog.AI_ROUTE_COST,
            catalog.AI_ROUTE_TOKENS,
        )
    }
    counts = Counts(
        cost=counted[catalog.AI_COST],
        tokens=counted[catalog.AI_TOKENS],
        unpriced=counted[catalog.AI_UNPRICED_CALLS],
        route_cost=counted[catalog.AI_ROUTE_COST],
        route_tokens=counted[catalog.AI_ROUTE_TOKENS],
    )
    return make_figures(
        counts,
        start_s=start_s,
        end_s=end_s,
        now_s=request.until_s,
        by=request.by,
        saving=_saving(request.own_prices),
        budget_usd=request.budget_usd,
    )


def _saving(own: prices.Prices | None) -> Saving:
    def saved(provider: str, model: str, cached: int) -> float | None:
        fresh = prices.price(provider, [model], Usage(input=_PROBE), own)
        reused = prices.price(provider, [model], Usage(cached=_PROBE), own)
        return None if fresh is None or reused is None else (fresh - reused) * cached / _PROBE

    return saved
