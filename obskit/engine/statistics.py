"""One number out of several: what aligners do along time and reducers across series."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

__all__ = ["ACROSS", "percentile_of"]

Numbers = Sequence[float]


def percentile_of(values: Numbers, share: float) -> float:
    """Return a percentile of at least one value, by linear interpolation between the two that are nearest."""
    ordered = sorted(values)
    rank = share * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def _mean(values: Numbers) -> float:
    return math.fsum(values) / len(values)


def _stddev(values: Numbers) -> float:
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _true(values: Numbers) -> float:
    return float(sum(bool(value) for value in values))


ACROSS: Final[Mapping[str, Callable[[Numbers], float]]] = {
    "MEAN": _mean,
    "MIN": min,
    "MAX": max,
    "SUM": math.fsum,
    "COUNT": lambda values: float(len(values)),
    "COUNT_TRUE": _true,
    "COUNT_FALSE": lambda values: len(values) - _true(values),
    "FRACTION_TRUE": lambda values: _true(values) / len(values),
    "STDDEV": _stddev,
}
"""Functions of at least one number, by the API's names without ``ALIGN_`` or ``REDUCE_``."""
