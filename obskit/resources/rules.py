"""Rules and values that several kinds of objects share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from obskit.alerts.channel_kinds import Setting
from obskit.alerts.selectors import Renderable
from obskit.queries.aggregations import check_filter
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_text
from obskit.queries.google_metrics import MetricKind, ValueType

__all__ = [
    "LONGEST_NAME",
    "Fits",
    "as_filter",
    "as_moment",
    "as_secret",
    "filter_rules",
    "filter_text",
    "length_rules",
    "shown_moment",
]

LONGEST_NAME: Final = 512

_EXAMPLE: Final = 'Write for example "2026-12-24T18:00:00+01:00"'


def length_rules(name: str, value: str, most: int, *, least: int = 0) -> Iterator[tuple[str, str]]:
    """Return what is wrong with a text's length in characters."""
    if len(value) > most:
        yield f"{name} has {len(value)} characters, at most {most} are allowed", "Shorten it"
    elif len(value) < least:
        yield f"{name} is empty", f"Add {name}=…"


def as_secret(value: object) -> Setting:
    """Return a text, or what `env` or `secret` gives."""
    if isinstance(value, Setting):
        return value
    raise TypeError(f'{value!r} is not a text | Write a text, env("NAME") or secret("NAME")')


def as_moment(value: object) -> datetime:
    """Return a moment with its time zone, given as a datetime or as ISO 8601."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a date and time | {_EXAMPLE}") from None
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} is not a date and time | {_EXAMPLE}")
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone | Add it: +01:00, or Z for UTC")
    return value.astimezone(UTC)


def shown_moment(moment: datetime) -> str:
    """Return a moment as Google's JSON spells it: ``2026-12-24T17:00:00Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def as_filter(value: object) -> str | Renderable:
    """Return a Monitoring filter: a text, or one over a catalog metric."""
    return value if isinstance(value, Renderable) else as_text(value)


def filter_text(value: str | Renderable, context: RenderContext) -> str:
    """Return a filter as it will be sent."""
    return value if isinstance(value, str) else value.render(context)


class Fits(StrEnum):
    """Which metrics an indicator can be made of."""

    COUNTER = "a delta or cumulative number"
    DISTRIBUTION = "a delta or cumulative distribution"
    GAUGE = "a gauge of numbers"
    FLAG = "a metric that is true or false"


_COUNTED: Final = frozenset({MetricKind.DELTA, MetricKind.CUMULATIVE})
_NUMBERS: Final = frozenset({ValueType.INT64, ValueType.DOUBLE})
# Source: TimeSeriesRatio, DistributionCut, MetricRange and good_bad_metric_filter in google.cloud.monitoring_v3.
_FITTING: Final = {
    Fits.COUNTER: (_COUNTED, _NUMBERS),
    Fits.DISTRIBUTION: (_COUNTED, frozenset({ValueType.DISTRIBUTION})),
    Fits.GAUGE: (frozenset({MetricKind.GAUGE}), _NUMBERS),
    Fits.FLAG: (frozenset(MetricKind), frozenset({ValueType.BOOL})),
}


def filter_rules(
    name: str, value: str | Renderable, context: RenderContext, *, needs: Fits
) -> Iterator[tuple[str, str]]:
    """Return what is wrong with a filter that must name a metric.

    Args:
        name: of the field, for the problem.
        value: the filter.
        context: what it is rendered for.
        needs: which metrics may stand there.
    """
    found, series = check_filter(filter_text(value, context), needs_resource=False)
    yield from ((f"{name}: {problem}", way_out) for problem, way_out in found)
    kinds, values = _FITTING[needs]
    for each in series:
        if each.kind not in kinds or each.value not in values:
            yield f"{name}: {each.name} is {each.shape}, must be {needs}", "Choose another metric"
