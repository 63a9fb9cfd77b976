"""Quantiles of classic histograms, whose buckets are series with the label ``le``."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate

from obskit.engine.promql.columns import Cell, Column, Columns, Key, key_of

__all__ = ["histogram_quantile"]

_Group = tuple[Mapping[str, str], list[tuple[float, Sequence[Cell]]]]


def histogram_quantile(shares: Sequence[float], columns: Columns) -> Columns:
    """Return a quantile of each histogram; one without observations gives no point, as at Google.

    Args:
        shares: the quantile of each step, 0 to 1.
        columns: buckets, by the label ``le``; what has no such number there is left out.
    """
    groups: dict[Key, _Group] = {}
    for column in columns:
        bound = _bound(column.labels.get("le", ""))
        if bound is not None:
            labels = {name: value for name, value in column.labels.items() if name not in {"le", "__name__"}}
            groups.setdefault(key_of(labels), (labels, []))[1].append((bound, column.values))
    found = [Column(labels, _quantiles(shares, buckets)) for labels, buckets in groups.values()]
    return [column for column in found if any(cell is not None for cell in column.values)]


def _bound(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _quantiles(shares: Sequence[float], buckets: list[tuple[float, Sequence[Cell]]]) -> list[Cell]:
    buckets.sort(key=lambda bucket: bucket[0])
    bounds = [bound for bound, _ in buckets]
    is_simple = len(set(bounds)) == len(bounds)
    found: list[Cell] = []
    for share, row in zip(shares, zip(*(cells for _, cells in buckets), strict=True), strict=True):
        if is_simple and None not in row:
            found.append(_quantile(share, bounds, row))
            continue
        counts: dict[float, float] = {}
        for bound, cell in zip(bounds, row, strict=True):
            if cell is not None:
                counts[bound] = counts.get(bound, 0.0) + cell
        found.append(_quantile(share, list(counts), list(counts.values())) if counts else None)
    return found


def _quantile(share: float, bounds: Sequence[float], counts: Sequence[float]) -> Cell:
    """Source: ``bucketQuantile`` of Prometheus 2.44, promql/quantile.go."""
    if math.isnan(share):
        return math.nan
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    if len(bounds) < 2 or bounds[-1] != math.inf:
        return math.nan
    rising = list(accumulate(counts, max))  # what is scraped while it changes may fall a little
    rank = share * rising[-1]
    if not rising[-1]:
        return None
    last = len(bounds) - 1
    place = last if math.isnan(rank) else bisect_left(rising, rank, 0, last)
    if place == last:
        return bounds[-2]
    if place == 0:
        return bounds[0] if bounds[0] <= 0 else _share_of(rank, rising[0]) * bounds[0]
    start, below = bounds[place - 1], rising[place - 1]
    return start + (bounds[place] - start) * _share_of(rank - below, rising[place] - below)


def _share_of(rank: float, count: float) -> float:
    return rank / count if count else math.nan
