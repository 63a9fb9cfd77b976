"""Which aligner and which reducer fits which series, and what they make of it.

Source: the enums ``Aggregation.Aligner`` and ``Aggregation.Reducer`` of the Monitoring API v3; that ALIGN_COUNT takes
distributions too is from Google's list of Pub/Sub metrics, and that cumulative distributions may be aligned like delta
ones from the charts that Google's own dashboards make of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from obskit.queries.google_metrics import MetricKind, ValueType
from obskit.queries.series import Series

__all__ = ["ALIGNERS", "REDUCERS", "aligned", "aligner_problem", "reduced", "reducer_problem"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What an aligner or reducer takes, and the value type that it gives; None where it is that of the series."""

    kinds: frozenset[MetricKind]
    values: frozenset[ValueType]
    result: ValueType | None = None


_NUMBERS: Final = frozenset({ValueType.INT64, ValueType.DOUBLE})
_BOOL: Final = frozenset({ValueType.BOOL})
_DISTRIBUTION: Final = frozenset({ValueType.DISTRIBUTION})
_ALL: Final = frozenset(ValueType)
_GAUGE: Final = frozenset({MetricKind.GAUGE})
_LEVEL: Final = frozenset({MetricKind.GAUGE, MetricKind.DELTA})
_RISING: Final = frozenset({MetricKind.CUMULATIVE, MetricKind.DELTA})

ALIGNERS: Final[dict[str, Rule]] = {
    "delta": Rule(_RISING, _NUMBERS | _DISTRIBUTION),
    "rate": Rule(_RISING, _NUMBERS, ValueType.DOUBLE),
    "interpolate": Rule(_GAUGE, _NUMBERS),
    "next_older": Rule(_GAUGE, _ALL),
    "min": Rule(_LEVEL, _NUMBERS),
    "max": Rule(_LEVEL, _NUMBERS),
    "mean": Rule(_LEVEL, _NUMBERS | _DISTRIBUTION, ValueType.DOUBLE),
    "count": Rule(_LEVEL, _NUMBERS | _BOOL | _DISTRIBUTION, ValueType.INT64),
    "sum": Rule(_LEVEL, _NUMBERS | _DISTRIBUTION),
    "stddev": Rule(_LEVEL, _NUMBERS, ValueType.DOUBLE),
    "count_true": Rule(_GAUGE, _BOOL, ValueType.INT64),
    "count_false": Rule(_GAUGE, _BOOL, ValueType.INT64),
    "fraction_true": Rule(_GAUGE, _BOOL, ValueType.DOUBLE),
    "percent_change": Rule(_LEVEL, _NUMBERS, ValueType.DOUBLE),
    **{f"percentile_{rank}": Rule(_LEVEL, _DISTRIBUTION, ValueType.DOUBLE) for rank in ("99", "95", "50", "05")},
}
"""Aligner → what it takes and gives."""

REDUCERS: Final[dict[str, Rule]] = {
    "mean": Rule(_LEVEL, _NUMBERS | _DISTRIBUTION, ValueType.DOUBLE),
    "min": Rule(_LEVEL, _NUMBERS),
    "max": Rule(_LEVEL, _NUMBERS),
    "sum": Rule(_LEVEL, _NUMBERS | _DISTRIBUTION),
    "stddev": Rule(_LEVEL, _NUMBERS | _DISTRIBUTION, ValueType.DOUBLE),
    "count": Rule(_LEVEL, _ALL, ValueType.INT64),
    "count_true": Rule(_LEVEL, _BOOL, ValueType.INT64),
    "count_false": Rule(_LEVEL, _BOOL, ValueType.INT64),
    "fraction_true": Rule(_LEVEL, _BOOL, ValueType.DOUBLE),
    **{
        f"percentile_{rank}": Rule(_LEVEL, _NUMBERS | _DISTRIBUTION, ValueType.DOUBLE)
        for rank in ("99", "95", "50", "05")
    },
}
"""Reducer → what it takes and gives."""


def aligner_problem(aligner: str, series: Series) -> tuple[str, str] | None:
    """Return what is wrong with an aligner for a series, and what to use; None where it fits."""
    if aligner == "none" or _fits(ALIGNERS[aligner], series):
        return None
    fitting = ", ".join(f'"{name}"' for name, rule in ALIGNERS.items() if _fits(rule, series))
    return f'aligner "{aligner}" does not fit {series.name}, which is {series.shape}', f"Use one of {fitting}"


def reducer_problem(reducer: str, series: Series) -> tuple[str, str] | None:
    """Return what is wrong with a reducer for an aligned series, and what to use; None where it fits."""
    if reducer == "none" or _fits(REDUCERS[reducer], series):
        return None
    fitting = ", ".join(f'"{name}"' for name, rule in REDUCERS.items() if _fits(rule, series))
    return (
        f'reducer "{reducer}" does not fit {series.name}, which is {series.shape} once it is aligned',
        f"Use one of {fitting}",
    )


def aligned(aligner: str, series: Series) -> Series:
    """Return what an aligner makes of a series that it fits."""
    if aligner == "none":
        return series
    kind = MetricKind.DELTA if aligner == "delta" else MetricKind.GAUGE
    unit = f"{series.unit}/s" if aligner == "rate" else series.unit
    return replace(series, kind=kind, value=ALIGNERS[aligner].result or series.value, unit=unit)


def reduced(reducer: str, series: Series) -> Series:
    """Return what a reducer makes of a series that it fits."""
    return series if reducer == "none" else replace(series, value=REDUCERS[reducer].result or series.value)


def _fits(rule: Rule, series: Series) -> bool:
    kinds: Iterator[MetricKind] = iter((series.kind,))
    if series.value is ValueType.DISTRIBUTION and series.kind is MetricKind.CUMULATIVE:
        kinds = iter((MetricKind.CUMULATIVE, MetricKind.DELTA))
    return series.value in rule.values and any(kind in rule.kinds for kind in kinds)
